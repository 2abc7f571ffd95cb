//! Everything that the store holds, as maps that are cheap to copy: a transaction works on a copy, and only the maps that it
//! changes are copied in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use syncferry_shared::event::{Event, StreamKind};
use syncferry_shared::lease::{Lease, Resource};
use syncferry_shared::{
    AlarmId, ArtifactId, AttestationId, DatabaseId, GateId, HostId, InspectionId, JobId, MigrationId, OperatorId,
    OrgId, SiteId,
};
use syncferry_store::{
    Agent, Alarm, Artifact, Attempt, Attestation, Database, EnrolmentToken, Gate, Host, Inspection, Job, LeaseChange,
    Migration, Operator, Org, Proof, Recovery, Site, Standing, Step, StoreMeta, Term, Watch, Witness,
};

/// A table. `Arc::make_mut` copies it when a transaction changes it first.
pub(crate) type Table<K, V> = Arc<BTreeMap<K, V>>;

/// A stream of events.
pub(crate) type Stream = (&'static str, String);

/// Everything.
#[derive(Clone)]
pub(crate) struct Data {
    pub(crate) meta: StoreMeta,
    pub(crate) standing: Standing,
    pub(crate) default_org: OrgId,
    pub(crate) orgs: Table<OrgId, Org>,
    pub(crate) sites: Table<SiteId, Site>,
    pub(crate) hosts: Table<HostId, Host>,
    /// One per host.
    pub(crate) agents: Table<HostId, Agent>,
    pub(crate) tokens: Table<String, EnrolmentToken>,
    pub(crate) operators: Table<OperatorId, Operator>,
    pub(crate) databases: Table<DatabaseId, Database>,
    /// By the name with its letters folded: the name as it was first given, and whose it is.
    pub(crate) endpoints: Table<String, (String, DatabaseId)>,
    pub(crate) leases: Table<Resource, Lease>,
    /// By resource; in the order in which they came.
    pub(crate) proofs: Table<Resource, Vec<Proof>>,
    pub(crate) history: Table<Resource, Vec<LeaseChange>>,
    pub(crate) inspections: Table<InspectionId, Inspection>,
    pub(crate) migrations: Table<MigrationId, Migration>,
    pub(crate) jobs: Table<JobId, Job>,
    /// By job, oldest first.
    pub(crate) attempts: Table<JobId, Vec<Attempt>>,
    /// By job, attempt and place.
    pub(crate) steps: Table<(JobId, i32, i32), Step>,
    pub(crate) gates: Table<GateId, Gate>,
    pub(crate) artifacts: Table<ArtifactId, Artifact>,
    pub(crate) events: Table<Stream, Arc<Vec<Event>>>,
    pub(crate) attestations: Table<AttestationId, Attestation>,
    pub(crate) acceptances: Table<syncferry_shared::AcceptanceId, syncferry_store::Acceptance>,
    pub(crate) item_words: Table<syncferry_shared::WordId, syncferry_store::ItemWord>,
    /// By the number of the import.
    pub(crate) catalogues: Table<i64, syncferry_store::ImportedCatalogue>,
    pub(crate) alarms: Table<AlarmId, Alarm>,
    /// One per host.
    pub(crate) watches: Table<HostId, Watch>,
    pub(crate) term: Option<Term>,
    pub(crate) recoveries: Table<i64, Recovery>,
    pub(crate) witnesses: Table<HostId, Witness>,
    /// The hash of every event, in the order in which they came.
    pub(crate) positions: Arc<Vec<[u8; 64]>>,
}

impl Data {
    /// Nothing but the store's identity and the default organisation.
    pub(crate) fn new(meta: StoreMeta, org: Org) -> Self {
        Self {
            meta,
            standing: Standing::live(),
            default_org: org.id,
            orgs: Arc::new(BTreeMap::from([(org.id, org)])),
            sites: Arc::default(),
            hosts: Arc::default(),
            agents: Arc::default(),
            tokens: Arc::default(),
            operators: Arc::default(),
            databases: Arc::default(),
            endpoints: Arc::default(),
            leases: Arc::default(),
            proofs: Arc::default(),
            history: Arc::default(),
            inspections: Arc::default(),
            migrations: Arc::default(),
            jobs: Arc::default(),
            attempts: Arc::default(),
            steps: Arc::default(),
            gates: Arc::default(),
            artifacts: Arc::default(),
            events: Arc::default(),
            attestations: Arc::default(),
            acceptances: Arc::default(),
            item_words: Arc::default(),
            catalogues: Arc::default(),
            alarms: Arc::default(),
            watches: Arc::default(),
            term: None,
            recoveries: Arc::default(),
            witnesses: Arc::default(),
            positions: Arc::default(),
        }
    }
}

/// The key of a stream.
pub(crate) fn stream(kind: StreamKind, id: &str) -> Stream {
    (kind.as_str(), id.to_string())
}

/// A name with its ASCII letters folded, as the other engines compare names.
pub(crate) fn folded(name: &str) -> String {
    name.to_ascii_lowercase()
}
