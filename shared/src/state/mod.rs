//! States and their transitions. Every machine is a table: `next(state, event)` looks it up, the documents draw it, and
//! what is not in the table is an error with both names in it.

pub mod attempt;
pub mod gate;
pub mod job;
pub mod migration;
pub mod step;

pub use attempt::{AttemptEvent, AttemptState};
pub use gate::{GateEvent, GateState};
pub use job::{JobEvent, JobState};
pub use migration::{MigrationEvent, MigrationState};
pub use step::{StepEvent, StepState};

/// A transition that the table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {machine} that is {state} cannot take '{event}'")]
pub struct IllegalTransition {
    /// Which machine.
    pub machine: &'static str,
    /// The state it was in.
    pub state: &'static str,
    /// The event that it was given.
    pub event: &'static str,
}

/// A text that names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {machine} state")]
pub struct UnknownState {
    /// Which machine.
    pub machine: &'static str,
    /// What was given.
    pub text: String,
}

/// Defines the states, the events and the transition table of one machine.
#[macro_export]
#[doc(hidden)]
macro_rules! machine {
    (
        $machine:literal
        $(#[$sdoc:meta])* states $state:ident { $($(#[$svdoc:meta])* $sv:ident = $stext:literal,)* }
        $(#[$edoc:meta])* events $event:ident { $($(#[$evdoc:meta])* $ev:ident = $etext:literal,)* }
        table { $($from:ident + $on:ident => $to:ident,)* }
    ) => {
        $(#[$sdoc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $state { $($(#[$svdoc])* #[serde(rename = $stext)] $sv,)* }

        $(#[$edoc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $event { $($(#[$evdoc])* $ev,)* }

        impl $state {
            /// Every state.
            pub const ALL: &'static [$state] = &[$($state::$sv,)*];
            /// Every transition: from, event, to.
            pub const TABLE: &'static [($state, $event, $state)] = &[$(($state::$from, $event::$on, $state::$to),)*];

            /// The word for it, the same in the store, on the wire and on the screen.
            pub fn as_str(self) -> &'static str {
                match self { $($state::$sv => $stext,)* }
            }

            /// The state after `event`, or an error with both names.
            pub fn next(self, event: $event) -> Result<$state, $crate::state::IllegalTransition> {
                Self::TABLE.iter().find(|(from, on, _)| *from == self && *on == event).map(|(_, _, to)| *to).ok_or(
                    $crate::state::IllegalTransition { machine: $machine, state: self.as_str(), event: event.as_str() },
                )
            }

            /// Whether nothing leads out of it.
            pub fn is_final(self) -> bool {
                !Self::TABLE.iter().any(|(from, _, _)| *from == self)
            }
        }

        impl $event {
            /// Every event.
            pub const ALL: &'static [$event] = &[$($event::$ev,)*];
            /// The word for it.
            pub fn as_str(self) -> &'static str {
                match self { $($event::$ev => $etext,)* }
            }
        }

        impl std::fmt::Display for $state {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $state {
            type Err = $crate::state::UnknownState;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|s| s.as_str() == text).ok_or_else(|| {
                    $crate::state::UnknownState { machine: $machine, text: text.to_string() }
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state can be left or is meant to be final, can be reached, and survives its text form.
    macro_rules! check {
        ($state:ident, $event:ident, start $start:ident, final [$($f:ident),*]) => {{
            let finals = [$($state::$f),*];
            for s in $state::ALL {
                assert_eq!(s.is_final(), finals.contains(s), "{s}");
                assert_eq!(s.as_str().parse::<$state>().as_ref(), Ok(s));
                assert!(*s == $state::$start || $state::TABLE.iter().any(|(_, _, to)| to == s), "{s} is unreachable");
                for e in $event::ALL {
                    let hits = $state::TABLE.iter().filter(|(f, on, _)| f == s && on == e).count();
                    assert!(hits <= 1, "{s} + {} is ambiguous", e.as_str());
                    assert_eq!(s.next(*e).is_ok(), hits == 1);
                }
            }
        }};
    }

    #[test]
    fn tables_are_deterministic_reachable_and_end_where_meant() {
        check!(MigrationState, MigrationEvent, start Inspecting, final [Succeeded, Cancelled]);
        check!(JobState, JobEvent, start Waiting, final [Undone]);
        check!(StepState, StepEvent, start Pending, final [Undone]);
        check!(AttemptState, AttemptEvent, start Offered, final [Succeeded, Failed, Cancelled, Superseded]);
        check!(GateState, GateEvent, start Open, final [Proven, Cancelled]);
    }

    #[test]
    fn an_illegal_transition_names_both() {
        let e = MigrationState::Succeeded.next(MigrationEvent::Apply).unwrap_err();
        assert_eq!(e.to_string(), "a migration that is succeeded cannot take 'apply'");
    }
}
