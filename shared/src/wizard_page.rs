//! The pages of the wizard as data of the catalogue: what each asks, for which versions, with placeholders for what a plan knows.
//! Pure: pages and values in, cards out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::card::{Card, Field};
use crate::connect_version::ConnectVersion;

/// A page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Its title, as the wizard shows it.
    pub title: String,
    /// The first version that has it so; `None` where it was always so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<ConnectVersion>,
    /// The first version that does not have it so any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ConnectVersion>,
    /// What to do there.
    pub instruction: String,
    /// What to enter. A field that names something which a plan does not have is left out of that plan's card.
    #[serde(rename = "field", default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<PageField>,
}

/// A field of a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageField {
    /// Its label. With `{forest}` there is one for each forest.
    pub label: String,
    /// The value to copy, or what the person must bring.
    pub value: String,
    /// Whether only the person has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub yours: bool,
    /// It is asked only where the plan has all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// It is asked only where the plan has none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// What a plan may know, by the name of the placeholder.
pub const PLACEHOLDERS: &[&str] = &[
    "server",
    "instance",
    "database",
    "version",
    "account",
    "gmsa",
    "domain-account",
    "forest",
];
/// What every plan knows: only these may stand in an instruction.
pub const ALWAYS: &[&str] = &["server", "database", "version"];

/// Why pages are not sound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPage {
    /// A placeholder that nobody fills.
    #[error("page '{page}': there is no placeholder '{{{placeholder}}}'; there are: {}", PLACEHOLDERS.join(", "))]
    Placeholder {
        /// The page.
        page: String,
        /// The placeholder.
        placeholder: String,
    },
    /// A placeholder that not every plan fills, in an instruction or a title.
    #[error("page '{page}': '{{{placeholder}}}' may stand in a field only: not every plan has it")]
    Sometimes {
        /// The page.
        page: String,
        /// The placeholder.
        placeholder: String,
    },
    /// A brace without its other half.
    #[error("page '{page}': a brace is not closed in '{text}'")]
    Brace {
        /// The page.
        page: String,
        /// The text.
        text: String,
    },
    /// Something must be there.
    #[error("page '{page}': {what} is empty")]
    Empty {
        /// The page.
        page: String,
        /// What is empty.
        what: &'static str,
    },
    /// No version has it.
    #[error("page '{page}': no version is from {from} on and before {before}")]
    Range {
        /// The page.
        page: String,
        /// The first version.
        from: ConnectVersion,
        /// The first version after.
        before: ConnectVersion,
    },
    /// One version would show a page twice.
    #[error("page '{0}' stands twice for the same version")]
    Twice(String),
}

impl Page {
    /// Whether a version has it so.
    pub fn is_of(&self, version: ConnectVersion) -> bool {
        self.from.is_none_or(|f| f <= version) && self.before.is_none_or(|b| version < b)
    }

    fn overlaps(&self, other: &Page) -> bool {
        let below = |from: Option<ConnectVersion>, before: Option<ConnectVersion>| match (from, before) {
            (Some(f), Some(b)) => f < b,
            _ => true,
        };
        below(self.from, other.before) && below(other.from, self.before)
    }

    fn check(&self) -> Result<(), InvalidPage> {
        let page = || self.title.clone();
        let empty = |what| InvalidPage::Empty { page: page(), what };
        if self.title.trim().is_empty() {
            return Err(empty("the title"));
        }
        if self.instruction.trim().is_empty() {
            return Err(empty("the instruction"));
        }
        if let (Some(from), Some(before)) = (self.from, self.before)
            && from >= before
        {
            return Err(InvalidPage::Range {
                page: page(),
                from,
                before,
            });
        }
        for text in [&self.title, &self.instruction] {
            let sometimes = self
                .placeholders(text)?
                .into_iter()
                .find(|p| !ALWAYS.contains(&p.as_str()));
            if let Some(placeholder) = sometimes {
                return Err(InvalidPage::Sometimes {
                    page: page(),
                    placeholder,
                });
            }
        }
        for field in &self.fields {
            if field.label.trim().is_empty() || field.value.trim().is_empty() {
                return Err(empty("a field's label or value"));
            }
            self.placeholders(&field.label)?;
            self.placeholders(&field.value)?;
            for name in field.needs.iter().chain(&field.without) {
                self.known(name)?;
            }
        }
        Ok(())
    }

    fn placeholders(&self, text: &str) -> Result<Vec<String>, InvalidPage> {
        let found = parts(text).ok_or_else(|| InvalidPage::Brace {
            page: self.title.clone(),
            text: text.to_string(),
        })?;
        let names = found.into_iter().filter_map(|p| match p {
            Part::Placeholder(name) => Some(name),
            Part::Text(_) => None,
        });
        names
            .map(|name| {
                self.known(name)?;
                Ok(name.to_string())
            })
            .collect()
    }

    fn known(&self, name: &str) -> Result<(), InvalidPage> {
        if PLACEHOLDERS.contains(&name) {
            return Ok(());
        }
        Err(InvalidPage::Placeholder {
            page: self.title.clone(),
            placeholder: name.to_string(),
        })
    }
}

/// Whether pages are sound, each and together.
pub fn check(pages: &[Page]) -> Result<(), InvalidPage> {
    for (at, page) in pages.iter().enumerate() {
        page.check()?;
        let again = pages
            .iter()
            .take(at)
            .find(|p| p.title == page.title && p.overlaps(page));
        if again.is_some() {
            return Err(InvalidPage::Twice(page.title.clone()));
        }
    }
    Ok(())
}

/// What a plan knows, by placeholder, and its forests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Values, by placeholder; what is unknown is not in it.
    pub values: BTreeMap<&'static str, String>,
    /// Forests, for the fields that there is one of for each.
    pub forests: Vec<String>,
}

/// The cards of a version's pages.
pub fn cards<'a>(pages: impl IntoIterator<Item = &'a Page>, known: &Known) -> Vec<Card> {
    pages.into_iter().map(|p| card(p, known)).collect()
}

fn card(page: &Page, known: &Known) -> Card {
    let lookup = |name: &str| known.values.get(name).cloned();
    // What a check let through is there.
    let whole = |text: &str| filled(text, lookup).unwrap_or_else(|| text.to_string());
    Card {
        page: whole(&page.title),
        instruction: whole(&page.instruction),
        fields: page.fields.iter().flat_map(|f| fields(f, known)).collect(),
    }
}

fn fields(field: &PageField, known: &Known) -> Vec<Field> {
    let has = |name: &String| match name.as_str() {
        "forest" => !known.forests.is_empty(),
        other => known.values.contains_key(other),
    };
    if !field.needs.iter().all(has) || field.without.iter().any(has) {
        return vec![];
    }
    let one = |forest: Option<&String>| {
        let lookup = |name: &str| match name {
            "forest" => forest.cloned(),
            other => known.values.get(other).cloned(),
        };
        Some(Field {
            label: filled(&field.label, lookup)?,
            value: filled(&field.value, lookup)?,
            exact: !field.yours,
        })
    };
    if field.label.contains("{forest}") || field.value.contains("{forest}") {
        return known.forests.iter().filter_map(|f| one(Some(f))).collect();
    }
    one(None).into_iter().collect()
}

/// A piece of a text.
enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// The pieces of a text; `None` where a brace is without its other half.
fn parts(text: &str) -> Option<Vec<Part<'_>>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}')?;
        if before.contains('}') || name.contains('{') {
            return None;
        }
        found.push(Part::Text(before));
        found.push(Part::Placeholder(name));
        rest = behind;
    }
    if rest.contains('}') {
        return None;
    }
    found.push(Part::Text(rest));
    Some(found)
}

/// A text with its placeholders filled; `None` where one is not known.
fn filled(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    for part in parts(text)? {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Placeholder(name) => out.push_str(&lookup(name)?),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(title: &str, instruction: &str, label: &str, value: &str) -> Page {
        Page {
            title: title.into(),
            from: None,
            before: None,
            instruction: instruction.into(),
            fields: vec![PageField {
                label: label.into(),
                value: value.into(),
                yours: false,
                needs: vec![],
                without: vec![],
            }],
        }
    }

    fn v(text: &str) -> Option<ConnectVersion> {
        text.parse().ok()
    }

    #[test]
    fn what_nobody_fills_is_refused_by_name() {
        let why = |p: Page| check(&[p]).unwrap_err().to_string();
        let ok = page("A", "On {server}.", "Name", "{instance} and {database}");
        check(std::slice::from_ref(&ok)).unwrap();
        assert!(why(page("A", "Do.", "Name", "{instnce}")).contains("'{instnce}'"));
        assert!(why(page("A", "Enter {instance}.", "Name", "x")).contains("a field only"));
        assert!(why(page("A", "Do.", "Name", "{server")).contains("not closed"));
        assert!(why(page("A", "Do.", "Name", "server}")).contains("not closed"));
        assert!(why(page("A", " ", "Name", "x")).contains("instruction is empty"));
        assert!(why(page("A", "Do.", "Name", "")).contains("is empty"));
        let mut needs = ok.clone();
        needs.fields[0].needs = vec!["gsma".into()];
        assert!(why(needs).contains("'{gsma}'"));
        let mut never = ok.clone();
        (never.from, never.before) = (v("2.6.0.0"), v("2.5.0.0"));
        assert!(why(never).contains("no version"));
        assert_eq!(check(&[ok.clone(), ok.clone()]), Err(InvalidPage::Twice("A".into())));
        let (mut old, mut new) = (ok.clone(), ok);
        (old.before, new.from) = (v("2.6.0.0"), v("2.6.0.0"));
        check(&[old, new]).unwrap();
    }

    #[test]
    fn pages_follow_the_version_and_fields_the_plan() {
        let (mut old, mut new) = (
            page("Old", "Do.", "Name", "{server}"),
            page("New", "Do.", "Name", "{server}"),
        );
        (old.before, new.from) = (v("2.6.0.0"), v("2.6.0.0"));
        let of = |version: &str| -> Vec<&str> {
            let version = v(version).unwrap();
            [&old, &new]
                .into_iter()
                .filter(|p| p.is_of(version))
                .map(|p| p.title.as_str())
                .collect()
        };
        assert_eq!(
            (of("2.5.79.0"), of("2.6.0.0"), of("2.6.91.0")),
            (vec!["Old"], vec!["New"], vec!["New"])
        );
        let mut all = page("A", "On {server}.", "Instance", "{instance}");
        all.fields.push(PageField {
            label: "{forest}".into(),
            value: "credentials".into(),
            yours: true,
            needs: vec![],
            without: vec![],
        });
        all.fields.push(PageField {
            label: "Account".into(),
            value: "any".into(),
            yours: true,
            needs: vec![],
            without: vec!["account".into()],
        });
        let known = Known {
            values: [("server", "SQL01".to_string())].into(),
            forests: vec!["a.example".into(), "b.example".into()],
        };
        let card = &cards([&all], &known)[0];
        assert_eq!(card.instruction, "On SQL01.");
        let labels: Vec<&str> = card.fields.iter().map(|f| f.label.as_str()).collect();
        assert_eq!(labels, ["a.example", "b.example", "Account"]);
        assert!(card.fields.iter().all(|f| !f.exact));
    }

    proptest! {
        #[test]
        fn a_page_that_is_sound_leaves_no_placeholder(value in "[a-z{} -]{0,24}", whole: bool) {
            let p = page("A", "Do.", "Name", &value);
            let names = if whole { PLACEHOLDERS } else { ALWAYS };
            let known = Known {
                values: names.iter().map(|n| (*n, "X".to_string())).collect(),
                forests: vec!["X".into()],
            };
            if check(std::slice::from_ref(&p)).is_ok() {
                for field in &cards([&p], &known)[0].fields {
                    prop_assert!(!field.value.contains(['{', '}']), "{:?}", field);
                }
            }
        }
    }
}
