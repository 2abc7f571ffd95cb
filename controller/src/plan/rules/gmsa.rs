//! Whether the new server may use its group managed service account.

use syncferry_shared::Finding;

use crate::plan::PlanInput;

/// A gMSA works only where the domain lets the host have its password.
pub(super) fn can_be_used(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(account) = input.request.service_account.as_ref().filter(|a| a.ends_with('$')) else {
        return;
    };
    let host = &input.connect_host;
    if host.inventory.as_ref().and_then(|i| i.gmsa_usable) == Some(false) {
        let name = account.rsplit('\\').next().unwrap_or(account).trim_end_matches('$');
        out.push(
            Finding::blocker("service-account-gmsa-unusable", format!("{account} cannot be used on {}", host.name))
                .saw(format!("NetQueryServiceAccount on {}", host.name), "not usable")
                .next(format!(
                    "Have an AD administrator run: Set-ADServiceAccount {name} -PrincipalsAllowedToRetrieveManagedPassword <{}$, or its group>; restart the server when a group was changed, and plan again.",
                    host.computer_name()
                )),
        );
    }
}
