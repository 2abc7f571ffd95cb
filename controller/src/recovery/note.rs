//! The controller's own note of how far its store had come, in a file beside it. A store file that was copied back, or a
//! PostgreSQL that was restored or failed over to one that knew less, does not have the event that the note names. Nobody else
//! need notice. A note that is missing says nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use syncferry_proto::transport::private_file;
use syncferry_shared::StoreId;
use syncferry_store::{Highest, Mark, Tx, Way};
use tokio_util::sync::CancellationToken;

use super::Behind;
use crate::core::Core;
use crate::problem::Problem;

/// The file, in the data directory.
pub const FILE: &str = "store.note";

/// How often the note is brought up to date, and the store held against it.
const EVERY: Duration = Duration::from_secs(1);

/// The note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Which store.
    pub store: StoreId,
    /// Its incarnation.
    pub incarnation: i64,
    /// Its newest event's place.
    pub position: i64,
    /// Its newest event's hash.
    pub hash: String,
}

impl Note {
    /// Reads it. One that cannot be read is no note.
    pub fn read(data: &Path) -> Option<Note> {
        let path = file(data);
        let text = path.exists().then(|| private_file::read(&path))?;
        match text.map(|t| serde_json::from_str(&t)) {
            Ok(Ok(note)) => Some(note),
            Ok(Err(error)) => {
                tracing::warn!(file = %path.display(), %error, "the note cannot be read; it is made anew");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the note cannot be read; it is made anew");
                None
            }
        }
    }

    fn write(&self, data: &Path) {
        let text = serde_json::to_string(self).unwrap_or_default();
        if let Err(error) = private_file::write(&file(data), &text) {
            tracing::warn!(%error, "how far the store has come was not noted");
        }
    }

    /// How far the store has come now.
    pub async fn of(tx: &mut dyn Tx) -> Result<Option<Note>, Problem> {
        let meta = tx.meta().await?;
        Ok(tx.newest_event().await?.map(|Mark { position, hash }| Note {
            store: meta.id,
            incarnation: meta.incarnation,
            position,
            hash,
        }))
    }

    /// Whether the store is behind the note.
    pub async fn behind(&self, tx: &mut dyn Tx) -> Result<Option<Behind>, Problem> {
        let meta = tx.meta().await?;
        if meta.id != self.store {
            tracing::warn!(was = %self.store, is = %meta.id, "this is another store than the one that ran here last");
            return Ok(None);
        }
        // A later incarnation began after this note: its beginning reckoned with what was lost.
        if self.incarnation < meta.incarnation {
            return Ok(None);
        }
        let there = tx.event_hash_at(self.position).await?;
        if self.incarnation == meta.incarnation && there.as_ref() == Some(&self.hash) {
            return Ok(None);
        }
        let newest = tx.newest_event().await?.map_or(0, |m| m.position);
        let mut highest = Highest::default();
        highest.see(self.incarnation, []);
        let found = match there {
            Some(_) if self.incarnation == meta.incarnation => {
                format!(
                    "event {} is another one than the one that this controller saw",
                    self.position
                )
            }
            _ => format!(
                "this controller saw event {} of incarnation {}, and the store ends at event {newest} of incarnation {}",
                self.position, self.incarnation, meta.incarnation
            ),
        };
        Ok(Some(Behind {
            way: Way::Note,
            highest,
            found: vec![found],
        }))
    }
}

fn file(data: &Path) -> PathBuf {
    data.join(FILE)
}

/// Holds the store against the note, once, and begins a new incarnation when it is behind.
pub async fn check(core: &Core) -> Result<(), Problem> {
    let Some(note) = Note::read(&core.config.data_dir) else {
        return Ok(());
    };
    hold_against(core, &note).await.map(drop)
}

async fn hold_against(core: &Core, note: &Note) -> Result<bool, Problem> {
    let mut tx = core.store.begin_recovery().await?;
    let Some(behind) = note.behind(&mut *tx).await? else {
        return Ok(false);
    };
    let (_, changed) = super::begin(&mut *tx, &behind).await?;
    tx.commit().await?;
    for migration in changed {
        core.migration_changed(migration);
    }
    Ok(true)
}

/// Keeps the note until told to stop, and the store against it: a failover may lose what was committed last.
pub async fn keep(core: Arc<Core>, stop: CancellationToken) {
    let mut last = Note::read(&core.config.data_dir);
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let stopping = tokio::select! {
            () = stop.cancelled() => true,
            _ = tick.tick() => false,
        };
        match round(&core, last.as_ref()).await {
            Ok(Some(note)) => {
                if last.as_ref() != Some(&note) {
                    note.write(&core.config.data_dir);
                }
                last = Some(note);
            }
            Ok(None) => {}
            Err(problem) => tracing::debug!(%problem, "how far the store has come cannot be seen now"),
        }
        if stopping {
            return;
        }
    }
}

async fn round(core: &Core, last: Option<&Note>) -> Result<Option<Note>, Problem> {
    let mut tx = core.store.read("store.note").await?;
    let behind = match last {
        Some(note) => note.behind(&mut *tx).await?,
        None => None,
    };
    if behind.is_none() {
        return Note::of(&mut *tx).await;
    }
    drop(tx);
    // Looked at again by a transaction that may write: a standby may lag behind what a writer sees.
    if let Some(note) = last {
        hold_against(core, note).await?;
    }
    let mut tx = core.store.read("store.note").await?;
    Note::of(&mut *tx).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use syncferry_shared::Millis;

    #[test]
    fn is_read_as_it_was_written_and_rubbish_is_no_note() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Note::read(data.path()), None);
        let note = Note {
            store: StoreId::new(Millis(1), &[1; 10]),
            incarnation: 2,
            position: 3,
            hash: "h".into(),
        };
        note.write(data.path());
        assert_eq!(Note::read(data.path()), Some(note));
        private_file::write(&file(data.path()), "{").unwrap();
        assert_eq!(Note::read(data.path()), None);
    }
}
