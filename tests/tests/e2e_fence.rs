//! A fence from the command line to SQL Server and back, with every process real: where a denial would not bind, none is offered and
//! the reason is said; where it binds, the old account is thrown out and kept out, the next server is let in, and at the end the
//! database carries nothing of ours. Read with a client that is not ours.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use syncferry_cli::Exit;
use syncferry_tests::lab::host::sql::{Session, SqlFailure, Target};
use syncferry_tests::lab::run::Lab;
use syncferry_tests::lab::world::{INSTANCE, NEW_SERVER, OLD_SERVER, SITE, SQL_HOST, World, WorldOptions};
use syncferry_tests::played::type_in;

/// Nothing here may hang for ever.
const PATIENCE: Duration = Duration::from_secs(180);
/// The account of the old server.
const OLD: &str = r"CONTOSO\svc-sync1";
/// A group that it is a member of.
const GROUP: &str = r"CONTOSO\AAD-Admins";
const LEASE: &str = "SQL01/default/ADSync";

struct Town {
    lab: Lab,
    dir: tempfile::TempDir,
    sql: SocketAddr,
}

impl Town {
    /// A lab whose SQL host has a database that the old server uses, registered and leased to it.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (home, options) = (dir.path().join("lab"), WorldOptions::small());
        let world = World::create(&home, &options, |_| {}).unwrap();
        let file = world.sql_dir("target").join("instance.json");
        let mut instance: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        instance["windows_groups"] = serde_json::json!([{ "name": GROUP, "members": [OLD] }]);
        std::fs::write(&file, instance.to_string()).unwrap();
        let exe = Path::new(env!("CARGO_BIN_EXE_lab"));
        let mut lab = Lab::open(exe, &home, &options).unwrap();
        lab.bring_up().await.unwrap();
        let sql = SocketAddr::from(([127, 0, 0, 1], lab.world().ports().sql_target));
        let town = Self { lab, dir, sql };
        town.dba("CREATE DATABASE ADSync;").await;
        town.dba("ALTER AUTHORIZATION ON DATABASE::ADSync TO sa;").await;
        town.dba(&format!(
            "CREATE LOGIN [{OLD}] FROM WINDOWS; CREATE LOGIN [{GROUP}] FROM WINDOWS;"
        ))
        .await;
        town.dba(&format!(
            r"USE ADSync; CREATE USER [{OLD}] FOR LOGIN [{OLD}]; ALTER ROLE db_owner ADD MEMBER [{OLD}];
CREATE USER [NT AUTHORITY\SYSTEM] FOR LOGIN [NT AUTHORITY\SYSTEM]; GRANT ALTER ON DATABASE::ADSync TO [NT AUTHORITY\SYSTEM];
ALTER ROLE db_securityadmin ADD MEMBER [NT AUTHORITY\SYSTEM];"
        ))
        .await;
        town
    }

    async fn connect(
        &self,
        account: &str,
        computer: &str,
        program: &str,
        database: &str,
    ) -> Result<Session, SqlFailure> {
        Session::connect(&Target {
            address: self.sql,
            account: account.into(),
            database: database.into(),
            program: program.into(),
            computer: computer.into(),
        })
        .await
    }

    /// What a DBA does and sees.
    async fn dba(&self, sql: &str) -> Vec<String> {
        let mut session = self.connect(r"CONTOSO\dba", "DBA01", "SSMS", "master").await.unwrap();
        let rows = session.run(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
        session.close().await;
        rows.iter()
            .map(|r| r.iter().map(|c| c.text()).collect::<Vec<_>>().join("|"))
            .collect()
    }

    /// The synchronisation service of a server, with the old account.
    async fn service(&self, computer: &str) -> Session {
        self.connect(OLD, computer, "miiserver.exe", "ADSync").await.unwrap()
    }

    /// A command line; what it said on both streams.
    async fn syncferry(&self, words: &[&str]) -> (Exit, String) {
        type_in(&self.lab.world().credentials(), words).await
    }

    async fn must(&self, words: &[&str]) -> String {
        let (exit, said) = self.syncferry(words).await;
        assert_eq!(exit, Exit::Ok, "{words:?}\n{said}");
        said
    }

    /// A command that is refused with this finding, which says what comes next.
    async fn refused(&self, words: &[&str], rule: &str) {
        let (exit, said) = self.syncferry(words).await;
        assert_eq!(exit, Exit::Refused, "{rule}: {words:?}\n{said}");
        assert!(said.contains(rule), "{rule} is not named:\n{said}");
    }

    async fn lease(&self) -> Value {
        let said = self.must(&["lease", "show", LEASE, "--json"]).await;
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
    }

    async fn until_state(&self, state: &str) {
        let looking = async {
            while self.lease().await["lease"]["state"] != state {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, looking).await;
        found.unwrap_or_else(|_| panic!("the lease is not {state}"));
    }

    /// The agent on the SQL host may ask a program about the old server's machine.
    async fn with_power_probe(&mut self) {
        let script = self.dir.path().join("power");
        let text = "#!/bin/sh\nprintf '{\"syncferry\":\"power/1\",\"id\":\"%s\",\"state\":\"%s\"}' \"$2\" \"$(cat \"$0.state\")\"\n";
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
        let file = self.lab.world().agent_dir(SQL_HOST).join("agent.toml");
        let mut config = std::fs::read_to_string(&file).unwrap();
        config.push_str(&format!(
            "\n[power]\nprobe = [{:?}]\n[power.machines]\n{OLD_SERVER} = \"vm-1\"\n",
            script.display().to_string()
        ));
        std::fs::write(&file, config).unwrap();
        self.lab.processes().kill_and_restart("agent-sql01").await.unwrap();
    }

    fn machine_is(&self, state: &str) {
        std::fs::write(self.dir.path().join("power.state"), state).unwrap();
    }
}

/// Whether an account gets into the database: in, or the number with which it is turned away.
async fn gets_in(town: &Town) -> Result<(), i32> {
    match town.connect(OLD, OLD_SERVER, "miiserver.exe", "ADSync").await {
        Ok(session) => {
            session.close().await;
            Ok(())
        }
        Err(SqlFailure::Refused { number, .. }) => Err(number),
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_keeps_the_old_server_out_and_leaves_nothing_behind() {
    let mut town = Town::new().await;
    town.with_power_probe().await;
    let mut service = town.service(OLD_SERVER).await;
    town.must(&[
        "database",
        "add",
        "ADSync",
        "--site",
        SITE,
        "--host",
        SQL_HOST,
        "--instance",
        INSTANCE,
    ])
    .await;
    let held = town.lease().await;
    assert_eq!(
        (&held["lease"]["state"], &held["lease"]["holder"]),
        (&"held".into(), &OLD_SERVER.into())
    );

    // Its agent dies; its service goes on, and knows nothing of leases.
    town.lab.processes().kill("agent-sync01").unwrap();
    town.until_state("lost").await;
    service.run("SELECT 1").await.unwrap();

    let because = ["--reason", "SYNC01 does not come back"];
    let words = |verb: &[&'static str], more: &[&'static str]| {
        let mut all = verb.to_vec();
        all.push(LEASE);
        all.extend(because);
        all.extend(more);
        all
    };
    let plan = words(&["lease", "fence"], &["--sql", "--dry-run"]);

    // A machine that runs is not off, and one that is said to be off has no session.
    let power = words(&["lease", "fence"], &["--power-off", "--via", "SQL01", "--dry-run"]);
    town.machine_is("running");
    town.refused(&power, "power-not-off").await;
    town.machine_is("off");
    town.refused(&power, "holder-has-session").await;

    // Where a denial would not bind, none is offered.
    for (does, undoes, rule) in [
        (
            format!("ALTER AUTHORIZATION ON DATABASE::ADSync TO [{OLD}];"),
            "ALTER AUTHORIZATION ON DATABASE::ADSync TO sa;".to_string(),
            "fence-owner",
        ),
        (
            format!("ALTER SERVER ROLE sysadmin ADD MEMBER [{OLD}];"),
            format!("ALTER SERVER ROLE sysadmin DROP MEMBER [{OLD}];"),
            "fence-sysadmin",
        ),
        (
            format!("USE ADSync; CREATE USER [{GROUP}] FOR LOGIN [{GROUP}];"),
            format!("USE ADSync; DROP USER [{GROUP}];"),
            "fence-group",
        ),
    ] {
        if rule == "fence-owner" {
            // Whoever owns a database has no user of its own in it.
            town.dba(&format!("USE ADSync; DROP USER [{OLD}];")).await;
        }
        town.dba(&does).await;
        town.refused(&plan, rule).await;
        town.dba(&undoes).await;
        if rule == "fence-owner" {
            town.dba(&format!(
                "USE ADSync; CREATE USER [{OLD}] FOR LOGIN [{OLD}]; ALTER ROLE db_owner ADD MEMBER [{OLD}];"
            ))
            .await;
        }
    }
    let second = town.service(NEW_SERVER).await;
    town.refused(&plan, "fence-shared-account").await;
    second.close().await;
    assert_eq!(
        town.lease().await["lease"]["state"],
        "lost",
        "nothing of this took anything"
    );

    // Shown, approved, run, read back.
    let shown = town.must(&plan).await;
    assert!(
        shown.contains("DENY CONNECT") && shown.contains("syncferry.epoch"),
        "{shown}"
    );
    assert_eq!(gets_in(&town).await, Ok(()), "showing does nothing");
    town.must(&words(&["lease", "fence"], &["--sql", "--yes"])).await;
    let free = town.lease().await;
    assert_eq!(free["lease"]["state"], "free");
    assert!(
        free["proofs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["kind"] == "sql_fenced"),
        "{free}"
    );
    service.run("SELECT 1").await.expect_err("its session was ended");
    let turned_away = gets_in(&town).await.unwrap_err();
    assert!([916, 4060].contains(&turned_away), "{turned_away}");
    let marks = "USE ADSync; SELECT name FROM sys.extended_properties WHERE class = 0 AND name LIKE N'syncferry.%' ORDER BY name;";
    assert_eq!(
        town.dba(marks).await,
        ["syncferry.db_uid", "syncferry.epoch", "syncferry.owner"]
    );
    let denials = "USE ADSync; SELECT USER_NAME(grantee_principal_id) FROM sys.database_permissions WHERE permission_name = N'CONNECT' AND state_desc = N'DENY';";
    assert_eq!(town.dba(denials).await, [OLD]);

    // The next one, and the way back.
    town.must(&words(&["lease", "handover"], &["--to", "SYNC02", "--yes"]))
        .await;
    town.must(&words(&["lease", "open"], &["--yes"])).await;
    assert!(
        gets_in(&town).await.is_err(),
        "it is opened to the holder, and to nobody else"
    );
    town.must(&words(&["lease", "marks", "remove"], &["--login", OLD, "--yes"]))
        .await;
    assert_eq!(town.dba(marks).await, Vec::<String>::new());
    assert_eq!(town.dba(denials).await, Vec::<String>::new());
    assert_eq!(gets_in(&town).await, Ok(()), "nothing of ours is left");

    let history = town.must(&["lease", "history", LEASE]).await;
    println!("{history}");
    for part in [
        "SYNC01 does not come back (lease fence --sql)",
        "SQL Server refuses the holder",
        "it was not renewed",
    ] {
        assert!(history.contains(part), "{part}:\n{history}");
    }
    town.lab.processes().stop_all().await;
    town.lab.audit().await.unwrap();
}
