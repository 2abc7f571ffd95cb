//! `restore`: a backup becomes the store. What stood there before is put aside; the incarnation is a new one, so that nothing
//! that was given out after the backup counts any more.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;
use syncferry_proto::transport::private_file;
use syncferry_shared::Millis;
use syncferry_shared::lease::Resource;
use syncferry_store::portable::{Export, Value};
use syncferry_store::{Highest, Standing, StoreState, Way};

use super::file::Reader;
use super::manifest::value;
use super::progress::Progress;
use super::{backup, pump, secrets, verify};
use crate::config::Config;
use crate::recovery::note::Note;
use crate::recovery::{self, Behind};
use crate::store;

/// What was restored.
#[derive(Debug, Serialize)]
pub struct Restored {
    /// The store's id.
    pub store: String,
    /// The incarnation of the backup.
    pub incarnation_was: i64,
    /// The incarnation that began.
    pub incarnation: i64,
    /// When the backup was written.
    pub written_at: String,
    /// How many rows each table had in the backup.
    pub rows: std::collections::BTreeMap<String, i64>,
    /// Where the store that stood there before is now.
    pub put_aside: Option<PathBuf>,
    /// The files that were written besides.
    pub files: Vec<PathBuf>,
    /// Leases that wait to be released.
    pub leases: usize,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The backup.
    pub from: &'a Path,
    /// Whether a store that is there is put aside.
    pub replace: bool,
    /// Whether the authority's keys are restored too.
    pub identity: bool,
    /// Whether to say nothing meanwhile.
    pub quiet: bool,
}

/// Restores. Everything is looked at before anything is touched.
pub async fn restore(config: &Config, ask: Ask<'_>, now: Millis) -> anyhow::Result<Restored> {
    let verdict = verify::backup(ask.from, ask.quiet).await?;
    if let Some((invariant, subject, found)) = verdict.findings.first() {
        bail!(
            "the backup is whole, but what it holds must not be ({invariant}: {subject}: {found}); use another one, or ask for help \
             with what `syncferry-controller verify {}` says",
            ask.from.display()
        );
    }
    let mut reader = Reader::open(ask.from)?;
    let head = reader.head.clone();
    let (_, _, along) = pump::load(&mut reader, None, "live", &mut Progress::new("restore", 0, true)).await?;
    let along: Vec<_> = along
        .into_iter()
        .filter(|(name, _)| ask.identity || !name.starts_with(secrets::IDENTITY))
        .collect();
    if !config.data_dir.exists() {
        private_file::create_directory(&config.data_dir)?;
    }
    let places = secrets::places(&config.data_dir, &along)?;
    let highest = highest(config, &head.store, head.incarnation).await;
    let put_aside = match ask.replace {
        true => put_aside(config, &ask, now).await?,
        false => None,
    };
    let replaces = ask.replace && put_aside.is_some();
    let mut import = store::import(config, head.schema, replaces).await.with_context(|| {
        "a restore needs every controller stopped, and an empty place: with --replace, the store that is there is put aside"
    })?;
    let total = head.tables.iter().map(|t| t.rows).sum();
    let mut reader = Reader::open(ask.from)?;
    let mut progress = Progress::new("restore", total, ask.quiet);
    let restoring = StoreState::Restoring.as_str();
    let (tail, _, _) = pump::load(&mut reader, Some(&mut *import), restoring, &mut progress).await?;
    let store = import.finish().await?;
    let behind = Behind {
        way: Way::Restore,
        highest,
        found: vec![format!(
            "`restore` from {}, written at {} in incarnation {}",
            ask.from.display(),
            head.written_at,
            head.incarnation
        )],
    };
    let mut tx = store.begin("store.restore").await?;
    let (begun, _) = recovery::begin(&mut *tx, &behind).await?;
    tx.stand(&Standing::live()).await?;
    tx.commit().await?;
    let findings = verify::audit(&*store).await?;
    if let Some((invariant, subject, found)) = findings.first() {
        bail!(
            "the restored store is not as it must be ({invariant}: {subject}: {found}); do not start a controller on it"
        );
    }
    let leases = recovery::status::look(&mut *store.read("store.restored").await?)
        .await?
        .map_or(0, |s| s.leases.len());
    store.shut_down().await;
    let files = secrets::put(&config.data_dir, &along, &places)?;
    Ok(Restored {
        store: head.store,
        incarnation_was: head.incarnation,
        incarnation: begun.incarnation,
        written_at: head.written_at,
        rows: tail.rows,
        put_aside,
        files,
        leases,
    })
}

/// The highest that is known of what the backup forgot: by the store that stands there, if it is the same one, and by the note.
async fn highest(config: &Config, store: &str, incarnation: i64) -> Highest {
    let mut highest = Highest {
        incarnation,
        ..Highest::default()
    };
    if let Some(note) = Note::read(&config.data_dir).filter(|n| n.store.to_string() == store) {
        highest.see(note.incarnation, []);
    }
    let standing = async {
        let mut there = store::export(config).await?;
        let (id, incarnation) = backup::identity(&mut *there).await?;
        anyhow::ensure!(id == store, "another store");
        anyhow::Ok((incarnation, epochs(&mut *there).await?))
    };
    // One that cannot be read knows nothing; agents do.
    if let Ok((incarnation, epochs)) = standing.await {
        highest.see(incarnation, epochs);
    }
    highest
}

async fn epochs(from: &mut dyn Export) -> anyhow::Result<Vec<(Resource, i64)>> {
    let Some(table) = from.shapes().iter().position(|s| s.name == "lease") else {
        return Ok(vec![]);
    };
    let shape = from.shapes()[table].clone();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let rows = from.page(table, after.as_ref(), pump::PAGE).await?;
        let Some(last) = rows.last() else { return Ok(found) };
        after = Some(shape.key_of(last));
        for row in &rows {
            if let (Some(Value::Text(r)), Some(Value::Int(e))) =
                (value(&shape, row, "resource"), value(&shape, row, "epoch"))
            {
                found.push((Resource(r.clone()), *e));
            }
        }
    }
}

/// Puts the store that is there aside: a file is renamed, a PostgreSQL is written to a backup beside the data.
async fn put_aside(config: &Config, ask: &Ask<'_>, now: Millis) -> anyhow::Result<Option<PathBuf>> {
    let time: String = now.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    if let Some(file) = store::file(config)? {
        let suffix = free(&format!("replaced-{time}"), |s| file.with_added_extension(s));
        return Ok(syncferry_store_sqlite::put_aside(&file, &suffix)?);
    }
    let named = |s: &str| config.data_dir.join(format!("store.{s}.backup"));
    let to = named(&free(&format!("replaced-{time}"), named));
    let wanted = backup::Ask {
        to: &to,
        config_file: None,
        identity: false,
        quiet: ask.quiet,
    };
    let empty = match store::export(config).await {
        Ok(mut there) => backup::identity(&mut *there).await.is_err(),
        Err(_) => true,
    };
    if empty {
        return Ok(None);
    }
    backup::backup(config, wanted, now).await.context(
        "the store that is there cannot be put aside; drop its database yourself, and restore without --replace",
    )?;
    Ok(Some(to))
}

/// A name that nothing has yet.
fn free(name: &str, path: impl Fn(&str) -> PathBuf) -> String {
    let mut free = name.to_string();
    for n in 2.. {
        if !path(&free).exists() {
            break;
        }
        free = format!("{name}-{n}");
    }
    free
}
