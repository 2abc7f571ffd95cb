//! Transfers over real connections on this machine: mTLS, tickets, damage, resumption.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use syncferry_proto::transport::TicketClaims;
use syncferry_shared::artifact::{Manifest, SetHeader};
use syncferry_shared::{AgentId, ArtifactId, Clock, HostId, MigrationId, Millis};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::manifest::hash_blocking;
use super::*;
use crate::clocks::SystemClocks;
use crate::os::Native;
use crate::session::TicketKey;
use crate::testing::Authority;

const SOURCE: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120002";
const TARGET: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120003";
const OTHER: &str = "01932c5e-7d3a-7c1b-9f3e-0242ac120004";

fn agent(id: &str) -> AgentId {
    id.parse().unwrap()
}

struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
    }

    fn sign(&self, claims: TicketClaims) -> String {
        let random = SystemRandom::new();
        let signature = self.0.sign(&random, &claims.signed_bytes()).unwrap();
        claims.ticket(signature.as_ref())
    }

    fn key(&self) -> TicketKey {
        let key = TicketKey::default();
        key.set_from(&data_encoding::BASE64.encode(self.0.public_key().as_ref()))
            .unwrap();
        key
    }
}

/// An agent that hands one artifact out, and everything that fetching it takes.
struct Fair {
    dir: tempfile::TempDir,
    authority: Authority,
    signer: Arc<Signer>,
    address: String,
    manifest: Manifest,
    stop: CancellationToken,
}

impl Drop for Fair {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The bytes of a file of `size`, none like its neighbour.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn fair(size: usize, chunk_size: u64) -> Fair {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("source.bak");
    std::fs::write(&file, bytes(size)).unwrap();
    let hashed = hash_blocking(&file, chunk_size, "", None, &CancellationToken::new()).unwrap();
    let artifact = ArtifactId::new(Millis(1), &[1; 10]);
    let manifest = Manifest {
        artifact,
        migration: MigrationId(Uuid::nil()),
        host: HostId(Uuid::nil()),
        path: file.to_str().unwrap().into(),
        size: hashed.size,
        chunk_size,
        chunks: hashed.chunks,
        root: hashed.root,
        header: header(),
        taken_at: Millis(0),
    };
    let data = dir.path().join("source-data");
    std::fs::create_dir(&data).unwrap();
    let artifacts = Artifacts::new(&data);
    artifacts.put(&manifest).unwrap();
    let (authority, signer) = (Authority::new(), Arc::new(Signer::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let counter = Counter {
        agent: agent(SOURCE),
        ticket_key: signer.key(),
        artifacts,
        host: Arc::new(Native),
        clocks: Arc::new(SystemClocks),
    };
    let stop = CancellationToken::new();
    let (identity, ca, stopped) = (authority.agent(agent(SOURCE)), authority.pem(), stop.clone());
    tokio::spawn(async move { serve(listener, &identity, &ca, counter, stopped).await });
    Fair {
        dir,
        authority,
        signer,
        address,
        manifest,
        stop,
    }
}

fn header() -> SetHeader {
    SetHeader {
        backup_set_guid: Uuid::nil(),
        family_guid: Uuid::nil(),
        binding_id: Uuid::nil(),
        database_name: "ADSync".into(),
        server_name: "S".into(),
        software_major: 15,
        database_version: 904,
        description: String::new(),
        first_lsn: "1".into(),
        last_lsn: "2".into(),
        checkpoint_lsn: "1".into(),
        collation: String::new(),
        backup_size: 1,
        files: Vec::new(),
    }
}

/// Tickets as the test wants them.
struct Desk {
    signer: Arc<Signer>,
    claims: TicketClaims,
    address: String,
    given: AtomicU32,
    /// The first ticket is already over.
    first_is_old: bool,
}

#[async_trait]
impl Tickets for Desk {
    async fn ticket(&self) -> Result<Ticket, TransferError> {
        let given = self.given.fetch_add(1, Ordering::SeqCst);
        let mut claims = self.claims;
        if self.first_is_old && given == 0 {
            claims.expires_at = Millis(1);
        }
        Ok(Ticket {
            text: self.signer.sign(claims),
            source: agent(SOURCE),
            address: self.address.clone(),
        })
    }
}

impl Fair {
    fn desk(&self, change: impl FnOnce(&mut Desk)) -> Arc<Desk> {
        let mut desk = Desk {
            signer: Arc::clone(&self.signer),
            claims: TicketClaims {
                artifact: self.manifest.artifact,
                source_agent: agent(SOURCE),
                target_agent: agent(TARGET),
                expires_at: SystemClocks.now().plus(60_000),
            },
            address: self.address.clone(),
            given: AtomicU32::new(0),
            first_is_old: false,
        };
        change(&mut desk);
        Arc::new(desk)
    }

    fn dial(&self, as_agent: &str) -> DialAs {
        DialAs {
            identity: self.authority.agent(agent(as_agent)),
            ca_pem: self.authority.pem(),
        }
    }

    fn destination(&self) -> PathBuf {
        self.dir.path().join("target.bak")
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            artifact: self.manifest.artifact,
            manifest_digest: self.manifest.digest(),
            size: self.manifest.size,
            root: self.manifest.root.clone(),
            destination: self.destination(),
        }
    }

    async fn fetch(&self, desk: Arc<Desk>, dial: &DialAs) -> Result<Manifest, TransferError> {
        fetch(&self.wanted(), desk, dial, None, CancellationToken::new()).await
    }

    async fn fetch_plainly(&self) -> Result<Manifest, TransferError> {
        self.fetch(self.desk(|_| {}), &self.dial(TARGET)).await
    }

    fn source(&self) -> PathBuf {
        PathBuf::from(&self.manifest.path)
    }
}

fn partial(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn an_artifact_arrives_whole_and_under_its_name_only_then() {
    for (size, chunk) in [(0, 1 << 20), (1, 1 << 20), (3_000_000, 1 << 20), (5_000_000, 100_000)] {
        let fair = fair(size, chunk).await;
        assert_eq!(fair.fetch_plainly().await.unwrap(), fair.manifest, "{size} bytes");
        assert_eq!(std::fs::read(fair.destination()).unwrap(), bytes(size));
        assert!(!partial(&fair.destination(), ".partial").exists());
        assert!(!partial(&fair.destination(), ".partial.map").exists());
        // Again: it is there, and nothing is fetched.
        std::fs::remove_file(fair.source()).unwrap();
        assert_eq!(fair.fetch_plainly().await.unwrap(), fair.manifest);
    }
}

#[tokio::test]
async fn a_chunk_that_is_damaged_at_the_source_is_named_after_three_tries() {
    let fair = fair(1_000_000, 100_000).await;
    let mut damaged = bytes(1_000_000);
    damaged[712_345] ^= 1;
    std::fs::write(fair.source(), damaged).unwrap();
    let e = fair.fetch_plainly().await.unwrap_err();
    assert!(matches!(e, TransferError::Chunk { index: 7, tries: 3 }), "{e}");
    let finding = e.finding();
    assert_eq!(
        (finding.rule.as_str(), finding.evidence[0].looked_at.as_str()),
        ("transfer-chunk-damaged", "BLAKE3 of chunk 7")
    );
    assert!(!fair.destination().exists());
    // What is right stays: when the source is right again, only the rest is fetched.
    std::fs::write(fair.source(), bytes(1_000_000)).unwrap();
    let map = std::fs::read(partial(&fair.destination(), ".partial.map")).unwrap();
    let marks = map.rsplit(|b| *b == b'\n').next().unwrap();
    assert_eq!(marks[7], b'.');
    fair.fetch_plainly().await.unwrap();
    assert_eq!(std::fs::read(fair.destination()).unwrap(), bytes(1_000_000));
}

#[tokio::test]
async fn what_arrived_before_a_crash_is_not_fetched_again_and_what_the_disk_lost_is() {
    let fair = fair(1_000_000, 100_000).await;
    let manifest = Arc::new(fair.manifest.clone());
    // A process that died: five chunks are marked, and the disk lost one of them.
    let before = super::partial::Partial::open(&fair.destination(), &manifest).unwrap();
    for index in 0..5_u32 {
        let begin = index as usize * 100_000;
        before
            .put(index, begin as u64, &bytes(1_000_000)[begin..begin + 100_000])
            .unwrap();
    }
    before.put(2, 200_000, &vec![0; 100_000]).unwrap();
    drop(before);
    let again = super::partial::Partial::open(&fair.destination(), &manifest).unwrap();
    assert_eq!(again.missing(), [5, 6, 7, 8, 9]);
    drop(again);
    fair.fetch_plainly().await.unwrap();
    assert_eq!(std::fs::read(fair.destination()).unwrap(), bytes(1_000_000));
}

#[tokio::test]
async fn marks_of_another_artifact_are_not_believed() {
    let fair = fair(1_000_000, 100_000).await;
    let mut other = fair.manifest.clone();
    other.taken_at = Millis(9);
    let before = super::partial::Partial::open(&fair.destination(), &other).unwrap();
    before.put(0, 0, &vec![7; 100_000]).unwrap();
    drop(before);
    let now = super::partial::Partial::open(&fair.destination(), &fair.manifest).unwrap();
    assert_eq!(now.missing().len(), 10);
}

#[tokio::test]
async fn only_the_named_agent_with_a_good_ticket_gets_it() {
    let fair = fair(1_000, 1_000).await;
    let refused = async |desk: Arc<Desk>, dial: DialAs| match fair.fetch(desk, &dial).await {
        Err(TransferError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(fair.desk(|_| {}), fair.dial(OTHER)).await;
    assert!(why.contains("another target agent"), "{why}");
    let why = refused(fair.desk(|d| d.claims.source_agent = agent(OTHER)), fair.dial(TARGET)).await;
    assert!(why.contains("another source agent"), "{why}");
    let why = refused(fair.desk(|d| d.claims.expires_at = Millis(1)), fair.dial(TARGET)).await;
    assert!(why.contains("expired"), "{why}");
    let why = refused(fair.desk(|d| d.signer = Arc::new(Signer::new())), fair.dial(TARGET)).await;
    assert!(why.contains("signature"), "{why}");
    let unknown = ArtifactId::new(Millis(2), &[2; 10]);
    let why = refused(fair.desk(|d| d.claims.artifact = unknown), fair.dial(TARGET)).await;
    assert!(why.contains("does not have artifact"), "{why}");
    assert!(!fair.destination().exists());
}

#[tokio::test]
async fn a_ticket_that_ran_out_is_replaced() {
    let fair = fair(1_000, 1_000).await;
    let desk = fair.desk(|d| d.first_is_old = true);
    fair.fetch(Arc::clone(&desk), &fair.dial(TARGET)).await.unwrap();
    assert_eq!(desk.given.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn another_manifest_than_the_jobs_is_not_believed() {
    let fair = fair(1_000, 1_000).await;
    let mut wanted = fair.wanted();
    wanted.manifest_digest = "0".repeat(64);
    let fetched = fetch(
        &wanted,
        fair.desk(|_| {}),
        &fair.dial(TARGET),
        None,
        CancellationToken::new(),
    )
    .await;
    assert!(matches!(fetched, Err(TransferError::Manifest(_))), "{fetched:?}");
}

#[tokio::test]
async fn another_file_under_its_name_is_not_touched() {
    let fair = fair(1_000, 1_000).await;
    std::fs::write(fair.destination(), b"somebody's").unwrap();
    assert!(matches!(fair.fetch_plainly().await, Err(TransferError::Whole { .. })));
    assert_eq!(std::fs::read(fair.destination()).unwrap(), b"somebody's");
}

#[tokio::test]
async fn it_stops_when_asked() {
    let fair = fair(1_000_000, 1_000).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let fetched = fetch(&fair.wanted(), fair.desk(|_| {}), &fair.dial(TARGET), None, cancel).await;
    assert!(matches!(fetched, Err(TransferError::Cancelled)), "{fetched:?}");
    assert!(!fair.destination().exists());
}

#[tokio::test]
async fn a_disk_without_room_is_seen_before_the_first_byte() {
    let fair = fair(1_000, 1_000).await;
    let mut manifest = fair.manifest.clone();
    // More than any disk that a test runs on has.
    (manifest.size, manifest.chunk_size) = (1 << 60, 64 << 20);
    let error = super::partial::Partial::open(&fair.destination(), &manifest).unwrap_err();
    if std::env::var_os("SYNCFERRY_UNDER_WINE").is_some() {
        // Wine says "not enough memory" where Windows says 112.
        return;
    }
    let e = TransferError::disk(&fair.destination(), error);
    assert!(
        matches!(e, TransferError::Full { room: Some((needed, free)), .. } if needed == 1 << 60 && free > 0),
        "{e:?}"
    );
    assert_eq!(
        super::taken_up(&fair.destination()),
        0,
        "what was of no use was given back"
    );
    // With room, the same folder serves.
    fair.fetch_plainly().await.unwrap();
    assert_eq!(super::taken_up(&fair.destination()), 1_000);
}

#[test]
fn what_a_transfer_says_when_it_stops() {
    let path = PathBuf::from(r"D:\Syncferry\staging\0a1b2c3d\000000a7.bak");
    let disk = |kind| TransferError::disk(&path, std::io::Error::from(kind));
    let all = [
        TransferError::Cancelled,
        TransferError::Unreachable("transport error: Connection refused (os error 111)".into()),
        TransferError::Refused("the backup file has 12 bytes where its manifest says 1000".into()),
        TransferError::Manifest("it is not the one that the job was made for".into()),
        TransferError::Chunk { index: 7, tries: 3 },
        TransferError::Whole {
            path: path.clone(),
            chunks: (0..12).collect(),
        },
        TransferError::disk(
            &path,
            super::error::NoRoom {
                needed: 8 << 30,
                free: 1 << 30,
            }
            .into(),
        ),
        disk(std::io::ErrorKind::StorageFull),
        disk(std::io::ErrorKind::PermissionDenied),
    ];
    let said = all.map(|e| {
        let f = e.finding();
        assert!(f.blocks() && !f.evidence.is_empty(), "{f:?}");
        let evidence: Vec<String> = f
            .evidence
            .iter()
            .map(|e| format!("  {}: {}", e.looked_at, e.found))
            .collect();
        format!(
            "{}: {}\n{}\n  source: {}\n  next: {}\n",
            f.rule,
            f.title,
            evidence.join("\n"),
            f.source,
            f.next_step
        )
    });
    insta::assert_snapshot!(said.join("\n"));
}
