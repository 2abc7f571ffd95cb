//! The service account on the new server, as far as its agent sees it without the password.

use syncferry_shared::Finding;
use syncferry_shared::account::{AccountFacts, AccountKind};

use super::ACCOUNTS_PAGE;
use crate::plan::PlanInput;

/// What the agent on the new server saw of the account that was asked for.
pub(super) fn seen(input: &PlanInput) -> Option<&AccountFacts> {
    let account = input.request.service_account.as_ref()?;
    let facts = input.connect_host.inventory.as_ref()?.account.as_ref()?;
    facts.account.eq_ignore_ascii_case(account).then_some(facts)
}

/// The service must be able to start as it.
pub(super) fn can_be_used(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(account) = &input.request.service_account else {
        return;
    };
    let host = &input.connect_host;
    let Some(facts) = seen(input) else {
        if host.inventory.is_some() {
            let nobody = "the agent did not look; one of an older version does not";
            out.push(not_known(input, account).saw(format!("agent on {}", host.name), nobody));
        }
        return;
    };
    let against = facts.against();
    if !against.is_empty() {
        let mut finding = Finding::blocker(
            "service-account-not-usable",
            format!("{} cannot run a service as {account}", host.name),
        );
        if let Some(kind) = facts.kind {
            finding = finding.saw("kind of the account", kind.as_str());
        }
        for (what, found) in against {
            finding = finding.saw(what, found);
        }
        out.push(finding.next(format!(
            "For a gMSA: Set-ADServiceAccount with {0} (or a group of it) in PrincipalsAllowedToRetrieveManagedPassword, restart {0} when a group was changed, and Test-ADServiceAccount there must say True. Otherwise enable the account, or take it out of \"Deny log on as a service\". Then plan again.",
            host.name
        )));
        return;
    }
    let doubts = facts.doubts();
    if !doubts.is_empty() {
        let mut finding = not_known(input, account);
        for (what, why) in doubts {
            finding = finding.saw(what, why);
        }
        out.push(finding);
    }
}

fn not_known(input: &PlanInput, account: &str) -> Finding {
    let host = &input.connect_host.name;
    Finding::warning(
        "service-account-usable-unknown",
        format!("Whether {host} can run a service as {account} is not known"),
    )
    .next(format!(
        "On {host}: Test-ADServiceAccount must say True for a gMSA; look at \"Log on as a service\" and \"Deny log on as a service\" (secpol.msc). Then accept this, and say what you saw."
    ))
}

/// A standalone managed service account is bound to one machine, and does not reach SQL Server on another one.
pub(super) fn is_no_standalone(input: &PlanInput, out: &mut Vec<Finding>) {
    let standalone = seen(input).filter(|f| f.kind == Some(AccountKind::Managed));
    if let Some(facts) = standalone
        && input.connect_host.id != input.target_host.id
    {
        out.push(
            Finding::blocker(
                "service-account-local",
                format!("{} is a standalone managed service account", facts.account),
            )
            .saw("kind of the account", AccountKind::Managed.as_str())
            .source(ACCOUNTS_PAGE)
            .next("With remote SQL Server the service account must be a gMSA (advised) or a domain user."),
        );
    }
}

/// Kerberos finds SQL Server by a name that exactly one account has: the one that the engine runs as.
pub(super) fn names_lead_to_sql(input: &PlanInput, out: &mut Vec<Finding>) {
    let engine = input.target_instance().and_then(|t| t.service_account.as_deref());
    for spn in seen(input).into_iter().flat_map(|f| &f.spns) {
        // None is right as well: then NTLM is used.
        if spn.accounts.len() < 2 {
            continue;
        }
        let mut finding = Finding::warning(
            "sql-spn-twice",
            format!("{} is registered for several accounts", spn.spn),
        )
        .saw("accounts with that name", spn.accounts.join("; "));
        if let Some(engine) = engine {
            finding = finding.saw("the engine runs as", engine);
        }
        out.push(finding.next(format!(
            "Remove the wrong one: `setspn -Q {0}`, then `setspn -D {0} <account>`. Until then Windows cannot log on there with Kerberos (\"Cannot generate SSPI context\").",
            spn.spn
        )));
    }
}
