//! The registry, as far as Connect has anything in it. Names of keys and values ignore case, as on Windows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Data {
    /// `REG_DWORD`.
    Dword(u32),
    /// `REG_SZ`.
    Text(String),
}

impl Data {
    /// The value as text.
    pub fn text(&self) -> String {
        match self {
            Data::Dword(n) => n.to_string(),
            Data::Text(t) => t.clone(),
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Data::Text(text.to_string())
    }
}

impl From<u32> for Data {
    fn from(number: u32) -> Self {
        Data::Dword(number)
    }
}

/// Keys with their values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Registry(BTreeMap<String, BTreeMap<String, Data>>);

impl Registry {
    /// A value.
    pub fn get(&self, key: &str, name: &str) -> Option<&Data> {
        let values = find(&self.0, key)?;
        find(values, name)
    }

    /// A value as text; empty when it is missing.
    pub fn text(&self, key: &str, name: &str) -> String {
        self.get(key, name).map(Data::text).unwrap_or_default()
    }

    /// Writes a value and makes its key.
    pub fn set(&mut self, key: &str, name: &str, data: impl Into<Data>) {
        let key = existing(&self.0, key);
        let values = self.0.entry(key).or_default();
        let name = existing(values, name);
        values.insert(name, data.into());
    }

    /// Deletes a key and everything below it.
    pub fn delete_tree(&mut self, key: &str) {
        let below = format!("{}\\", key.to_ascii_lowercase());
        self.0.retain(|k, _| {
            let k = k.to_ascii_lowercase();
            k != key.to_ascii_lowercase() && !k.starts_with(&below)
        });
    }
}

fn find<'a, V>(map: &'a BTreeMap<String, V>, name: &str) -> Option<&'a V> {
    map.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}

fn existing<V>(map: &BTreeMap<String, V>, name: &str) -> String {
    let known = map.keys().find(|k| k.eq_ignore_ascii_case(name));
    known.cloned().unwrap_or_else(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_trees_are_deleted_whole() {
        let mut r = Registry::default();
        r.set(r"HKLM\Software\X", "Server", "a");
        r.set(r"HKLM\SOFTWARE\X\Y", "N", 7);
        r.set(r"hklm\software\x", "SERVER", "b");
        assert_eq!(r.text(r"HKLM\SOFTWARE\X", "server"), "b");
        assert_eq!(r.get(r"hklm\software\x\y", "n"), Some(&Data::Dword(7)));
        r.set(r"HKLM\SOFTWARE\XX", "N", 1);
        r.delete_tree(r"HKLM\SOFTWARE\X");
        assert_eq!(r.text(r"HKLM\SOFTWARE\X\Y", "N"), "");
        assert_eq!(r.text(r"HKLM\SOFTWARE\XX", "N"), "1");
    }
}
