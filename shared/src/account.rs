//! A service account as the agent on a host sees it: what kind it is, whether this host may use it, and which accounts SQL
//! Server's names are registered for. What cannot be seen without the password is left unknown.

use serde::{Deserialize, Serialize};

use crate::sync_config::Unknown;

/// What an agent is asked about a service account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountRequest {
    /// The account: `DOMAIN\name$`.
    pub account: String,
    /// Service principal names whose accounts are looked up: `MSSQLSvc/sql01.contoso.example:1433`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spns: Vec<String>,
}

/// The kind of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountKind {
    /// A group managed service account: the domain gives its password to the hosts that it names.
    GroupManaged,
    /// A standalone managed service account: one host only.
    Managed,
    /// `NT SERVICE\…`: the machine's own account on the network.
    Virtual,
    /// `NT AUTHORITY\…`.
    BuiltIn,
    /// A user of a domain.
    DomainUser,
    /// A user of the machine.
    LocalUser,
}

impl AccountKind {
    /// Its words.
    pub fn as_str(self) -> &'static str {
        match self {
            AccountKind::GroupManaged => "group managed service account",
            AccountKind::Managed => "standalone managed service account",
            AccountKind::Virtual => "virtual service account",
            AccountKind::BuiltIn => "built-in account",
            AccountKind::DomainUser => "domain user",
            AccountKind::LocalUser => "local user",
        }
    }
    /// What the name alone says on a machine. A name with `$` may be of either managed kind: the domain knows.
    pub fn of_name(account: &str, computer: &str) -> Option<Self> {
        let (domain, name) = account.split_once('\\')?;
        let is = |other: &str| domain.eq_ignore_ascii_case(other);
        Some(match () {
            () if is("NT SERVICE") => AccountKind::Virtual,
            () if is("NT AUTHORITY") => AccountKind::BuiltIn,
            () if domain == "." || is(computer) => AccountKind::LocalUser,
            () if name.ends_with('$') => return None,
            () => AccountKind::DomainUser,
        })
    }
    /// Whether Windows makes it: it has no password, and is there when its service is.
    pub fn is_made_by_windows(self) -> bool {
        matches!(self, AccountKind::Virtual | AccountKind::BuiltIn)
    }
    /// Whether the domain keeps its password and nobody types it.
    pub fn is_managed(self) -> bool {
        matches!(self, AccountKind::GroupManaged | AccountKind::Managed)
    }
}

/// What an agent saw of a service account.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccountFacts {
    /// The account that was asked about.
    pub account: String,
    /// Whether the directory, or the machine, knows it.
    pub exists: Option<bool>,
    /// Its kind.
    pub kind: Option<AccountKind>,
    /// Whether it may be used at all: not disabled.
    pub enabled: Option<bool>,
    /// Whether this host gets its password (managed accounts): what Test-ADServiceAccount asks.
    pub usable_here: Option<bool>,
    /// Why the host does not get it, in the words of the state that Windows tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_usable: Option<String>,
    /// Who may retrieve its password (`PrincipalsAllowedToRetrieveManagedPassword`).
    pub may_retrieve: Option<Vec<String>>,
    /// Whether it, or a group that it is in, has "Log on as a service" here. The installer grants it where a policy does not forbid.
    pub service_logon: Option<bool>,
    /// Whether it, or a group that it is in, is denied "Log on as a service" here.
    pub service_logon_denied: Option<bool>,
    /// The accounts for which names of SQL Server are registered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spns: Vec<SpnFacts>,
    /// What could not be seen, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
}

/// A service principal name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpnFacts {
    /// The name.
    pub spn: String,
    /// The accounts that it is registered for: one is right, none means NTLM, several break Kerberos.
    pub accounts: Vec<String>,
}

impl AccountFacts {
    /// Why the account cannot be used on this host; empty where nothing speaks against it.
    pub fn against(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if self.exists == Some(false) && !self.made_by_windows() {
            found.push(("the account in its domain", "not there".to_string()));
        }
        if self.enabled == Some(false) {
            found.push(("the account", "disabled".to_string()));
        }
        if self.usable_here == Some(false) {
            let allowed = match &self.may_retrieve {
                Some(who) if !who.is_empty() => format!("; allowed are: {}", who.join(", ")),
                Some(_) => "; nobody is allowed".to_string(),
                None => String::new(),
            };
            let why = self.not_usable.as_deref().unwrap_or("the domain does not give it");
            found.push((
                "password of the managed account on this host",
                format!("{why}{allowed}"),
            ));
        }
        if self.service_logon_denied == Some(true) {
            found.push(("Deny log on as a service", "it, or a group that it is in".to_string()));
        }
        found
    }

    /// Why it is not known whether it can be used; empty where everything that can be seen was seen.
    pub fn doubts(&self) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut doubt = |what: &str, missing: bool| {
            let why = self.unknown.iter().find(|u| u.fact == what).map(|u| u.why.clone());
            if missing || why.is_some() {
                found.push((
                    what.to_string(),
                    why.unwrap_or_else(|| "the agent could not tell".to_string()),
                ));
            }
        };
        doubt("service account", self.exists.is_none() && !self.made_by_windows());
        doubt("account kind", self.exists != Some(false) && self.kind.is_none());
        let managed = self.kind.is_some_and(AccountKind::is_managed);
        doubt("password of the managed account", managed && self.usable_here.is_none());
        doubt("log on as a service", self.service_logon_denied.is_none());
        found
    }

    fn made_by_windows(&self) -> bool {
        self.kind.is_some_and(AccountKind::is_made_by_windows)
    }

    /// For people, in a line.
    pub fn shown(&self) -> String {
        let word = |name: &str, value: Option<bool>| {
            let value = value.map_or("unknown", |v| if v { "yes" } else { "no" });
            format!("{name} {value}")
        };
        let mut parts = vec![self.kind.map_or("kind unknown".to_string(), |k| k.as_str().to_string())];
        if self.kind.is_none_or(AccountKind::is_managed) {
            parts.push(word("password for this host", self.usable_here));
        }
        parts.push(word("log on as a service", self.service_logon));
        parts.push(word("denied", self.service_logon_denied));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_the_kind_where_it_can() {
        let of = |name: &str| AccountKind::of_name(name, "SYNC02");
        assert_eq!(of(r"NT SERVICE\ADSync"), Some(AccountKind::Virtual));
        assert_eq!(of(r"nt authority\SYSTEM"), Some(AccountKind::BuiltIn));
        assert_eq!(of(r".\svc"), Some(AccountKind::LocalUser));
        assert_eq!(of(r"sync02\svc"), Some(AccountKind::LocalUser));
        assert_eq!(of(r"CONTOSO\svc"), Some(AccountKind::DomainUser));
        assert_eq!(of(r"CONTOSO\svc$"), None, "a gMSA or an sMSA");
        assert_eq!(of("svc@contoso.example"), None);
    }

    #[test]
    fn what_is_unknown_is_neither_for_nor_against() {
        let good = AccountFacts {
            account: r"CONTOSO\svc$".into(),
            exists: Some(true),
            kind: Some(AccountKind::GroupManaged),
            enabled: Some(true),
            usable_here: Some(true),
            service_logon: Some(false),
            service_logon_denied: Some(false),
            ..AccountFacts::default()
        };
        assert_eq!((good.against(), good.doubts()), (vec![], vec![]));
        let nothing = AccountFacts::default();
        assert_eq!(nothing.against(), vec![]);
        assert_eq!(nothing.doubts().len(), 3);
        let unseen = AccountFacts {
            usable_here: None,
            unknown: vec![Unknown {
                fact: "password of the managed account".into(),
                why: "no domain controller answers".into(),
            }],
            ..good.clone()
        };
        assert_eq!(unseen.doubts()[0].1, "no domain controller answers");
        let user = AccountFacts {
            kind: Some(AccountKind::DomainUser),
            usable_here: None,
            ..good.clone()
        };
        assert_eq!(user.doubts(), vec![], "nobody asks for a user's password");
        let of_windows = AccountFacts {
            account: r"NT SERVICE\ADSync".into(),
            exists: Some(false),
            kind: Some(AccountKind::Virtual),
            usable_here: None,
            ..good
        };
        assert_eq!(
            (of_windows.against(), of_windows.doubts()),
            (vec![], vec![]),
            "it comes with its service"
        );
    }
}
