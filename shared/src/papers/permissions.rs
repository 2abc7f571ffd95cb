//! What to request beforehand, team by team: exact grants for the DBA, accounts for AD and Entra, and a port matrix that says what
//! was tried already.

use super::input::PaperInput;
use super::sql::{ident, text};
use super::{Block, code, heading, list, para, table};
use crate::aftercare::SignIn;

pub(super) fn paper(input: &PaperInput) -> (String, String, Vec<Block>) {
    let mut blocks = Vec::new();
    dba(input, &mut blocks);
    windows(input, &mut blocks);
    directory(input, &mut blocks);
    entra(input, &mut blocks);
    network(input, &mut blocks);
    (
        format!(
            "What to request beforehand: {} for {}",
            input.scenario.as_str(),
            input.site
        ),
        format!(
            "Migration {}. Every grant is the least that does; what Syncferry's agents have already is said beside it.",
            input.migration
        ),
        blocks,
    )
}

fn nothing_to_grant() -> Block {
    para("All of it is there already: nothing is to be granted.")
}

fn has(there: bool) -> String {
    if there { "there already" } else { "to be granted" }.to_string()
}

fn dba(input: &PaperInput, out: &mut Vec<Block>) {
    out.push(heading("Database administrators"));
    let db = &input.source.2;
    if let Some(i) = input.source_instance() {
        let login = &i.login;
        let can_backup = input.source_database().is_some_and(|d| d.can_backup);
        out.push(para(format!(
            "On {}, for the agent's login {login}: back the database up, read its configuration, and see who uses it.",
            i.server_name
        )));
        out.push(table(
            ["Right", "Why", "Now"],
            vec![
                [
                    format!("db_backupoperator in {db}"),
                    "BACKUP DATABASE … WITH COPY_ONLY".to_string(),
                    has(can_backup || i.is_sysadmin),
                ],
                [
                    "VIEW SERVER STATE".to_string(),
                    "who is connected to the database; without it \"nobody\" means nothing".to_string(),
                    has(i.can_view_state || i.is_sysadmin),
                ],
                [
                    format!("SELECT and EXECUTE on schema dbo of {db}"),
                    "counts, connectors, rules and settings; columns with credentials are denied by name".to_string(),
                    has(input.adsync().is_some()),
                ],
            ],
        ));
        let all = (can_backup && i.can_view_state && input.adsync().is_some()) || i.is_sysadmin;
        out.push(if all {
            nothing_to_grant()
        } else {
            code(source_grants(db, login))
        });
    }
    if input.stays() {
        if let Some(i) = input.source_instance() {
            out.push(para(format!(
                "On {}, for the account that Connect will run as, and for the person at the wizard:",
                i.server_name
            )));
            out.push(code(owner_grants(input)));
        }
        return;
    }
    if let Some(i) = input.target_instance() {
        out.push(para(format!(
            "On {}, for the agent's login {}: create the database and, unless you do it yourselves, the logins.",
            i.server_name, i.login
        )));
        out.push(table(
            ["Right", "Why", "Now"],
            vec![
                [
                    "CREATE ANY DATABASE".to_string(),
                    "RESTORE DATABASE under a new name; REPLACE does not occur".to_string(),
                    has(i.can_create_database || i.is_sysadmin),
                ],
                [
                    "VIEW SERVER STATE".to_string(),
                    "who is connected to the database".to_string(),
                    has(i.can_view_state || i.is_sysadmin),
                ],
                [
                    "ALTER ANY LOGIN".to_string(),
                    "a login for the service account; not needed when you create it".to_string(),
                    has(i.can_alter_logins == Some(true) || i.is_sysadmin),
                ],
            ],
        ));
        let login = ident(&i.login);
        let all = (i.can_create_database && i.can_view_state && i.can_alter_logins == Some(true)) || i.is_sysadmin;
        let grants = code(format!(
            "USE [master];\nGRANT CREATE ANY DATABASE TO {login};\nGRANT VIEW SERVER STATE TO {login};\nGRANT ALTER ANY LOGIN TO {login}; -- or create the logins below yourselves"
        ));
        out.push(if all { nothing_to_grant() } else { grants });
        out.push(para(
            "For the account that Connect will run as, and for the person at the wizard: a login of their own each (a group is not enough) and db_owner in the restored database. The database part can only run after the restore; Syncferry does it for the service account where it may.",
        ));
        out.push(code(owner_grants(input)));
    }
}

fn source_grants(db: &str, login: &str) -> String {
    let (d, l) = (ident(db), ident(login));
    let mut sql = format!(
        "USE [master];\nGRANT VIEW SERVER STATE TO {l};\nUSE {d};\nIF USER_ID({}) IS NULL CREATE USER {l} FOR LOGIN {l};\nALTER ROLE [db_backupoperator] ADD MEMBER {l};\nGRANT SELECT ON SCHEMA::[dbo] TO {l};\nGRANT EXECUTE ON OBJECT::[dbo].[mms_get_globalsettings] TO {l};\nGRANT VIEW DEFINITION TO {l};\n",
        text(login)
    );
    for column in ["encrypted_configuration", "controller_configuration_password"] {
        sql.push_str(&format!(
            "DENY SELECT ON OBJECT::[dbo].[mms_management_agent] ([{column}]) TO {l};\n"
        ));
    }
    sql.push_str(&format!(
        "DENY SELECT ON OBJECT::[dbo].[mms_server_configuration] ([entropy]) TO {l};"
    ));
    sql
}

fn owner_grants(input: &PaperInput) -> String {
    let db = ident(&input.target_name());
    let mut sql = String::from("USE [master];\n");
    let accounts = [input.service_account(), r"DOMAIN\person-at-the-wizard".to_string()];
    for a in &accounts {
        sql.push_str(&format!(
            "IF SUSER_ID({}) IS NULL CREATE LOGIN {} FROM WINDOWS;\n",
            text(a),
            ident(a)
        ));
    }
    sql.push_str(&format!("USE {db};\n"));
    for a in &accounts {
        let i = ident(a);
        sql.push_str(&format!(
            "IF USER_ID({}) IS NULL CREATE USER {i} FOR LOGIN {i};\nALTER ROLE [db_owner] ADD MEMBER {i};\n",
            text(a)
        ));
    }
    sql.trim_end().to_string()
}

fn windows(input: &PaperInput, out: &mut Vec<Block>) {
    out.push(heading("Windows"));
    let new = input.connect_name();
    let mut items = vec![
        format!(
            "{new}: Windows Server 2016, 2019 or 2022 with desktop, member of the domain, TLS 1.2 on, .NET Framework 4.7.2 or later, no Connect on it"
        ),
        format!("{new}: the person at the wizard is a local administrator"),
        format!(
            "{new}: the agent's service account is LocalSystem or a local administrator; after the installation a member of ADSyncAdmins, so that Get-ADSyncScheduler and csexport answer it"
        ),
        format!("{new}: the service account has 'Log on as a service', and no group policy takes it away"),
    ];
    if let Some(v) = &input.plan.values {
        items.push(format!(
            "Room for the backup in the agents' staging folders: {} on {}{}",
            crate::finding::bytes(v.expected_bytes),
            input.name(input.source.0),
            if input.stays() {
                String::new()
            } else {
                format!(" and on {}", input.target_host_name())
            }
        ));
    }
    if let Some(i) = input.target_instance().or(input.source_instance())
        && let Some(account) = &i.service_account
    {
        items.push(format!(
            "SQL Server's own account {account} reads and writes the staging folder of the agent on its machine"
        ));
    }
    out.push(list(items));
}

fn directory(input: &PaperInput, out: &mut Vec<Block>) {
    out.push(heading("Active Directory"));
    let account = input.service_account();
    let new = input.connect_name();
    if account.ends_with('$') {
        let name = account
            .rsplit('\\')
            .next()
            .unwrap_or(&account)
            .trim_end_matches('$')
            .to_string();
        let quoted = name.replace('\'', "''");
        let host = new.replace('\'', "''");
        out.push(para(format!(
            "The service account {account}, a gMSA that {new} may use:"
        )));
        out.push(code(format!(
            "New-ADServiceAccount -Name '{quoted}' -DNSHostName '{quoted}.<domain>' -PrincipalsAllowedToRetrieveManagedPassword '{host}$'\n# on {new}:\nInstall-ADServiceAccount -Identity '{quoted}'\nTest-ADServiceAccount -Identity '{quoted}'   # must say True"
        )));
    } else {
        out.push(para(format!(
            "The service account {account}: an ordinary domain user, written as DOMAIN\\name and never as a UPN. A gMSA is what Microsoft advises."
        )));
    }
    let forests: Vec<String> = input.adsync().map(|a| a.forests.clone()).unwrap_or_default();
    let features = |name: &str| {
        input
            .adsync()
            .and_then(|a| a.features.get(name))
            .is_some_and(|v| v.eq_ignore_ascii_case("true") || v == "1")
    };
    let mut rights = vec!["read all properties of what is synchronised".to_string()];
    if features("PasswordHashSync") {
        rights.push("Replicating Directory Changes, and Replicating Directory Changes All".to_string());
    }
    if features("PasswordWriteback") {
        rights.push("reset password; write lockoutTime and pwdLastSet".to_string());
    }
    if features("HybridExchange") {
        rights.push("write Exchange's hybrid attributes".to_string());
    }
    if features("DeviceWriteBack") {
        rights.push("create and delete msDS-Device objects".to_string());
    }
    out.push(para(
        "A connector account for each forest, because the wizard cannot read the old ones. It must not be an Enterprise or Domain Admin. (Or an Enterprise Admin at the wizard, who lets it create them.)",
    ));
    let forests = if forests.is_empty() {
        vec!["<each forest>".to_string()]
    } else {
        forests
    };
    out.push(table(
        ["Forest", "Rights of its account"],
        forests.into_iter().map(|f| [f, rights.join("; ")]).collect(),
    ));
}

fn entra(input: &PaperInput, out: &mut Vec<Block>) {
    out.push(heading("Microsoft Entra ID"));
    let mut items = vec![
        format!("Tenant {}: a person with the role Hybrid Identity Administrator, assigned directly and not through a group, with an account of the onmicrosoft.com domain. (Connect Health needs a Global Administrator to be registered.)", input.tenant),
        "From 2.5.76 on the wizard makes an application with a certificate for the server: policies for applications and credentials must allow it.".to_string(),
        "Conditional access must let that person sign in from the new server, with what the wizard's browser can do.".to_string(),
    ];
    let method = input.adsync().and_then(|a| a.sign_on_method.as_deref());
    if SignIn::read(method) == SignIn::PassThrough {
        items.push("Pass-through authentication is in use: have two cloud-only Global Administrators ready, and somebody who may register authentication agents.".to_string());
    }
    out.push(list(items));
}

/// One row of the port matrix.
struct Way {
    from: String,
    to: String,
    port: String,
    why: &'static str,
    tried: String,
}

fn network(input: &PaperInput, out: &mut Vec<Block>) {
    out.push(heading("Firewall"));
    out.push(para(
        "Agents dial out; a site needs no inbound port for the controller. \"tried\" is what an agent did when the plan was made.",
    ));
    let rows = ways(input)
        .into_iter()
        .map(|w| [w.from, w.to, w.port, w.why.to_string(), w.tried])
        .collect();
    out.push(table(["From", "To", "Port", "Why", "Tried"], rows));
}

fn ways(input: &PaperInput) -> Vec<Way> {
    let way = |from: &str, to: &str, port: &str, why: &'static str| Way {
        from: from.to_string(),
        to: to.to_string(),
        port: port.to_string(),
        why,
        tried: "not tried".to_string(),
    };
    let mut ways = Vec::new();
    let (controller, port) = input.controller.rsplit_once(':').unwrap_or((&input.controller, "7443"));
    let port = format!("TCP {port}");
    for host in &input.hosts {
        let mut w = way(
            &host.name,
            controller,
            &port,
            "the agent's connection to the controller",
        );
        if host.inventory.is_some() {
            w.tried = "yes: its agent answered over it".to_string();
        }
        ways.push(w);
    }
    let new = input.connect_name();
    if let Some(r) = input
        .request()
        .filter(|r| r.target_host != input.source.0 && !input.stays())
    {
        let source = input.host(input.source.0);
        let address = source
            .and_then(|h| h.transfer_address.clone())
            .unwrap_or_else(|| format!("{}:?", input.name(input.source.0)));
        let (to, port) = address.rsplit_once(':').unwrap_or((&address, "?"));
        ways.push(way(
            &input.name(r.target_host),
            to,
            &format!("TCP {port}"),
            "the backup is fetched from the source's agent",
        ));
    }
    let sql = if input.stays() {
        input.source_instance()
    } else {
        input.target_instance()
    };
    if let Some(i) = sql {
        let to = i.connect_host.clone().unwrap_or_else(|| i.machine_name.clone());
        let port = i.connect_port.unwrap_or(1433);
        let mut w = way(
            &new,
            &to,
            &format!("TCP {port}"),
            "Connect to SQL Server, for as long as it runs",
        );
        let target = format!("{to},{port}");
        let reach = input
            .hosts
            .iter()
            .filter_map(|h| h.inventory.as_ref())
            .flat_map(|i| &i.reach);
        if let Some(found) = reach.into_iter().find(|r| r.target.eq_ignore_ascii_case(&target)) {
            w.tried = match (&found.error, found.reached) {
                (_, true) => "yes: it answered".to_string(),
                (Some(e), _) => format!("NO: {e}"),
                (None, _) => "NO".to_string(),
            };
        }
        ways.push(w);
    }
    for (port, why) in [
        ("TCP/UDP 53", "DNS"),
        ("TCP/UDP 88", "Kerberos"),
        (
            "TCP 135, 49152-65535",
            "RPC: password hash synchronisation, and the wizard",
        ),
        ("TCP/UDP 389", "LDAP"),
        ("TCP 445", "SMB: seamless single sign-on"),
        ("TCP 3268", "the global catalogue"),
        ("TCP 9389", "AD DS web services"),
    ] {
        ways.push(way(&new, "domain controllers of each forest", port, why));
    }
    ways.push(way(&new, "*.msappproxy.net, login.microsoftonline.com, adminwebservice.microsoftonline.com and the others on Microsoft's list", "TCP 443", "Entra ID, without inspection of TLS"));
    ways.push(way(
        &new,
        "*.digicert.com, crl.microsoft.com",
        "TCP 80",
        "lists of revoked certificates",
    ));
    ways
}
