//! The conformance suite: what every engine must do, written once against `dyn Store`. An engine's tests call
//! [`run_all`], [`hammer::run`] and [`property::leases`]. It panics where an engine is wrong, so it unwraps freely.

mod acceptances;
mod agents;
mod alarms;
mod artifacts;
mod attempts;
mod attestations;
pub mod contents;
mod databases;
mod events;
mod gates;
pub mod hammer;
mod hosts;
mod inspections;
mod item_words;
mod jobs;
mod leases;
mod meta;
mod migrations;
pub mod property;
mod terms;
mod tokens;
mod transactions;
mod world;

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Store;

/// Moves the store's clock. An engine with a clock of its own has a view of it that its tests replace.
#[async_trait]
pub trait Time: Send + Sync {
    /// Lets this many milliseconds pass.
    async fn advance(&self, ms: i64);
}

/// An empty store to be tested.
pub struct Bench {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Its clock.
    pub time: Arc<dyn Time>,
    /// What must live as long as the store, for example its folder.
    pub keep: Box<dyn Any + Send>,
}

type Case = fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($module:ident :: { $($case:ident),* $(,)? })*) => {
        &[$($((concat!(stringify!($module), "::", stringify!($case)), |b| Box::pin($module::$case(b)))),*),*]
    };
}

/// Every case, by name.
pub const CASES: &[(&str, Case)] = cases! {
    meta::{
        exists_from_the_beginning, a_restore_voids_every_token, a_new_incarnation_is_above_everything_seen,
        a_store_that_was_moved_stays_so, how_far_it_has_come_shows, a_recovery_ends_once_and_witnesses_speak_once,
    }
    hosts::{sites_are_unique_by_name_and_may_share_a_tenant, hosts_are_unique_by_name, facts_are_kept}
    agents::{enrol_hello_and_silence, a_reverted_journal_shows, entries_apply_once, an_old_generation_is_refused}
    tokens::{are_used_up_and_expire, operators_are_revoked_once}
    databases::{keys_and_names, identity_changes_and_retirement}
    inspections::{are_answered_once}
    migrations::{plan_and_transitions}
    jobs::{readiness_and_transitions, specification_and_results}
    attempts::{one_is_open_and_tokens_match_in_full, the_ended_never_change, steps_are_written_over}
    gates::{claim_and_proof}
    artifacts::{are_added_once}
    events::{chain_and_page, numbers_survive_their_text}
    leases::{
        a_whole_life, what_refuses_a_grant, expiry_only_loses, a_fence_frees_with_proof, break_glass_takes_two,
        doubt_ends_in_a_fence, another_session_is_adopted, there_are_no_short_cuts, kinds_are_apart, sites_of_one_tenant_share_its_export,
        the_history_is_told,
    }
    attestations::{
        a_word_waits_for_another_person, a_word_lapses, a_word_is_about_one_epoch_and_one_moment,
    }
    acceptances::{they_count_until_they_are_over, they_have_a_reason_and_a_future, the_newest_catalogue_counts}
    item_words::{they_are_said_and_taken_back, they_have_a_reason_and_what_they_take_back}
    terms::{one_leads_until_its_term_is_over, a_term_is_checked_where_it_counts}
    alarms::{one_is_open_for_a_subject, the_newest_look_is_kept}
    transactions::{dropped_means_undone, readers_see_one_instant, reading_writes_nothing, writers_take_turns}
};

/// A number from the environment: how long a test shall be.
pub fn from_env<N: std::str::FromStr>(name: &str, otherwise: N) -> N {
    let told = std::env::var(name).ok();
    told.and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// Runs every case, each on a store of its own that `make` gives.
pub async fn run_all<F, Fut>(make: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = Bench>,
{
    for (name, case) in CASES {
        // Shown only when the test fails, where it says which case it was.
        println!("case {name}");
        case(make().await).await;
    }
}
