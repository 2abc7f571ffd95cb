//! What a controller needs besides its store to live again: the authority's keys, without which every agent and operator would
//! have to enrol anew, and the configuration. They come along in the backup unless somebody keeps them elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use syncferry_proto::transport::private_file;
use syncferry_shared::secret::Secret;

/// The folder of the keys, in the data directory.
pub const IDENTITY: &str = "identity";
/// The configuration's name in a backup.
pub const CONFIG: &str = "controller.toml";
/// Where a restore puts the configuration, in the data directory: the one in use is the operator's to change.
pub const CONFIG_FROM_BACKUP: &str = "controller.from-backup.toml";

/// The files of a data directory, by their names in a backup. Without the keys where they are kept elsewhere.
pub fn gather(data: &Path, config: Option<&Path>, identity: bool) -> anyhow::Result<Vec<(String, Secret)>> {
    let mut found = Vec::new();
    let folder = data.join(IDENTITY);
    if identity && folder.exists() {
        let unread = || format!("{} cannot be read", folder.display());
        for entry in std::fs::read_dir(&folder).with_context(unread)? {
            let path = entry.with_context(unread)?.path();
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            found.push((format!("{IDENTITY}/{name}"), Secret::new(text)));
        }
    }
    if let Some(text) = config.and_then(|path| std::fs::read_to_string(path).ok()) {
        found.push((CONFIG.to_string(), Secret::new(text)));
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found)
}

/// What a restore does with a file that came along.
#[derive(Debug, PartialEq, Eq)]
pub enum Placing {
    /// It is written there.
    Write(PathBuf),
    /// It is there already, the same.
    There,
}

/// Where the files go. Keys of another authority that are there are not replaced: agents of that one would be lost.
pub fn places(data: &Path, along: &[(String, Secret)]) -> anyhow::Result<Vec<Placing>> {
    along
        .iter()
        .map(|(name, text)| {
            let path = match name.as_str() {
                CONFIG => data.join(CONFIG_FROM_BACKUP),
                name => data.join(safe(name)?),
            };
            match std::fs::read_to_string(&path) {
                Ok(there) if there == text.reveal() => Ok(Placing::There),
                Ok(_) if name.starts_with(IDENTITY) => bail!(
                    "{} is there and is another one than in the backup: put the folder {} aside, then restore again; or restore \
                     with --without-identity to keep it, and enrol every agent anew",
                    path.display(),
                    data.join(IDENTITY).display()
                ),
                _ => Ok(Placing::Write(path)),
            }
        })
        .collect()
}

/// A name of the folder of keys, and of nothing else.
fn safe(name: &str) -> anyhow::Result<PathBuf> {
    let plain = |n: &&str| !n.is_empty() && !n.starts_with('.') && !n.contains(['/', '\\']);
    match name.strip_prefix("identity/").filter(plain) {
        Some(file) => Ok(Path::new(IDENTITY).join(file)),
        None => bail!("the backup brings a file '{name}' along, which is none of ours"),
    }
}

/// Writes the files, for their owner alone.
pub fn put(data: &Path, along: &[(String, Secret)], places: &[Placing]) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    let folder = data.join(IDENTITY);
    if along.iter().any(|(n, _)| n.starts_with(IDENTITY)) && !folder.exists() {
        private_file::create_directory(&folder)?;
    }
    for ((_, text), place) in along.iter().zip(places) {
        if let Placing::Write(path) = place {
            private_file::write(path, text.reveal())?;
            written.push(path.clone());
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_cannot_write_where_it_likes() {
        let data = tempfile::tempdir().unwrap();
        for name in [
            "../x",
            "identity/../x",
            "identity/",
            "identity/.x",
            "/etc/x",
            "store.db",
            "identity/a/b",
        ] {
            let along = [(name.to_string(), Secret::new("x".to_string()))];
            assert!(places(data.path(), &along).is_err(), "{name}");
        }
    }

    #[test]
    fn keys_of_another_authority_stay() {
        let data = tempfile::tempdir().unwrap();
        let along = |text: &str| vec![("identity/ca.key".to_string(), Secret::new(text.to_string()))];
        let first = places(data.path(), &along("one")).unwrap();
        put(data.path(), &along("one"), &first).unwrap();
        assert_eq!(places(data.path(), &along("one")).unwrap(), [Placing::There]);
        assert!(places(data.path(), &along("two")).is_err());
        let gathered = gather(data.path(), None, true).unwrap();
        assert_eq!(gathered.len(), 1);
        assert_eq!(gathered[0].1.reveal(), "one");
        assert!(gather(data.path(), None, false).unwrap().is_empty());
    }
}
