//! The catalogue: Connect versions, versions of SQL Server, and the pages of the wizard. A data file that can be replaced without
//! a release.

use serde::{Deserialize, Serialize};

use crate::connect_version::ConnectVersion;
use crate::wizard_page::{self, InvalidPage, Page};

/// The catalogue that this release carries.
pub const EMBEDDED: &str = include_str!("../data/connect-versions.toml");

/// The catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// When it was signed off, as a date: `2026-11-01`.
    pub signed_off: String,
    /// The oldest version that still synchronises.
    pub oldest_that_syncs: ConnectVersion,
    /// The first version that can be installed on an existing database.
    pub first_with_existing_database: ConnectVersion,
    /// SQL Server by its major version. What is not listed is not supported.
    #[serde(rename = "sql", default)]
    pub sql: Vec<SqlVersion>,
    /// The wizard's pages in "use existing database" mode, in their order.
    #[serde(rename = "page", default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<Page>,
    /// Every known version, in ascending order.
    #[serde(rename = "version")]
    pub versions: Vec<CatalogueEntry>,
}

/// A major version of SQL Server, as Connect sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlVersion {
    /// The first number of `ProductVersion`.
    pub major: i32,
    /// Its name, for example `SQL Server 2022`.
    pub name: String,
    /// What Connect says of it.
    pub support: SqlSupport,
}

/// What Connect says of a version of SQL Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SqlSupport {
    /// In mainstream support.
    Supported,
    /// Out of mainstream support: Microsoft may not help.
    Old,
    /// A new installation is refused.
    Refused,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// The version.
    pub version: ConnectVersion,
    /// When it was released, as a date; `None` where no source says so.
    pub released: Option<String>,
    /// The end of its support: a date, `ended` where only that is known, or `None`.
    pub end_of_support: Option<String>,
    /// Whether it brings a full synchronisation.
    #[serde(default)]
    pub full_sync: bool,
    /// Whether it changes default rules.
    #[serde(default)]
    pub rules_changed: bool,
    /// Whether it changes the schema.
    #[serde(default)]
    pub schema_changed: bool,
    /// Why it must not be installed on an existing database, if so.
    pub blocked_for_existing_database: Option<String>,
    /// A fault that its maker knows of and that only another version mends, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_issue: Option<String>,
    /// The major version of the LocalDB that it brings: 11, 15 or 16.
    pub localdb_major: i32,
    /// What else is worth knowing.
    pub note: Option<String>,
}

/// Why a text is no catalogue.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCatalogue {
    /// It is not of the shape.
    #[error("the catalogue cannot be read: {0}")]
    Shape(String),
    /// A version stands twice or out of order.
    #[error("version {0} of the catalogue stands twice or out of order")]
    Order(ConnectVersion),
    /// It does not say when it was signed off.
    #[error("'{0}' is no date: signed_off must be like 2026-11-01")]
    Date(String),
    /// It lists no version that may be installed.
    #[error("the catalogue lists no version that synchronises and may be installed on an existing database")]
    Empty,
    /// A page of the wizard is not sound.
    #[error(transparent)]
    Page(#[from] InvalidPage),
    /// There are pages, and none of them is of the version that is to be installed.
    #[error("the catalogue has pages of the wizard, but none for {0}")]
    NoPage(ConnectVersion),
    /// A version of SQL Server stands twice.
    #[error("SQL Server {0} stands twice in the catalogue")]
    SqlTwice(i32),
}

impl Catalogue {
    /// Reads a catalogue.
    pub fn parse(text: &str) -> Result<Self, InvalidCatalogue> {
        let c: Catalogue = toml::from_str(text).map_err(|e| InvalidCatalogue::Shape(e.to_string()))?;
        if let Some(w) = c.versions.windows(2).find(|w| w[0].version >= w[1].version) {
            return Err(InvalidCatalogue::Order(w[1].version));
        }
        let twice = |(at, s): &(usize, &SqlVersion)| c.sql.iter().take(*at).any(|o| o.major == s.major);
        if let Some((_, again)) = c.sql.iter().enumerate().find(twice) {
            return Err(InvalidCatalogue::SqlTwice(again.major));
        }
        if crate::Millis::of_date(&c.signed_off).is_none() {
            return Err(InvalidCatalogue::Date(c.signed_off));
        }
        let Some(newest) = c
            .newest()
            .filter(|n| n.version >= c.oldest_that_syncs)
            .map(|n| n.version)
        else {
            return Err(InvalidCatalogue::Empty);
        };
        wizard_page::check(&c.pages)?;
        if !c.pages.is_empty() && !c.pages.iter().any(|p| p.is_of(newest)) {
            return Err(InvalidCatalogue::NoPage(newest));
        }
        Ok(c)
    }

    /// What Connect says of a major version of SQL Server. A catalogue without a list knows what this release knows.
    pub fn sql_support(&self, major: i32) -> SqlSupport {
        let listed = self.sql.iter().find(|s| s.major == major);
        match (listed, self.sql.is_empty(), major) {
            (Some(s), _, _) => s.support,
            (None, true, 16) => SqlSupport::Supported,
            (None, true, 14 | 15) => SqlSupport::Old,
            _ => SqlSupport::Refused,
        }
    }

    /// The pages that a version's wizard shows. A catalogue without any, or without one for it, knows what this release knows.
    pub fn pages(&self, version: ConnectVersion) -> Vec<Page> {
        let of = |pages: &[Page]| pages.iter().filter(|p| p.is_of(version)).cloned().collect::<Vec<_>>();
        let own = of(&self.pages);
        if own.is_empty() {
            of(&Self::embedded().pages)
        } else {
            own
        }
    }

    /// The catalogue of this release.
    pub fn embedded() -> Self {
        // A test parses the embedded text, so this cannot fail in a release that passed its tests.
        Self::parse(EMBEDDED).expect("the embedded catalogue is read by a test")
    }

    /// The entry of a version.
    pub fn get(&self, version: ConnectVersion) -> Option<&CatalogueEntry> {
        self.versions.iter().find(|e| e.version == version)
    }

    /// The newest version that is known and not blocked.
    pub fn newest(&self) -> Option<&CatalogueEntry> {
        self.versions
            .iter()
            .rev()
            .find(|e| e.blocked_for_existing_database.is_none())
    }

    /// What changes between two versions: everything that the versions after `from` up to `to` brought.
    pub fn changes(&self, from: ConnectVersion, to: ConnectVersion) -> Changes {
        let between = self.versions.iter().filter(|e| e.version > from && e.version <= to);
        between.fold(Changes::default(), |c, e| Changes {
            full_sync: c.full_sync || e.full_sync,
            rules: c.rules || e.rules_changed,
            schema: c.schema || e.schema_changed,
        })
    }
}

/// What a jump between versions brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Changes {
    /// A full synchronisation is expected.
    pub full_sync: bool,
    /// Default rules change.
    pub rules: bool,
    /// The schema changes.
    pub schema: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> ConnectVersion {
        text.parse().unwrap()
    }

    #[test]
    fn the_embedded_catalogue_is_sound() {
        let c = Catalogue::parse(EMBEDDED).unwrap();
        assert!(c.versions.len() > 60, "{}", c.versions.len());
        assert_eq!(c.get(v("2.5.79.0")).unwrap().released.as_deref(), Some("2025-09-01"));
        assert!(c.get(v("2.6.84.0")).unwrap().blocked_for_existing_database.is_some());
        assert_eq!(c.get(v("2.6.84.0")).unwrap().localdb_major, 16);
        assert_eq!(c.get(v("1.1.613.0")).unwrap().localdb_major, 11);
        assert!(c.get(c.oldest_that_syncs).is_some());
        for e in &c.versions {
            for d in [&e.released, &e.end_of_support].into_iter().flatten() {
                assert!(d == "ended" || d.len() == 10 || d.len() == 7, "{}: {d}", e.version);
            }
        }
    }

    #[test]
    fn a_jump_gathers_what_lies_between() {
        let c = Catalogue::embedded();
        assert_eq!(c.changes(v("2.5.79.0"), v("2.5.79.0")), Changes::default());
        let jump = c.changes(v("1.6.4.0"), v("2.6.91.0"));
        assert!(jump.rules && jump.schema);
    }

    #[test]
    fn sql_server_is_judged_by_the_list() {
        let c = Catalogue::embedded();
        let said: Vec<SqlSupport> = [13, 14, 15, 16, 17].map(|m| c.sql_support(m)).to_vec();
        use SqlSupport::{Old, Refused, Supported};
        assert_eq!(said, [Refused, Old, Old, Supported, Refused]);
        let mut newer = c.clone();
        newer.sql.push(SqlVersion {
            major: 17,
            name: "SQL Server 2025".to_string(),
            support: Supported,
        });
        assert_eq!(newer.sql_support(17), Supported);
        let bare = Catalogue { sql: vec![], ..c };
        assert_eq!(
            [14, 15, 16, 17].map(|m| bare.sql_support(m)),
            [Old, Old, Supported, Refused]
        );
    }

    #[test]
    fn the_pages_are_those_of_the_version() {
        let c = Catalogue::embedded();
        let newest = c.newest().unwrap().version;
        assert_eq!(c.pages(newest).len(), 7);
        let bare = Catalogue {
            pages: vec![],
            ..c.clone()
        };
        assert_eq!(bare.pages(newest), c.pages(newest), "those of the release");
        let wrong = EMBEDDED.replace("value = \"{server}\"", "value = \"{sever}\"");
        let said = Catalogue::parse(&wrong).unwrap_err().to_string();
        assert!(
            said.contains("'{sever}'") && said.contains("server, instance"),
            "{said}"
        );
        let old = EMBEDDED.replace("[[page]]\n", "[[page]]\nbefore = \"2.0.0.0\"\n");
        assert_eq!(Catalogue::parse(&old), Err(InvalidCatalogue::NoPage(newest)));
    }

    #[test]
    fn what_cannot_be_relied_on_is_refused() {
        let undated = EMBEDDED.replace("signed_off = \"2026-11-01\"", "signed_off = \"soon\"");
        assert!(matches!(Catalogue::parse(&undated), Err(InvalidCatalogue::Date(_))));
        let future = EMBEDDED.replace("oldest_that_syncs = \"2.5.79.0\"", "oldest_that_syncs = \"9.0.0.0\"");
        assert_eq!(Catalogue::parse(&future), Err(InvalidCatalogue::Empty));
        let twice = format!("{EMBEDDED}\n[[sql]]\nmajor = 16\nname = \"again\"\nsupport = \"refused\"\n");
        assert_eq!(Catalogue::parse(&twice), Err(InvalidCatalogue::SqlTwice(16)));
    }

    #[test]
    fn disorder_is_refused() {
        let twice = EMBEDDED.replace("version = \"2.5.79.0\"", "version = \"2.5.76.0\"");
        assert!(matches!(
            Catalogue::parse(&twice),
            Err(InvalidCatalogue::Order(_) | InvalidCatalogue::Shape(_))
        ));
        assert!(matches!(Catalogue::parse("x = 1"), Err(InvalidCatalogue::Shape(_))));
    }
}
