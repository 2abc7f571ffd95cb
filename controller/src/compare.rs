//! Two databases held against each other: asks their agents now, changes nothing. What the comparison says is
//! `syncferry_shared::compare`.

use syncferry_shared::compare::{self, Comparison};
use syncferry_shared::inventory::{AdsyncFacts, InspectionRequest};
use syncferry_store::{Database, Host};

use crate::core::Core;
use crate::problem::Problem;
use crate::{find, inspect};

/// Compares the active server's database with the staging server's, both by name or id.
pub async fn compare(core: &Core, active: &str, staging: &str) -> Result<Comparison, Problem> {
    let mut tx = core.store.read("compare.find").await?;
    let left = find::database(&mut *tx, active).await?;
    let right = find::database(&mut *tx, staging).await?;
    drop(tx);
    between(core, &left, &right).await
}

/// The same for databases that are known. The agents are asked at the same time, so that both answers are of one moment.
pub async fn between(core: &Core, active: &Database, staging: &Database) -> Result<Comparison, Problem> {
    if active.id == staging.id {
        return Err(Problem::Invalid(
            "these are one and the same database: a staging server has a database of its own".to_string(),
        ));
    }
    let (left, right) = tokio::join!(facts(core, active), facts(core, staging));
    let ((left_name, left), (right_name, right)) = (left?, right?);
    Ok(compare::compare(&left_name, &left, &right_name, &right))
}

/// What a database says of itself now, with its name for people.
pub(crate) async fn facts(core: &Core, database: &Database) -> Result<(String, AdsyncFacts), Problem> {
    let mut tx = core.store.read("compare.host").await?;
    let name = find::place(&mut *tx, database).await?;
    let host: Host = tx
        .host(database.host)
        .await?
        .ok_or_else(|| Problem::Internal("the database's host is gone".to_string()))?;
    drop(tx);
    let request = InspectionRequest {
        instances: vec![database.address.instance.clone()],
        databases: vec![database.address.clone()],
        ..InspectionRequest::default()
    };
    let found = inspect::ask_and_wait(core, &host, &request, "compare").await?;
    if let Some(p) = found.problems.first() {
        return Err(Problem::NotNow(format!("{}: {}; {}", p.subject, p.error, p.next_step)));
    }
    let adsync = found.databases.into_iter().find_map(|d| d.adsync);
    let facts =
        adsync.ok_or_else(|| Problem::NotNow(format!("{name} is not a database of Microsoft Entra Connect")))?;
    Ok((name, facts))
}
