//! What an ADSync database says of itself. Its schema is undocumented: tables and columns are discovered first, what is missing
//! is unknown, and a refused question is unknown too. Columns that hold secrets are never read.
//!
//! Our reads may show up in audits: Microsoft tells security teams to watch these tables.

mod config;
mod connectors;
mod counts;
mod history;
pub mod owner;
mod pending;
mod schema;
mod settings;
pub mod statements;

use syncferry_shared::Millis;
use syncferry_shared::artifact::Counts;
use syncferry_shared::inventory::AdsyncFacts;
use syncferry_shared::sync_config::Unknown;

use crate::sql::errors::SqlError;
use crate::sql::rows::{ResultSet, Row};
use crate::sql::session::SqlSession;
use crate::sql::statements::Statement;

pub use pending::{PendingExports, pending_exports};
pub use schema::Schema;

/// Looks into a database; `None` when it is no ADSync database. The session goes back to `master` afterwards.
pub async fn inspect(session: &mut SqlSession, database: &str) -> Result<Option<AdsyncFacts>, SqlError> {
    let Some(schema) = discover(session, database).await? else {
        return Ok(None);
    };
    let mut look = Look {
        session,
        database,
        schema: &schema,
        unknown: Vec::new(),
    };
    let connectors = connectors::read(&mut look).await?;
    let settings = settings::read(&mut look).await?;
    let (last_sync, last_sync_source) = history::last_sync(&mut look).await?;
    let mut facts = AdsyncFacts {
        instance_id: configuration(&mut look).await?,
        connect_version: settings.connect_version(),
        staging_mode: settings.flag("Microsoft.Synchronize.StagingMode"),
        last_sync,
        last_sync_source,
        run_in_progress: history::run_in_progress(&mut look).await?,
        forests: connectors.forests(),
        last_owner: connectors.last_owner(),
        sign_on_method: settings.text("Microsoft.UserSignIn.SignOnMethod"),
        features: settings.features(),
        full_run_required: connectors.full_run_required(),
        custom_rules: counts::custom_rules(&mut look).await?,
        ..AdsyncFacts::default()
    };
    facts.counts = match counts::read(&mut look, &connectors, &settings).await {
        Ok(counts) => counts,
        // A running cycle holds locks. Looking may do without exact counts; comparing ([`count`]) may not.
        Err(error) if !error.errors.is_empty() => {
            tracing::debug!(%error, "rows were not counted");
            look.cannot_tell("row counts", error.to_string());
            counts::without_rows(&look, &connectors, &settings)
        }
        Err(error) => return Err(error),
    };
    facts.config = config::read(&mut look, &connectors, &settings).await?;
    facts.empty = is_empty(&facts.counts);
    facts.unknown = look.unknown;
    Ok(Some(facts))
}

/// Adds the runs since a moment to what was found of a database. The session goes back to `master` afterwards.
pub async fn add_runs(
    session: &mut SqlSession,
    database: &str,
    since: Millis,
    facts: &mut AdsyncFacts,
) -> Result<(), SqlError> {
    let Some(schema) = discover(session, database).await? else {
        return Ok(());
    };
    let mut look = Look {
        session,
        database,
        schema: &schema,
        unknown: Vec::new(),
    };
    facts.runs = history::runs_since(&mut look, since).await?;
    facts.unknown.extend(look.unknown);
    Ok(())
}

/// Counts only: what is compared before the backup, after the restore and after the installation.
pub async fn count(session: &mut SqlSession, database: &str) -> Result<Option<Counts>, SqlError> {
    let Some(schema) = discover(session, database).await? else {
        return Ok(None);
    };
    let mut look = Look {
        session,
        database,
        schema: &schema,
        unknown: Vec::new(),
    };
    let connectors = connectors::read(&mut look).await?;
    let settings = settings::read(&mut look).await?;
    counts::read(&mut look, &connectors, &settings).await.map(Some)
}

/// Whether tables of the configuration hold nothing: a database that no Connect server ever used.
fn is_empty(counts: &Counts) -> bool {
    let none = |table: &str| {
        let mut rows = counts.rows.iter();
        rows.any(|(name, rows)| name.eq_ignore_ascii_case(&format!("dbo.{table}")) && *rows == 0)
    };
    none(schema::CONFIGURATION) || none(schema::AGENTS)
}

async fn discover(session: &mut SqlSession, database: &str) -> Result<Option<Schema>, SqlError> {
    let sets = session.query_in(database, &statements::columns()).await?;
    let mut schema = Schema::read(sets.first().map(ResultSet::rows).unwrap_or_default());
    if !schema.is_adsync() {
        return Ok(None);
    }
    let procedures = session.query_in(database, &statements::procedures()).await?;
    schema.add_procedures(procedures.first().map(ResultSet::rows).unwrap_or_default());
    Ok(Some(schema))
}

async fn configuration(look: &mut Look<'_>) -> Result<Option<uuid::Uuid>, SqlError> {
    if !look.finds("lineage", schema::CONFIGURATION, &["instance_id"]) {
        return Ok(None);
    }
    let rows = look.ask(&statements::instance_id()).await?;
    Ok(rows.first().and_then(|r| r.guid("instance_id")))
}

/// Everything that the parts need to ask.
struct Look<'a> {
    session: &'a mut SqlSession,
    database: &'a str,
    schema: &'a Schema,
    /// What was not found out, and why.
    unknown: Vec<Unknown>,
}

impl Look<'_> {
    /// A fact stays unknown, for a reason.
    fn cannot_tell(&mut self, fact: &str, why: impl Into<String>) {
        if !self.unknown.iter().any(|u| u.fact == fact) {
            self.unknown.push(Unknown {
                fact: fact.to_string(),
                why: why.into(),
            });
        }
    }

    /// Whether a table has all of these columns; a fact that needs them stays unknown otherwise.
    fn finds(&mut self, fact: &str, table: &str, columns: &[&str]) -> bool {
        let missing: Vec<&str> = columns.iter().copied().filter(|c| !self.schema.has(table, c)).collect();
        if !missing.is_empty() {
            self.cannot_tell(fact, format!("dbo.{table} has no column {}", missing.join(", ")));
        }
        missing.is_empty()
    }

    /// Rows of the first result set; a refusal reads as no rows.
    async fn ask(&mut self, statement: &Statement) -> Result<Vec<Row>, SqlError> {
        let sets = self.ask_all(statement).await?;
        Ok(sets.into_iter().next().map(|s| s.rows().to_vec()).unwrap_or_default())
    }

    /// All result sets; a refusal reads as none.
    async fn ask_all(&mut self, statement: &Statement) -> Result<Vec<ResultSet>, SqlError> {
        match self.session.query_in(self.database, statement).await {
            Ok(sets) => Ok(sets),
            Err(error) if error.errors.is_empty() => Err(error),
            Err(error) => {
                tracing::debug!(%error, "unknown here");
                let fact = statement.name.trim_start_matches("adsync-").replace('-', " ");
                self.cannot_tell(&fact, error.to_string());
                Ok(Vec::new())
            }
        }
    }
}
