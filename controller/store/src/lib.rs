//! The controller's store as it sees it: a `Store` that begins named transactions, and a `Tx` that is the sum of the
//! repositories, one file each. An engine has a file of the same name for each of them. No SQL here, and no decisions.
//!
//! ```ignore
//! let mut tx = store.begin("dispatch.report").await?;
//! tx.transition_job(job, JobState::Running, JobState::Succeeded).await?;
//! tx.append_event(NewEvent { .. }).await?;
//! tx.commit().await?;
//! ```

pub mod acceptances;
pub mod agents;
pub mod alarms;
pub mod artifacts;
pub mod attempts;
pub mod attestations;
pub mod audit;
pub mod catalogues;
pub mod databases;
pub mod error;
pub mod events;
pub mod gates;
pub mod hosts;
pub mod inspections;
pub mod item_words;
pub mod jobs;
pub mod lease_rules;
pub mod leases;
pub mod meta;
pub mod migrations;
pub mod operators;
pub mod orgs;
pub mod portable;
pub mod proofs;
pub mod recoveries;
pub mod sites;
pub mod steps;
pub mod store;
#[cfg(feature = "suite")]
pub mod suite;
pub mod terms;
pub mod tokens;
pub mod watches;
pub mod words;

pub use acceptances::{Acceptance, Acceptances, NewAcceptance};
pub use agents::{Agent, AgentState, Agents, Heard, Hello, NewAgent};
pub use alarms::{Alarm, Alarms, NewAlarm};
pub use artifacts::{Artifact, Artifacts, NewArtifact};
pub use attempts::{Attempt, Attempts, NewAttempt};
pub use attestations::{Attestation, AttestationState, Attestations, NewAttestation, Purpose};
pub use audit::{Audit, AuditFinding};
pub use catalogues::{Catalogues, ImportedCatalogue, NewCatalogue};
pub use databases::{Database, DatabaseGuids, Databases, IdentityState, NewDatabase};
pub use error::{Cause, Result, StoreError};
pub use events::Events;
pub use gates::{Gate, Gates, NewGate};
pub use hosts::{Host, HostRole, Hosts, NewHost};
pub use inspections::{Inspection, InspectionState, Inspections, NewInspection};
pub use item_words::{ItemWord, ItemWords, NewItemWord};
pub use jobs::{Job, JobFilter, Jobs, NewJob};
pub use leases::{By, Grant, LeaseChange, LeaseError, LeaseResult, Leases};
pub use meta::{Highest, Mark, Meta, Standing, StoreMeta, StoreState};
pub use migrations::{Migration, MigrationFilter, Migrations, NewMigration};
pub use operators::{NewOperator, Operator, Operators};
pub use orgs::{Org, Orgs};
pub use proofs::{NewProof, Proof, Proofs};
pub use recoveries::{NewWitness, Recoveries, Recovery, Way, Witness};
pub use sites::{NewSite, Site, Sites};
pub use steps::{Step, Steps};
pub use store::{Hints, Store, Tx};
pub use terms::{Term, Terms};
pub use tokens::{EnrolmentToken, NewToken, Tokens};
pub use watches::{Watch, Watches};
