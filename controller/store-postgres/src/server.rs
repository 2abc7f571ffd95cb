//! A PostgreSQL server for tests: the programs of this machine, a cluster in a temporary folder, a Unix socket (and a port
//! where one is asked for), fsync on. It ends with the test, also when that panics or is killed: a shell waits for the end of
//! a pipe that only the test holds, then stops the server and removes the folder.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

/// Where the programs are, when they are not where Debian puts them.
const BIN: &str = "SYNCFERRY_TEST_POSTGRES_BIN";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Server {
    folder: PathBuf,
    port: u16,
    tcp: bool,
    bin: PathBuf,
    /// Its standard input is the pipe.
    keeper: Child,
}

impl Server {
    /// The one that all tests of this process share. Each makes a database of its own on it.
    pub async fn shared() -> &'static Server {
        static ONE: OnceLock<Server> = OnceLock::new();
        let server = match ONE.get() {
            Some(server) => server,
            None => {
                let made = tokio::task::spawn_blocking(|| ONE.get_or_init(|| Server::make(false)));
                made.await.expect("the server was not made")
            }
        };
        server.ready().await;
        server
    }

    /// One of its own, for a test that stops it, on a port.
    pub async fn own() -> Server {
        let server = tokio::task::spawn_blocking(|| Server::make(true)).await;
        let server = server.expect("the server was not made");
        server.ready().await;
        server
    }

    /// A standby of this one, on a port of its own: it follows until it is promoted.
    pub async fn standby(&self) -> Server {
        let (bin, from) = (self.bin.clone(), self.port);
        let made = tokio::task::spawn_blocking(move || {
            let folder = new_folder();
            let copied = as_unprivileged(&bin.join("pg_basebackup"))
                .args([
                    "--host=127.0.0.1",
                    "--username=syncferry",
                    "--checkpoint=fast",
                    "--write-recovery-conf",
                ])
                .arg(format!("--port={from}"))
                .arg("-D")
                .arg(folder.join("data"))
                .current_dir(&folder)
                .output()
                .expect("pg_basebackup cannot be run");
            assert!(
                copied.status.success(),
                "pg_basebackup: {}",
                String::from_utf8_lossy(&copied.stderr)
            );
            let port = free_port();
            let keeper = keep(&bin, &folder, port, true);
            Server {
                folder,
                port,
                tcp: true,
                bin,
                keeper,
            }
        });
        let server = made.await.expect("the standby was not made");
        server.ready().await;
        server
    }

    fn make(tcp: bool) -> Self {
        let bin = programs();
        let folder = new_folder();
        let made = as_unprivileged(&bin.join("initdb"))
            .args(["--username=syncferry", "--auth=trust", "--encoding=UTF8", "--no-locale"])
            .arg("--no-sync")
            .arg("-D")
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .expect("initdb cannot be run");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = if tcp { free_port() } else { 5432 };
        let keeper = keep(&bin, &folder, port, tcp);
        Self {
            folder,
            port,
            tcp,
            bin,
            keeper,
        }
    }

    /// How a database on it is reached.
    pub fn url(&self, database: &str) -> String {
        if self.tcp {
            format!("postgres://syncferry@127.0.0.1:{}/{database}", self.port)
        } else {
            format!("postgres:///{database}?host={}&user=syncferry", self.folder.display())
        }
    }

    /// A new, empty database; its URL.
    pub async fn database(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut conn = self.connect("postgres").await.expect("the server does not answer");
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(create)
            .execute(&mut conn)
            .await
            .expect("no database was made");
        self.url(&name)
    }

    /// A session on a database, without the store.
    pub async fn connect(&self, database: &str) -> sqlx::Result<PgConnection> {
        PgConnection::connect(&self.url(database)).await
    }

    /// Presents this certificate from the next connection on.
    pub async fn present(&self, cert_pem: &str, key_pem: &str) {
        for (name, text) in [("server.crt", cert_pem), ("server.key", key_pem)] {
            let path = self.folder.join("data").join(name);
            std::fs::write(&path, text).expect("the certificate cannot be written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode cannot be set");
            if let Some((user, group)) = unprivileged() {
                chown(&path, Some(user), Some(group)).expect("it cannot be given away");
            }
        }
        let mut conn = self.connect("postgres").await.expect("the server does not answer");
        for statement in ["ALTER SYSTEM SET ssl = on", "SELECT pg_reload_conf()"] {
            let done = sqlx::raw_sql(statement).execute(&mut conn).await;
            done.expect("the server does not present it");
        }
    }

    /// The folder of PostgreSQL's programs.
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends it as a power loss would, and starts it again.
    pub async fn kill_and_restart(&mut self) {
        self.kill();
        self.keeper = keep(&self.bin, &self.folder, self.port, self.tcp);
        self.ready().await;
    }

    /// Ends it as a power loss would.
    pub fn kill(&mut self) {
        // The shell's own end would remove the folder.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        if let Some(pid) = self.postmaster().filter(|pid| lives(pid)) {
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
            let until = Instant::now() + PATIENCE;
            while lives(&pid) {
                assert!(Instant::now() < until, "PostgreSQL does not end");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // One whose process nobody asked about yet counts as running for PostgreSQL.
        let _ = std::fs::remove_file(self.folder.join("data/postmaster.pid"));
    }

    fn postmaster(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        text.lines().next().map(|pid| pid.trim().to_string())
    }

    /// Waits until it answers.
    async fn ready(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.connect("postgres").await {
                Ok(conn) => {
                    let _ = conn.close().await;
                    return;
                }
                Err(e) => {
                    let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                    assert!(Instant::now() < until, "PostgreSQL does not answer: {e}\n{}", log());
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of the pipe; the shell does the rest.
        drop(self.keeper.stdin.take());
        if self.keeper.try_wait().ok().flatten().is_some() {
            // It was ended before: what it would have done is done here.
            self.kill();
            let _ = std::fs::remove_dir_all(&self.folder);
        } else {
            let _ = self.keeper.wait();
        }
    }
}

fn new_folder() -> PathBuf {
    let folder = tempfile::Builder::new().prefix("syncferry-pg-").tempdir();
    let folder = folder.expect("no temporary folder").keep();
    if let Some((user, group)) = unprivileged() {
        chown(&folder, Some(user), Some(group)).expect("the folder cannot be given away");
    }
    folder
}

/// Whether a process runs. One that ended and that nobody asked about is still listed.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

/// Starts the server and the shell that ends it.
fn keep(bin: &Path, folder: &Path, port: u16, tcp: bool) -> Child {
    let script = r#"
        trap '' INT
        "$1/postgres" -D "$2/data" -k "$2" -p "$3" -c listen_addresses="$4" -c fsync=on -c max_connections=100 \
            -c unix_socket_permissions=0777 -c log_min_messages=warning </dev/null >>"$2/log" 2>&1 &
        cat >/dev/null
        kill -QUIT $! 2>/dev/null
        wait
        rm -rf "$2"
    "#;
    let log = folder.join("log");
    let _ = std::fs::File::create(&log);
    if let Some((user, group)) = unprivileged() {
        let _ = chown(&log, Some(user), Some(group));
    }
    // Clients of other accounts come in by the socket.
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755));
    as_unprivileged(Path::new("sh"))
        .args(["-c", script, "keeper"])
        .arg(bin)
        .arg(folder)
        .arg(port.to_string())
        .arg(if tcp { "127.0.0.1" } else { "" })
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server cannot be started")
}

/// PostgreSQL refuses to run as root.
fn as_unprivileged(program: &Path) -> Command {
    let Some((user, group)) = unprivileged() else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .args([format!("--reuid={user}"), format!("--regid={group}")])
        .arg("--clear-groups")
        .arg("--")
        .arg(program);
    command
}

/// Whose the server shall be, when this is root: `postgres` where there is one, `nobody` otherwise.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self").map_or(1, |m| m.uid()) != 0 {
        return None;
    }
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |name: &str| {
        let line = accounts.lines().find(|l| l.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(|id| id.parse().ok());
        Some((ids.next()??, ids.next()??))
    };
    find("postgres").or_else(|| find("nobody")).or(Some((65534, 65534)))
}

/// The folder of `initdb` and `postgres`, the newest version that there is.
fn programs() -> PathBuf {
    if let Some(bin) = std::env::var_os(BIN) {
        return bin.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|v| v.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .map(|v| PathBuf::from(format!("/usr/lib/postgresql/{v}/bin")));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&on_path)
        .find(|p| p.join("postgres").is_file() && p.join("initdb").is_file())
        // Where only some are linked to, the others are beside what they are linked to.
        .map(|p| match p.join("postgres").canonicalize() {
            Ok(real) => real.parent().map_or(p, Path::to_path_buf),
            Err(_) => p,
        })
        .or(newest.filter(|p| p.join("postgres").is_file()))
        .unwrap_or_else(|| {
            panic!(
                "PostgreSQL is not here: install it (Debian: apt-get install postgresql), or name its programs in {BIN}"
            )
        })
}

/// Below the ports that systems give to outgoing connections, so that nobody takes it while the server is started again.
fn free_port() -> u16 {
    let low =
        (0..100).find_map(|_| std::net::TcpListener::bind(("127.0.0.1", rand::random_range(15_000..32_000))).ok());
    if let Some(address) = low.and_then(|l| l.local_addr().ok()) {
        return address.port();
    }
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
    listener.local_addr().expect("no address").port()
}
