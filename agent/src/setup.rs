//! `syncferry-agent setup`: what an unattended installation does: a configuration where there is none, an enrolment where there is
//! none. What is there already is never changed, so an upgrade keeps identity, journal and configuration.

use std::path::Path;

use crate::config::Config;
use crate::identity::{EnrolError, Enrolled, enrol};

/// What a new configuration says. The folders and everything else have their defaults.
const NEW: &str = "# Written by syncferry-agent setup. Every field is explained in agent.sample.toml.\ncontroller = \"@CONTROLLER@\"\n";

/// Why it did not work.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no configuration and no controller was named.
    #[error(
        "{path} does not exist and no controller was named; name one: syncferry-agent setup --controller HOST:PORT"
    )]
    NoController {
        /// The configuration.
        path: String,
    },
    /// A file could not be written.
    #[error("{path} cannot be written: {error}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The controller refused.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
}

/// How it is afterwards.
#[derive(Debug, Clone)]
pub struct Ready {
    /// What was done, a line each.
    pub done: Vec<String>,
    /// The configuration.
    pub config: Config,
    /// Whether the agent is enrolled.
    pub enrolled: bool,
}

/// Sets up what is missing.
pub async fn setup(
    path: &Path,
    controller: Option<&str>,
    token: Option<&str>,
    host_name: &str,
) -> Result<Ready, SetupError> {
    let mut done = Vec::new();
    if path.exists() {
        done.push(format!("{} is there and stays as it is", path.display()));
    } else {
        let shown = path.display().to_string();
        let controller = controller
            .filter(|c| !c.trim().is_empty())
            .ok_or(SetupError::NoController { path: shown.clone() })?;
        let text = NEW.replace("@CONTROLLER@", &controller.trim().replace(['"', '\\', '\n', '\r'], ""));
        // Checked before anything is written.
        let config: Config = toml::from_str(&text).map_err(|error| crate::config::ConfigError::Shape {
            path: path.to_path_buf(),
            error: Box::new(error),
        })?;
        config.check()?;
        let write = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, &text)
        };
        write().map_err(|error| SetupError::Write {
            path: shown.clone(),
            error,
        })?;
        done.push(format!("{shown} written"));
    }
    let config = Config::load(path, |k| std::env::var(k).ok())?;
    let enrolled = match (Enrolled::load(&config.data_dir), token.filter(|t| !t.trim().is_empty())) {
        (Ok(enrolled), _) => {
            done.push(format!(
                "enrolled already as {}; no token was used",
                enrolled.enrolment.host_name
            ));
            true
        }
        (Err(_), Some(token)) => {
            let enrolment = enrol(&config.controller, token.trim(), &config.data_dir, host_name).await?;
            done.push(format!("enrolled as {}", enrolment.host_name));
            true
        }
        (Err(_), None) => {
            done.push("not enrolled: run 'syncferry-agent enrol' with a token of 'syncferry host add'".to_string());
            false
        }
    };
    Ok(Ready { done, config, enrolled })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_configuration_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("conf").join("agent.toml");
        let e = setup(&path, None, None, "H").await.unwrap_err();
        assert!(matches!(e, SetupError::NoController { .. }), "{e}");
        let e = setup(&path, Some("no port"), None, "H").await.unwrap_err();
        assert!(e.to_string().contains("host:port"), "{e}");
        assert!(!path.exists(), "nothing that is wrong is written");
        let done = setup(&path, Some("c.example.com:7443"), None, "H").await.unwrap();
        assert!(
            done.done[0].ends_with("written") && done.done[1].starts_with("not enrolled"),
            "{done:?}"
        );
        let done = setup(&path, Some("other.example.com:7443"), None, "H").await.unwrap();
        assert!(done.done[0].ends_with("stays as it is"));
        assert!(std::fs::read_to_string(&path).unwrap().contains("c.example.com:7443"));
    }
}
