//! What is left to do when Connect is seated on an existing database: the post-installation tasks of Microsoft's page, as a
//! checklist that fits one migration. An item is proven by what agents see, or attested by a named person. Pure: facts and events
//! in, items out.

mod items;
mod sights;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Millis;
use crate::connect_version::ConnectVersion;
use crate::event::Event;
use crate::ids::MigrationId;
use crate::inventory::AdsyncFacts;

pub use sights::sights;

/// The name of this shape.
pub const SCHEMA: &str = "syncferry.checklist.v1";
/// The event of an item that somebody attested.
pub const ATTESTED: &str = "checklist.attested";
/// The event of somebody's taking such a word back.
pub const WITHDRAWN: &str = "checklist.withdrawn";
/// The event of what agents saw of the items.
pub const SEEN: &str = "checklist.seen";

/// From here on password hash synchronisation and writeback are taken over whole.
const TAKES_OVER: ConnectVersion = ConnectVersion([1, 2, 65, 0]);

/// How people sign in, as the old server's settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignIn {
    /// Password hash synchronisation.
    PasswordHashSync,
    /// Pass-through authentication.
    PassThrough,
    /// Federation with AD FS.
    AdFs,
    /// Federation with PingFederate.
    PingFederate,
    /// Nothing is configured by Connect.
    NotConfigured,
    /// The settings do not say.
    Unknown,
}

impl SignIn {
    /// Reads `Microsoft.UserSignIn.SignOnMethod`. Its values are not published; those that were seen are understood.
    pub fn read(method: Option<&str>) -> Self {
        let Some(method) = method else { return SignIn::Unknown };
        let m = method.to_ascii_lowercase();
        if m.contains("passthrough") || m.contains("pass-through") {
            SignIn::PassThrough
        } else if m.contains("ping") {
            SignIn::PingFederate
        } else if m.contains("federation") || m.contains("adfs") {
            SignIn::AdFs
        } else if m.contains("passwordhash") {
            SignIn::PasswordHashSync
        } else if matches!(m.as_str(), "none" | "donotconfigure" | "do not configure" | "other") {
            SignIn::NotConfigured
        } else {
            SignIn::Unknown
        }
    }
}

/// What the checklist is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CareFacts {
    /// The new server's name.
    pub new_server: String,
    /// The old server's name, where one is known.
    pub old_server: Option<String>,
    /// The database as it was when the plan was made.
    pub before: Option<AdsyncFacts>,
    /// The version that is installed.
    pub installed: Option<ConnectVersion>,
    /// When Connect was installed on the new server.
    pub installed_at: Option<Millis>,
    /// When that installation began: runs on the new database from then on are the new server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub installing_since: Option<Millis>,
    /// Whether the database was in an availability group, and is used where it is.
    pub leaves_group: bool,
    /// Whether a full synchronisation is to be expected.
    pub full_sync_expected: bool,
}

impl CareFacts {
    fn setting(&self, name: &str) -> Option<&str> {
        Some(self.before.as_ref()?.config.settings.get(name)?.as_str())
    }
    fn is_on(&self, name: &str) -> bool {
        self.setting(name).is_some_and(on)
    }
    fn sign_in(&self) -> SignIn {
        SignIn::read(self.before.as_ref().and_then(|b| b.sign_on_method.as_deref()))
    }
    /// Whether a full import or synchronisation is to be expected, and nothing is wrong when it comes.
    fn predicts_full(&self) -> bool {
        self.full_sync_expected || self.before.as_ref().is_some_and(|b| !b.full_run_required.is_empty())
    }
    fn is_old(&self) -> bool {
        let version = self.before.as_ref().and_then(|b| b.connect_version);
        version.is_some_and(|v| v < TAKES_OVER)
    }
}

fn on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "enabled")
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    /// Nobody did it yet, as far as anybody knows.
    Open,
    /// Agents saw that it is so.
    Proven,
    /// A named person says so.
    Attested,
    /// Agents saw that it is not so.
    Contradicted,
}

impl ItemState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            ItemState::Open => "open",
            ItemState::Proven => "proven",
            ItemState::Attested => "attested",
            ItemState::Contradicted => "contradicted",
        }
    }
    /// Whether nothing more is to be done.
    pub fn is_done(self) -> bool {
        matches!(self, ItemState::Proven | ItemState::Attested)
    }
}

/// One thing to do, or to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id, stable over releases.
    pub id: String,
    /// What is to be so.
    pub title: String,
    /// Why, and what happens otherwise.
    pub why: String,
    /// What to do.
    pub how: String,
    /// Where that is said.
    pub source: String,
    /// Whether the server must not leave staging mode while it is open.
    pub matters: bool,
    /// Whether agents can see it.
    pub provable: bool,
    /// Where it stands.
    pub state: ItemState,
    /// Who brought it there.
    pub by: Option<String>,
    /// When.
    pub at: Option<Millis>,
    /// What they said or saw.
    pub evidence: Option<String>,
    /// Until when a person's word counts, where it does not count for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
}

/// A person's word that an item is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The item.
    pub item: String,
    /// Who says so.
    pub by: String,
    /// When.
    pub at: Millis,
    /// What was done, or why it need not be.
    pub reason: String,
    /// Until when it counts; `None` for good.
    pub until: Option<Millis>,
    /// Who took it back, if anybody did.
    pub withdrawn: Option<Withdrawal>,
}

/// A word that was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Who took it back.
    pub by: String,
    /// When.
    pub at: Millis,
    /// Why.
    pub reason: String,
}

impl Word {
    /// The word of an event from before words were kept as rows.
    fn of(event: &Event) -> Option<Self> {
        let text = |name: &str| event.payload.get(name).and_then(Value::as_str).map(str::to_string);
        if event.kind != ATTESTED || event.payload.get("attestation").is_some() {
            return None;
        }
        Some(Self {
            item: text("item")?,
            by: event.actor.clone(),
            at: event.at,
            reason: text("remark").unwrap_or_default(),
            until: None,
            withdrawn: None,
        })
    }
    /// Why it does not count any more at a moment; `None` where it does.
    fn void(&self, now: Millis) -> Option<Void> {
        match (&self.withdrawn, self.until) {
            (Some(w), _) => Some(Void {
                by: w.by.clone(),
                at: w.at,
                why: format!("withdrawn: {}; {} had said: {}", w.reason, self.by, self.reason),
            }),
            (None, Some(until)) if until <= now => Some(Void {
                by: self.by.clone(),
                at: self.at,
                why: format!("attested until {until}, which is over: {}", self.reason),
            }),
            _ => None,
        }
    }
}

/// What is left of a word that does not count any more.
struct Void {
    by: String,
    at: Millis,
    why: String,
}

/// The checklist of a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checklist {
    /// [`SCHEMA`].
    pub schema: String,
    /// The migration.
    pub migration: MigrationId,
    /// The new server's name.
    pub new_server: String,
    /// The items; those that matter come first.
    pub items: Vec<Item>,
}

impl Checklist {
    /// The checklist that fits, as it stands at `now`: with what agents saw, by the migration's events, and with what people said.
    pub fn of(migration: MigrationId, facts: &CareFacts, events: &[Event], words: &[Word], now: Millis) -> Self {
        let mut items = items::of(facts);
        items.sort_by_key(|i| !i.matters);
        let old: Vec<Word> = events.iter().filter_map(Word::of).collect();
        let mut said: Vec<Said<'_>> = old.iter().chain(words).map(Said::Word).collect();
        said.extend(events.iter().filter(|e| e.kind == SEEN).map(Said::Seen));
        // Where both are of one moment, what agents saw comes last: it is the stronger one.
        said.sort_by_key(|s| match s {
            Said::Word(w) => (w.at, 0),
            Said::Seen(e) => (e.at, 1),
        });
        for s in said {
            match s {
                Said::Word(word) => attested(&mut items, word, now),
                Said::Seen(event) => seen(&mut items, event),
            }
        }
        Self {
            schema: SCHEMA.to_string(),
            migration,
            new_server: facts.new_server.clone(),
            items,
        }
    }
    /// Items that matter and are not done: while there is one, the server must not leave staging mode.
    pub fn open_that_matter(&self) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(|i| i.matters && !i.state.is_done())
    }
    /// An item by its id.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|i| i.id == id)
    }
}

/// What is said of the items, by whom ever.
enum Said<'a> {
    Word(&'a Word),
    Seen(&'a Event),
}

/// What a person says of an item. The last word counts, except that it does not undo what agents saw: only another look does.
fn attested(items: &mut [Item], word: &Word, now: Millis) {
    let Some(item) = items.iter_mut().find(|i| i.id == word.item) else {
        return;
    };
    if matches!(item.state, ItemState::Proven | ItemState::Contradicted) {
        return;
    }
    if let Some(void) = word.void(now) {
        // An earlier or later word of somebody else may stand.
        if item.state == ItemState::Open {
            (item.by, item.at, item.evidence) = (Some(void.by), Some(void.at), Some(void.why));
        }
        return;
    }
    item.state = ItemState::Attested;
    item.by = Some(word.by.clone());
    item.at = Some(word.at);
    item.evidence = Some(word.reason.clone());
    item.until = word.until;
}

/// What agents saw of the items.
fn seen(items: &mut [Item], event: &Event) {
    let sights: Vec<Sight> = event
        .payload
        .get("sights")
        .cloned()
        .and_then(|v| serde_json::from_value(v).ok())
        .unwrap_or_default();
    for sight in sights {
        let Some(item) = items.iter_mut().find(|i| i.id == sight.item && i.provable) else {
            continue;
        };
        item.state = match (sight.holds, item.state) {
            (Some(true), _) => ItemState::Proven,
            (Some(false), _) => ItemState::Contradicted,
            // What was seen to be wrong is not wrong any more; that it is right is still for somebody to say.
            (None, ItemState::Contradicted | ItemState::Open) => ItemState::Open,
            (None, _) => continue,
        };
        item.by = Some(sight.by.clone());
        item.at = Some(event.at);
        item.evidence = Some(sight.found.clone());
        item.until = None;
    }
}

/// What was seen of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The item.
    pub item: String,
    /// Whether it is so; `None` where nothing speaks against it, which proves nothing.
    pub holds: Option<bool>,
    /// What was seen.
    pub found: String,
    /// By whom: `agent:SQL01`.
    pub by: String,
}
