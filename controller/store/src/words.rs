//! The words that enumerations have in a store, and how they are read back. Nothing else reads them.

/// Defines an enumeration with its words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $v:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $v,)* }
        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$v,)*];
            /// The word in the store, on the wire and on the screen.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$v => $text,)* }
            }
            /// Reads the word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
use syncferry_shared::lease::{LeaseEvent, LeaseKind, ProofKind};
pub(crate) use words;

/// Reads the word of a lease's kind.
pub fn lease_kind(text: &str) -> Option<LeaseKind> {
    [LeaseKind::Database, LeaseKind::TenantExport]
        .into_iter()
        .find(|k| k.as_str() == text)
}

/// Reads the word of a proof's kind.
pub fn proof_kind(text: &str) -> Option<ProofKind> {
    [
        ProofKind::NeverUsed,
        ProofKind::HolderStopped,
        ProofKind::SqlFenced,
        ProofKind::PowerOff,
        ProofKind::OperatorAttested,
    ]
    .into_iter()
    .find(|k| k.as_str() == text)
}

/// Reads the word of a lease's event.
pub fn lease_event(text: &str) -> Option<LeaseEvent> {
    LeaseEvent::ALL.iter().copied().find(|e| e.as_str() == text)
}
