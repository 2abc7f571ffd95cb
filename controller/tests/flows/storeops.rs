//! Backup, verify, restore and migrate-store on stores with random contents, on both engines.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use syncferry_controller::config::Config;
use syncferry_controller::storeops::compare::{self, Compared};
use syncferry_controller::storeops::progress::Progress;
use syncferry_controller::storeops::{backup, migrate, restore, verify};
use syncferry_controller::{recovery, store};
use syncferry_shared::Millis;
use syncferry_store::StoreState;
use syncferry_store::suite::contents;
use syncferry_store_postgres::server::Server;
use syncferry_store_sqlite::SystemClock;

const NOW: Millis = Millis(1_800_000_000_000);

struct Place {
    folder: tempfile::TempDir,
    config: Config,
}

impl Place {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            data_dir: folder.path().join("data"),
            ..Config::default()
        };
        std::fs::create_dir_all(&config.data_dir).unwrap();
        Self { folder, config }
    }

    async fn postgres() -> Self {
        let mut place = Self::sqlite();
        place.config.store = Server::shared().await.database().await.as_str().into();
        place
    }

    async fn of(engine: usize) -> Self {
        match engine {
            0 => Self::sqlite(),
            _ => Self::postgres().await,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn filled(self, parts: &[contents::Part]) -> Self {
        let store = store::open(&self.config, std::sync::Arc::new(SystemClock))
            .await
            .unwrap();
        contents::fill(&*store, parts).await;
        store.shut_down().await;
        self
    }

    /// A backup, with the folder in which it is.
    async fn backup_kept(self, name: &str) -> (Place, PathBuf) {
        let file = self.backup(name).await;
        (self, file)
    }

    async fn backup(&self, name: &str) -> PathBuf {
        backup(&self.config, &self.path(name)).await.unwrap().file
    }
}

async fn backup(config: &Config, to: &Path) -> anyhow::Result<backup::Written> {
    let ask = backup::Ask {
        to,
        config_file: None,
        identity: true,
        quiet: true,
    };
    backup::backup(config, ask, NOW).await
}

async fn restore(config: &Config, from: &Path, replace: bool) -> anyhow::Result<restore::Restored> {
    let ask = restore::Ask {
        from,
        replace,
        identity: true,
        quiet: true,
    };
    restore::restore(config, ask, NOW).await
}

async fn differences(a: &Config, b: &Config) -> Vec<Compared> {
    let quiet = || Progress::new("", 0, true);
    let here = compare::hashes(&mut *store::export(a).await.unwrap(), &mut quiet())
        .await
        .unwrap();
    let there = compare::hashes(&mut *store::export(b).await.unwrap(), &mut quiet())
        .await
        .unwrap();
    compare::compare(&here, &there)
        .into_iter()
        .filter(|c| !c.same)
        .collect()
}

fn some() -> Vec<contents::Part> {
    contents::any()
        .new_tree(&mut TestRunner::deterministic())
        .unwrap()
        .current()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, max_shrink_iters: 20, ..ProptestConfig::default() })]

    /// What a restore changes is what it must: incarnation, leases and their histories. Everything else is row for row as it
    /// was, whichever engine wrote it and whichever takes it.
    #[test]
    fn a_restored_store_is_the_old_one_in_a_new_incarnation(parts in contents::any(), from in 0..2usize, to in 0..2usize) {
        runtime().block_on(async {
            let old = Place::of(from).await.filled(&parts).await;
            let file = old.backup("one.backup").await;
            let verdict = verify::backup(&file, true).await.unwrap();
            assert_eq!(verdict.findings, vec![]);
            let new = Place::of(to).await;
            let restored = restore(&new.config, &file, false).await.unwrap();
            assert_eq!(restored.incarnation, restored.incarnation_was + 1);
            assert_eq!(verify::live(&new.config).await.unwrap().findings, vec![]);
            let changed: Vec<String> = differences(&old.config, &new.config).await.into_iter().map(|c| c.table).collect();
            let may = ["alarm", "event", "lease", "lease_event", "store_meta", "store_recovery"];
            assert!(changed.iter().all(|t| may.contains(&t.as_str())), "{changed:?}");
            assert!(changed.contains(&"store_meta".to_string()));
            // And it can be backed up again, and is a store that a controller opens.
            new.backup("two.backup").await;
            store::open(&new.config, std::sync::Arc::new(SystemClock)).await.unwrap();
        });
    }

    #[test]
    fn a_moved_store_is_the_same_row_by_row(parts in contents::any(), from in 0..2usize) {
        runtime().block_on(async {
            let old = Place::of(from).await.filled(&parts).await;
            let new = Place::of(1 - from).await;
            let moved = migrate::migrate(&old.config, &new.config, true).await.unwrap();
            assert!(moved.tables.iter().all(|t| t.same && t.here == t.there));
            assert_eq!(differences(&old.config, &new.config).await, vec![]);
            assert_eq!(verify::live(&new.config).await.unwrap().findings, vec![]);
            // The old one is not used again; the new one is.
            let refused = store::open(&old.config, std::sync::Arc::new(SystemClock)).await.err().unwrap();
            assert!(format!("{refused:#}").contains("was moved to"), "{refused:#}");
            let again = migrate::migrate(&old.config, &new.config, true).await.unwrap_err();
            assert!(format!("{again:#}").contains("already"), "{again:#}");
            let store = store::open(&new.config, std::sync::Arc::new(SystemClock)).await.unwrap();
            // Counters go on behind what was copied.
            contents::fill(&*store, &parts).await;
        });
    }
}

#[test]
fn a_byte_that_changed_anywhere_is_found() {
    runtime().block_on(async {
        let place = Place::sqlite().filled(&some()).await;
        let file = place.backup("one.backup").await;
        let whole = std::fs::read(&file).unwrap();
        let bad = place.path("bad.backup");
        // Every place would take minutes; these are spread over the whole file, and the ends of it are tried in full.
        let near_the_ends = (0..120).chain(whole.len() - 120..whole.len());
        let spread = (0..whole.len()).step_by((whole.len() / 400).max(1));
        for at in near_the_ends.chain(spread) {
            for bit in [1, 0x20] {
                let mut damaged = whole.clone();
                damaged[at] ^= bit;
                std::fs::write(&bad, &damaged).unwrap();
                let read = read_through(&bad);
                assert!(read.is_err(), "byte {at} of {} with bit {bit}", whole.len());
            }
        }
        for cut in [0, 1, whole.len() / 2, whole.len() - 80, whole.len() - 1] {
            std::fs::write(&bad, &whole[..cut]).unwrap();
            assert!(read_through(&bad).is_err(), "cut at {cut}");
        }
        std::fs::write(&bad, [&whole[..], b"\n"].concat()).unwrap();
        let refused = verify::backup(&bad, true).await.unwrap_err();
        assert!(format!("{refused:#}").contains("damaged"), "{refused:#}");
        std::fs::write(&bad, &whole).unwrap();
        assert_eq!(verify::backup(&bad, true).await.unwrap().findings, vec![]);
    });
}

/// Reads a backup as `verify` does, without asking its rows.
fn read_through(path: &Path) -> anyhow::Result<()> {
    use syncferry_controller::storeops::file::{Item, Reader};
    let mut reader = Reader::open(path)?;
    while !matches!(reader.item()?, Item::End(..)) {}
    Ok(())
}

#[test]
fn a_doctored_backup_with_the_right_hash_is_found_by_its_rows() {
    runtime().block_on(async {
        let place = Place::sqlite().filled(&some()).await;
        let file = place.backup("one.backup").await;
        let text = std::fs::read_to_string(&file).unwrap();
        // An event's words are changed, and the hash is made anew.
        let doctored = text.replacen("\"lease.create\"", "\"lease.creatf\"", 1);
        assert_ne!(doctored, text);
        let body = &doctored[..doctored.rfind("blake3 ").unwrap()];
        let doctored = format!("{body}blake3 {}\n", blake3::hash(body.as_bytes()).to_hex());
        let bad = place.path("bad.backup");
        std::fs::write(&bad, doctored).unwrap();
        let verdict = verify::backup(&bad, true).await.unwrap();
        assert!(
            verdict.findings.iter().any(|(i, _, _)| i == "chain"),
            "{:?}",
            verdict.findings
        );
        let refused = restore(&Place::sqlite().config, &bad, false).await.unwrap_err();
        assert!(format!("{refused:#}").contains("chain"), "{refused:#}");
    });
}

#[test]
fn a_store_without_its_guards_is_found_out() {
    runtime().block_on(async {
        for engine in 0..2 {
            let place = Place::of(engine).await.filled(&some()).await;
            assert_eq!(verify::live(&place.config).await.unwrap().findings, vec![]);
            drop_trigger(&place.config).await;
            let found = verify::live(&place.config).await.unwrap().findings;
            assert!(
                found
                    .iter()
                    .any(|(i, s, _)| i == "guards" && s.contains("lease_delete")),
                "{found:?}"
            );
        }
    });
}

/// A person with a SQL shell.
async fn drop_trigger(config: &Config) {
    use sqlx::Connection as _;
    match store::file(config).unwrap() {
        Some(file) => {
            let mut conn = sqlx::SqliteConnection::connect(&format!("sqlite:{}", file.display()))
                .await
                .unwrap();
            sqlx::raw_sql("DROP TRIGGER lease_delete")
                .execute(&mut conn)
                .await
                .unwrap();
        }
        None => {
            let syncferry_controller::config::Engine::Postgres(url) = config.store.engine().unwrap() else {
                unreachable!("a store without a file is PostgreSQL");
            };
            let mut conn = sqlx::PgConnection::connect(&url).await.unwrap();
            let asleep = "ALTER TABLE lease DISABLE TRIGGER lease_delete";
            sqlx::raw_sql(asleep).execute(&mut conn).await.unwrap();
        }
    }
}

#[test]
fn a_restore_replaces_nothing_unasked_and_a_backup_never() {
    runtime().block_on(async {
        for engine in 0..2 {
            let place = Place::of(engine).await.filled(&some()).await;
            let file = place.backup("one.backup").await;
            let refused = backup(&place.config, &file).await.unwrap_err();
            assert!(format!("{refused:#}").contains("there already"), "{refused:#}");
            let named = backup(&place.config, place.folder.path()).await.unwrap().file;
            assert!(named.is_file() && named.parent() == Some(place.folder.path()));
            let refused = restore(&place.config, &file, false).await.unwrap_err();
            assert!(format!("{refused:#}").contains("--replace"), "{refused:#}");
            assert_eq!(differences(&place.config, &place.config).await, vec![]);
            let restored = restore(&place.config, &file, true).await.unwrap();
            let aside = restored.put_aside.unwrap();
            assert!(aside.is_file(), "{}", aside.display());
            // Restored twice from one backup: the second one is above the first one in everything.
            let again = restore(&place.config, &file, true).await.unwrap();
            assert_eq!(again.incarnation, restored.incarnation + 1);
        }
    });
}

#[test]
fn nothing_is_restored_or_moved_under_a_running_controller() {
    runtime().block_on(async {
        for engine in 0..2 {
            let place = Place::of(engine).await.filled(&some()).await;
            let running = store::open(&place.config, std::sync::Arc::new(SystemClock))
                .await
                .unwrap();
            let _use = running.read("test").await.unwrap();
            // A backup and a look are for a store in use.
            let file = place.backup("one.backup").await;
            assert_eq!(verify::live(&place.config).await.unwrap().findings, vec![]);
            for refused in [
                restore(&place.config, &file, true)
                    .await
                    .err()
                    .map(|e| format!("{e:#}")),
                migrate::migrate(&place.config, &Place::of(1 - engine).await.config, true)
                    .await
                    .err()
                    .map(|e| format!("{e:#}")),
            ] {
                let refused = refused.unwrap();
                assert!(refused.contains("in use by another controller"), "{refused}");
            }
        }
    });
}

#[test]
fn an_interrupted_move_is_finished_or_given_up() {
    runtime().block_on(async {
        let (old, new) = (Place::sqlite().filled(&some()).await, Place::postgres().await);
        // A place that holds a store is refused, and nothing changes.
        let taken = Place::postgres().await.filled(&some()).await;
        let refused = migrate::migrate(&old.config, &taken.config, true).await.unwrap_err();
        assert!(format!("{refused:#}").contains("must be empty"), "{refused:#}");
        store::open(&old.config, std::sync::Arc::new(SystemClock))
            .await
            .unwrap()
            .shut_down()
            .await;
        migrate::migrate(&old.config, &new.config, true).await.unwrap();
        // As if it had been killed after the copy was committed, before the old one was marked: the mark of the beginning stands.
        let third = Place::sqlite();
        let mark = |state| syncferry_store::Standing {
            state,
            moved_to: Some(third.config.store.to_string()),
        };
        let stand = async |state| {
            let any = store::open_any(&new.config, std::sync::Arc::new(SystemClock))
                .await
                .unwrap();
            let mut tx = any.begin("test").await.unwrap();
            tx.stand(&mark(state)).await.unwrap();
            tx.commit().await.unwrap();
            any.shut_down().await;
        };
        stand(StoreState::Moving).await;
        let refused = store::open(&new.config, std::sync::Arc::new(SystemClock))
            .await
            .err()
            .unwrap();
        assert!(format!("{refused:#}").contains("--abandon"), "{refused:#}");
        // Nothing was copied yet: it can be given up.
        migrate::abandon(&new.config, &third.config).await.unwrap();
        store::open(&new.config, std::sync::Arc::new(SystemClock))
            .await
            .unwrap()
            .shut_down()
            .await;
        // Everything was copied: it can only be finished.
        let file = new.backup("one.backup").await;
        load_as_it_is(&third.config, &file).await;
        stand(StoreState::Moving).await;
        let refused = migrate::abandon(&new.config, &third.config).await.unwrap_err();
        assert!(format!("{refused:#}").contains("holds a store"), "{refused:#}");
        let moved = migrate::migrate(&new.config, &third.config, true).await.unwrap();
        assert!(moved.tables.iter().all(|t| t.same));
        let refused = store::open(&new.config, std::sync::Arc::new(SystemClock))
            .await
            .err()
            .unwrap();
        assert!(format!("{refused:#}").contains("was moved"), "{refused:#}");
    });
}

/// The rows of a backup as a store, without a new incarnation: what a copied file or a point-in-time recovery gives.
pub(crate) async fn load_as_it_is(config: &Config, file: &Path) {
    load(config, file, StoreState::Live).await;
}

async fn load(config: &Config, file: &Path, state: StoreState) {
    use syncferry_controller::storeops::{file::Reader, pump};
    let mut reader = Reader::open(file).unwrap();
    let mut import = store::import(config, reader.head.schema, true).await.unwrap();
    pump::load(
        &mut reader,
        Some(&mut *import),
        state.as_str(),
        &mut Progress::new("", 0, true),
    )
    .await
    .unwrap();
    import.finish().await.unwrap().shut_down().await;
}

#[test]
fn a_recovery_without_leases_is_over_at_once() {
    runtime().block_on(async {
        let place = Place::sqlite().filled(&[]).await;
        let file = place.backup("one.backup").await;
        let restored = restore(&place.config, &file, true).await.unwrap();
        assert_eq!(restored.leases, 0);
        let store = store::open(&place.config, std::sync::Arc::new(SystemClock))
            .await
            .unwrap();
        let mut tx = store.begin("test").await.unwrap();
        assert!(recovery::end_when_done(&mut *tx).await.unwrap());
        assert!(!recovery::end_when_done(&mut *tx).await.unwrap());
    });
}

/// Killed between the rows and the new incarnation, a restore leaves a store that no controller starts on.
#[test]
fn an_interrupted_restore_is_no_store() {
    runtime().block_on(async {
        for engine in 0..2 {
            let file = Place::sqlite().filled(&some()).await.backup_kept("one.backup").await;
            let place = Place::of(engine).await;
            load(&place.config, &file.1, StoreState::Restoring).await;
            let refused = store::open(&place.config, std::sync::Arc::new(SystemClock))
                .await
                .err()
                .unwrap();
            assert!(format!("{refused:#}").contains("restore --replace"), "{refused:#}");
            restore(&place.config, &file.1, true).await.unwrap();
            store::open(&place.config, std::sync::Arc::new(SystemClock))
                .await
                .unwrap();
        }
    });
}
