//! Opening the store: where PostgreSQL is and what is asked of it, the writer's one connection, the readers' pool, the schema,
//! and the rows that exist from the beginning.

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions, PgSslMode};
use sqlx::{PgPool, Row as _};
use syncferry_shared::{Millis, OrgId, StoreId};
use syncferry_store::{Cause, Hints, Result, Store, StoreError, Tx};

use crate::error::{cause, is_connection};
use crate::line::Line;
use crate::row::Columns as _;
use crate::tx::PgTx;
use crate::{hints, places, schema};

const OPEN: &str = "store.open";

/// The oldest major version that this was tried with is 15; what is used exists since 14.
const OLDEST: i32 = 140_000;

/// Held by the one transaction that writes, in whichever controller. Two numbers of ours in the database's own space of
/// advisory locks: "SYNC", 1.
pub(crate) const WRITE_LOCK: &str = "SELECT pg_advisory_xact_lock(1398361667, 1)";
/// With the lock in the same message: what is waited for while it is held is what all others wait for.
const BEGIN_TO_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(1398361667, 1)";

/// A connection is replaced after this, so that new certificates count and a failed-over name is looked up again.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How a controller's sessions are called.
pub(crate) const NAME: &str = "syncferry-controller";
/// How the sessions of operations on the whole store are called, so that controllers can be told from them.
pub(crate) const OPERATIONS: &str = "syncferry-store";
/// For how long a transaction may do nothing. Less than others wait for it.
const STILL: Duration = Duration::from_secs(5);

/// How often a transaction is begun anew on another connection when the first one turns out to be dead.
const TRIES: usize = 3;

/// How to open a store.
pub struct Options {
    /// `postgres://user@host[:port][,host…]/database?sslmode=verify-full&sslrootcert=…`.
    pub url: String,
    /// How long to wait for the writer before it, and for a free connection.
    pub busy_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How many transactions may read side by side.
    pub readers: u32,
    /// How its sessions are called on the server.
    pub name: &'static str,
}

impl Options {
    /// The usual: 10 seconds, 30 seconds, 4 readers.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            busy_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            readers: 4,
            name: NAME,
        }
    }

    /// The places that the URL names, with what every session is told.
    fn places(&self) -> Result<Vec<PgConnectOptions>, Cause> {
        let ms = |d: Duration| d.as_millis().to_string();
        let told = [
            ("lock_timeout", ms(self.busy_timeout)),
            ("statement_timeout", ms(self.statement_timeout)),
            // A controller that stands still in a transaction, or that was cut off in one, holds up all others.
            (
                "idle_in_transaction_session_timeout",
                ms(self.statement_timeout.min(STILL)),
            ),
            ("tcp_keepalives_idle", "10".into()),
            ("tcp_keepalives_interval", "5".into()),
            ("tcp_keepalives_count", "3".into()),
        ];
        places::split(&self.url)
            .iter()
            .map(|url| {
                let place = PgConnectOptions::from_str(url).map_err(cause)?;
                Ok(place
                    .application_name(self.name)
                    .statement_cache_capacity(256)
                    // What the URL says itself counts: `?options[statement_timeout]=60s`.
                    .options(
                        told.iter()
                            .filter(|(k, _)| !url.contains(*k))
                            .map(|(k, v)| (*k, v.as_str())),
                    ))
            })
            .collect()
    }
}

/// Whether a URL can be used: understood, names a database, and safe. To another machine, the server must be proved.
pub fn check_url(url: &str) -> Result<(), String> {
    for place in places::split(url) {
        let place = PgConnectOptions::from_str(&place).map_err(|e| format!("cannot be understood: {e}"))?;
        if place.get_database().is_none_or(str::is_empty) {
            return Err("names no database; it goes after the host: postgres://host/database".into());
        }
        let host = place.get_host();
        let here = place.get_socket().is_some()
            || host.starts_with('/')
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
        if !here && !matches!(place.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa) {
            return Err(format!(
                "leads to another machine ({host}) without proof who that is: add sslmode=verify-full, and \
                 sslrootcert=FILE unless a public authority signed its certificate"
            ));
        }
    }
    Ok(())
}

/// The store. Any number of processes may have it open.
pub struct PgStore {
    pub(crate) writer: PgPool,
    pub(crate) readers: PgPool,
    /// For those who listen; a connection each.
    ears: PgPool,
    places: Vec<PgConnectOptions>,
    pub(crate) patience: Duration,
    /// The newest instant that was given out. Where the server's clock goes back, time stands still.
    highest: AtomicI64,
    /// The place of the newest event that this process saw committed. A server that knows less was restored, or a failover
    /// lost what was committed last.
    pub(crate) seen: Arc<AtomicI64>,
}

impl PgStore {
    /// Opens the store, and creates its tables when they are not there. The database must be.
    pub async fn open(options: Options) -> Result<Self> {
        Self::try_open(options).await.map_err(|c| StoreError::new(OPEN, c))
    }

    async fn try_open(options: Options) -> Result<Self, Cause> {
        let store = Self::connect(options).await?;
        let mut line = Line::begin(&store.writer, "BEGIN", store.patience)
            .await
            .map_err(cause)?;
        line.simple("SET LOCAL statement_timeout = 0").await.map_err(cause)?;
        line.simple(WRITE_LOCK).await.map_err(cause)?;
        schema::migrate(&mut line).await?;
        begin_existence(&mut line).await?;
        line.end("COMMIT").await.map_err(cause)?;
        Ok(store)
    }

    /// Opens it for an operation on the whole store. No controller may be connected.
    pub async fn open_alone(options: Options) -> Result<Self> {
        let store = Self::open(Options {
            name: OPERATIONS,
            ..options
        })
        .await?;
        let alone = async {
            let mut line = Line::begin(&store.writer, "BEGIN", store.patience)
                .await
                .map_err(cause)?;
            crate::portable::nobody_else(&mut line).await?;
            line.end("ROLLBACK").await.map_err(cause)
        };
        alone.await.map_err(|c| StoreError::new(OPEN, c))?;
        Ok(store)
    }

    /// Opens it to be read: writes nothing, migrates nothing. Its schema must be this version's.
    pub async fn look(options: Options) -> Result<Self> {
        let look = async {
            let store = Self::connect(options).await?;
            let how = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
            let mut line = Line::begin(&store.readers, how, store.patience).await.map_err(cause)?;
            let schema = schema::applied(&mut line).await?;
            line.end("ROLLBACK").await.map_err(cause)?;
            if schema != schema::newest() {
                return Err(Cause::Schema(format!(
                    "its schema is {schema}, and this version's is {}; start this version's controller on it once, or use the \
                     version that wrote it",
                    schema::newest()
                )));
            }
            Ok(store)
        };
        look.await.map_err(|c| StoreError::new(OPEN, c))
    }

    /// The pools, on a server that fits. Nothing is looked for in the database.
    pub(crate) async fn connect(options: Options) -> Result<Self, Cause> {
        let places = options.places()?;
        let place = places::primary(&places).await?.clone();
        let pool = |max| {
            PgPoolOptions::new()
                .max_connections(max)
                .acquire_timeout(options.busy_timeout)
                .max_lifetime(LIFETIME)
                // The writer's one connection is tried by beginning on it, and another is taken where that fails. Of several,
                // all may be dead.
                .test_before_acquire(max > 1)
                .after_connect(|conn, _| Box::pin(durable(conn)))
                .connect_lazy_with(place.clone())
        };
        let store = Self {
            writer: pool(1),
            readers: pool(options.readers.max(1)),
            ears: pool(2),
            places,
            patience: options.statement_timeout + Duration::from_secs(5),
            highest: AtomicI64::new(i64::MIN),
            seen: Arc::default(),
        };
        store.fits().await?;
        Ok(store)
    }

    /// Closes every connection, once the transactions that run have ended.
    pub async fn close(self) {
        self.shut_down().await;
    }

    /// Whether the server is one that this was made for.
    async fn fits(&self) -> Result<(), Cause> {
        let row = sqlx::query(
            "SELECT current_setting('server_version_num')::int AS number, current_setting('server_version') AS version,
                    current_setting('server_encoding') AS encoding, current_setting('fsync') AS fsync",
        )
        .fetch_one(&self.readers)
        .await
        .map_err(cause)?;
        let number: i32 = row.try_get("number").map_err(cause)?;
        let text = |column| row.text(column);
        if number < OLDEST {
            return Err(Cause::Schema(format!(
                "PostgreSQL {} is too old; 14 or newer is needed",
                text("version")?
            )));
        }
        if text("encoding")? != "UTF8" {
            return Err(Cause::Schema(format!(
                "the database's encoding is {}; create it with ENCODING 'UTF8'",
                text("encoding")?
            )));
        }
        if text("fsync")? != "on" {
            tracing::warn!("PostgreSQL runs with fsync off: a power loss may lose what was committed, leases included");
        }
        Ok(())
    }

    /// Refuses where the server knows less than this process saw of it.
    fn never_less(&self, position: i64, how: How) -> Result<(), Cause> {
        match how {
            // Another transaction may have been committed after a reader's snapshot.
            How::Read => drop(self.seen.fetch_max(position, Ordering::SeqCst)),
            How::Recover => {}
            How::Write if self.seen.fetch_max(position, Ordering::SeqCst) > position => return Err(Cause::WentBack),
            How::Write => {}
        }
        Ok(())
    }

    /// Begins, on another connection where the first one is dead, and on another host where the first one takes no writes.
    async fn start(&self, how: How, name: &'static str) -> Result<Box<dyn Tx>> {
        let mut tries = 1;
        loop {
            let failed = match self.try_start(how, name).await {
                Ok(tx) => return Ok(Box::new(tx)),
                Err(e) => e,
            };
            let lost = match &failed {
                Failed::Standby | Failed::Refuses => true,
                Failed::Sqlx(e) => is_connection(e) || matches!(e, sqlx::Error::PoolTimedOut),
                Failed::Cause(_) => false,
            };
            // Nothing was done yet, so beginning anew is safe.
            if lost {
                match places::primary(&self.places).await {
                    Ok(place) => self.lead_to(place),
                    Err(c) => return Err(StoreError::new(name, c)),
                }
            }
            let again = lost && tries < TRIES && !matches!(failed, Failed::Sqlx(sqlx::Error::PoolTimedOut));
            if !again {
                return Err(StoreError::new(name, failed.cause()));
            }
            tries += 1;
        }
    }

    async fn try_start(&self, how: How, name: &'static str) -> Result<PgTx, Failed> {
        let writes = !matches!(how, How::Read);
        let (pool, begin) = if writes {
            (&self.writer, BEGIN_TO_WRITE)
        } else {
            (&self.readers, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        };
        let mut line = Line::begin(pool, begin, self.patience).await?;
        // After the lock, so that it sees what the writer before did; and it fixes the snapshot of a reader.
        let first = sqlx::query(
            "SELECT incarnation, now_ms, pg_is_in_recovery() AS standby,
                    current_setting('transaction_read_only') = 'on' AS refuses,
                    (SELECT COALESCE(MAX(position), 0) FROM event) AS position FROM store_meta, db_clock",
        );
        let row = line.one(first).await?;
        let row = row.ok_or_else(|| Failed::Cause(Cause::Corrupt("the store has no identity".into())))?;
        if writes && row.try_get("standby")? {
            line.give_up();
            return Err(Failed::Standby);
        }
        // A session keeps the default that it began with: this one would refuse for as long as it lives, another may not.
        if writes && row.try_get("refuses")? {
            line.give_up();
            return Err(Failed::Refuses);
        }
        let (incarnation, now) = (row.int("incarnation")?, row.int("now_ms")?);
        let position = row.int("position")?;
        self.never_less(position, how)?;
        tracing::trace!(transaction = name, "transaction begun");
        Ok(PgTx {
            line,
            name,
            now: self.never_back(now),
            incarnation,
            writes,
            saved: false,
            lost: false,
            position,
            seen: self.seen.clone(),
            recovers: matches!(how, How::Recover),
        })
    }

    fn lead_to(&self, place: &PgConnectOptions) {
        let now = self.writer.connect_options();
        if (now.get_host(), now.get_port(), now.get_socket())
            != (place.get_host(), place.get_port(), place.get_socket())
        {
            tracing::warn!(
                from = places::name(&now),
                to = places::name(place),
                "the store is elsewhere now"
            );
            for pool in [&self.writer, &self.readers, &self.ears] {
                pool.set_connect_options(place.clone());
            }
        }
    }

    fn never_back(&self, now: i64) -> Millis {
        Millis(self.highest.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

/// What a transaction is begun for.
#[derive(Clone, Copy)]
enum How {
    Read,
    Write,
    /// To write, also where the server knows less than it did.
    Recover,
}

/// Why a transaction was not begun.
enum Failed {
    Standby,
    Refuses,
    Sqlx(sqlx::Error),
    Cause(Cause),
}

impl Failed {
    fn cause(self) -> Cause {
        match self {
            Failed::Standby => Cause::Unavailable("PostgreSQL is a standby, which takes no writes".into()),
            Failed::Refuses => {
                Cause::Unavailable("PostgreSQL takes no writes: default_transaction_read_only is on".into())
            }
            Failed::Sqlx(e) => cause(e),
            Failed::Cause(c) => c,
        }
    }
}

impl From<sqlx::Error> for Failed {
    fn from(e: sqlx::Error) -> Self {
        Self::Sqlx(e)
    }
}

impl From<Cause> for Failed {
    fn from(c: Cause) -> Self {
        Self::Cause(c)
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        self.start(How::Write, name).await
    }

    async fn read(&self, name: &'static str) -> Result<Box<dyn Tx>> {
        self.start(How::Read, name).await
    }

    async fn begin_recovery(&self) -> Result<Box<dyn Tx>> {
        self.start(How::Recover, "store.recover").await
    }

    async fn now(&self) -> Result<Millis> {
        let asked = sqlx::query("SELECT now_ms FROM db_clock")
            .fetch_one(&self.readers)
            .await;
        let row = asked.map_err(|e| StoreError::new("store.now", cause(e)))?;
        let now = row.int("now_ms").map_err(|c| StoreError::new("store.now", c))?;
        Ok(self.never_back(now))
    }

    async fn shut_down(&self) {
        self.ears.close().await;
        self.readers.close().await;
        self.writer.close().await;
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn tell(&self, hint: &str) -> Result<()> {
        hints::tell(&self.readers, hint).await
    }

    async fn hints(&self) -> Result<Option<Box<dyn Hints>>> {
        let hints = hints::PgHints::listen(self.ears.clone()).await?;
        Ok(Some(Box::new(hints)))
    }
}

/// What was committed must survive a crash of the server. A stricter setting of the server's is left alone.
async fn durable(conn: &mut PgConnection) -> sqlx::Result<()> {
    let strict = "SELECT set_config('synchronous_commit', 'on', false)
                   WHERE current_setting('synchronous_commit') IN ('off', 'local')";
    sqlx::raw_sql(strict).execute(conn).await.map(drop)
}

/// The store's identity and the default organisation, at the first opening.
async fn begin_existence(line: &mut Line) -> Result<(), Cause> {
    let now = line
        .one(sqlx::query("SELECT now_ms FROM db_clock"))
        .await
        .map_err(cause)?;
    let now = Millis(now.ok_or(Cause::Corrupt("there is no clock".into()))?.int("now_ms")?);
    let identity = sqlx::query(
        "INSERT INTO store_meta(only_row, store_id, incarnation, opened_at) VALUES (1, $1, 1, $2) ON CONFLICT DO NOTHING",
    );
    let id = StoreId::new(now, &rand::random()).to_string();
    line.execute(identity.bind(id).bind(now.0)).await.map_err(cause)?;
    let org = sqlx::query(
        "INSERT INTO org(org_id, name, is_default, created_at) VALUES ($1, 'default', 1, $2) ON CONFLICT DO NOTHING",
    );
    let id = OrgId::new(now, &rand::random()).to_string();
    line.execute(org.bind(id).bind(now.0)).await.map_err(cause)?;
    Ok(())
}
