//! What the new Connect server must be like.

use syncferry_shared::Finding;

use super::{ACCOUNTS_PAGE, EXISTING_DATABASE_PAGE, OURS, PREREQUISITES_PAGE};
use crate::plan::PlanInput;

/// .NET Framework 4.7.2.
const DOTNET_4_7_2: i64 = 461_808;

/// An installed Connect would be upgraded in place.
pub(super) fn has_no_connect(input: &PlanInput, out: &mut Vec<Finding>) {
    let host = &input.connect_host;
    let Some(connect) = host.inventory.as_ref().and_then(|i| i.connect.as_ref()) else {
        if host.inventory.is_some() {
            out.push(
                Finding::blocker(
                    "connect-host-unseen",
                    format!("Whether Connect is on {} already is not known", host.name),
                )
                .saw(format!("agent on {}", host.name), "it does not look at Connect")
                .source(OURS)
                .next("The agent must run on Windows, on the new Connect server itself."),
            );
        }
        return;
    };
    // There it is to be uninstalled first.
    if input.request.in_place {
        return;
    }
    let installed = connect
        .products
        .iter()
        .map(|p| format!("{} {}", p.name, p.version))
        .next();
    let service = connect
        .service
        .as_ref()
        .map(|s| format!("service ADSync is {} as {}", s.state, s.account));
    if let Some(what) = service.or(installed) {
        out.push(
            Finding::blocker("connect-already-installed", format!("Connect is on {} already", host.name))
                .saw(format!("products and services of {}", host.name), what)
                .source(EXISTING_DATABASE_PAGE)
                .next("The installer would upgrade it in place and leave its database as it is. Uninstall Connect there and plan again, or name another host with --connect-host. A server that synchronises must not be uninstalled before another one does."),
        );
    }
}

/// Windows Server 2016 to 2022 with the full shell, TLS 1.2 and .NET 4.7.2.
pub(super) fn is_supported(input: &PlanInput, out: &mut Vec<Finding>) {
    let host = &input.connect_host;
    let Some(facts) = host.inventory.as_ref().map(|i| &i.host) else {
        return;
    };
    let build: Option<u32> = facts.os_version.split('.').nth(2).and_then(|b| b.parse().ok());
    // 14393 is 2016, 17763 is 2019, 20348 is 2022, 26100 is 2025.
    if facts.os.contains("Windows") && !build.is_some_and(|b| (14393..26100).contains(&b)) {
        out.push(
            Finding::blocker(
                "connect-host-os",
                format!("Connect does not support the Windows of {}", host.name),
            )
            .saw("operating system", format!("{} ({})", facts.os, facts.os_version))
            .source(PREREQUISITES_PAGE)
            .next("Windows Server 2016, 2019 and 2022 are supported; 2025 is not yet."),
        );
    }
    if facts.desktop_experience == Some(false) {
        out.push(
            Finding::blocker("connect-host-server-core", format!("{} is a Server Core", host.name))
                .saw("InstallationType", "Server Core")
                .source(PREREQUISITES_PAGE)
                .next("Connect needs the full graphical shell. Use a host with Desktop Experience."),
        );
    }
    if facts.tls12 == Some(false) {
        out.push(
            Finding::blocker("connect-host-tls12", format!("TLS 1.2 is not on for .NET on {}", host.name))
                .saw("SchUseStrongCrypto and SystemDefaultTlsVersions", "not set")
                .source(PREREQUISITES_PAGE)
                .next("Set both to 1 for .NET v4.0.30319 (32 and 64 bit) and enable TLS 1.2 in Schannel, then restart the host."),
        );
    }
    if let Some(release) = facts.dotnet_release.filter(|r| *r < DOTNET_4_7_2) {
        out.push(
            Finding::blocker(
                "connect-host-dotnet",
                format!(".NET Framework on {} is older than 4.7.2", host.name),
            )
            .saw("NET Framework Setup\\NDP\\v4\\Full Release", release)
            .source(PREREQUISITES_PAGE)
            .next("Install .NET Framework 4.7.2 or newer and restart the host."),
        );
    }
    if facts.domain.is_none() && facts.os.contains("Windows") {
        out.push(
            Finding::blocker(
                "connect-host-workgroup",
                format!("{} is not a member of a domain", host.name),
            )
            .saw("domain membership", "none")
            .source(PREREQUISITES_PAGE)
            .next("Join it to a domain of the forest first. It must not be renamed afterwards."),
        );
    }
}

/// With remote SQL Server, only a gMSA or a domain user can be the service account.
pub(super) fn service_account_fits(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(account) = &input.request.service_account else {
        out.push(
            Finding::warning("service-account-unknown", "The service account of the new server is not known yet")
                .saw("--service-account", "not given")
                .source(ACCOUNTS_PAGE)
                .next("Its login and db_owner membership must exist before the wizard gets to SQL Server. Give it with --service-account 'DOMAIN\\name$', or accept to grant it by hand."),
        );
        return;
    };
    let Some((domain, _)) = account.split_once('\\') else {
        out.push(
            Finding::blocker("service-account-form", format!("'{account}' is not DOMAIN\\name"))
                .saw("--service-account", account)
                .source("Microsoft Support: a service account stored as a UPN makes upgrades fail with 1603")
                .next("Give the account as DOMAIN\\name, with $ at the end for a gMSA."),
        );
        return;
    };
    let local = [".", "NT SERVICE", "NT AUTHORITY", input.connect_host.computer_name()];
    if input.connect_host.id != input.target_host.id && local.iter().any(|l| l.eq_ignore_ascii_case(domain)) {
        out.push(
            Finding::blocker(
                "service-account-local",
                format!("{account} cannot reach SQL Server on another host"),
            )
            .saw("--service-account", account)
            .source(ACCOUNTS_PAGE)
            .next("With remote SQL Server the service account must be a gMSA (advised) or a domain user."),
        );
    }
}

/// The wizard must reach SQL Server on the name and port of the card.
pub(super) fn reaches_sql(input: &PlanInput, out: &mut Vec<Finding>) {
    let Some(inventory) = &input.connect_host.inventory else {
        return;
    };
    for r in inventory.reach.iter().filter(|r| !r.reached) {
        out.push(
            Finding::blocker("connect-host-cannot-reach-sql", format!("{} does not reach {}", input.connect_host.name, r.target))
                .saw(format!("TCP to {}", r.target), r.error.as_deref().unwrap_or("no answer"))
                .source(PREREQUISITES_PAGE)
                .next("Open the firewall for the instance's static TCP port, and check the name. The wizard would say `error: 26 - Error Locating Server/Instance Specified`."),
        );
    }
    // That nobody answered is not the same as an open port.
    if let Some(target) = sql_target(input).filter(|t| !inventory.reach.iter().any(|r| r.target == *t)) {
        out.push(
            Finding::warning(
                "connect-host-reach-unknown",
                format!("Whether {} reaches {target} is not known", input.connect_host.name),
            )
            .saw(
                format!("agent on {}", input.connect_host.name),
                input.connect_host.error.as_deref().unwrap_or("it did not try"),
            )
            .source(PREREQUISITES_PAGE)
            .next("Plan again when the agent answers, or try it by hand (Test-NetConnection) and accept this."),
        );
    }
}

/// What the new server must reach, `name,port`, where the target's agent names both and it is another host.
fn sql_target(input: &PlanInput) -> Option<String> {
    let t = input.target_instance()?;
    let (name, port) = (t.connect_host.as_ref()?, t.connect_port?);
    (input.connect_host.id != input.target_host.id).then(|| format!("{name},{port}"))
}
