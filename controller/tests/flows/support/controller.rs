//! The controller under test, started and stopped in this process on a folder of its own.

use std::path::Path;

use syncferry_controller::app;
use syncferry_controller::config::{Agents, Config, Leases};
use syncferry_proto::transport::{OperatorCredentials, private_file};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Operator, until};

/// Short durations: for tests in which somebody is silent or a lease ends.
pub(crate) fn config() -> Config {
    Config {
        listen: ([127, 0, 0, 1], 0).into(),
        inspection_timeout_s: 3,
        log: std::env::var("SYNCFERRY_TEST_LOG").unwrap_or("off".to_string()),
        leases: Leases {
            ttl_s: 6,
            renew_every_s: 1,
            grace_s: 1,
            margin_s: 1,
            watch_s: 1,
        },
        agents: Agents {
            heartbeat_s: 1,
            silent_after_s: 3,
            stop_after_s: 3,
            certificate_days: 1,
        },
        ..Config::default()
    }
}

/// Long durations: nobody is called silent because the machine is busy.
pub(crate) fn patient() -> Config {
    Config {
        inspection_timeout_s: 60,
        leases: Leases {
            ttl_s: 600,
            ..config().leases
        },
        agents: Agents {
            silent_after_s: 600,
            ..config().agents
        },
        ..config()
    }
}

/// A running controller.
pub(crate) struct Controller {
    /// Deleted with it.
    _data: tempfile::TempDir,
    config: Config,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Controller {
    pub(crate) async fn start(config: Config) -> Self {
        if config.log != "off" {
            let filter = tracing_subscriber::EnvFilter::new(&config.log);
            let _ = tracing_subscriber::fmt()
                .with_env_filter(filter)
                .with_test_writer()
                .try_init();
        }
        let data = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: data.path().join("data"),
            ..config
        };
        let (stop, running, address) = run(&config).await;
        Self {
            _data: data,
            config,
            stop,
            running,
            address,
        }
    }

    /// Another one on the same store, with a folder of its own and the same authority.
    pub(crate) async fn beside(&self) -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("data");
        let identity = folder.join("identity");
        private_file::create_directory(&folder).unwrap();
        private_file::create_directory(&identity).unwrap();
        for file in std::fs::read_dir(self.data_dir().join("identity")).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), identity.join(file.file_name())).unwrap();
        }
        let credentials = app::CREDENTIALS_FILE;
        std::fs::copy(self.data_dir().join(credentials), folder.join(credentials)).unwrap();
        let config = Config {
            data_dir: folder,
            ..self.config.clone()
        };
        let (stop, running, address) = run(&config).await;
        Self {
            _data: data,
            config,
            stop,
            running,
            address,
        }
    }

    /// Why one does not start.
    pub(crate) async fn refused(config: Config) -> String {
        let data = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: data.path().join("data"),
            ..config
        };
        let ended = app::run(config, CancellationToken::new()).await;
        format!("{:#}", ended.expect_err("it started"))
    }

    /// Stops it; how it ended.
    async fn stopped(&mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let ended = tokio::time::timeout(super::PATIENCE, &mut self.running).await;
        ended
            .expect("the controller does not stop")
            .expect("the controller panicked")
    }

    /// Stops it and starts it again at the same address, on the same folder.
    pub(crate) async fn restart(&mut self) {
        self.while_stopped(async || {}).await;
    }

    /// The same with another configuration.
    pub(crate) async fn restart_with(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        self.while_stopped(async || {}).await;
    }

    /// Stops it, does something with its files, and starts it again.
    pub(crate) async fn while_stopped(&mut self, work: impl AsyncFnOnce()) {
        self.stopped().await.unwrap();
        assert!(
            !self.config.data_dir.join(app::ADDRESS_FILE).exists(),
            "nobody listens now"
        );
        work().await;
        self.config.listen = self.address.parse().unwrap();
        let (stop, running, address) = run(&self.config).await;
        assert_eq!(address, self.address);
        (self.stop, self.running) = (stop, running);
    }

    /// Stops it for good and asks its store whether everything that must hold does.
    pub(crate) async fn stop_and_audit(mut self) {
        self.stopped().await.unwrap();
        let clock = std::sync::Arc::new(syncferry_store_sqlite::SystemClock);
        let store = syncferry_controller::store::open(&self.config, clock).await.unwrap();
        let mut tx = store.read("audit").await.unwrap();
        assert_eq!(tx.audit().await.unwrap(), vec![]);
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    pub(crate) fn credentials(&self) -> OperatorCredentials {
        OperatorCredentials::load(&self.data_dir().join(app::CREDENTIALS_FILE)).unwrap()
    }

    pub(crate) fn operator(&self) -> Operator {
        Operator::new(self.credentials().connect().unwrap())
    }
}

impl Controller {
    /// Adds an operator on the controller's host, and lets them in.
    pub(crate) async fn another_operator(&mut self, name: &str) -> Operator {
        let (config, file) = (self.config.clone(), self.data_dir().join(format!("{name}.toml")));
        let address = self.address.clone();
        self.while_stopped(async || {
            syncferry_controller::operators::add(&config, name, &file, Some(&address))
                .await
                .unwrap();
        })
        .await;
        Operator::new(OperatorCredentials::load(&file).unwrap().connect().unwrap())
    }
}

async fn run(config: &Config) -> (CancellationToken, JoinHandle<anyhow::Result<()>>, String) {
    config.check().unwrap();
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(app::run(config.clone(), stop.clone()));
    let file = config.data_dir.join(app::ADDRESS_FILE);
    let address = tokio::select! {
        ended = &mut running => panic!("the controller did not start: {ended:?}"),
        address = until("the controller listens", async || std::fs::read_to_string(&file).ok()) => address,
    };
    (stop, running, address)
}
