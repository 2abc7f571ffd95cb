//! `site add`.

use std::collections::BTreeMap;

use syncferry_shared::SiteId;
use syncferry_store::{NewSite, Site};

use super::lease::export;
use crate::core::{Core, system_event};
use crate::problem::Problem;

/// Adds a site. The same site a second time is refused by name, so that a typing error cannot make two.
pub async fn add_site(
    core: &Core,
    actor: &str,
    name: &str,
    tenant_id: &str,
    labels: BTreeMap<String, String>,
) -> Result<Site, Problem> {
    check_name("site", name)?;
    let tenant = tenant_id.trim();
    if tenant.parse::<uuid::Uuid>().is_err() {
        return Err(Problem::Invalid(format!(
            "'{tenant}' is not a tenant id: expected a UUID, as the Entra admin center shows it under Overview"
        )));
    }
    let mut tx = core.store.begin("site.add").await?;
    let org = tx.default_org().await?.id;
    let id = SiteId::new(tx.now(), &core.random());
    let new = NewSite {
        id,
        org,
        name: name.to_string(),
        tenant_id: tenant.to_ascii_lowercase(),
        labels,
    };
    let site = tx.add_site(&new).await.map_err(|e| match e.is_conflict() {
        true => Problem::Exists(format!("a site named '{name}' exists; `syncferry site list` shows it")),
        false => e.into(),
    })?;
    export::ensure(&mut *tx, &site.tenant_id, actor).await?;
    let store = tx.meta().await?.id;
    let payload = serde_json::json!({"site": site.name, "tenant_id": site.tenant_id, "site_id": site.id});
    tx.append_event(system_event(&store.to_string(), "site.added", actor, payload))
        .await?;
    tx.commit().await?;
    Ok(site)
}

/// Names are shown in tables and typed in commands: letters, digits, dot, dash, underscore.
pub(super) fn check_name(what: &str, name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.chars().count() > 64 || !name.chars().all(fits) {
        return Err(Problem::Invalid(format!(
            "'{name}' cannot be a {what}'s name: 1 to 64 letters, digits, dots, dashes and underscores"
        )));
    }
    Ok(())
}
