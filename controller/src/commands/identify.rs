//! Which database was found: the registered ones are held against what the server says, the place where the likeliest one is
//! registered is asked too, and the table in `shared::identity` decides. Doubt quarantines.

use syncferry_shared::Finding;
use syncferry_shared::fence::{IdentityFacts, MARK_UID};
use syncferry_shared::identity::{self, OldPlace, Registered, Verdict};
use syncferry_shared::inventory::{DatabaseAddress, DatabaseFacts, InspectionRequest};
use syncferry_shared::lease::{LeaseState, Resource};
use syncferry_store::{AgentState, By, Database, Host, IdentityState, Tx};

use super::add_database::guids;
use crate::core::Core;
use crate::problem::Problem;
use crate::{find, inspect};

const SOURCE: &str = "Syncferry: a database is known by what the server itself reports";

/// What was found: the registered row it is about, if any, and which of all it is.
pub(super) struct Identified {
    pub(super) known: Option<Database>,
    pub(super) verdict: Verdict,
    free: bool,
}

/// Finds out which database was found at a place.
pub(super) async fn identify(
    core: &Core,
    host: &Host,
    address: &DatabaseAddress,
    facts: &DatabaseFacts,
) -> Result<Identified, Problem> {
    let mut tx = core.store.read("database.identify").await?;
    let (mut rows, mut all, mut at_place) = (Vec::new(), Vec::new(), None);
    for d in tx.databases(None).await? {
        if matches!(d.identity_state, IdentityState::Retired | IdentityState::Provisional) {
            continue;
        }
        if d.host == host.id
            && d.address.instance == address.instance
            && d.address.database.eq_ignore_ascii_case(&address.database)
        {
            at_place = Some(d.id);
        }
        all.push(registered(&mut *tx, &d).await?);
        rows.push(d);
    }
    drop(tx);
    let seen = IdentityFacts::from(facts);
    let Some(known) = identity::candidate(&all, at_place, &seen) else {
        let verdict = identity::verdict(None, &seen, OldPlace::SamePlace);
        return Ok(Identified {
            known: None,
            verdict,
            free: true,
        });
    };
    let Some(row) = rows.into_iter().find(|d| d.id == known.id) else {
        return Err(Problem::Internal("the row is gone".to_string()));
    };
    let old = match identity::must_ask(known, at_place, &seen) {
        Some(key) => ask_old_place(core, &row, &key).await?,
        None => OldPlace::SamePlace,
    };
    let verdict = identity::verdict(Some(known), &seen, old);
    Ok(Identified {
        free: known.free,
        known: Some(row),
        verdict,
    })
}

/// A row as the table sees it.
pub(super) async fn registered(tx: &mut dyn Tx, d: &Database) -> Result<Registered, Problem> {
    let lease = tx.lease(&Resource::database(d.id)).await?;
    Ok(Registered {
        id: d.id,
        key: d.physical_key.clone(),
        database_guid: d.guids.database,
        recovery_fork_guid: d.guids.recovery_fork,
        group_database_id: d.guids.group_database,
        fenced_epoch: lease.as_ref().map_or(0, |l| l.fenced_epoch),
        free: lease.is_none_or(|l| l.state == LeaseState::Free),
    })
}

/// What the place says under which a database is registered.
async fn ask_old_place(core: &Core, d: &Database, key: &str) -> Result<OldPlace, Problem> {
    let mut tx = core.store.read("database.old-place").await?;
    let host = tx.host(d.host).await?;
    let online = tx
        .agent_of_host(d.host)
        .await?
        .is_some_and(|a| a.state == AgentState::Online);
    drop(tx);
    let Some(host) = host.filter(|_| online) else {
        return Ok(OldPlace::Unreachable);
    };
    let request = InspectionRequest {
        instances: vec![d.address.instance.clone()],
        databases: vec![d.address.clone()],
        ..InspectionRequest::default()
    };
    let inventory = match inspect::ask_and_wait(core, &host, &request, "database identity").await {
        Ok(inventory) => inventory,
        Err(Problem::NoAnswer(_)) => return Ok(OldPlace::Unreachable),
        Err(e) => return Err(e),
    };
    Ok(OldPlace::of(&inventory, &d.address, key))
}

impl Identified {
    /// Does with a registered row what the verdict says. Returns it, or nothing when the database is a new one.
    pub(super) async fn settle(
        self,
        tx: &mut dyn Tx,
        actor: &str,
        host: &Host,
        facts: &DatabaseFacts,
    ) -> Result<Result<Option<Database>, Box<Finding>>, Problem> {
        let Some(known) = self.known else {
            return Ok(match self.verdict {
                Verdict::New => Ok(None),
                other => Err(Box::new(refusal(other, &facts.name, facts))),
            });
        };
        let name = find::place(tx, &known).await?;
        match self.verdict {
            Verdict::New => return Ok(Ok(None)),
            Verdict::Same => return Ok(Ok(Some(known))),
            // Nobody is on it: what it is now may be learnt.
            Verdict::RestoredInPlace | Verdict::Replaced if self.free => {}
            Verdict::Moved | Verdict::Joined => {}
            Verdict::RestoredInPlace | Verdict::Replaced | Verdict::Twin | Verdict::Undecidable => {
                quarantine(tx, actor, &known, self.verdict, &IdentityFacts::from(facts)).await?;
                return Ok(Err(Box::new(refusal(self.verdict, &name, facts))));
            }
            // The original answers at its place: it is in no doubt, and the copy is not let in.
            Verdict::Copy | Verdict::ForeignMarks | Verdict::NotWritable => {
                return Ok(Err(Box::new(refusal(self.verdict, &name, facts))));
            }
        }
        let key = identity::physical_key(&IdentityFacts::from(facts))
            .ok_or_else(|| Problem::Internal("a database without a key".to_string()))?;
        tx.set_database_identity(known.id, &key, &guids(facts), &facts.server_name)
            .await?;
        let address = DatabaseAddress {
            instance: facts.instance.clone(),
            database: facts.name.clone(),
        };
        tx.set_database_address(known.id, host.id, &address).await?;
        if known.identity_state == IdentityState::Suspect {
            tx.set_identity_state(known.id, IdentityState::Suspect, IdentityState::Confirmed)
                .await?;
        }
        Ok(Ok(tx.database(known.id).await?))
    }
}

/// Nothing is granted on it until a person cleared it up.
pub(super) async fn quarantine(
    tx: &mut dyn Tx,
    actor: &str,
    known: &Database,
    verdict: Verdict,
    seen: &IdentityFacts,
) -> Result<(), Problem> {
    let resource = Resource::database(known.id);
    if let Some(lease) = tx
        .lease(&resource)
        .await?
        .filter(|l| l.state != LeaseState::Quarantined)
    {
        let by = By::new(actor).detail(serde_json::json!({
            "reason": "its identity came into doubt", "verdict": verdict.as_str(), "seen": seen,
        }));
        tx.quarantine_lease(&resource, lease.epoch, &by).await?;
    }
    if known.identity_state == IdentityState::Confirmed {
        tx.set_identity_state(known.id, IdentityState::Confirmed, IdentityState::Suspect)
            .await?;
    }
    Ok(())
}

/// The address that `lease marks remove` takes, without the host that the operator named.
fn place_of(facts: &DatabaseFacts) -> String {
    format!("<host>/{}/{}", facts.instance, facts.name)
}

fn refusal(verdict: Verdict, name: &str, facts: &DatabaseFacts) -> Finding {
    let guid = facts.database_guid.map_or("unknown".to_string(), |g| g.to_string());
    let fork = facts
        .recovery_fork_guid
        .map_or("unknown".to_string(), |g| g.to_string());
    let (title, next) = match verdict {
        Verdict::RestoredInPlace => (
            format!("{name} was restored over itself"),
            format!(
                "Its lease is quarantined. Find out who restored it and why; then `syncferry lease fence {name}`, and register it again."
            ),
        ),
        Verdict::Replaced => (
            format!("Under the name of {name} there is another database now"),
            format!(
                "Its lease is quarantined. Find out what became of the other one; then `syncferry lease fence {name}`, and register it again."
            ),
        ),
        Verdict::Undecidable => (
            format!("It cannot be told whether this is {name} or a copy of it"),
            format!(
                "Its lease is quarantined. Bring the agent that reaches {name} back and register again; until then nothing is granted."
            ),
        ),
        Verdict::Twin => (
            format!("Two databases answer with the key of {name}"),
            format!(
                "Its lease is quarantined: what is said to one may reach the other. Rename one of the instances, or take the copy away; then `syncferry lease fence {name}`, and register it again."
            ),
        ),
        Verdict::Copy => (
            format!("This is a copy of {name}, and carries its marks"),
            format!(
                "Remove them from the copy before anything uses it: `syncferry lease marks remove {}`.",
                place_of(facts)
            ),
        ),
        Verdict::ForeignMarks => (
            format!("{} carries the marks of a database that nobody knows here", facts.name),
            format!(
                "Find out whether another controller leases it. If it is a restored copy: `syncferry lease marks remove {}`.",
                place_of(facts)
            ),
        ),
        _ => (
            format!("{} cannot be written here", facts.name),
            "Register it through the listener, or on the replica that is the primary.".to_string(),
        ),
    };
    let mut finding = Finding::blocker(&format!("database-{}", verdict.as_str()), title)
        .saw("ServerName", &facts.server_name)
        .saw("database_guid, recovery_fork_guid", format!("{guid}, {fork}"));
    if let Some(uid) = facts.marks.get(MARK_UID) {
        finding = finding.saw(MARK_UID, uid);
    }
    if let Some(u) = &facts.updateability {
        finding = finding.saw("DATABASEPROPERTYEX(name, 'Updateability')", u);
    }
    finding.source(SOURCE).next(next)
}
