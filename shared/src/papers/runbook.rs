//! The runbook: every step of the plan so that a person could take it without Syncferry: who, where, what to type, what must come
//! out, how long it takes, and when to stop.

mod scenarios;

use super::estimate::{Estimate, estimate, span};
use super::input::PaperInput;
use super::sql::{ident, text};
use super::{Block, RunbookStep, heading, list, para};
use crate::plan::PlannedJob;
use crate::spec::JobKind;

const DBA: &str = "DBA";
const WINDOWS: &str = "Windows administrator";
const IDENTITY: &str = "identity team";

pub(super) fn paper(input: &PaperInput) -> (String, String, Vec<Block>) {
    let mut book = Book {
        input,
        estimate: estimate(input),
        steps: Vec::new(),
    };
    let mut blocks = vec![
        heading("Before"),
        list(vec![
            "What `--permissions` asks for is granted, and the port matrix was tried.".to_string(),
            "Nobody changes the configuration of Connect from the backup until the end.".to_string(),
            "Whoever may stop it can be reached for as long as it takes.".to_string(),
        ]),
    ];
    if input.plan.stages.is_empty() {
        blocks.push(para(
            "The plan is blocked: there is nothing to do until its blockers are gone. `syncferry plan show` has them.",
        ));
    }
    // Numbers go on over all stages.
    let mut number = 0;
    for stage in &input.plan.stages {
        blocks.push(heading(stage.name.clone()));
        for job in &stage.jobs {
            book.job(job);
        }
        if let Some(h) = input
            .plan
            .handover
            .as_ref()
            .filter(|h| input.plan.stages.get(h.stage) == Some(stage))
        {
            book.step(
                "the lease changes hands",
                IDENTITY,
                &h.to_name,
                String::new(),
                &h.steps.join("; "),
                "Whether the old server is really out cannot be shown: leave it, and do not install.",
                None,
            );
        }
        for mut step in book.steps.drain(..) {
            number += 1;
            step.number = number;
            blocks.push(Block::Step(Box::new(step)));
        }
    }
    blocks.push(heading("The way back"));
    blocks.push(list(if input.plan.rollback.is_empty() {
        vec!["Nothing was changed.".to_string()]
    } else {
        input.plan.rollback.clone()
    }));
    (
        format!("Runbook: {} for {}", input.scenario.as_str(), input.site),
        format!(
            "Migration {}. Syncferry takes these steps itself; this page is for the day on which it cannot. Every step may be taken by hand, in this order, and nothing in it needs a controller.",
            input.migration
        ),
        blocks,
    )
}

struct Book<'a> {
    input: &'a PaperInput,
    estimate: Estimate,
    steps: Vec<RunbookStep>,
}

impl Book<'_> {
    #[expect(
        clippy::too_many_arguments,
        reason = "one argument for each line of a step, in the order in which they are read"
    )]
    fn step(
        &mut self,
        title: &str,
        owner: &str,
        host: &str,
        command: String,
        expected: &str,
        abort: &str,
        job: Option<&str>,
    ) {
        let lines = self.estimate.machines.iter().chain(&self.estimate.people);
        let duration = job
            .and_then(|j| lines.into_iter().find(|l| l.what == j))
            .map_or_else(|| "a few minutes".to_string(), span);
        self.steps.push(RunbookStep {
            number: 0,
            title: title.to_string(),
            owner: owner.to_string(),
            host: host.to_string(),
            command,
            expected: expected.to_string(),
            duration,
            abort: abort.to_string(),
        });
    }

    fn job(&mut self, job: &PlannedJob) {
        match (job.name.as_str(), job.kind) {
            ("verify-source", _) => self.verify_source(job),
            (_, JobKind::Backup) => self.backup(job),
            ("restore", JobKind::Restore) => self.restore(job),
            ("test-restore", JobKind::Restore) => self.test_restore(job),
            (_, JobKind::Install) => self.install(job),
            ("verify-server", _) => self.verify_server(job),
            ("verify-database", _) => self.verify_database(job),
            ("verify-old-server", _) => self.verify_old_server(job),
            ("stop-old-server", _) => self.stop_old_server(job),
            ("verify-unused", _) => self.verify_unused(job),
            ("verify-old-server-out", _) => self.verify_old_server_out(job),
            _ if self.of_a_scenario(job) => {}
            _ => self.other(job),
        }
    }

    fn file(&self) -> String {
        let dir = self
            .input
            .host(self.input.source.0)
            .and_then(|h| h.inventory.as_ref())
            .map(|i| i.host.staging_dir.clone())
            .filter(|d| !d.is_empty());
        let dir = dir.unwrap_or_else(|| r"D:\Staging".to_string());
        format!("{}\\ADSync_{}.bak", dir.trim_end_matches('\\'), self.input.migration)
    }

    fn verify_source(&mut self, job: &PlannedJob) {
        let db = &self.input.source.2;
        let guid = self
            .input
            .plan
            .values
            .as_ref()
            .map(|v| v.source.database_guid.to_string())
            .unwrap_or_default();
        let command = format!(
            "SELECT d.name, d.state_desc, d.collation_name, r.database_guid, r.family_guid\nFROM sys.databases d JOIN sys.database_recovery_status r ON r.database_id = d.database_id\nWHERE d.name = {};\nUSE {};\nSELECT COUNT_BIG(*) AS connectors FROM dbo.mms_management_agent;\nSELECT COUNT_BIG(*) AS rules FROM dbo.mms_synchronization_rule;\nSELECT ma_id, COUNT_BIG(*) AS objects FROM dbo.mms_connectorspace GROUP BY ma_id;\nSELECT MAX(end_date) AS last_run_utc FROM dbo.mms_run_history WHERE is_run_complete = 1;",
            text(db),
            ident(db)
        );
        self.step(
            "look at the database, and write the counts down",
            DBA,
            &job.host_name,
            command,
            &format!("ONLINE, a collation with _CI_, database_guid {guid}; the last run is at most three weeks ago. Keep the counts: the copy must have the same."),
            "another database_guid, another state, or a last run that nobody can explain.",
            Some(&job.name),
        );
    }

    fn backup(&mut self, job: &PlannedJob) {
        let (db, file) = (&self.input.source.2, self.file());
        let values = self.input.plan.values.as_ref();
        if values.is_none_or(|v| v.connect_on_source) {
            self.step(
                "let the cycle end, and hold the scheduler",
                IDENTITY,
                &job.host_name,
                "Get-ADSyncScheduler | Select-Object SyncCycleEnabled, SyncCycleInProgress   # write SyncCycleEnabled down\nSet-ADSyncScheduler -SyncCycleEnabled $false".to_string(),
                "SyncCycleInProgress False.",
                "a cycle does not end within half an hour: look at it first.",
                None,
            );
        }
        let compression = if values.is_some_and(|v| v.compression) {
            ", COMPRESSION"
        } else {
            ""
        };
        let command = format!(
            "BACKUP DATABASE {} TO DISK = {} WITH COPY_ONLY, CHECKSUM, FORMAT, INIT{compression}, STATS = 5;\nRESTORE VERIFYONLY FROM DISK = {} WITH CHECKSUM;\nRESTORE HEADERONLY FROM DISK = {};",
            ident(db),
            text(&file),
            text(&file),
            text(&file)
        );
        self.step(
            "back the database up",
            DBA,
            &job.host_name,
            command,
            "The backup set on file 1 is valid. FamilyGUID is the one that was written down; keep BackupSetGUID.",
            "any error, or less free space than the plan names. The database is not changed by a backup.",
            Some(&job.name),
        );
        self.step(
            "hash the file",
            DBA,
            &job.host_name,
            format!(
                "Get-FileHash -Algorithm SHA256 -LiteralPath '{}'",
                file.replace('\'', "''")
            ),
            "a hash; write it down.",
            "the file cannot be read: make the backup again.",
            None,
        );
        if values.is_none_or(|v| v.connect_on_source) {
            self.step(
                "put the scheduler back",
                IDENTITY,
                &job.host_name,
                "Set-ADSyncScheduler -SyncCycleEnabled $true   # or what it was".to_string(),
                "the next cycle runs on time.",
                "it does not: look at Get-ADSyncScheduler before anything else.",
                None,
            );
        }
    }

    fn moved_files(&self, name: &str) -> String {
        let instance = self.input.target_instance().or(self.input.source_instance());
        let request = self.input.request();
        let dir = |asked: Option<String>, default: Option<String>| {
            let d = asked.or(default).unwrap_or_else(|| "<folder>".to_string());
            d.trim_end_matches('\\').to_string()
        };
        let data = dir(
            request.and_then(|r| r.data_dir.clone()),
            instance.and_then(|i| i.data_path.clone()),
        );
        let log = dir(
            request.and_then(|r| r.log_dir.clone()),
            instance.and_then(|i| i.log_path.clone()),
        );
        let files = self
            .input
            .source_database()
            .map(|d| d.files.clone())
            .unwrap_or_default();
        let mut moves: Vec<String> = files
            .iter()
            .enumerate()
            .map(|(at, f)| {
                let (folder, ending) = if f.kind.eq_ignore_ascii_case("LOG") {
                    (&log, "ldf")
                } else {
                    (&data, "mdf")
                };
                let path = format!("{folder}\\{name}_{at}.{ending}");
                format!("MOVE {} TO {}", text(&f.name), text(&path))
            })
            .collect();
        // Where only a backup is there, its own list of files says it.
        let known = self.input.plan.values.as_ref().and_then(|v| v.backup.as_ref());
        if let Some(b) = known.filter(|_| moves.is_empty()) {
            moves.extend(b.header.files.iter().enumerate().map(|(at, f)| {
                let (folder, ending) = if f.kind == "L" { (&log, "ldf") } else { (&data, "mdf") };
                let path = format!("{folder}\\{name}_{at}.{ending}");
                format!("MOVE {} TO {}", text(&f.logical_name), text(&path))
            }));
        }
        if moves.is_empty() {
            moves.push("MOVE N'<logical name>' TO N'<new file>'".to_string());
        }
        moves.join(",\n  ")
    }

    /// Where the copy of the backup is on the SQL host; where one was there before, that one.
    fn copy(&self) -> String {
        if let Some(known) = self
            .input
            .plan
            .values
            .as_ref()
            .and_then(|v| v.backup.as_ref())
            .filter(|b| b.here)
        {
            return known.path.clone();
        }
        let file = self.file();
        let staging = self
            .input
            .request()
            .and_then(|r| self.input.host(r.target_host)?.inventory.as_ref())
            .map(|i| i.host.staging_dir.clone())
            .filter(|d| !d.is_empty())
            .unwrap_or_else(|| "<staging folder of the SQL host>".to_string());
        format!(
            "{}\\{}",
            staging.trim_end_matches('\\'),
            file.rsplit('\\').next().unwrap_or("ADSync.bak")
        )
    }

    fn restore(&mut self, job: &PlannedJob) {
        let Some(v) = self.input.plan.values.clone() else {
            return;
        };
        let copy = self.copy();
        self.step(
            "bring the file over, and hash it again",
            DBA,
            &job.host_name,
            format!(
                "Get-FileHash -Algorithm SHA256 -LiteralPath '{}'",
                copy.replace('\'', "''")
            ),
            "the same hash. Carry the file only over a channel that nobody else reads: it holds credentials.",
            "another hash: carry it over again.",
            None,
        );
        let temporary = ident(&v.temporary_name);
        let command = format!(
            "RESTORE DATABASE {temporary} FROM DISK = {} WITH CHECKSUM, STATS = 5,\n  {};\nDBCC CHECKDB ({temporary}) WITH NO_INFOMSGS, ALL_ERRORMSGS;",
            text(&copy),
            self.moved_files(&v.temporary_name)
        );
        self.step(
            "restore under a temporary name, and check it",
            DBA,
            &job.host_name,
            command,
            "RESTORE DATABASE successfully processed …; CHECKDB says nothing.",
            "error 3169 (older engine), 3154 or an existing file: never use REPLACE. Drop only what you have just restored.",
            Some(&job.name),
        );
        let account = self.input.service_account();
        let a = ident(&account);
        let target = ident(&v.expect.database);
        let command = format!(
            "IF SUSER_ID({t}) IS NULL CREATE LOGIN {a} FROM WINDOWS;\nALTER AUTHORIZATION ON DATABASE::{temporary} TO [sa];\nUSE {temporary};\nIF USER_ID({t}) IS NULL CREATE USER {a} FOR LOGIN {a};\nALTER ROLE [db_owner] ADD MEMBER {a};\nUSE [master];\nALTER DATABASE {temporary} MODIFY NAME = {target};",
            t = text(&account)
        );
        self.step(
            "rights for the service account, then the final name",
            DBA,
            &job.host_name,
            command,
            "the same counts as in the source under the final name.",
            "a database of that name is there already, or a count differs.",
            None,
        );
    }

    fn test_restore(&mut self, job: &PlannedJob) {
        let Some(v) = self.input.plan.values.clone() else {
            return;
        };
        let temporary = ident(&v.temporary_name);
        let command = format!(
            "RESTORE DATABASE {temporary} FROM DISK = {} WITH CHECKSUM, STATS = 5,\n  {};\nDBCC CHECKDB ({temporary}) WITH NO_INFOMSGS, ALL_ERRORMSGS;\n-- compare the counts, then drop what you have just restored:\nDROP DATABASE {temporary};",
            text(&self.file()),
            self.moved_files(&v.temporary_name)
        );
        self.step(
            "show that the backup can be restored",
            DBA,
            &job.host_name,
            command,
            "CHECKDB says nothing, and the counts are those of the original. The wizard may upgrade the only copy: this file is the way back.",
            "anything else: there is no way back yet, so go no further.",
            Some(&job.name),
        );
    }

    fn stop_old_server(&mut self, job: &PlannedJob) {
        self.step(
            "stop the old server for good",
            IDENTITY,
            &job.host_name,
            "Get-ADSyncConnectorRunStatus   # must say nothing\nSet-Service ADSync -StartupType Disabled\nStop-Service ADSync\nGet-Service ADSync | Select-Object Status, StartType".to_string(),
            "Stopped, Disabled.",
            "a run is in progress, or the wizard is open. Until the new server is installed, the way back is: Set-Service ADSync -StartupType Automatic; Start-Service ADSync.",
            Some(&job.name),
        );
    }

    fn who_is_there(&self, db: &str) -> String {
        format!(
            "SELECT session_id, login_name, host_name, program_name FROM sys.dm_exec_sessions WHERE database_id = DB_ID({});",
            text(db)
        )
    }

    fn verify_unused(&mut self, job: &PlannedJob) {
        let command = self.who_is_there(&self.input.source.2);
        self.step(
            "nobody's synchronisation service is on the database",
            DBA,
            &job.host_name,
            command,
            "no row with miiserver or ADSync.",
            "such a row: a server still uses the database. Find it by host_name and stop it.",
            Some(&job.name),
        );
    }

    fn install(&mut self, job: &PlannedJob) {
        let Some(v) = self.input.plan.values.clone() else {
            return;
        };
        let installer = self.input.request().map(|r| r.installer.clone()).unwrap_or_default();
        self.step(
            "install the programs",
            WINDOWS,
            &job.host_name,
            format!("Get-AuthenticodeSignature -LiteralPath '{0}'\nmsiexec /i \"{0}\" /quiet /norestart /l*v %TEMP%\\connect.log", installer.replace('\'', "''")),
            &format!("a valid signature of Microsoft; exit code 0 or 3010 (restart first). Version {}.", v.expect.version),
            "another exit code: look for 'Return value 3' in the log. When the wizard opens by itself, it is in Express mode: close it.",
            Some(&job.name),
        );
        let mut fields = vec![
            format!("SQL Server name:   {}", v.expect.server),
            format!(
                "SQL instance name: {}",
                if v.expect.instance.is_empty() {
                    "(leave empty)"
                } else {
                    &v.expect.instance
                }
            ),
            format!("Database name:     {}", v.expect.database),
            format!("Service account:   {}", self.input.service_account()),
        ];
        fields.extend(
            v.forests
                .iter()
                .map(|f| format!("Forest:            {f} > Change Credentials > green tick")),
        );
        self.step(
            "go through the wizard in 'use existing database' mode",
            IDENTITY,
            &job.host_name,
            format!(
                "\"C:\\Program Files\\Microsoft Azure Active Directory Connect\\AzureADConnect.exe\" /useexistingdatabase\n{}",
                fields.join("\n")
            ),
            "Configuration complete. The server is in staging mode.",
            "'Connect your directories' is empty (the database has nothing in it), or an error: its text is explained in Syncferry's documentation under 'What the wizard says'.",
            Some("the wizard"),
        );
    }

    fn verify_server(&mut self, job: &PlannedJob) {
        let expected = self.input.plan.values.as_ref().map_or(String::new(), |v| {
            format!("Server {}, SQLInstance '{}', DBName {}; the service runs; StagingModeEnabled True; every connector is there.", v.expect.server, v.expect.instance, v.expect.database)
        });
        self.step(
            "the new server is what was planned",
            IDENTITY,
            &job.host_name,
            "Get-ItemProperty HKLM:\\SYSTEM\\CurrentControlSet\\Services\\ADSync\\Parameters | Select-Object Server, SQLInstance, DBName\nGet-CimInstance Win32_Service -Filter \"Name='ADSync'\" | Select-Object State, StartName\nGet-ADSyncScheduler | Select-Object StagingModeEnabled, SyncCycleEnabled\nGet-ADSyncConnector | Select-Object Name".to_string(),
            &expected,
            "StagingModeEnabled False: put it into staging mode at once (wizard > Configure staging mode).",
            Some(&job.name),
        );
    }

    fn verify_database(&mut self, job: &PlannedJob) {
        let db = self.input.target_name();
        let command = self.who_is_there(&db);
        self.step(
            "only the new server is on the database",
            DBA,
            &job.host_name,
            command,
            &format!(
                "ADSync of {} and nobody else's; connectors, rules and objects as they were counted.",
                self.input.connect_name()
            ),
            "another server's ADSync: stop that service at once.",
            Some(&job.name),
        );
    }

    fn verify_old_server(&mut self, job: &PlannedJob) {
        let file = self.file();
        self.step(
            "the old server is as it was; the backup goes",
            IDENTITY,
            &job.host_name,
            format!("Get-ADSyncScheduler | Select-Object StagingModeEnabled, SyncCycleEnabled\nRemove-Item -LiteralPath '{}'", file.replace('\'', "''")),
            "StagingModeEnabled and SyncCycleEnabled as before.",
            "keep the file when it is the way back that was agreed on; then lock it away.",
            Some(&job.name),
        );
    }

    fn verify_old_server_out(&mut self, job: &PlannedJob) {
        self.step(
            "the old server is still out",
            IDENTITY,
            &job.host_name,
            "Get-Service ADSync | Select-Object Status, StartType".to_string(),
            "Stopped, Disabled.",
            "Running: two servers use one database. Stop it at once.",
            Some(&job.name),
        );
    }

    /// A job of a kind that has no words of its own here: what the plan says of it.
    fn other(&mut self, job: &PlannedJob) {
        self.step(
            &job.name.replace('-', " "),
            IDENTITY,
            &job.host_name,
            job.steps.join("\n"),
            "each line holds",
            "one does not.",
            Some(&job.name),
        );
    }
}
