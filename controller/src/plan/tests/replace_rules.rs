//! Every rule that only a replacement meets, with the input that it refuses and the finding as a person reads it.

use syncferry_shared::inventory::SessionFacts;
use syncferry_shared::lease::LeaseState;
use syncferry_shared::plan::HandoverWay;
use syncferry_shared::{DatabaseId, Finding, Severity};
use uuid::Uuid;

use super::facts::ACCOUNT;
use super::replaced::{OLD, replaced};
use super::rules::{Case, read_aloud, rules_of};
use super::world::{SYNC02, lease};
use crate::plan::{PlanInput, plan};

macro_rules! cases {
    ($($test:ident: $severity:ident $rule:literal <- $breaks:expr;)*) => {
        pub(super) const CASES: &[Case] = &[$(Case { rule: $rule, severity: Severity::$severity, breaks: $breaks },)*];
        $(#[test] fn $test() { check(stringify!($test), $rule, Severity::$severity, $breaks); })*
    };
}

/// Rules that stand in `shared/src/fence_case.rs`, and speak here as they do when the fence is planned.
pub(super) const OF_FENCES: [&str; 2] = ["fence-owner", "fence-rights"];

fn check(test: &str, rule: &str, severity: Severity, breaks: fn(&mut PlanInput)) {
    let mut input = replaced();
    if severity > Severity::Note {
        assert!(
            !plan(&input)
                .findings
                .iter()
                .any(|f| f.rule == rule && f.severity == severity && rule != "only-copy-changes"),
            "{rule} speaks in a good world"
        );
    }
    breaks(&mut input);
    let plan = plan(&input);
    let found: Vec<&Finding> = plan.findings.iter().filter(|f| f.rule == rule).collect();
    assert!(
        !found.is_empty(),
        "{rule} says nothing; there are: {:?}",
        rules_of(&plan.findings)
    );
    assert!(
        found.iter().all(|f| f.severity == severity),
        "{rule}: {:?}",
        found[0].severity
    );
    assert_eq!(plan.blocked(), plan.findings.iter().any(Finding::blocks));
    let text: Vec<String> = found.into_iter().map(read_aloud).collect();
    insta::assert_snapshot!(format!("replace__{test}"), text.join("\n"));
}

fn by_sql(input: &mut PlanInput) {
    input.request.handover = Some(HandoverWay::Sql);
}

cases! {
    a_dba_takes_part: Note "dba-steps" <- |i| i.request.dba = true;
    identity_in_doubt: Blocker "source-identity-in-doubt" <- |i| i.source.confirmed = false;
    no_lease: Blocker "source-has-no-lease" <- |i| i.source.lease = None;
    quarantined: Blocker "lease-quarantined" <- |i| {
        if let Some(l) = &mut i.source.lease { l.state = LeaseState::Quarantined }
    };
    never_seen: Blocker "holder-not-known" <- |i| {
        if let Some(l) = &mut i.source.lease { (l.state, l.epoch, l.holder) = (LeaseState::Free, 0, None) }
        i.holder = None;
    };
    free: Note "lease-is-free" <- |i| {
        if let Some(l) = &mut i.source.lease { (l.state, l.epoch, l.holder) = (LeaseState::Free, 2, None) }
        i.holder = None;
    };
    seated: Note "lease-is-the-new-servers" <- |i| {
        if let Some(l) = &mut i.source.lease { l.holder = Some(SYNC02) }
        i.holder = Some(i.connect_host.clone());
    };
    new_server_has_another: Blocker "lease-held" <- |i| {
        i.connect_host.holds = Some(lease(DatabaseId(Uuid::from_u128(0xd9)), LeaseState::Held, Some(SYNC02)));
    };
    off_but_runs: Blocker "old-server-is-there" <- |i| i.request.handover = Some(HandoverWay::PowerOff);
    not_lost_yet: Note "lease-not-lost-yet" <- |i| {
        i.dead();
        i.request.handover = Some(HandoverWay::Attested);
        if let Some(l) = &mut i.source.lease { l.state = LeaseState::Held }
    };
    host_way_of_a_lost_lease: Blocker "old-server-not-heard-of" <- |i| {
        if let Some(l) = &mut i.source.lease { l.state = LeaseState::Lost }
    };
    host_way_without_connect: Blocker "old-server-unseen" <- |i| {
        if let Some(inventory) = i.holder.as_mut().and_then(|h| h.inventory.as_mut()) { inventory.connect = None }
    };
    account_not_known: Warning "old-account-not-known" <- |i| {
        by_sql(i);
        if let Some(p) = &mut i.old().preview { p.principals.retain(|p| p.login == ACCOUNT) }
    };
    owner_is_not_bound: Blocker "fence-owner" <- |i| { by_sql(i); i.login(OLD).is_owner = Some(true) };
    agent_may_not_fence: Blocker "fence-rights" <- |i| {
        by_sql(i);
        i.old().preview.get_or_insert_default().lacks = vec!["ALTER ANY CONNECTION".to_string()];
    };
    account_without_login: Blocker "service-account-has-no-access" <- |i| {
        let p = i.login(ACCOUNT);
        (p.exists, p.user) = (Some(false), None);
    };
    account_without_user: Blocker "service-account-has-no-access" <- |i| i.login(ACCOUNT).user = None;
    account_is_denied: Blocker "service-account-denied" <- |i| i.login(ACCOUNT).connect = Some("DENY".to_string());
    one_account_for_both: Warning "service-account-shared" <- |i| i.request.service_account = Some(OLD.to_string());
    one_account_for_both_cannot_be_fenced: Blocker "service-account-shared" <- |i| {
        by_sql(i);
        i.request.service_account = Some(OLD.to_string());
    };
    active_server: Note "export-stays-behind" <- |i| i.holder_exports = true;
    orphan_account: Note "old-sync-account-stays" <- |i| i.adsync().last_owner = Some("SYNC00".to_string());
    localdb: Blocker "database-on-localdb" <- |i| i.instance(|x| x.is_localdb = true);
    azure: Blocker "database-on-azure-sql" <- |i| i.instance(|x| x.engine_edition = 8);
    old_engine: Warning "engine-old" <- |i| i.instance(|x| x.major = 15);
    unsupported_engine: Blocker "engine-unsupported" <- |i| i.instance(|x| x.major = 13);
    case_sensitive_instance: Blocker "instance-collation-case-sensitive" <- |i| {
        i.instance(|x| x.collation = "Latin1_General_CS_AS".to_string());
    };
    blind: Blocker "sessions-unseen" <- |i| i.instance(|x| x.can_view_state = false);
    in_a_group: Blocker "database-in-availability-group" <- |i| {
        i.source_db().group_database_id = Some(Uuid::from_u128(0xa6));
    };
    upgraded_in_place: Warning "only-copy-changes" <- |i| i.msi().product_version = "2.6.91.0".to_string();
    unknown_test_instance: Blocker "test-instance-unknown" <- |i| i.request.test_instance = Some("DRILL".to_string());
    may_not_restore: Blocker "test-restore-not-permitted" <- |i| i.instance(|x| x.can_create_database = false);
    older_test_instance: Blocker "test-instance-older" <- |i| {
        let mut older = i.source_instance().cloned().unwrap_or_default();
        (older.name, older.server_name, older.major) = ("DRILL".to_string(), r"SQL01\DRILL".to_string(), 15);
        i.old().instances.push(older);
        i.request.test_instance = Some("DRILL".to_string());
    };
    no_room_for_the_copy: Blocker "no-space" <- |i| {
        i.instance(|x| { x.volumes.insert(r"D:\".to_string(), 1 << 30); });
    };
}

/// What a rule of the other scenario says here: a server that is not the holder on the very database.
#[test]
fn a_second_server_on_the_database_blocks() {
    let mut input = replaced();
    input.source_db().sessions.get_or_insert_default().push(SessionFacts {
        id: 60,
        login: r"CONTOSO\gmsa-third$".to_string(),
        host: Some("SYNC03".to_string()),
        program: Some("miiserver".to_string()),
        process_id: None,
        address: None,
    });
    let plan = plan(&input);
    assert!(plan.blocked() && rules_of(&plan.findings).contains(&"source-is-shared"));
}

/// A dead server is asked nothing, and blocks nothing, unless its own agent has to act.
#[test]
fn a_dead_server_blocks_only_the_way_that_needs_it() {
    for way in HandoverWay::ALL {
        let mut input = replaced();
        input.dead();
        input.request.handover = Some(*way);
        let plan = plan(&input);
        let rules = rules_of(&plan.findings);
        assert_eq!(plan.blocked(), *way == HandoverWay::Host, "{way:?}: {rules:?}");
    }
}
