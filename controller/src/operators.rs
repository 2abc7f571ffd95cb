//! Operators, on the controller's own host: adding and revoking them is for whoever owns the authority's key, and for nobody
//! who merely has an operator's certificate. Otherwise one person could make the second one that break-glass asks for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use syncferry_proto::transport::{OperatorCredentials, private_file};
use syncferry_shared::{Clock, OperatorId};
use syncferry_store::{NewOperator, Operator, Store};
use syncferry_store_sqlite::SystemClock;

use crate::app::CREDENTIALS_FILE;
use crate::config::Config;
use crate::core::system_event;
use crate::identity::{self, Keys};

/// The actor of what is done on the controller's host.
const ACTOR: &str = "controller's host";

async fn open(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    if !config.data_dir.exists() {
        private_file::create_directory(&config.data_dir)
            .with_context(|| format!("{} cannot be made", config.data_dir.display()))?;
    }
    let store = crate::store::open(config, Arc::new(SystemClock)).await;
    store.context("with the embedded store, stop the controller first")
}

/// Where a new operator reaches the controller, unless it is said: what is advertised, or what the first operator was told.
fn address(config: &Config, said: Option<&str>) -> anyhow::Result<String> {
    if let Some(said) = said {
        return Ok(said.to_string());
    }
    if !config.advertise.is_empty() {
        return Ok(config.advertise.clone());
    }
    match OperatorCredentials::load(&config.data_dir.join(CREDENTIALS_FILE)) {
        Ok(first) => Ok(first.controller),
        Err(_) if config.listen.port() != 0 => Ok(config.listen.to_string()),
        Err(_) => bail!("it is not known where the controller will be reached; say it with --controller host:port"),
    }
}

/// Adds an operator, or gives one a new certificate; their credentials go to the file, which must not be there.
pub async fn add(config: &Config, name: &str, file: &Path, controller: Option<&str>) -> anyhow::Result<()> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) {
        bail!("'{name}' cannot be an operator's name: 1 to 64 letters, digits, dots, dashes and underscores");
    }
    if file.exists() {
        bail!("{} is there already; name another file", file.display());
    }
    let controller = address(config, controller)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = open(config).await?;
    let keys = Keys::open(&config.data_dir, clock.now())?;
    let mut tx = store.begin("operator.add").await?;
    let known = tx.operator_named(name).await?;
    let id = match &known {
        Some(o) => o.id,
        None => OperatorId::new(tx.now(), &rand::random()),
    };
    let validity = identity::ca::OPERATOR_VALIDITY;
    let (credentials, issued) =
        identity::operator::credentials(&keys.authority, &controller, name, id, validity, clock.now())?;
    let (fingerprint, serial) = (
        issued.certificate.fingerprint.to_string(),
        issued.certificate.serial.clone(),
    );
    let renewed = known.is_some();
    match known {
        Some(_) => drop(tx.set_operator_certificate(id, &fingerprint, &serial).await?),
        None => drop(
            tx.add_operator(&NewOperator {
                id,
                name: name.to_string(),
                fingerprint: fingerprint.clone(),
                serial,
            })
            .await?,
        ),
    }
    let payload = serde_json::json!({"operator": name, "fingerprint": fingerprint, "renewed": renewed});
    let of = tx.meta().await?.id.to_string();
    tx.append_event(system_event(&of, "operator.added", ACTOR, payload))
        .await?;
    credentials.save(file)?;
    tx.commit().await?;
    store.shut_down().await;
    Ok(())
}

/// Takes an operator's certificate back.
pub async fn revoke(config: &Config, name: &str) -> anyhow::Result<()> {
    let store = open(config).await?;
    let mut tx = store.begin("operator.revoke").await?;
    let Some(operator) = tx.operator_named(name).await? else {
        bail!("there is no operator '{name}'; `syncferry-controller operator list` shows who there is");
    };
    tx.revoke_operator(operator.id).await?;
    let of = tx.meta().await?.id.to_string();
    let payload = serde_json::json!({"operator": name, "fingerprint": operator.fingerprint});
    tx.append_event(system_event(&of, "operator.revoked", ACTOR, payload))
        .await?;
    tx.commit().await?;
    store.shut_down().await;
    Ok(())
}

/// Everybody, by name.
pub async fn list(config: &Config) -> anyhow::Result<Vec<Operator>> {
    let store = open(config).await?;
    let operators = store.read("operator.list").await?.operators().await?;
    store.shut_down().await;
    Ok(operators)
}

/// Where the credentials of an operator go unless it is said.
pub fn default_file(name: &str) -> PathBuf {
    PathBuf::from(format!("{name}.credentials.toml"))
}
