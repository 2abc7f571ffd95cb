//! Which database is this? Decided by what the server itself says, never by the names that lead there: one database has many
//! names, and one name may lead to another database tomorrow. Pure: a table from what is known and what was seen to a verdict.
//!
//! `family_guid`, `service_broker_guid` and our own marks travel with every copy, so that they can raise a suspicion and never
//! prove that two are one. `ServerName` with `database_guid` is one place; in an availability group it is the group's own ids,
//! because replicas may differ in `database_guid`.

use uuid::Uuid;

use crate::fence::{IdentityFacts, MARK_EPOCH, MARK_UID};
use crate::ids::DatabaseId;
use crate::inventory::{DatabaseAddress, DatabaseFacts, Inventory};

/// A registered database, as far as its identity goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Our id for it.
    pub id: DatabaseId,
    /// Its physical key.
    pub key: String,
    /// `database_guid` when it was seen last.
    pub database_guid: Option<Uuid>,
    /// `recovery_fork_guid` when it was seen last.
    pub recovery_fork_guid: Option<Uuid>,
    /// `group_database_id` when it was seen last.
    pub group_database_id: Option<Uuid>,
    /// The newest epoch that is proven at it.
    pub fenced_epoch: i64,
    /// Whether its lease is free: then nobody is on it, and it may be learnt anew.
    pub free: bool,
}

/// What the place under which a database is registered says now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldPlace {
    /// It is the very place that was looked at.
    SamePlace,
    /// It answers with the same physical key: both ways lead to one database.
    SameKey,
    /// It answers, with a database of its own.
    AnotherDatabase,
    /// It answers, and the database is not there any more.
    Gone,
    /// It does not answer.
    Unreachable,
    /// It was given a nonce, which was read through the other way too.
    NonceSeen,
    /// It was given a nonce, which was not there through the other way.
    NonceNotSeen,
}

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// One that nobody registered.
    New,
    /// A registered one, at the place where it is known; perhaps by another name.
    Same,
    /// A registered one that moved, or whose instance was renamed.
    Moved,
    /// A registered one that joined an availability group, or left it.
    Joined,
    /// A registered one whose content was put back from a backup.
    RestoredInPlace,
    /// Another one, where a registered one was.
    Replaced,
    /// A copy that carries the marks of a registered one.
    Copy,
    /// A copy that carries marks of a database that nobody knows here.
    ForeignMarks,
    /// Another one that answers with the very key of a registered one: only what is written tells the two apart.
    Twin,
    /// It cannot be told whether a registered one moved or was copied.
    Undecidable,
    /// A replica that is not writable, a snapshot, a standby: no place to prove anything.
    NotWritable,
}

impl Verdict {
    /// The word in findings and histories.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::New => "new",
            Verdict::Same => "same",
            Verdict::Moved => "moved",
            Verdict::Joined => "joined",
            Verdict::RestoredInPlace => "restored-in-place",
            Verdict::Replaced => "replaced",
            Verdict::Copy => "copy",
            Verdict::ForeignMarks => "foreign-marks",
            Verdict::Twin => "twin",
            Verdict::Undecidable => "undecidable",
            Verdict::NotWritable => "not-writable",
        }
    }
    /// Whether nothing may be granted on the registered one until a person cleared it up.
    pub fn is_doubt(self) -> bool {
        matches!(
            self,
            Verdict::RestoredInPlace | Verdict::Replaced | Verdict::Copy | Verdict::Twin | Verdict::Undecidable
        )
    }
}

/// What makes a database of a plain instance this one and no other.
pub fn instance_key(server_name: &str, database_guid: Uuid) -> String {
    format!("inst:{}|{database_guid}", server_name.to_uppercase())
}

/// What makes a database this one and no other; `None` when the server does not say.
pub fn physical_key(seen: &IdentityFacts) -> Option<String> {
    match (seen.group_id, seen.group_database_id) {
        (Some(group), Some(database)) => Some(format!("ag:{group}:{database}")),
        _ => seen.database_guid.map(|guid| instance_key(&seen.server_name, guid)),
    }
}

fn mark(seen: &IdentityFacts) -> Option<&str> {
    seen.marks
        .get(MARK_UID)
        .map(String::as_str)
        .filter(|uid| !uid.is_empty())
}

/// The registered database that what was seen may be. `at_place`: the one that is registered under the very place.
pub fn candidate<'a>(
    all: &'a [Registered],
    at_place: Option<DatabaseId>,
    seen: &IdentityFacts,
) -> Option<&'a Registered> {
    let key = physical_key(seen);
    let plain = seen.database_guid.map(|guid| instance_key(&seen.server_name, guid));
    let by = |fits: &dyn Fn(&Registered) -> bool| all.iter().find(|r| fits(r));
    by(&|r| key.as_ref() == Some(&r.key))
        .or_else(|| by(&|r| plain.as_ref() == Some(&r.key)))
        .or_else(|| by(&|r| mark(seen).is_some_and(|uid| uid.eq_ignore_ascii_case(&r.id.to_string()))))
        .or_else(|| by(&|r| seen.group_database_id.is_some() && r.group_database_id == seen.group_database_id))
        .or_else(|| by(&|r| seen.database_guid.is_some() && r.database_guid == seen.database_guid))
        .or_else(|| by(&|r| Some(r.id) == at_place))
}

/// Which database it is. `old`: what the candidate's own place says.
pub fn verdict(candidate: Option<&Registered>, seen: &IdentityFacts, old: OldPlace) -> Verdict {
    if seen.updateability.as_deref().is_some_and(|u| u != "READ_WRITE") {
        return Verdict::NotWritable;
    }
    let Some(known) = candidate else {
        return if mark(seen).is_some() {
            Verdict::ForeignMarks
        } else {
            Verdict::New
        };
    };
    let key = physical_key(seen);
    let plain = seen.database_guid.map(|guid| instance_key(&seen.server_name, guid));
    if key.as_ref() == Some(&known.key) {
        return match old {
            // A server of the same name with an attached copy has the same key, and not what is written into the original.
            OldPlace::NonceNotSeen => Verdict::Twin,
            _ => at_home(known, seen),
        };
    }
    if plain.as_ref() == Some(&known.key) {
        // The same server and GUID, now in a group.
        return Verdict::Joined;
    }
    let marked = mark(seen).is_some_and(|uid| uid.eq_ignore_ascii_case(&known.id.to_string()));
    let same_group = seen.group_database_id.is_some() && known.group_database_id == seen.group_database_id;
    let same_guid = seen.database_guid.is_some() && known.database_guid == seen.database_guid;
    match old {
        OldPlace::SameKey | OldPlace::NonceSeen if key.as_ref().is_some_and(|k| k.starts_with("ag:")) => {
            Verdict::Joined
        }
        OldPlace::SameKey | OldPlace::NonceSeen => Verdict::Moved,
        OldPlace::SamePlace if same_group => Verdict::Joined,
        // The name is the same and the database is not.
        OldPlace::SamePlace if same_guid => Verdict::Moved,
        // Another GUID, and the marks that were put on this very one: its content was put back.
        OldPlace::SamePlace if marked => Verdict::RestoredInPlace,
        OldPlace::SamePlace => Verdict::Replaced,
        OldPlace::Gone if marked || same_guid || same_group => Verdict::Moved,
        OldPlace::AnotherDatabase | OldPlace::NonceNotSeen if marked => Verdict::Copy,
        // It has a server and a life of its own; that GUIDs are equal is what attaching a copy does.
        OldPlace::AnotherDatabase | OldPlace::NonceNotSeen | OldPlace::Gone => Verdict::New,
        OldPlace::Unreachable => Verdict::Undecidable,
    }
}

/// The key with which the registered place must be asked before there is a verdict; `None` where nothing depends on it.
pub fn must_ask(known: &Registered, at_place: Option<DatabaseId>, seen: &IdentityFacts) -> Option<String> {
    physical_key(seen).filter(|key| at_place != Some(known.id) && *key != known.key)
}

impl OldPlace {
    /// What an inventory of the registered place says of the database that was found with this key elsewhere.
    pub fn of(inventory: &Inventory, address: &DatabaseAddress, key: &str) -> Self {
        let same = |f: &&DatabaseFacts| {
            f.instance.eq_ignore_ascii_case(&address.instance) && f.name.eq_ignore_ascii_case(&address.database)
        };
        match inventory.databases.iter().find(same) {
            Some(there) if physical_key(&IdentityFacts::from(there)).as_deref() == Some(key) => OldPlace::SameKey,
            Some(_) => OldPlace::AnotherDatabase,
            // The instance answered, and what stands in the problems is only that there is no such database.
            None if inventory
                .instances
                .iter()
                .any(|i| i.name.eq_ignore_ascii_case(&address.instance))
                && !inventory.instances.iter().any(|i| has(i, &address.database)) =>
            {
                OldPlace::Gone
            }
            None => OldPlace::Unreachable,
        }
    }
}

fn has(instance: &crate::inventory::InstanceFacts, database: &str) -> bool {
    instance.databases.iter().any(|d| d.name.eq_ignore_ascii_case(database))
}

/// At the place where it is known: the same, or its content was put back.
fn at_home(known: &Registered, seen: &IdentityFacts) -> Verdict {
    let forked = known
        .recovery_fork_guid
        .zip(seen.recovery_fork_guid)
        .is_some_and(|(was, is)| was != is);
    let epoch = seen.marks.get(MARK_EPOCH).and_then(|e| e.parse::<i64>().ok());
    if forked || epoch.is_some_and(|e| e < known.fenced_epoch) {
        Verdict::RestoredInPlace
    } else {
        Verdict::Same
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ID: DatabaseId = DatabaseId(Uuid::from_u128(1));

    fn guid(n: u128) -> Option<Uuid> {
        Some(Uuid::from_u128(n))
    }

    /// ADSync on SQL01, registered under `SQL01/default`.
    fn known() -> Registered {
        Registered {
            id: ID,
            key: instance_key("SQL01", Uuid::from_u128(10)),
            database_guid: guid(10),
            recovery_fork_guid: guid(11),
            group_database_id: None,
            fenced_epoch: 4,
            free: false,
        }
    }

    fn seen() -> IdentityFacts {
        IdentityFacts {
            server_name: "SQL01".into(),
            database_guid: guid(10),
            family_guid: guid(12),
            recovery_fork_guid: guid(11),
            group_id: None,
            group_database_id: None,
            updateability: Some("READ_WRITE".into()),
            marks: BTreeMap::new(),
        }
    }

    fn marked(epoch: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(MARK_UID.into(), ID.to_string()), (MARK_EPOCH.into(), epoch.into())])
    }

    type Change = fn(&mut IdentityFacts);

    /// What somebody did, what is seen, what the registered place says, and the verdict.
    const TOPOLOGIES: &[(&str, Change, OldPlace, Verdict)] = &[
        ("the same name again", |_| {}, OldPlace::SamePlace, Verdict::Same),
        ("by its full name", |_| {}, OldPlace::SameKey, Verdict::Same),
        (
            "by its address",
            |s| s.server_name = "sql01".into(),
            OldPlace::SameKey,
            Verdict::Same,
        ),
        (
            "by host,port while the first name does not answer",
            |_| {},
            OldPlace::Unreachable,
            Verdict::Same,
        ),
        (
            "the instance was renamed",
            |s| s.server_name = "SQL01NEW".into(),
            OldPlace::SamePlace,
            Verdict::Moved,
        ),
        (
            "renamed, and asked for by another name",
            |s| s.server_name = "SQL01NEW".into(),
            OldPlace::SameKey,
            Verdict::Moved,
        ),
        (
            "detached here and attached there",
            |s| s.server_name = "SQL02".into(),
            OldPlace::Gone,
            Verdict::Moved,
        ),
        (
            "the files were copied and attached there",
            |s| s.server_name = "SQL02".into(),
            OldPlace::AnotherDatabase,
            Verdict::New,
        ),
        (
            "it joined an availability group",
            |s| (s.group_id, s.group_database_id) = (guid(20), guid(21)),
            OldPlace::SamePlace,
            Verdict::Joined,
        ),
        (
            "through the group's listener, on another replica",
            |s| {
                (s.group_id, s.group_database_id) = (guid(20), guid(21));
                (s.server_name, s.database_guid, s.marks) = ("SQL02".into(), guid(99), marked("4"));
            },
            OldPlace::NonceSeen,
            Verdict::Joined,
        ),
        (
            "a secondary that is not readable for writing",
            |s| s.updateability = Some("READ_ONLY".into()),
            OldPlace::SameKey,
            Verdict::NotWritable,
        ),
        (
            "restored over itself",
            |s| s.recovery_fork_guid = guid(98),
            OldPlace::SamePlace,
            Verdict::RestoredInPlace,
        ),
        (
            "restored to before the last fence",
            |s| s.marks = marked("3"),
            OldPlace::SamePlace,
            Verdict::RestoredInPlace,
        ),
        (
            "fenced since, and fine",
            |s| s.marks = marked("4"),
            OldPlace::SamePlace,
            Verdict::Same,
        ),
        (
            "dropped, and restored under its name",
            |s| s.database_guid = guid(97),
            OldPlace::SamePlace,
            Verdict::Replaced,
        ),
        (
            "restored over itself with a new GUID, and its own marks",
            |s| (s.database_guid, s.marks) = (guid(97), marked("3")),
            OldPlace::SamePlace,
            Verdict::RestoredInPlace,
        ),
        (
            "a marked copy restored elsewhere",
            |s| (s.server_name, s.database_guid, s.marks) = ("SQL02".into(), guid(96), marked("4")),
            OldPlace::AnotherDatabase,
            Verdict::Copy,
        ),
        (
            "a marked one, and a nonce that is not there",
            |s| (s.server_name, s.database_guid, s.marks) = ("SQL02".into(), guid(96), marked("4")),
            OldPlace::NonceNotSeen,
            Verdict::Copy,
        ),
        (
            "a marked one, while the registered place does not answer",
            |s| (s.server_name, s.database_guid, s.marks) = ("SQL02".into(), guid(96), marked("4")),
            OldPlace::Unreachable,
            Verdict::Undecidable,
        ),
        (
            "the same GUID elsewhere, while the registered place does not answer",
            |s| s.server_name = "SQL02".into(),
            OldPlace::Unreachable,
            Verdict::Undecidable,
        ),
        (
            "a restored copy without marks",
            |s| (s.server_name, s.database_guid) = ("SQL02".into(), guid(95)),
            OldPlace::AnotherDatabase,
            Verdict::New,
        ),
        (
            "a server of the same name with an attached copy, and a nonce that is not there",
            |_| {},
            OldPlace::NonceNotSeen,
            Verdict::Twin,
        ),
        (
            "another controller's marks",
            |s| {
                (s.server_name, s.database_guid) = ("SQL02".into(), guid(94));
                s.marks = BTreeMap::from([(MARK_UID.into(), Uuid::from_u128(77).to_string())]);
            },
            OldPlace::AnotherDatabase,
            Verdict::ForeignMarks,
        ),
    ];

    #[test]
    fn every_topology_has_its_verdict() {
        for (name, change, old, expected) in TOPOLOGIES {
            let (all, mut s) = ([known()], seen());
            change(&mut s);
            let at_place = (*old == OldPlace::SamePlace).then_some(ID);
            let found = verdict(candidate(&all, at_place, &s), &s, *old);
            assert_eq!(found, *expected, "{name}");
        }
    }

    #[test]
    fn one_in_a_group_is_known_through_every_replica() {
        let mut in_group = known();
        (in_group.key, in_group.group_database_id) = ("ag:x:y".into(), guid(21));
        let mut s = seen();
        (s.server_name, s.database_guid) = ("SQL02".into(), guid(99));
        (s.group_id, s.group_database_id) = (guid(20), guid(21));
        in_group.key = physical_key(&s).unwrap();
        let all = [in_group];
        assert_eq!(
            verdict(candidate(&all, None, &s), &s, OldPlace::Unreachable),
            Verdict::Same
        );
    }

    #[test]
    fn nothing_is_known_at_first() {
        assert_eq!(
            verdict(candidate(&[], None, &seen()), &seen(), OldPlace::Unreachable),
            Verdict::New
        );
    }
}
