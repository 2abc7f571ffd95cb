//! What the script `service-account` says, read into facts. Pure: the script runs in `os/windows`, and in the lab's stand-in.

use data_encoding::BASE64;
use serde_json::Value;
use syncferry_shared::account::{AccountFacts, AccountKind, AccountRequest, SpnFacts};
use syncferry_shared::sync_config::Unknown;

/// MsaInfoInstalled, the only state (MSA_INFO_STATE, lmaccess.h) in which Test-ADServiceAccount says True.
const INSTALLED: i64 = 5;

/// What the other states of NetQueryServiceAccount mean.
fn not_usable(state: i64) -> Option<&'static str> {
    Some(match state {
        1 => "the domain has no such service account",
        2 => "the account is no managed service account",
        3 => "the domain does not give it to this host, or the Kerberos encryption types do not match",
        // Of standalone accounts only.
        4 => "it could be installed here and is not (Install-ADServiceAccount)",
        _ => return None,
    })
}

/// Text from outside as a value for a script: base 64 of UTF-16, so that nothing in it is PowerShell.
pub fn quoted(text: &str) -> String {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    BASE64.encode(&bytes)
}

/// Reads the script's answer.
pub fn read(request: &AccountRequest, computer: &str, answer: &Value) -> AccountFacts {
    let by_name = AccountKind::of_name(&request.account, computer);
    let classes = texts(answer.get("Classes"));
    let class = |name: &str| classes.iter().flatten().any(|c| c.eq_ignore_ascii_case(name));
    let kind = by_name.filter(|k| *k != AccountKind::DomainUser).or_else(|| {
        Some(match () {
            () if class("msDS-GroupManagedServiceAccount") => AccountKind::GroupManaged,
            () if class("msDS-ManagedServiceAccount") => AccountKind::Managed,
            () if class("user") => AccountKind::DomainUser,
            () => return by_name,
        })
    });
    let sids = texts(answer.get("Sids")).filter(|s| !s.is_empty());
    let has = |name: &str| {
        let holders = texts(answer.get(name))?;
        let sids = sids.as_ref()?;
        Some(sids.iter().any(|s| holders.iter().any(|h| h.eq_ignore_ascii_case(s))))
    };
    let state = answer.get("State").and_then(Value::as_i64).unwrap_or_default();
    let not_usable = not_usable(state);
    AccountFacts {
        account: request.account.clone(),
        exists: answer.get("Exists").and_then(Value::as_bool),
        kind,
        enabled: answer.get("Disabled").and_then(Value::as_bool).map(|d| !d),
        usable_here: match (state, not_usable) {
            (INSTALLED, _) => Some(true),
            (_, Some(_)) => Some(false),
            (_, None) => None,
        },
        not_usable: not_usable.map(str::to_string),
        may_retrieve: texts(answer.get("Retrieve")),
        service_logon: has("ServiceLogon"),
        service_logon_denied: has("DenyServiceLogon"),
        spns: answer
            .get("Spns")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|s| {
                Some(SpnFacts {
                    spn: s.get("Spn")?.as_str()?.to_string(),
                    accounts: texts(s.get("Accounts"))?,
                })
            })
            .collect(),
        unknown: answer
            .get("Unknown")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|u| {
                Some(Unknown {
                    fact: u.get("Fact")?.as_str()?.to_string(),
                    why: u.get("Why")?.as_str()?.to_string(),
                })
            })
            .collect(),
    }
}

/// A list of texts; `None` where there is no list. PowerShell may write a list of one as its one value.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    match value? {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(all) => Some(all.iter().filter_map(|v| Some(v.as_str()?.to_string())).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn request(account: &str) -> AccountRequest {
        AccountRequest {
            account: account.into(),
            spns: vec![],
        }
    }

    #[test]
    fn an_answer_is_read_whole() {
        let answer = json!({
            "Exists": true, "Disabled": false, "State": 5,
            "Classes": ["top", "user", "computer", "msDS-GroupManagedServiceAccount"],
            "Retrieve": ["CONTOSO\\SYNC02$"],
            "Sids": ["S-1-5-21-1-2-3-1105", "S-1-5-21-1-2-3-513"],
            "ServiceLogon": ["S-1-5-80-0", "S-1-5-21-1-2-3-1105"],
            "DenyServiceLogon": [],
            "Spns": [{"Spn": "MSSQLSvc/sql01:1433", "Accounts": "CONTOSO\\sql$"}],
            "Unknown": [],
        });
        let facts = read(&request(r"CONTOSO\sync$"), "SYNC02", &answer);
        assert_eq!(facts.kind, Some(AccountKind::GroupManaged));
        assert_eq!(
            (facts.usable_here, facts.enabled, facts.exists),
            (Some(true), Some(true), Some(true))
        );
        assert_eq!(
            (facts.service_logon, facts.service_logon_denied),
            (Some(true), Some(false))
        );
        assert_eq!(
            facts.may_retrieve.as_deref(),
            Some(&["CONTOSO\\SYNC02$".to_string()][..])
        );
        assert_eq!(facts.spns[0].accounts, ["CONTOSO\\sql$"]);
        assert_eq!((facts.against(), facts.doubts()), (vec![], vec![]));
    }

    #[test]
    fn a_group_that_is_denied_denies() {
        let answer = json!({
            "Exists": true, "State": 3, "Classes": ["user", "msDS-ManagedServiceAccount"],
            "Sids": ["S-1-5-21-1-2-3-1105", "S-1-5-21-1-2-3-2000"],
            "ServiceLogon": [], "DenyServiceLogon": ["S-1-5-21-1-2-3-2000"],
        });
        let facts = read(&request(r"CONTOSO\sync$"), "SYNC02", &answer);
        assert_eq!(facts.kind, Some(AccountKind::Managed));
        let against: Vec<&str> = facts.against().into_iter().map(|(what, _)| what).collect();
        assert_eq!(
            against,
            [
                "password of the managed account on this host",
                "Deny log on as a service"
            ]
        );
    }

    #[test]
    fn what_was_not_answered_is_unknown() {
        let facts = read(
            &request(r"CONTOSO\sync$"),
            "SYNC02",
            &json!({"State": 0, "Sids": [], "ServiceLogon": null}),
        );
        assert_eq!(
            (facts.usable_here, facts.service_logon, facts.kind, facts.exists),
            (None, None, None, None)
        );
        assert!(!facts.doubts().is_empty());
        let unlisted = read(&request(r"CONTOSO\sync$"), "SYNC02", &json!({"State": 9}));
        assert_eq!(unlisted.usable_here, None, "a state that nobody knows says nothing");
        let local = read(&request(r"NT SERVICE\ADSync"), "SYNC02", &json!({"Classes": ["user"]}));
        assert_eq!(local.kind, Some(AccountKind::Virtual), "the name says it");
    }

    #[test]
    fn a_standalone_account_that_is_not_installed_is_not_usable_yet() {
        let answer = json!({"Exists": true, "State": 4, "Classes": ["msDS-ManagedServiceAccount"], "Sids": ["S-1-1-0"], "DenyServiceLogon": []});
        let facts = read(&request(r"CONTOSO\sync$"), "SYNC02", &answer);
        assert_eq!(facts.usable_here, Some(false));
        assert!(
            facts.against()[0].1.contains("Install-ADServiceAccount"),
            "{:?}",
            facts.against()
        );
    }

    proptest! {
        #[test]
        fn nothing_typed_becomes_powershell(text in ".{0,40}") {
            prop_assert!(quoted(&text).bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)));
        }
    }
}
