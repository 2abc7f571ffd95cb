//! Whether denying CONNECT would keep a Connect server out of its database. Pure: facts in, findings out. The controller asks
//! when a run is planned, the agent before it runs, and both by these rules. What is unknown counts against the fence, because a fence that does not hold is worse than none: it would free the lease.

use std::collections::BTreeMap;

use crate::fence::PrincipalFacts;
use crate::finding::Finding;
use crate::sabotage::{self, Mutant};

const LEARN: &str =
    "Microsoft Learn: permissions are not checked for the owner of a database and for members of sysadmin";
const OURS: &str = "Syncferry: a lease is freed by proof only";

/// What a fence would meet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FenceCase {
    /// Logins that would lose CONNECT.
    pub deny: Vec<PrincipalFacts>,
    /// The login that would get it.
    pub grant: Option<PrincipalFacts>,
    /// `Updateability` of the database.
    pub updateability: Option<String>,
    /// What the agent's login lacks.
    pub lacks: Vec<String>,
    /// Whether it opens the database to somebody; then there may be nobody to deny it to.
    pub opens: bool,
    /// Which Connect servers run as a login, as far as anybody knows.
    pub servers: BTreeMap<String, Vec<String>>,
}

impl FenceCase {
    /// What speaks against the fence. Without a blocker it can be offered.
    pub fn verdict(&self) -> Vec<Finding> {
        let mut findings = self.ground();
        if self.deny.is_empty() && self.grant.is_none() && !self.opens {
            findings.push(
                Finding::blocker("fence-nobody", "There is nobody to deny the database to")
                    .saw("logins of the run", "none")
                    .source(OURS)
                    .next("Name the service account of the server that is to be kept out."),
            );
        }
        for principal in &self.deny {
            findings.extend(bound(principal));
            findings.extend(self.shared(principal));
        }
        if let Some(grant) = &self.grant
            && grant.user.is_none()
            && grant.is_owner != Some(true)
        {
            findings.push(no_user(grant, "opened to"));
        }
        if let Some(grant) = &self.grant {
            findings.extend(self.opens_to_several(grant));
        }
        findings
    }

    /// What speaks against any run, whoever it is about: the database takes no changes, or the agent may not make them.
    pub fn ground(&self) -> Vec<Finding> {
        self.writable().into_iter().chain(self.rights()).collect()
    }

    fn writable(&self) -> Option<Finding> {
        if self.updateability.as_deref() == Some("READ_WRITE") {
            return None;
        }
        Some(
            Finding::blocker("fence-not-writable", "The database takes no changes where the agent reaches it")
                .saw("DATABASEPROPERTYEX Updateability", self.updateability.as_deref().unwrap_or("unknown"))
                .source("Microsoft Learn: a secondary replica, a snapshot and a standby are read-only")
                .next("Give the agent an endpoint that leads to the primary replica, or take another proof: of its host (`syncferry lease fence` without --sql), of its power (`--power-off`), or two people's word (`syncferry lease attest`)."),
        )
    }

    fn rights(&self) -> Option<Finding> {
        if self.lacks.is_empty() {
            return None;
        }
        let mut finding = Finding::blocker("fence-rights", "The agent's login may not do what the fence needs");
        for lack in &self.lacks {
            finding = finding.saw("the agent's login lacks", lack);
        }
        Some(
            finding
                .source("docs/SECURITY.md, Permissions in SQL Server")
                .next("Have a DBA grant exactly these, or take another proof: of its host (`syncferry lease fence` without --sql), of its power (`--power-off`), or two people's word (`syncferry lease attest`)."),
        )
    }

    /// The Connect servers that run as a login.
    fn users(&self, login: &str) -> Vec<&str> {
        let of_login = self.servers.iter().filter(|(l, _)| l.eq_ignore_ascii_case(login));
        let mut users: Vec<&str> = of_login.flat_map(|(_, s)| s.iter().map(String::as_str)).collect();
        users.sort_unstable();
        users.dedup();
        users
    }

    /// Who is let in is an account, not a server.
    fn opens_to_several(&self, grant: &PrincipalFacts) -> Option<Finding> {
        let users = self.users(&grant.login);
        if users.len() < 2 || sabotage::on(Mutant::SharedAccount) {
            return None;
        }
        Some(
            Finding::warning(
                "open-shared-account",
                format!("{} lets in more than one Connect server", grant.login),
            )
            .saw("servers that run as it", users.join(", "))
            .source(OURS)
            .next("Keep every other one of them stopped and disabled: SQL Server does not refuse it. Better: give every Connect server an account of its own (a gMSA), then plan again."),
        )
    }

    fn shared(&self, principal: &PrincipalFacts) -> Option<Finding> {
        let same = |a: &str| a.eq_ignore_ascii_case(&principal.login);
        let users = self.users(&principal.login);
        let both = self.grant.as_ref().is_some_and(|g| same(&g.login));
        if users.len() < 2 && !both || sabotage::on(Mutant::SharedAccount) {
            return None;
        }
        let mut finding = Finding::blocker(
            "fence-shared-account",
            format!("{} is the account of more than one Connect server", principal.login),
        );
        if both {
            finding = finding.saw("the run", "denies and grants CONNECT to the same login");
        }
        if users.len() > 1 {
            finding = finding.saw("servers that run as it", users.join(", "));
        }
        Some(finding.source(OURS).next(
            "Give every Connect server an account of its own (a gMSA). Until then the fence cannot tell them apart: take another proof, of its host (`syncferry lease fence` without --sql) or of its power (`--power-off`).",
        ))
    }
}

/// Whether a denial would bind a login.
fn bound(p: &PrincipalFacts) -> Vec<Finding> {
    let login = &p.login;
    let mut findings = Vec::new();
    let mut judge = |rule: &str, fact: Option<bool>, title: String, looked_at: &str, next: &str| match fact {
        Some(false) => {}
        Some(true) => findings.push(
            Finding::blocker(rule, title)
                .saw(looked_at, "yes")
                .source(LEARN)
                .next(next),
        ),
        None => findings.push(unknown(login, looked_at)),
    };
    judge(
        "fence-owner",
        p.is_owner,
        format!("{login} owns the database: a denial does not bind it"),
        "owner of the database",
        "Make a neutral login the owner, for example: ALTER AUTHORIZATION ON DATABASE::[…] TO [sa]; the account keeps db_owner through its user. Check that Connect accepts that, or take another proof: of its host (`syncferry lease fence` without --sql), of its power (`--power-off`), or two people's word (`syncferry lease attest`).",
    );
    judge(
        "fence-sysadmin",
        p.is_sysadmin,
        format!("{login} is sysadmin: nothing is denied to it"),
        "IS_SRVROLEMEMBER('sysadmin')",
        "Take the account, and every group that it is in, out of sysadmin; or take another proof: of its host (`syncferry lease fence` without --sql), of its power (`--power-off`), or two people's word (`syncferry lease attest`).",
    );
    match &p.groups {
        None => findings.push(unknown(login, "Windows groups that let it in")),
        Some(groups) if groups.is_empty() => {}
        Some(groups) => findings.push(
            Finding::blocker(
                "fence-group",
                format!("{login} gets into the database through a Windows group as well"),
            )
            .saw("groups with access", groups.join(", "))
            .source("Microsoft's delegation page: logins through groups do not work for Connect; and a group outlives the account's own user")
            .next("Take the account out of these groups, or the groups out of the database. Until then take another proof: of its host (`syncferry lease fence` without --sql), of its power (`--power-off`), or two people's word (`syncferry lease attest`)."),
        ),
    }
    if p.user.is_none() && p.is_owner == Some(false) {
        findings.push(if p.exists == Some(false) {
            Finding::note(
                "fence-login-missing",
                format!("The instance does not know {login}, so it cannot connect"),
            )
            .saw(
                "sys.server_principals and sys.database_principals",
                "neither login nor user",
            )
            .source(OURS)
            .next("Nothing, if the spelling is right.")
        } else {
            no_user(p, "denied to")
        });
    }
    findings
}

fn no_user(p: &PrincipalFacts, what: &str) -> Finding {
    Finding::blocker(
        "fence-no-user",
        format!("{} has no user in the database, so it cannot be {what} it", p.login),
    )
    .saw(
        "the login on the instance",
        match p.exists {
            Some(true) => "there",
            Some(false) => "not there",
            None => "unknown",
        },
    )
    .saw("sys.database_principals with its SID", "none")
    .source(OURS)
    .next("Check the account's name. Microsoft asks for a login and a db_owner user of the account's own, not through a group.")
}

fn unknown(login: &str, what: &str) -> Finding {
    Finding::blocker("fence-unknown", format!("It cannot be seen whether a denial would bind {login}"))
        .saw(what, "unknown")
        .source(OURS)
        .next("Grant the agent's login VIEW ANY DEFINITION and, in master, EXECUTE on sys.xp_logininfo, and let the SQL Server reach a domain controller; or take another proof: of its host (`syncferry lease fence` without --sql), of its power (`--power-off`), or two people's word (`syncferry lease attest`).")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(login: &str) -> PrincipalFacts {
        PrincipalFacts {
            login: login.into(),
            exists: Some(true),
            user: Some(login.into()),
            is_owner: Some(false),
            is_sysadmin: Some(false),
            groups: Some(Vec::new()),
            connect: Some("GRANT".into()),
        }
    }

    fn good() -> FenceCase {
        FenceCase {
            deny: vec![account(r"CONTOSO\svc-a$")],
            grant: Some(account(r"CONTOSO\svc-b$")),
            updateability: Some("READ_WRITE".into()),
            lacks: Vec::new(),
            opens: false,
            servers: [(r"contoso\SVC-A$".to_string(), vec!["SYNC01".to_string()])].into(),
        }
    }

    fn rules(case: &FenceCase) -> Vec<String> {
        let findings = case.verdict();
        for f in &findings {
            assert!(
                f.blocks() && !f.evidence.is_empty() && !f.source.is_empty() && !f.next_step.is_empty(),
                "{f:?}"
            );
        }
        findings.into_iter().map(|f| f.rule).collect()
    }

    #[test]
    fn an_account_of_its_own_can_be_fenced() {
        assert!(good().verdict().is_empty());
        let mut nobody = good();
        nobody.grant = None;
        assert!(nobody.verdict().is_empty());
    }

    #[test]
    fn each_reason_alone_is_enough() {
        let case = |change: fn(&mut FenceCase)| {
            let mut case = good();
            change(&mut case);
            rules(&case)
        };
        assert_eq!(case(|c| c.deny[0].is_owner = Some(true)), ["fence-owner"]);
        assert_eq!(case(|c| c.deny[0].is_sysadmin = Some(true)), ["fence-sysadmin"]);
        assert_eq!(case(|c| c.deny[0].groups = Some(vec!["G".into()])), ["fence-group"]);
        assert_eq!(case(|c| c.deny[0].user = None), ["fence-no-user"]);
        assert_eq!(case(|c| c.grant.as_mut().unwrap().user = None), ["fence-no-user"]);
        assert_eq!(
            case(|c| c.updateability = Some("READ_ONLY".into())),
            ["fence-not-writable"]
        );
        assert_eq!(case(|c| c.lacks.push("ALTER ANY CONNECTION".into())), ["fence-rights"]);
        assert_eq!(
            case(|c| c.grant = Some(account(r"contoso\SVC-A$"))),
            ["fence-shared-account"]
        );
        let shared = |c: &mut FenceCase| {
            c.servers.insert(r"CONTOSO\svc-a$".into(), vec!["SYNC02".into()]);
        };
        assert_eq!(case(shared), ["fence-shared-account"]);
        let nobody = |c: &mut FenceCase| {
            c.deny.clear();
            c.grant = None;
        };
        assert_eq!(case(nobody), ["fence-nobody"]);
    }

    #[test]
    fn what_is_unknown_counts_against_it() {
        let unknown: [fn(&mut FenceCase); 3] = [
            |c| c.deny[0].is_owner = None,
            |c| c.deny[0].is_sysadmin = None,
            |c| c.deny[0].groups = None,
        ];
        for change in unknown {
            let mut case = good();
            change(&mut case);
            assert_eq!(rules(&case), ["fence-unknown"]);
        }
        let mut case = good();
        case.updateability = None;
        assert_eq!(rules(&case), ["fence-not-writable"]);
    }

    #[test]
    fn who_cannot_connect_at_all_need_not_be_denied() {
        let mut case = good();
        case.deny[0].exists = Some(false);
        case.deny[0].user = None;
        let findings = case.verdict();
        assert_eq!(findings.len(), 1);
        assert!(!findings[0].blocks() && findings[0].rule == "fence-login-missing");
        // Unless it comes in by another way, or that cannot be seen.
        case.deny[0].groups = None;
        assert!(case.verdict().iter().any(Finding::blocks));
        // Opening to somebody whose login nobody knows yet denies nobody.
        let mut open = good();
        (open.deny, open.grant, open.opens) = (Vec::new(), None, true);
        assert!(open.verdict().is_empty());
    }

    /// Simulation, seed 475: the other server came back, and SQL Server let it in.
    #[test]
    fn opening_to_an_account_that_several_servers_share_is_said() {
        let mut open = good();
        (open.deny, open.opens) = (Vec::new(), true);
        let login = r"CONTOSO\svc-sync2$".to_string();
        open.grant = Some(account(&login));
        open.servers.insert(login.clone(), vec!["SYNC02".to_string()]);
        assert_eq!(rules(&open), Vec::<String>::new());
        open.servers.insert(login.to_uppercase(), vec!["SYNC01".to_string()]);
        let findings = open.verdict();
        assert_eq!(findings[0].rule, "open-shared-account");
        assert!(!findings[0].blocks() && findings[0].evidence[0].found.contains("SYNC01, SYNC02"));
    }

    #[test]
    fn an_owner_has_no_user_of_its_own() {
        let mut case = good();
        case.deny[0].is_owner = Some(true);
        case.deny[0].user = None;
        assert_eq!(rules(&case), ["fence-owner"]);
    }

    #[test]
    fn what_a_person_reads() {
        let mut case = good();
        case.deny[0].is_owner = Some(true);
        case.deny[0].groups = Some(vec![r"CONTOSO\SyncAdmins".into()]);
        case.servers.insert(r"CONTOSO\svc-a$".into(), vec!["SYNC02".into()]);
        case.lacks = vec!["ALTER ANY CONNECTION".into()];
        let lines: Vec<String> = case
            .verdict()
            .iter()
            .map(|f| {
                let seen: Vec<String> = f
                    .evidence
                    .iter()
                    .map(|e| format!("{}: {}", e.looked_at, e.found))
                    .collect();
                format!("{}: {}\n  {}\n  > {}", f.rule, f.title, seen.join("; "), f.next_step)
            })
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
