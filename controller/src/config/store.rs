//! Which store: the embedded one, or PostgreSQL. A URL may hold a password, so it is never shown.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use syncferry_store_postgres::check_url;

use super::ConfigError;

/// Where the store is: `sqlite:FILE`, in the data directory unless it is an absolute path, or `postgres://…`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreUrl(String);

/// The engine behind a URL.
#[derive(Clone, PartialEq, Eq)]
pub enum Engine {
    /// The embedded one; the file.
    Sqlite(PathBuf),
    /// PostgreSQL; the whole URL.
    Postgres(String),
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self("sqlite:store.db".to_string())
    }
}

impl From<&str> for StoreUrl {
    fn from(url: &str) -> Self {
        Self(url.to_string())
    }
}

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for StoreUrl {
    /// Without what stands before the host's `@`, and without the parameters.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = self.0.split(['?', '#']).next().unwrap_or_default();
        match (place.split_once("://"), place.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => write!(f, "{scheme}://…@{host}"),
            _ => f.write_str(place),
        }
    }
}

impl StoreUrl {
    /// The engine that it names.
    pub fn engine(&self) -> Result<Engine, ConfigError> {
        let wrong = |reason: String| ConfigError::Value { field: "store", reason };
        if let Some(file) = self.0.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            return match file.is_empty() {
                true => Err(wrong("names no file; for example sqlite:store.db".into())),
                false => Ok(Engine::Sqlite(file.into())),
            };
        }
        if self.0.starts_with("postgres://") || self.0.starts_with("postgresql://") {
            check_url(&self.0).map_err(wrong)?;
            return Ok(Engine::Postgres(self.0.clone()));
        }
        Err(wrong(
            "must begin with sqlite: or postgres://, for example sqlite:store.db or postgres://syncferry@db.example.com/syncferry?sslmode=verify-full"
                .into(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine_or_what_is_wrong_with_it() {
        let engine = |url: &str| StoreUrl::from(url).engine();
        assert!(engine("sqlite:store.db").unwrap() == Engine::Sqlite("store.db".into()));
        assert!(engine("sqlite:///var/lib/x.db").unwrap() == Engine::Sqlite("/var/lib/x.db".into()));
        let safe = "postgres://a@one,two/syncferry?sslmode=verify-full&sslrootcert=/etc/ca.pem";
        assert!(engine(safe).unwrap() == Engine::Postgres(safe.into()));
        assert!(engine("postgres:///syncferry?host=/run/postgresql").is_ok());
        assert!(engine("postgres://syncferry@127.0.0.1/syncferry").is_ok());
        let says = |url: &str, word: &str| {
            let told = engine(url).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(told.starts_with("store ") && told.contains(word), "{url}: {told}");
        };
        says("mysql://x", "sqlite:");
        says("sqlite:", "no file");
        says("postgres://a@db.example.com/syncferry", "verify-full");
        says("postgres://a@one,two/syncferry?sslmode=require", "verify-full");
        says("postgres://a@127.0.0.1", "database");
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = StoreUrl::from("postgres://ada:secret@db/syncferry?password=secret");
        assert_eq!(
            format!("{url} {url:?}"),
            "postgres://…@db/syncferry postgres://…@db/syncferry"
        );
    }
}
