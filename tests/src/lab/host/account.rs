//! A service account in the lab's directory: what the agent's script would find on a domain member. Every account of the lab's
//! domain is there; managed ones may be used by every machine of it, unless a fault says otherwise.

use serde_json::{Value, json};

use super::Host;

const SID: &str = "S-1-5-21-1111-2222-3333-1105";
const GROUP: &str = "S-1-5-21-1111-2222-3333-2000";

/// The script's answer.
pub(crate) fn answer(host: &Host, account: &str, spns: &[String]) -> Value {
    let (machine, faults) = (host.machine(), host.faults());
    let managed = account.ends_with('$');
    let classes = match managed {
        true => json!(["top", "person", "user", "computer", "msDS-GroupManagedServiceAccount"]),
        false => json!(["top", "person", "user"]),
    };
    let here = format!("{}$", machine.computer_name);
    let denied = if faults.service_logon_denied {
        vec![GROUP]
    } else {
        vec![]
    };
    json!({
        "Exists": true,
        "Disabled": false,
        // MsaInfoCannotInstall, MsaInfoCanInstall.
        "State": match (managed, faults.account_not_usable) { (false, _) => 0, (true, true) => 3, (true, false) => 4 },
        "Classes": classes,
        "Retrieve": if faults.account_not_usable { json!([]) } else { json!([here]) },
        "Sids": [SID, GROUP],
        // The installer grants the right.
        "ServiceLogon": ["S-1-5-80-0"],
        "DenyServiceLogon": denied,
        "Spns": spns.iter().map(|s| json!({"Spn": s, "Accounts": ["CN=sql01,OU=Service Accounts"]})).collect::<Vec<_>>(),
        "Unknown": [],
    })
}
