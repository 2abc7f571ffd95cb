//! Where credentials are when nobody says: the platform's folder for configuration.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folder's and the file's name below the platform's folder.
const BELOW: [&str; 2] = ["syncferry", "credentials.toml"];

/// The default credentials file; `None` when the environment names no home.
pub(crate) fn default_credentials(env: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let filled = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        filled("APPDATA")
    } else if cfg!(target_os = "macos") {
        filled("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        filled("XDG_CONFIG_HOME").or_else(|| filled("HOME").map(|home| home.join(".config")))
    };
    folder.map(|folder| folder.join(BELOW[0]).join(BELOW[1]))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn follows_the_platform() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            default_credentials(move |name| pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.into()))
        };
        let home = PathBuf::from("/home/ada/.config/syncferry/credentials.toml");
        assert_eq!(of(&[("HOME", "/home/ada")]), Some(home.clone()));
        assert_eq!(of(&[("HOME", "/home/ada"), ("XDG_CONFIG_HOME", "")]), Some(home));
        assert_eq!(
            of(&[("XDG_CONFIG_HOME", "/etc/x")]),
            Some(PathBuf::from("/etc/x/syncferry/credentials.toml"))
        );
        assert_eq!(of(&[]), None);
    }
}
