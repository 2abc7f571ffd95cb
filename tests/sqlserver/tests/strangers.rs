//! Clients that nobody here wrote, FreeTDS and python-tds from PyPI, against the stand-in.
//!
//! The scripts are in `strangers/`. Without Python or PyPI these tests say so and pass, unless
//! `SYNCFERRY_REQUIRE_STRANGERS=1`, as in CI.

mod python;

use std::fs;
use std::path::{Path, PathBuf};

use syncferry_sqlserver::engine::Instance;
use syncferry_sqlserver::server::serve;
use syncferry_sqlserver::storage::InstanceSpec;
use syncferry_sqlserver::storage::sample::{AdSync, adsync};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "Str4ngers!ä";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("strangers")
}

/// A server in this process, with `D:` shared by all of them.
struct Server {
    dir: TempDir,
    port: u16,
    shutdown: CancellationToken,
}

impl Server {
    async fn start(spec: InstanceSpec, shared: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = spec
            .sa_password(PASSWORD)
            .drive("D:", shared, None)
            .create(dir.path())
            .unwrap();
        for folder in [r"D:\Backup", r"D:\Data"] {
            store.drives().create_dir(folder).ok();
        }
        drop(store);
        // Slow enough that progress can be seen and a BACKUP be cancelled.
        fs::write(dir.path().join("lab.json"), r#"{ "io_mb_per_s": 4 }"#).unwrap();
        let instance = Instance::open(dir.path()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shutdown = CancellationToken::new();
        tokio::spawn(serve(instance, listener, shutdown.clone()));
        Self { dir, port, shutdown }
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({
            "host": "127.0.0.1",
            "port": self.port,
            "user": "sa",
            "password": PASSWORD,
            "certificate": self.dir.path().join("tls-certificate.pem"),
            "backup_folder": r"D:\Backup",
            "data_folder": r"D:\Data",
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn run(script: &str) {
    let made = tokio::task::spawn_blocking(|| {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        python::with(&scripts().join("requirements.txt"), base)
    });
    let Some(python) = made.await.unwrap() else {
        return;
    };
    let now = OffsetDateTime::now_utc();
    let shared = tempfile::tempdir().unwrap();
    let sample = AdSync {
        data_folder: String::new(),
        objects: 2_000,
        ..AdSync::new(now)
    };
    let newer = InstanceSpec::standard_2022("SQL01", Some("INST"), now).database(adsync(&sample));
    let server = Server::start(newer, shared.path()).await;
    let older = Server::start(InstanceSpec::standard_2019("SQL02", None, now), shared.path()).await;
    let settings = server.dir.path().join("strangers.json");
    let text = serde_json::json!({ "server": server.settings(), "older": older.settings() });
    fs::write(&settings, text.to_string()).unwrap();

    let mut command = tokio::process::Command::new(python);
    command
        .arg(scripts().join(script))
        .arg(&settings)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true);
    let output = command.output().await.unwrap();
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn they_log_in() {
    run("login.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_look_around() {
    run("look_around.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_back_up() {
    run("backup.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_restore() {
    run("restore.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_cancel() {
    run("cancel.py").await;
}
