//! A service account in the lab's directory: what the agent's script would find on a domain member. Every account of the lab's
//! domain is there; managed ones may be used by every machine of it, unless a fault says otherwise.

use serde_json::{Value, json};

use super::Host;

const SID: &str = "S-1-5-21-1111-2222-3333-1105";
const GROUP: &str = "S-1-5-21-1111-2222-3333-2000";
/// MSA_INFO_STATE: MsaInfoCannotInstall.
const REFUSED: i64 = 3;
/// MSA_INFO_STATE: MsaInfoInstalled.
const INSTALLED: i64 = 5;
/// What Windows says of a domain that does not answer.
const SILENT: &str = "The specified domain either does not exist or could not be contacted.";

/// The script's answer.
pub(crate) fn answer(host: &Host, account: &str, spns: &[String]) -> Value {
    let (machine, faults) = (host.machine(), host.faults());
    if machine.domain.is_none() || faults.directory_silent {
        return unseen(account, spns);
    }
    let managed = account.ends_with('$');
    let classes = match managed {
        true => json!(["top", "person", "user", "computer", "msDS-GroupManagedServiceAccount"]),
        false => json!(["top", "person", "user"]),
    };
    let here = format!("{}$", machine.computer_name);
    let state = match (managed, faults.account_not_usable) {
        (false, _) => 0,
        (true, true) => REFUSED,
        (true, false) => INSTALLED,
    };
    let mut registered = vec!["CN=sql01,OU=Service Accounts"];
    if faults.spn_twice {
        registered.push("CN=sql-old,OU=Service Accounts");
    }
    json!({
        "Exists": true,
        "Disabled": false,
        "State": state,
        "Classes": classes,
        "Retrieve": if faults.account_not_usable { json!([]) } else { json!([here]) },
        "Sids": [SID, GROUP],
        // The installer grants the right.
        "ServiceLogon": ["S-1-5-80-0"],
        "DenyServiceLogon": if faults.service_logon_denied { json!([GROUP]) } else { json!([]) },
        "Spns": spns.iter().map(|s| json!({"Spn": s, "Accounts": registered})).collect::<Vec<_>>(),
        "Unknown": [],
    })
}

/// What the script finds where the directory does not answer.
fn unseen(account: &str, spns: &[String]) -> Value {
    let fact = |fact: &str| json!({"Fact": fact, "Why": SILENT});
    let mut unknown = vec![fact("service account")];
    if account.ends_with('$') {
        unknown.push(fact("password of the managed account"));
    }
    unknown.extend(spns.iter().map(|s| fact(&format!("registration of {s}"))));
    json!({
        "Exists": null,
        "Disabled": null,
        "State": 0,
        "Classes": null,
        "Retrieve": null,
        "Sids": ["S-1-1-0", "S-1-5-11", "S-1-5-6"],
        "ServiceLogon": ["S-1-5-80-0"],
        "DenyServiceLogon": [],
        "Spns": [],
        "Unknown": unknown,
    })
}
