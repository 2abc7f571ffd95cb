//! Steps of the runbook that only some scenarios have: a copy is looked at, a server is compared, switched, retired, or makes room
//! for itself.

use super::super::sql::{ident, text};
use super::{Book, DBA, IDENTITY, WINDOWS};
use crate::plan::PlannedJob;

/// Whoever may let a server export.
const OPERATOR: &str = "identity team, by name";
const STAGING_MODE: &str = "Get-ADSyncScheduler | Select-Object StagingModeEnabled, SyncCycleInProgress";
const COUNTS: &str = "SELECT COUNT_BIG(*) AS connectors FROM dbo.mms_management_agent;\nSELECT COUNT_BIG(*) AS rules FROM dbo.mms_synchronization_rule;\nSELECT ma_id, COUNT_BIG(*) AS objects FROM dbo.mms_connectorspace GROUP BY ma_id;";
const CONFIGURATION: &str = "SELECT ma_name, ma_type, ma_version FROM dbo.mms_management_agent ORDER BY ma_name;\nSELECT name, direction, precedence, connector_id FROM dbo.mms_synchronization_rule ORDER BY direction, precedence;";

impl Book<'_> {
    /// Takes a job that only some scenarios have; `false` when it is none of these.
    pub(super) fn of_a_scenario(&mut self, job: &PlannedJob) -> bool {
        match job.name.as_str() {
            "verify-restored" => self.verify_restored(job),
            "drill-restore" => self.drill_restore(job),
            "look-at-active" => self.look_at_active(job),
            "compare-with-active" => self.compare_with_active(job),
            "list-exports" => self.list_exports(job),
            "review-exports" => self.review_exports(job),
            "close-sign-in-tasks" => self.close_sign_in_tasks(job),
            "old-into-staging" => self.turn_staging(job, true),
            "new-out-of-staging" => self.turn_staging(job, false),
            "verify-old-in-staging" | "verify-not-active" => self.see_staging(job, true),
            "verify-active" => self.see_staging(job, false),
            "document-configuration" => self.document_configuration(job),
            "document-installation" => self.document_installation(job),
            "verify-way-back" => self.verify_way_back(job),
            "uninstall" => self.uninstall(job),
            _ => return false,
        }
        true
    }

    fn verify_restored(&mut self, job: &PlannedJob) {
        let db = self.input.target_name();
        let command = format!(
            "USE {};\n{COUNTS}\nSELECT MAX(end_date) AS last_run_utc FROM dbo.mms_run_history WHERE is_run_complete = 1;\nSELECT ma_name, ma_type FROM dbo.mms_management_agent;",
            ident(&db)
        );
        self.step(
            "what is in the copy",
            DBA,
            &job.host_name,
            command,
            "connectors and rules, not zero; the last run is at most three weeks ago; the forests whose credentials the wizard will ask for.",
            "no connector (the database is empty), or the Connect version is newer than the installer: take another backup or installer.",
            Some(&job.name),
        );
    }

    fn drill_restore(&mut self, job: &PlannedJob) {
        let Some(v) = self.input.plan.values.clone() else {
            return;
        };
        let temporary = ident(&v.temporary_name);
        let file = match &v.backup {
            Some(b) => b.path.clone(),
            None => self.file(),
        };
        self.step(
            "write down when you begin",
            DBA,
            &job.host_name,
            "Get-Date -Format o".to_string(),
            "a time: the RTO counts from here.",
            "somebody needs this SQL Server now: rehearse on another day.",
            None,
        );
        let command = format!(
            "RESTORE DATABASE {temporary} FROM DISK = {} WITH CHECKSUM, STATS = 5,\n  {};\nDBCC CHECKDB ({temporary}) WITH NO_INFOMSGS, ALL_ERRORMSGS;\nUSE {temporary};\n{COUNTS}",
            text(&file),
            self.moved_files(&v.temporary_name)
        );
        self.step(
            "restore under a scratch name, check and count",
            DBA,
            &job.host_name,
            command,
            "RESTORE DATABASE successfully processed …; CHECKDB says nothing; the counts are those of the original. Write the time down: the RTO ends here.",
            "any error: this backup is no way back. Never use REPLACE, and never start Connect on it.",
            Some(&job.name),
        );
        self.step(
            "drop the scratch database",
            DBA,
            &job.host_name,
            format!(
                "USE [master];\nDROP DATABASE {temporary};\nSELECT name FROM sys.databases WHERE name = {};",
                text(&v.temporary_name)
            ),
            "no row. Delete the copy of the backup file, too: it carries credentials.",
            "the name is not exactly the scratch name: drop nothing.",
            None,
        );
    }

    fn look_at_active(&mut self, job: &PlannedJob) {
        let command = format!("USE {};\n{COUNTS}\n{CONFIGURATION}", ident(&self.input.source.2));
        self.step(
            "write down what the active server is configured for",
            DBA,
            &job.host_name,
            command,
            "counts, connectors and rules; keep them: the staging server must have the same.",
            "the database does not answer: then there is nothing to compare with.",
            Some(&job.name),
        );
    }

    fn compare_with_active(&mut self, job: &PlannedJob) {
        let command = format!("USE {};\n{COUNTS}\n{CONFIGURATION}", ident(&self.input.target_name()));
        self.step(
            "the staging server is configured as the active one",
            DBA,
            &job.host_name,
            command,
            "the same connectors, rules and, after its first cycle, counts as the active server's.",
            "a rule or connector that one of the two does not have: find out who changed it, and when.",
            Some(&job.name),
        );
    }

    fn list_exports(&mut self, job: &PlannedJob) {
        self.step(
            "list what the new server would export",
            OPERATOR,
            &job.host_name,
            "cd \"$env:ProgramFiles\\Microsoft Azure AD Sync\\Bin\"\nforeach ($c in Get-ADSyncConnector) { .\\csexport.exe $c.Name \"$env:TEMP\\$($c.Name).xml\" /f:x; .\\CSExportAnalyzer.exe \"$env:TEMP\\$($c.Name).xml\" > \"$env:TEMP\\$($c.Name).csv\" }".to_string(),
            "a file for each connector: its objects by operation, and their attributes. The files name people: delete them when they were read.",
            "csexport ends with an error on a connector: what would be exported there is unknown.",
            Some(&job.name),
        );
    }

    fn review_exports(&mut self, job: &PlannedJob) {
        self.step(
            "review what the new server will export, and approve it by name",
            OPERATOR,
            &self.input.connect_name(),
            "Get-ADSyncScheduler | Select-Object SyncCycleInProgress\nGet-ADSyncExportDeletionThreshold".to_string(),
            "the initial synchronisation is done, no run is in progress; adds, updates and deletes of each connector are those that you expect, attribute by attribute; deletes are below the threshold. Write down who approved.",
            "a delete that nobody expects: stay in staging mode.",
            Some(&job.name),
        );
    }

    fn close_sign_in_tasks(&mut self, job: &PlannedJob) {
        self.step(
            "sign-in is set on the new server as on the active one",
            OPERATOR,
            &job.host_name,
            "AzureADConnect.exe > Configure > Change user sign-in\nAzureADConnect.exe > Configure > Customize synchronization options > Optional features\nEntra admin center > Entra Connect > Pass-through authentication".to_string(),
            "the same method, single sign-on and optional features; with pass-through authentication at least two agents are Active.",
            "another method: with pass-through authentication the tenant would be locked out.",
            Some(&job.name),
        );
    }

    fn turn_staging(&mut self, job: &PlannedJob, on: bool) {
        let (title, expected, abort) = if on {
            (
                "put the old server into staging mode",
                "StagingModeEnabled True, SyncCycleInProgress False. From here on nobody exports.",
                "it cannot be put into staging mode and runs on: no other server may leave it. To go back: the same task, tick removed.",
            )
        } else {
            (
                "take the new server out of staging mode",
                "StagingModeEnabled False. It exports from its next cycle on.",
                "the other server is not proven to be in staging mode, or off. This is the point of no return of this runbook: afterwards the way back is the same way in the other direction.",
            )
        };
        self.step(
            title,
            IDENTITY,
            &job.host_name,
            format!(
                "AzureADConnect.exe > Configure > Configure staging mode > {} 'Enable staging mode'\n{STAGING_MODE}",
                if on { "tick" } else { "untick" }
            ),
            expected,
            abort,
            Some(&job.name),
        );
    }

    fn see_staging(&mut self, job: &PlannedJob, on: bool) {
        let (title, expected, abort) = if on {
            (
                "it is in staging mode",
                "StagingModeEnabled True, or the service ADSync is Stopped and Disabled.",
                "StagingModeEnabled False: it exports. Put it into staging mode at once.",
            )
        } else {
            (
                "it is active",
                "StagingModeEnabled False; the next cycle ends with Export success on every connector (Synchronization Service Manager).",
                "an export fails, or deletes more than was approved: put it into staging mode again.",
            )
        };
        self.step(
            title,
            IDENTITY,
            &job.host_name,
            format!("{STAGING_MODE}\nGet-Service ADSync | Select-Object Status, StartType"),
            expected,
            abort,
            Some(&job.name),
        );
    }

    fn document_configuration(&mut self, job: &PlannedJob) {
        let command = format!("USE {};\n{COUNTS}\n{CONFIGURATION}", ident(&self.input.source.2));
        self.step(
            "write down what is configured",
            DBA,
            &job.host_name,
            command,
            "counts, connectors and rules; keep them on another host.",
            "the database does not answer.",
            Some(&job.name),
        );
    }

    fn document_installation(&mut self, job: &PlannedJob) {
        self.step(
            "export the configuration, and see that sign-in goes on without this server",
            OPERATOR,
            &job.host_name,
            "AzureADConnect.exe > Configure > View or export current configuration > Export settings\nCopy-Item C:\\ProgramData\\AADConnect\\*.json '\\\\<another host>\\<share>'\nGet-CimInstance Win32_Service -Filter \"Name='ADSync'\" | Select-Object StartName".to_string(),
            "the files are on another host; the service account is written down; with pass-through authentication another agent is Active elsewhere.",
            "the only authentication agent is on this server: install another one first.",
            Some(&job.name),
        );
    }

    fn verify_way_back(&mut self, job: &PlannedJob) {
        let Some(v) = self.input.plan.values.clone() else {
            return;
        };
        let copy = self.copy();
        let db = ident(&v.expect.database);
        self.step(
            "the way back is there, on another host",
            DBA,
            &job.host_name,
            format!(
                "RESTORE VERIFYONLY FROM DISK = {0} WITH CHECKSUM;\nRESTORE HEADERONLY FROM DISK = {0};\nDBCC CHECKDB ({db}) WITH NO_INFOMSGS, ALL_ERRORMSGS;\nUSE {db};\n{COUNTS}",
                text(&copy)
            ),
            "The backup set on file 1 is valid, BackupSetGUID is the one that was written down; CHECKDB says nothing; the counts are those of the source.",
            "anything else: uninstall nothing. Start again with the backup.",
            Some(&job.name),
        );
    }

    fn uninstall(&mut self, job: &PlannedJob) {
        let in_place = self.input.plan.values.as_ref().and_then(|v| v.in_place.clone());
        let (title, tick, abort) = match &in_place {
            Some(_) => (
                "uninstall Connect: POINT OF NO RETURN",
                "leave 'supporting components' unticked: LocalDB and its database files stay",
                "the step before was not all as expected. After this there is no way back but a new installation on the restored database.",
            ),
            None => (
                "uninstall Connect",
                "tick 'supporting components'",
                "another server does not yet export, or this one is out of staging mode. It cannot be undone: a new server is installed with replace-server.",
            ),
        };
        let mut command = format!(
            "appwiz.cpl > Microsoft Entra Connect (or Microsoft Azure AD Connect) > Uninstall; {tick}\nGet-Service ADSync -ErrorAction SilentlyContinue\nGet-Package -Name '*Entra Connect*','*Azure AD Connect*' -ErrorAction SilentlyContinue"
        );
        for file in in_place.iter().flat_map(|p| &p.files) {
            command += &format!("\nTest-Path -LiteralPath '{}'", file.replace('\'', "''"));
        }
        self.step(
            title,
            WINDOWS,
            &job.host_name,
            command,
            if in_place.is_some() {
                "no service and no product; True for each file of the old database."
            } else {
                "no service and no product. What is left in Entra ID, Active Directory and on the SQL Server stands in the plan."
            },
            abort,
            Some(&job.name),
        );
    }
}
