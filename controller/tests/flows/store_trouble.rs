//! PostgreSQL in trouble, each time in the middle of a migration and for longer than agents may be silent: the controller says what
//! is wrong, calls nobody silent, and goes on by itself when it is mended. The servers are real; the full disk is PostgreSQL's own
//! error, raised by a trigger, because a disk cannot be filled here without rights that tests do not have.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use syncferry_controller::config::{Agents, Config, Leases};
use syncferry_proto::v1;
use syncferry_store_postgres::server::Server;
use tonic::{Code, Status};

use crate::support::{World, config, until};

const SILENT_AFTER_S: u64 = 4;
/// Longer than that.
const TROUBLE: Duration = Duration::from_secs(7);

/// What is wrong, and how it is mended.
trait Trouble {
    /// It begins.
    async fn begin(&mut self);
    /// It is mended.
    async fn mend(&mut self);
}

async fn say(url: &str, sql: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    // A lock that somebody else has is had sooner or later.
    sqlx::raw_sql(AssertSqlSafe(sql.to_string()))
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
}

/// A name of the database's own.
fn database(url: &str) -> String {
    url.split('?').next().unwrap().rsplit('/').next().unwrap().to_string()
}

/// The sessions of controllers end; new ones begin with what holds now.
const END_SESSIONS: &str =
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'syncferry-controller'";

/// Something that writes, and changes nothing that anybody looks at.
async fn write(w: &World) -> Result<(), Status> {
    let request = v1::CreateTokenRequest {
        host: "SQL01".to_string(),
        minutes: 1,
    };
    w.operator.client.clone().create_token(request).await.map(drop)
}

async fn healthy(w: &World) -> Result<(), Status> {
    let asked = w.operator.client.clone().get_version(v1::GetVersionRequest {}).await;
    asked.map(drop)
}

/// A migration in the middle of which there is trouble. `says`: what an operator reads whose command writes; `health_says`: and
/// whoever asks for health, which writes nothing.
async fn goes_on(url: &str, says: &str, health_says: bool, mut trouble: impl Trouble) {
    let config = Config {
        store: url.into(),
        leases: Leases {
            ttl_s: 60,
            ..config().leases
        },
        agents: Agents {
            silent_after_s: SILENT_AFTER_S,
            ..config().agents
        },
        ..config()
    };
    let w = World::with(config).await;
    let (id, install) = w.at("install").await;
    trouble.begin().await;
    let began = tokio::time::Instant::now();
    until(says, async || match write(&w).await {
        Err(e) if e.code() == Code::Unavailable && e.message().contains(says) => Some(()),
        _ => None,
    })
    .await;
    if health_says {
        until("health says it too", async || {
            healthy(&w)
                .await
                .is_err_and(|e| e.message().contains(says))
                .then_some(())
        })
        .await;
    }
    tokio::time::sleep_until(began + TROUBLE).await;
    trouble.mend().await;
    until("it goes on by itself", async || write(&w).await.ok()).await;
    // Longer than the duties look for once they do: whoever was to be called silent would be by now.
    tokio::time::sleep(Duration::from_secs(SILENT_AFTER_S + 3)).await;
    for host in ["SYNC01", "SQL01", "SYNC02"] {
        let told = w.operator.events("agent", host).await;
        assert!(
            !told.iter().any(|e| e.r#type == "agent.silent"),
            "{says}: the agent on {host} was called silent"
        );
    }
    w.install(&install).await;
    w.verify().await;
    let done = w.operator.rests(&id).await;
    assert_eq!(done.state, "succeeded", "{says}");
    assert!(
        done.jobs.iter().all(|j| j.attempt == 1),
        "{says}: something was begun twice"
    );
    w.operator.history(&id).await;
    w.controller.stop_and_audit().await;
}

struct Killed(Server);

impl Trouble for Killed {
    async fn begin(&mut self) {
        self.0.kill();
    }
    async fn mend(&mut self) {
        self.0.kill_and_restart().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_is_lost() {
    let server = Server::own().await;
    let url = server.database().await;
    goes_on(
        &url,
        "the connection to PostgreSQL is lost or refused",
        true,
        Killed(server),
    )
    .await;
}

struct FailedOver {
    first: Server,
    second: Server,
}

impl Trouble for FailedOver {
    async fn begin(&mut self) {
        self.first.kill();
    }
    async fn mend(&mut self) {
        say(&self.second.url("postgres"), "SELECT pg_promote()").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_dies_and_its_standby_is_promoted() {
    let first = Server::own().await;
    let url = first.database().await;
    let second = first.standby().await;
    // What is committed is on both.
    say(
        &first.url("postgres"),
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
    )
    .await;
    say(&first.url("postgres"), "SELECT pg_reload_conf()").await;
    let place = |url: &str| url.split(['@', '/']).nth(3).unwrap().to_string();
    let both = format!("{},{}", place(&url), place(&second.url("x")));
    let both = url.replace(&place(&url), &both);
    // The first host is asked first, and what is wrong with it is said.
    goes_on(
        &both,
        "the connection to PostgreSQL is lost or refused",
        true,
        FailedOver { first, second },
    )
    .await;
}

struct ReadOnly {
    admin: String,
    database: String,
}

impl ReadOnly {
    async fn set(&self, to: &str) {
        let set = format!(
            "ALTER DATABASE {} SET default_transaction_read_only = {to}",
            self.database
        );
        say(&self.admin, &set).await;
    }
}

impl Trouble for ReadOnly {
    async fn begin(&mut self) {
        self.set("on").await;
        say(&self.admin, END_SESSIONS).await;
    }
    async fn mend(&mut self) {
        // The sessions that began meanwhile would refuse for as long as they live.
        self.set("off").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_no_writes() {
    let server = Server::own().await;
    let url = server.database().await;
    let trouble = ReadOnly {
        admin: server.url("postgres"),
        database: database(&url),
    };
    goes_on(&url, "takes no writes", true, trouble).await;
}

struct FullDisk(String);

impl Trouble for FullDisk {
    async fn begin(&mut self) {
        let full = r#"
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'could not extend file "base/16384/16402": No space left on device'
                    USING ERRCODE = '53100', HINT = 'Check free disk space.';
            END $$;
            CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON agent EXECUTE FUNCTION full_disk();
            CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON event EXECUTE FUNCTION full_disk();
            CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON lease EXECUTE FUNCTION full_disk();
            CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON enrolment_token EXECUTE FUNCTION full_disk();"#;
        say(&self.0, full).await;
    }
    async fn mend(&mut self) {
        say(&self.0, "DROP FUNCTION full_disk() CASCADE").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_disk_is_full() {
    let server = Server::own().await;
    let url = server.database().await;
    goes_on(&url, "disk is full", false, FullDisk(url.clone())).await;
}

struct Presents {
    server: Server,
    roots: std::path::PathBuf,
    next: (String, String),
}

impl Trouble for Presents {
    async fn begin(&mut self) {
        self.server.present(&self.next.0, &self.next.1).await;
        // The reload takes a moment; sessions that began before it are ended again.
        for _ in 0..10 {
            say(&self.server.url("postgres"), END_SESSIONS).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    async fn mend(&mut self) {
        std::fs::write(&self.roots, &self.next.0).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_certificate_changes_before_the_file_of_those_that_are_believed() {
    let server = Server::own().await;
    let certificate = || {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_string()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    let (first, next) = (certificate(), certificate());
    std::fs::write(&roots, &first.0).unwrap();
    server.present(&first.0, &first.1).await;
    let plain = server.database().await;
    let url = format!("{plain}?sslmode=verify-full&sslrootcert={}", roots.display());
    until("TLS is on", async || PgConnection::connect(&url).await.ok()).await;
    goes_on(&url, "TLS to PostgreSQL failed", true, Presents { server, roots, next }).await;
}

/// Somebody's session holds a table for longer than anybody waits for a lock.
struct Locked {
    url: String,
    session: Option<PgConnection>,
}

impl Trouble for Locked {
    async fn begin(&mut self) {
        let mut session = PgConnection::connect(&self.url).await.unwrap();
        let lock = "BEGIN; LOCK TABLE agent, enrolment_token IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut session).await.unwrap();
        self.session = Some(session);
    }
    async fn mend(&mut self) {
        self.session.take().unwrap().close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_holds_a_table() {
    let server = Server::own().await;
    let url = server.database().await;
    let trouble = Locked {
        url: url.clone(),
        session: None,
    };
    let impatient = format!("{url}?options[lock_timeout]=1s");
    goes_on(&impatient, "busy", false, trouble).await;
}

/// Whatever looks at a host takes longer than the server lets a statement take.
struct Slow {
    url: String,
}

impl Trouble for Slow {
    async fn begin(&mut self) {
        let slow = "ALTER TABLE host RENAME TO host_really;
            CREATE VIEW host AS SELECT h.* FROM host_really h, (SELECT pg_sleep(600)) AS slowly";
        say(&self.url, slow).await;
    }
    async fn mend(&mut self) {
        say(&self.url, "DROP VIEW host; ALTER TABLE host_really RENAME TO host").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_take_too_long() {
    let server = Server::own().await;
    let url = server.database().await;
    let impatient = format!("{url}?options[statement_timeout]=1s");
    goes_on(&impatient, "statement_timeout", false, Slow { url }).await;
}
