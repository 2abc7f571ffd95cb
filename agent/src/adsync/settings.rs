//! The global settings. How the procedure returns them is not published, so three shapes are understood: columns Name and
//! Value, a name in one column and its value in the next, or XML with `<parameter name="…">`. Anything else is unknown.

use std::collections::BTreeMap;

use syncferry_shared::ConnectVersion;
use syncferry_shared::sync_config::is_configuration;

use super::owner::{attribute, unescape};
use super::{Look, statements};
use crate::sql::errors::SqlError;
use crate::sql::rows::{ResultSet, Row};
use crate::sql::value::Value;

const PROCEDURE: &str = "mms_get_globalsettings";
/// Every setting that is ours to read begins so; nothing else of what the procedure returns is kept.
const PREFIX: &str = "Microsoft.";
const FEATURE: &str = "Microsoft.OptionalFeature.";

/// Settings by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Settings(BTreeMap<String, String>);

pub(super) async fn read(look: &mut Look<'_>) -> Result<Settings, SqlError> {
    if !look.schema.has_procedure(PROCEDURE) {
        look.cannot_tell("global settings", format!("there is no procedure dbo.{PROCEDURE}"));
        return Ok(Settings::default());
    }
    let sets = look.ask_all(&statements::global_settings()).await?;
    let settings = Settings::parse(&sets);
    if settings.0.is_empty() && !sets.is_empty() {
        look.cannot_tell(
            "global settings",
            format!("the answer of dbo.{PROCEDURE} has none of the shapes that are understood"),
        );
    }
    Ok(settings)
}

impl Settings {
    fn parse(sets: &[ResultSet]) -> Self {
        let mut settings = Self::default();
        for row in sets.iter().flat_map(|s| s.rows()) {
            settings.take_row(row);
        }
        settings
    }

    fn take_row(&mut self, row: &Row) {
        if let Some(name) = row.text("Name").filter(|n| n.starts_with(PREFIX)) {
            self.keep(name, row.text("Value"));
            return;
        }
        let values: Vec<&Value> = row.pairs().map(|(_, v)| v).collect();
        for (at, value) in values.iter().enumerate() {
            let Value::Text(text) = value else { continue };
            if text.contains("<parameter ") {
                self.take_xml(text);
            } else if text.starts_with(PREFIX) && !text.contains(char::is_whitespace) {
                self.keep(text.clone(), values.get(at + 1).map(|v| v.shown()));
            }
        }
    }

    fn take_xml(&mut self, xml: &str) {
        for part in xml.split("<parameter ").skip(1) {
            let Some((head, rest)) = part.split_once('>') else {
                continue;
            };
            let name = attribute(head, "name").filter(|n| n.starts_with(PREFIX));
            let value = if head.trim_end().ends_with('/') {
                attribute(head, "value")
            } else {
                rest.split_once('<').map(|(inner, _)| unescape(inner.trim()))
            };
            if let Some(name) = name {
                self.keep(name, value);
            }
        }
    }

    fn keep(&mut self, name: String, value: Option<String>) {
        self.0.insert(name, value.unwrap_or_default());
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|v| !v.is_empty()).cloned()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    pub(super) fn connect_version(&self) -> Option<ConnectVersion> {
        self.text("Microsoft.Synchronize.ServerConfigurationVersion")?
            .parse()
            .ok()
    }

    /// Those that are configuration.
    pub(super) fn configuration(&self) -> BTreeMap<String, String> {
        let kept = self.0.iter().filter(|(name, _)| is_configuration(name));
        kept.map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    pub(super) fn features(&self) -> BTreeMap<String, String> {
        let features = self.0.iter().filter_map(|(name, value)| {
            let feature = name.strip_prefix(FEATURE)?;
            Some((feature.to_string(), value.clone()))
        });
        features.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> Value {
        Value::Text(t.into())
    }

    fn check(settings: &Settings) {
        assert_eq!(settings.connect_version().unwrap().to_string(), "2.5.79.0");
        assert_eq!(settings.flag("Microsoft.Synchronize.StagingMode"), Some(true));
    }

    #[test]
    fn three_shapes_are_understood() {
        let version = "Microsoft.Synchronize.ServerConfigurationVersion";
        let staging = "Microsoft.Synchronize.StagingMode";
        let rows = vec![vec![text(version), text("2.5.79.0")], vec![text(staging), text("True")]];
        check(&Settings::parse(&[ResultSet::new(["name", "value"], rows.clone())]));
        check(&Settings::parse(&[ResultSet::new(["parameter", "setting"], rows)]));
        let xml = format!(
            "<parameter-values><parameter name=\"{version}\" use=\"existing\">2.5.79.0</parameter><parameter name='{staging}' value='true' /></parameter-values>"
        );
        check(&Settings::parse(&[ResultSet::new(["x"], vec![vec![text(&xml)]])]));
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        let rows = vec![vec![text("keyset"), text("secret")], vec![Value::Null, Value::Int(3)]];
        let settings = Settings::parse(&[ResultSet::new(["name", "value"], rows)]);
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.connect_version(), None);
        assert_eq!(settings.flag("Microsoft.Synchronize.StagingMode"), None);
    }

    #[test]
    fn features_lose_their_prefix() {
        let rows = vec![vec![text("Microsoft.OptionalFeature.PasswordHashSync"), text("True")]];
        let settings = Settings::parse(&[ResultSet::new(["Name", "Value"], rows)]);
        assert_eq!(settings.features()["PasswordHashSync"], "True");
    }
}
