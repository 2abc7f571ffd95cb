//! `host add` and `host token`.

use syncferry_shared::{HostId, Millis};
use syncferry_store::{Host, HostRole, NewHost, NewToken};

use super::add_site::check_name;
use crate::core::{Core, agent_event};
use crate::find;
use crate::identity;
use crate::problem::Problem;

/// A token as it is shown, once.
pub struct ShownToken {
    /// Its text.
    pub text: String,
    /// Until when it is good.
    pub expires_at: Millis,
}

/// Adds a host, with a token for its agent.
pub async fn add_host(
    core: &Core,
    actor: &str,
    site: &str,
    name: &str,
    roles: &[String],
    minutes: u32,
) -> Result<(Host, ShownToken), Problem> {
    check_name("host", name)?;
    let roles: Vec<HostRole> = roles.iter().map(|r| role(r)).collect::<Result<_, _>>()?;
    if roles.is_empty() {
        return Err(Problem::Invalid(
            "a host needs at least one role: sql-host, connect-server or both".to_string(),
        ));
    }
    let mut tx = core.store.begin("host.add").await?;
    let site = find::site(&mut *tx, site).await?;
    let id = HostId::new(tx.now(), &core.random());
    let new = NewHost {
        id,
        site: site.id,
        name: name.to_string(),
        roles,
    };
    let host = tx.add_host(&new).await.map_err(|e| match e.is_conflict() {
        true => Problem::Exists(format!(
            "a host named '{name}' exists; `syncferry host token {name}` makes another token for it"
        )),
        false => e.into(),
    })?;
    let payload = serde_json::json!({"host": host.name, "site": site.name, "roles": host.roles.iter().map(|r| r.as_str()).collect::<Vec<_>>()});
    tx.append_event(agent_event(host.id, "host.added", actor, payload))
        .await?;
    let token = token(core, &mut *tx, actor, host.id, minutes).await?;
    tx.commit().await?;
    Ok((host, token))
}

/// Makes another token for a host.
pub async fn create_token(core: &Core, actor: &str, host: &str, minutes: u32) -> Result<ShownToken, Problem> {
    let mut tx = core.store.begin("host.token").await?;
    let host = find::host(&mut *tx, host).await?;
    let token = token(core, &mut *tx, actor, host.id, minutes).await?;
    tx.commit().await?;
    Ok(token)
}

async fn token(
    core: &Core,
    tx: &mut dyn syncferry_store::Tx,
    actor: &str,
    host: HostId,
    minutes: u32,
) -> Result<ShownToken, Problem> {
    let minutes = match minutes {
        0 => 60,
        m if m <= 7 * 24 * 60 => m,
        m => {
            return Err(Problem::Invalid(format!(
                "a token is good for at most 7 days, not {m} minutes"
            )));
        }
    };
    let expires_at = tx.now().plus(i64::from(minutes) * 60_000);
    let new = identity::new_token(&core.authority).map_err(|e| Problem::Internal(e.to_string()))?;
    let row = NewToken {
        hash: new.hash,
        host,
        expires_at,
        uses: 1,
        actor: actor.to_string(),
    };
    tx.add_token(&row).await?;
    let payload = serde_json::json!({"expires_at": expires_at.rfc3339(), "uses": row.uses});
    tx.append_event(agent_event(host, "token.made", actor, payload)).await?;
    Ok(ShownToken {
        text: new.text.reveal().to_string(),
        expires_at,
    })
}

fn role(text: &str) -> Result<HostRole, Problem> {
    HostRole::parse(text).ok_or_else(|| Problem::Invalid(format!("'{text}' is not a role: sql-host or connect-server")))
}
