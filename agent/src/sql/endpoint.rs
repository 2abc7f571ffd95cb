//! Where a SQL Server instance answers: TCP, a named pipe, or a LocalDB instance by its shared name.
//! Text forms: `tcp:host,port`, `np:\\.\pipe\…`, `(localdb)\.\ADSync2019`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where an instance answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SqlEndpoint {
    /// A TCP port.
    Tcp {
        /// Name or address. An IPv6 address stands without brackets.
        host: String,
        /// The port; there is no default and no SQL Browser, so that nothing is guessed.
        port: u16,
    },
    /// A named pipe, with its full path.
    Pipe(String),
    /// A LocalDB instance that its owner shares. The pipe behind it changes with every start, so it is resolved each time.
    LocalDb {
        /// The shared name, for example `ADSync2019`.
        shared_name: String,
    },
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is not a SQL Server endpoint ({reason}); write 'tcp:host,port', 'np:\\\\.\\pipe\\name' or '(localdb)\\.\\ADSync2019'"
)]
pub struct InvalidEndpoint {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl SqlEndpoint {
    /// The data source string that the client library takes.
    pub(crate) fn data_source(&self) -> String {
        match self {
            // The library takes more than one colon for an IPv6 address and then does not see the protocol; the comma
            // selects TCP as well.
            SqlEndpoint::Tcp { host, port } if host.contains(':') => format!("{host},{port}"),
            other => other.to_string(),
        }
    }

    /// Whether the connection cannot leave this machine.
    pub fn is_local_only(&self) -> bool {
        match self {
            SqlEndpoint::Tcp { .. } => false,
            SqlEndpoint::Pipe(path) => path.starts_with(r"\\.\"),
            SqlEndpoint::LocalDb { .. } => true,
        }
    }
}

impl std::fmt::Display for SqlEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SqlEndpoint::Tcp { host, port } => write!(f, "tcp:{host},{port}"),
            SqlEndpoint::Pipe(path) => write!(f, "np:{path}"),
            SqlEndpoint::LocalDb { shared_name } => write!(f, r"(localdb)\.\{shared_name}"),
        }
    }
}

impl std::str::FromStr for SqlEndpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let bad = |reason| InvalidEndpoint {
            text: text.chars().take(200).collect(),
            reason,
        };
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(bad("it contains control characters"));
        }
        if let Some(rest) = strip_prefix_ignoring_case(text, "tcp:") {
            return tcp(rest).map_err(bad);
        }
        if let Some(rest) = strip_prefix_ignoring_case(text, "np:") {
            return pipe(rest).map_err(bad);
        }
        if let Some(rest) = strip_prefix_ignoring_case(text, r"(localdb)\") {
            return localdb(rest).map_err(bad);
        }
        Err(bad("it names no protocol"))
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn tcp(rest: &str) -> Result<SqlEndpoint, &'static str> {
    let (host, port) = rest.rsplit_once(',').ok_or("the port is missing")?;
    let host = host.trim();
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || matches!(c, ',' | '\\' | '/' | '[' | ']')) {
        return Err("the host is not a name or address");
    }
    // A single colon would be a port in other tools; here only an IPv6 address has colons.
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err("the host is not a name or address");
    }
    let port = port.trim().parse().ok().filter(|p| *p > 0);
    Ok(SqlEndpoint::Tcp {
        host: host.to_string(),
        port: port.ok_or("the port is not a number from 1 to 65535")?,
    })
}

fn pipe(rest: &str) -> Result<SqlEndpoint, &'static str> {
    let server = rest
        .strip_prefix(r"\\")
        .ok_or("the pipe's path must start with two backslashes")?;
    let (server, path) = server.split_once('\\').ok_or("the pipe's path names no pipe")?;
    let name = strip_prefix_ignoring_case(path, r"pipe\").ok_or(r"the pipe's path must go on with \pipe\")?;
    if server.is_empty() || name.is_empty() {
        return Err("the pipe's path names no pipe");
    }
    Ok(SqlEndpoint::Pipe(rest.to_string()))
}

fn localdb(rest: &str) -> Result<SqlEndpoint, &'static str> {
    let name = rest
        .strip_prefix(r".\")
        .ok_or(r"only shared instances can be used: (localdb)\.\NAME")?;
    if name.trim() != name || name.is_empty() || name.contains(['\\', '/', '"']) {
        return Err("the shared name is empty or contains characters that it cannot have");
    }
    Ok(SqlEndpoint::LocalDb {
        shared_name: name.to_string(),
    })
}

impl Serialize for SqlEndpoint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SqlEndpoint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn endpoint() -> impl Strategy<Value = SqlEndpoint> {
        prop_oneof![
            ("[a-z][a-z0-9.-]{0,30}", 1u16..).prop_map(|(host, port)| SqlEndpoint::Tcp { host, port }),
            (any::<u128>(), 1u16..).prop_map(|(bits, port)| SqlEndpoint::Tcp {
                host: std::net::Ipv6Addr::from_bits(bits).to_string(),
                port
            }),
            r"[A-Z]{1,8}[#$A-Za-z0-9]{0,10}".prop_map(|n| SqlEndpoint::Pipe(format!(r"\\.\pipe\{n}\tsql\query"))),
            r"[A-Za-z][A-Za-z0-9_$. -]{0,20}[A-Za-z0-9]".prop_map(|n| SqlEndpoint::LocalDb { shared_name: n }),
        ]
    }

    #[test]
    fn reads_what_people_write() {
        let ok = |t: &str| t.parse::<SqlEndpoint>().unwrap();
        assert_eq!(
            ok("TCP:sql01.contoso.com, 1433").to_string(),
            "tcp:sql01.contoso.com,1433"
        );
        assert_eq!(ok("tcp:[2001:db8::1],1433").data_source(), "2001:db8::1,1433");
        assert_eq!(ok("tcp:sql01,1433").data_source(), "tcp:sql01,1433");
        assert_eq!(
            ok(r"(LocalDB)\.\ADSync2019"),
            SqlEndpoint::LocalDb {
                shared_name: "ADSync2019".into()
            }
        );
        assert!(ok(r"np:\\.\pipe\LOCALDB#SH1\tsql\query").is_local_only());
        assert!(!ok(r"np:\\SQL01\pipe\sql\query").is_local_only());
    }

    #[test]
    fn refuses_what_it_would_have_to_guess() {
        for text in [
            "",
            "sql01",
            r"sql01\INST",
            "tcp:sql01",
            "tcp:sql01,0",
            "tcp:sql01,70000",
            r"tcp:sql01\INST,1433",
            "tcp:a:b,1",
            r"(localdb)\MSSQLLocalDB",
            r"(localdb)\.\",
            r"np:\\.\pip\x",
            r"np:\pipe\x",
            "lpc:.",
            "tcp:a\n,1433",
        ] {
            let error = text.parse::<SqlEndpoint>().unwrap_err();
            assert!(error.to_string().contains("tcp:host,port"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn text_survives_the_round_trip(e in endpoint()) {
            prop_assert_eq!(e.to_string().parse::<SqlEndpoint>(), Ok(e.clone()));
            let json = serde_json::to_string(&e).unwrap();
            prop_assert_eq!(serde_json::from_str::<SqlEndpoint>(&json).unwrap(), e);
        }
        #[test]
        fn arbitrary_text_never_panics(text in ".*") {
            if let Ok(e) = text.parse::<SqlEndpoint>() {
                prop_assert_eq!(e.to_string().parse::<SqlEndpoint>(), Ok(e.clone()));
            }
        }
    }
}
