//! Every rule, with the input that it refuses and the finding as a person reads it.

use std::collections::BTreeSet;
use std::path::Path;

use syncferry_shared::inventory::{ConnectParameters, DatabaseName, Problem, ProductFacts, ServiceFacts, SessionFacts};
use syncferry_shared::lease::LeaseState;
use syncferry_shared::{ConnectVersion, Finding, Severity};
use uuid::Uuid;

use super::facts::{FAMILY_GUID, NOW};
use super::world::{SQL01, SYNC02, good, lease};
use crate::plan::{PlanInput, plan};

/// A rule and what makes it speak.
pub(super) struct Case {
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    pub(super) breaks: fn(&mut PlanInput),
}

macro_rules! cases {
    ($($test:ident: $severity:ident $rule:literal <- $breaks:expr;)*) => {
        pub(super) const CASES: &[Case] = &[$(Case { rule: $rule, severity: Severity::$severity, breaks: $breaks },)*];
        $(#[test] fn $test() { check($rule, Severity::$severity, $breaks); })*
    };
}

fn check(rule: &str, severity: Severity, breaks: fn(&mut PlanInput)) {
    let mut input = good();
    if severity > Severity::Note {
        assert!(
            !plan(&input).findings.iter().any(|f| f.rule == rule),
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
    insta::assert_snapshot!(format!("rule__{rule}"), text.join("\n"));
}

pub(super) fn rules_of(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.rule.as_str()).collect()
}

/// A finding as a person reads it.
pub(super) fn read_aloud(f: &Finding) -> String {
    let mut text = format!("{}: {}\n", f.severity.as_str(), f.title);
    for e in &f.evidence {
        text += &format!("  {}: {}\n", e.looked_at, e.found);
    }
    text + &format!("  source: {}\n  next: {}\n", f.source, f.next_step)
}

fn session(host: &str) -> SessionFacts {
    SessionFacts {
        id: 60,
        login: r"CONTOSO\other$".to_string(),
        host: Some(host.to_string()),
        program: Some("miiserver".to_string()),
        process_id: None,
        address: None,
    }
}

cases! {
    agent_does_not_answer: Blocker "agent-does-not-answer" <- |i| {
        i.connect_host.inventory = None;
        i.connect_host.error = Some("no answer within 60 s".to_string());
    };
    could_not_look: Blocker "could-not-look" <- |i| i.sql().problems.push(Problem {
        subject: "instance default".to_string(),
        error: "Login failed for user 'CONTOSO\\syncferry$'. (18456)".to_string(),
        next_step: "Create the login on SQL01.".to_string(),
    });
    agent_too_old: Blocker "agent-too-old" <- |i| {
        let hosts = [&mut i.source_host, &mut i.target_host, &mut i.connect_host];
        for host in hosts.into_iter().chain(i.holder.as_mut()) {
            host.capabilities = vec!["watch.v1".to_string()];
        }
    };
    source_identity_in_doubt: Blocker "source-identity-in-doubt" <- |i| i.source.confirmed = false;
    source_has_no_lease: Blocker "source-has-no-lease" <- |i| i.source.lease = None;
    source_holder_unknown: Blocker "source-holder-unknown" <- |i| {
        i.source.lease = Some(lease(i.source.id, LeaseState::Free, None));
        i.holder = None;
    };
    source_lease_not_held: Blocker "source-lease-not-held" <- |i| {
        i.source.lease.get_or_insert_with(|| lease(super::world::SOURCE, LeaseState::Lost, Some(SQL01))).state = LeaseState::Lost;
    };
    source_sessions_unseen: Warning "source-sessions-unseen" <- |i| i.source_db().sessions = None;
    source_is_shared: Blocker "source-is-shared" <- |i| {
        i.source_db().sessions.get_or_insert_default().push(session("SYNC09"));
    };
    lease_held: Blocker "lease-held" <- |i| {
        let other = syncferry_shared::DatabaseId(Uuid::from_u128(0xd9));
        i.connect_host.holds = Some(lease(other, LeaseState::Held, Some(SYNC02)));
    };
    migration_in_progress: Blocker "migration-in-progress" <- |i| {
        i.other_migration = Some("move-to-full-sql 0242ac12 is running".to_string());
    };
    source_not_found: Blocker "source-not-found" <- |i| i.old().databases.clear();
    source_instance_unknown: Blocker "source-instance-unknown" <- |i| i.old().instances.clear();
    source_not_online: Blocker "source-not-online" <- |i| i.source_db().state = "SUSPECT".to_string();
    source_is_another_database: Blocker "source-is-another-database" <- |i| {
        i.source_db().database_guid = Some(Uuid::from_u128(0xbad));
    };
    source_identity_unknown: Blocker "source-identity-unknown" <- |i| i.source_db().family_guid = None;
    source_backup_not_permitted: Blocker "source-backup-not-permitted" <- |i| i.source_db().can_backup = false;
    source_is_encrypted: Blocker "source-is-encrypted" <- |i| i.source_db().is_encrypted = true;
    source_agent_does_not_serve: Blocker "source-agent-does-not-serve" <- |i| i.source_host.transfer_address = None;
    source_is_not_adsync: Blocker "source-is-not-adsync" <- |i| i.source_db().adsync = None;
    source_is_empty: Blocker "source-is-empty" <- |i| i.adsync().empty = true;
    last_sync_unknown: Warning "last-sync-unknown" <- |i| i.adsync().last_sync = None;
    last_sync_too_old: Warning "last-sync-too-old" <- |i| {
        i.adsync().last_sync = Some(NOW.plus(-22 * syncferry_shared::Millis::DAY));
    };
    last_sync_in_the_future: Warning "last-sync-in-the-future" <- |i| {
        i.adsync().last_sync = Some(NOW.plus(2 * syncferry_shared::Millis::DAY));
    };
    collation_case_sensitive: Blocker "collation-case-sensitive" <- |i| {
        i.source_db().collation = Some("Latin1_General_CS_AS".to_string());
    };
    source_in_availability_group: Note "source-in-availability-group" <- |i| {
        i.source_db().group_database_id = Some(Uuid::from_u128(0xa6));
    };
    sign_in_not_preserved: Note "sign-in-not-preserved" <- |i| {
        i.adsync().sign_on_method = Some("PassThroughAuthentication".to_string());
    };
    target_instance_unknown: Blocker "target-instance-unknown" <- |i| i.sql().instances.clear();
    target_is_localdb: Blocker "target-is-localdb" <- |i| i.target().is_localdb = true;
    target_is_azure_sql: Blocker "target-is-azure-sql" <- |i| i.target().engine_edition = 8;
    target_is_express: Warning "target-is-express" <- |i| {
        i.target().engine_edition = 4;
        i.target().edition = "Express Edition (64-bit)".to_string();
    };
    target_engine_old: Warning "target-engine-old" <- |i| {
        i.target().major = 15;
        i.target().product_version = "15.0.4382.1".to_string();
    };
    target_engine_unsupported: Blocker "target-engine-unsupported" <- |i| {
        i.target().major = 17;
        i.target().product_version = "17.0.1000.7".to_string();
    };
    target_engine_older: Blocker "target-engine-older" <- |i| {
        i.target().major = 14;
        i.target().product_version = "14.0.3465.1".to_string();
    };
    target_collation_case_sensitive: Blocker "target-collation-case-sensitive" <- |i| {
        i.target().collation = "Latin1_General_BIN2".to_string();
    };
    target_cannot_create: Blocker "target-cannot-create" <- |i| i.target().can_create_database = false;
    target_sessions_unseen: Blocker "target-sessions-unseen" <- |i| i.target().can_view_state = false;
    target_cannot_create_logins: Warning "target-cannot-create-logins" <- |i| i.target().can_alter_logins = Some(false);
    target_is_source_instance: Blocker "target-is-source-instance" <- |i| {
        i.target().server_name = r"sync01\LOCALDB#SH1A2B3C".to_string();
    };
    target_name_unusable: Blocker "target-name-unusable" <- |i| i.request.target_database = "AD\nSync".to_string();
    target_name_taken: Blocker "target-name-taken" <- |i| i.target().databases.push(DatabaseName {
        name: "adsync".to_string(),
        state: "OFFLINE".to_string(),
        family_guid: None,
    });
    target_name_promised: Blocker "target-name-promised" <- |i| {
        i.registered_on_target.push(("default".to_string(), "ADSYNC".to_string(), "planned:SQL01|adsync".to_string()));
    };
    target_has_a_copy: Blocker "target-has-a-copy" <- |i| i.target().databases.push(DatabaseName {
        name: "ADSync_old".to_string(),
        state: "ONLINE".to_string(),
        family_guid: Some(FAMILY_GUID),
    });
    installer_unreadable: Blocker "installer-unreadable" <- |i| {
        i.new_server().installer = None;
        i.new_server().problems.push(Problem {
            subject: r"installer C:\install\AzureADConnect.msi".to_string(),
            error: "The system cannot find the file specified. (os error 2)".to_string(),
            next_step: "Copy the file there.".to_string(),
        });
    };
    installer_is_another_product: Blocker "installer-is-another-product" <- |i| {
        i.msi().product_name = "7-Zip".to_string();
        i.msi().upgrade_code = None;
    };
    installer_signature_bad: Blocker "installer-signature-bad" <- |i| i.msi().signature_trusted = Some(false);
    installer_unsigned: Note "installer-unsigned" <- |i| {
        i.msi().has_signature = false;
        i.msi().signature_trusted = None;
    };
    installer_version_unreadable: Blocker "installer-version-unreadable" <- |i| {
        i.msi().product_version = "two".to_string();
    };
    installer_too_old: Blocker "installer-too-old" <- |i| i.msi().product_version = "1.1.561.0".to_string();
    installer_retired: Blocker "installer-retired" <- |i| i.msi().product_version = "2.5.76.0".to_string();
    installer_blocked: Blocker "installer-blocked" <- |i| i.msi().product_version = "2.6.84.0".to_string();
    installer_known_issue: Warning "installer-known-issue" <- |i| i.msi().product_version = "2.6.1.0".to_string();
    installer_unknown_version: Warning "installer-unknown-version" <- |i| i.msi().product_version = "2.9.1.0".to_string();
    installer_older_than_database: Blocker "installer-older-than-database" <- |i| {
        i.adsync().connect_version = Some(ConnectVersion([2, 6, 92, 0]));
    };
    database_version_unknown: Blocker "database-version-unknown" <- |i| i.adsync().connect_version = None;
    full_sync_expected: Warning "full-sync-expected" <- |i| {
        i.adsync().connect_version = Some(ConnectVersion([1, 6, 4, 0]));
    };
    connect_host_unseen: Blocker "connect-host-unseen" <- |i| i.new_server().connect = None;
    connect_already_installed: Blocker "connect-already-installed" <- |i| {
        let connect = i.new_server().connect.get_or_insert_default();
        connect.products.push(ProductFacts {
            name: "Microsoft Azure AD Connect".to_string(),
            version: "2.4.27.0".to_string(),
            product_code: "{1}".to_string(),
        });
        connect.service = Some(ServiceFacts {
            state: "running".to_string(),
            start: "automatic".to_string(),
            account: r"NT SERVICE\ADSync".to_string(),
        });
    };
    connect_host_os: Blocker "connect-host-os" <- |i| {
        i.new_host().os = "Windows Server 2025 Standard".to_string();
        i.new_host().os_version = "10.0.26100".to_string();
    };
    connect_host_server_core: Blocker "connect-host-server-core" <- |i| i.new_host().desktop_experience = Some(false);
    connect_host_tls12: Blocker "connect-host-tls12" <- |i| i.new_host().tls12 = Some(false);
    connect_host_dotnet: Blocker "connect-host-dotnet" <- |i| i.new_host().dotnet_release = Some(394_802);
    connect_host_workgroup: Blocker "connect-host-workgroup" <- |i| i.new_host().domain = None;
    service_account_unknown: Warning "service-account-unknown" <- |i| i.request.service_account = None;
    service_account_form: Blocker "service-account-form" <- |i| {
        i.request.service_account = Some("sync@contoso.example".to_string());
    };
    service_account_local: Blocker "service-account-local" <- |i| {
        i.request.service_account = Some(r"SYNC02\svc".to_string());
    };
    connect_host_cannot_reach_sql: Blocker "connect-host-cannot-reach-sql" <- |i| {
        for r in &mut i.new_server().reach {
            r.reached = false;
            r.error = Some("timed out after 5 s".to_string());
        }
    };
    service_account_not_usable: Blocker "service-account-not-usable" <- |i| {
        let account = i.new_server().account.get_or_insert_default();
        (account.usable_here, account.service_logon_denied) = (Some(false), Some(true));
        account.may_retrieve = Some(vec![r"CONTOSO\SYNC01$".to_string()]);
    };
    service_account_usable_unknown: Warning "service-account-usable-unknown" <- |i| {
        let account = i.new_server().account.get_or_insert_default();
        account.usable_here = None;
        account.unknown.push(syncferry_shared::sync_config::Unknown {
            fact: "password of the managed account".to_string(),
            why: "the domain controller does not answer (1355)".to_string(),
        });
    };
    sql_spn_twice: Warning "sql-spn-twice" <- |i| {
        let account = i.new_server().account.get_or_insert_default();
        account.spns = vec![syncferry_shared::account::SpnFacts {
            spn: "MSSQLSvc/sql01.contoso.example:1433".to_string(),
            accounts: vec![r"CONTOSO\sql01$".to_string(), r"CONTOSO\old-sql".to_string()],
        }];
    };
    connect_host_reach_unknown: Warning "connect-host-reach-unknown" <- |i| i.new_server().reach.clear();
    no_space: Blocker "no-space" <- |i| {
        i.old().host.staging_free = Some(1 << 30);
        i.sql().host.staging_free = Some(2 << 30);
        i.target().volumes.insert(r"L:\".to_string(), 1 << 20);
    };
    // The good world moves from 2019 to 2022, so this note is always there.
    target_engine_newer: Note "target-engine-newer" <- |_| {};
    gate_unknown: Blocker "gate-unknown" <- |i| i.source_db().collation = None;
    target_express_full: Blocker "target-express-full" <- |i| {
        i.target().engine_edition = 4;
        i.target().edition = "Express Edition (64-bit)".to_string();
        for file in i.source_db().files.iter_mut().filter(|f| f.kind == "ROWS") {
            file.bytes = 11 << 30;
        }
    };
    target_has_another_engine: Warning "target-has-another-engine" <- |i| i.target().databases.push(DatabaseName {
        name: "FIMSynchronizationService".to_string(),
        state: "ONLINE".to_string(),
        family_guid: Some(Uuid::from_u128(0xf1)),
    });
    target_name_is_an_alias: Warning "target-name-is-an-alias" <- |i| {
        i.target().connect_host = Some("adsync-sql.contoso.example".to_string());
        for r in &mut i.new_server().reach {
            r.target = "adsync-sql.contoso.example,1433".to_string();
        }
    };
    instance_port_unknown: Warning "instance-port-unknown" <- |i| {
        i.target().instance_name = Some("SYNC".to_string());
        i.target().connect_port = None;
    };
    installer_support_ends: Warning "installer-support-ends" <- |i| i.msi().product_version = "2.5.79.0".to_string();
    catalogue_stale: Warning "catalogue-stale" <- |i| i.catalogue.signed_off = "2026-08-01".to_string();
    connect_leftovers: Warning "connect-leftovers" <- |i| {
        let connect = i.new_server().connect.get_or_insert_default();
        connect.parameters = Some(ConnectParameters {
            server: "(localdb)".to_string(),
            instance: r".\ADSync".to_string(),
            database: "ADSync".to_string(),
        });
    };
    connect_host_memory: Warning "connect-host-memory" <- |i| i.new_host().memory_mb = Some(4_096);
    ad_account_permissions: Note "ad-account-permissions" <- |i| {
        i.adsync().features.insert("Microsoft.OptionalFeature.PasswordWriteBack".to_string(), "True".to_string());
    };
    many_forests: Note "many-forests" <- |i| {
        i.adsync().forests = (1..=7).map(|n| format!("forest{n}.example")).collect();
        i.msi().product_version = "2.6.3.0".to_string();
    };
    full_run_required: Note "full-run-required" <- |i| {
        i.adsync().full_run_required = vec!["contoso.example: full_sync_required".to_string()];
    };
    last_owner_differs: Warning "last-owner-differs" <- |i| i.adsync().last_owner = Some("SYNC77".to_string());
    source_auto_upgrades: Note "source-auto-upgrades" <- |i| {
        let holder = i.holder.as_mut().and_then(|h| h.inventory.as_mut());
        if let Some(connect) = holder.and_then(|h| h.connect.as_mut()) {
            connect.auto_upgrade = Some("Enabled".to_string());
        }
    };
    plan_incomplete: Blocker "plan-incomplete" <- |i| {
        // The database's name occurs in a problem that another rule speaks of: nobody says that the database is not there.
        i.old().databases.clear();
        i.old().problems.push(Problem {
            subject: r"installer C:\ADSync\AzureADConnect.msi".to_string(),
            error: "not found".to_string(),
            next_step: String::new(),
        });
    };
}

/// Of the bad input that people bring, only these two can be accepted; everything else blocks.
#[test]
fn only_express_and_an_old_synchronisation_can_be_accepted() {
    const BAD_INPUT: &[&str] = &[
        "source-is-not-adsync",
        "source-is-empty",
        "target-is-localdb",
        "target-is-azure-sql",
        "target-engine-older",
        "target-engine-unsupported",
        "collation-case-sensitive",
        "target-collation-case-sensitive",
        "installer-too-old",
        "installer-older-than-database",
        "installer-blocked",
        "installer-is-another-product",
        "installer-unreadable",
        "installer-signature-bad",
        "connect-already-installed",
        "no-space",
        "target-is-express",
        "last-sync-too-old",
    ];
    for rule in BAD_INPUT {
        let case = CASES.iter().find(|c| c.rule == *rule);
        let case = case.unwrap_or_else(|| panic!("{rule} has no case"));
        let warns = ["target-is-express", "last-sync-too-old"].contains(rule);
        let expected = if warns { Severity::Warning } else { Severity::Blocker };
        assert_eq!(case.severity, expected, "{rule}");
        let mut input = good();
        (case.breaks)(&mut input);
        assert_eq!(plan(&input).blocked(), !warns, "{rule}");
    }
}

/// An agent's clock, and a SQL Server's, may be wrong by any amount: ages are judged by what the store says it is.
#[test]
fn ages_are_judged_on_the_stores_clock() {
    let three_weeks = 21 * syncferry_shared::Millis::DAY;
    for wrong_by in [0, -40, 40, -4_000].map(|days| days * syncferry_shared::Millis::DAY) {
        for (age, old) in [
            (0, false),
            (three_weeks, false),
            (three_weeks + 1, true),
            (2 * three_weeks, true),
        ] {
            let mut input = good();
            input.adsync().last_sync = Some(NOW.plus(-age));
            let hosts = [&mut input.source_host, &mut input.target_host, &mut input.connect_host];
            for inventory in hosts.into_iter().filter_map(|h| h.inventory.as_mut()) {
                inventory.taken_at = NOW.plus(wrong_by);
                for instance in &mut inventory.instances {
                    instance.clock_offset_ms = -wrong_by;
                }
            }
            // The holder is the same host as the source's.
            input.holder = Some(input.source_host.clone());
            let plan = plan(&input);
            let said = rules_of(&plan.findings).contains(&"last-sync-too-old");
            assert_eq!(said, old, "{age} ms ago, with clocks that are wrong by {wrong_by} ms");
            assert!(!plan.blocked(), "{:?}", plan.findings);
        }
    }
}

/// A temporary name fits into what SQL Server takes, whatever the database's own name is.
#[test]
fn long_names_get_short_temporary_ones() {
    let mut input = good();
    input.request.target_database = "\u{1F600}".repeat(64);
    let values = plan(&input).values.unwrap();
    assert!(
        values.temporary_name.encode_utf16().count() <= 128,
        "{}",
        values.temporary_name
    );
    assert!(
        values
            .temporary_name
            .ends_with(&format!("__syncferry_{}", input.ids.migration.short()))
    );
    input.request.target_database.push('x');
    assert!(rules_of(&plan(&input).findings).contains(&"target-name-unusable"));
}

/// What is on one volume must fit together: the copy of the backup and the database's files.
#[test]
fn backup_and_database_share_a_volume() {
    let mut input = good();
    input.sql().host.staging_dir = r"D:\Syncferry\staging".to_string();
    input.sql().host.staging_free = Some(10 << 30);
    // The database has 8 GiB of data, its backup 7.7 GiB: each fits, both do not.
    input.target().volumes.insert(r"D:\".to_string(), 10 << 30);
    let plan = plan(&input);
    let found: Vec<&Finding> = plan.findings.iter().filter(|f| f.rule == "no-space").collect();
    assert_eq!(found.len(), 1, "{:?}", plan.findings);
    insta::assert_snapshot!(read_aloud(found[0]));
}

/// Every rule that the source can speak of has a case here, and every case a rule.
#[test]
fn no_rule_lacks_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan");
    let mut ids = BTreeSet::new();
    let rules = std::fs::read_dir(folder.join("rules")).unwrap();
    for path in rules
        .map(|f| f.unwrap().path())
        .chain(["common.rs", "verdicts.rs", "capability.rs"].map(|name| folder.join(name)))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["Finding::blocker(", "Finding::warning(", "Finding::note("] {
            for rest in text.split(word).skip(1) {
                let id = rest.trim_start().strip_prefix('"').and_then(|r| r.split('"').next());
                ids.insert(
                    id.unwrap_or_else(|| panic!("{}: a rule id is not a literal", path.display()))
                        .to_string(),
                );
            }
        }
    }
    let all = || CASES.iter().chain(super::replace_rules::CASES);
    let mut cases: BTreeSet<String> = all().map(|c| c.rule.to_string()).collect();
    cases.extend(super::scenarios::rules());
    let elsewhere = BTreeSet::from(super::replace_rules::OF_FENCES.map(str::to_string));
    assert_eq!(ids, &cases - &elsewhere);
    for case in all() {
        assert!(
            case.rule
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{}",
            case.rule
        );
        // The case says what it says: its severity stands beside the id.
        assert!(Severity::Note <= case.severity);
    }
}

/// Before 1.2.65.0 the wizard does not take the sign-in method back, whatever it was: the note says which version it was.
#[test]
fn sign_in_method_of_old_versions() {
    for (version, said) in [([1, 2, 64, 0], true), ([1, 2, 65, 0], false)] {
        let mut input = good();
        input.adsync().connect_version = Some(ConnectVersion(version));
        let found = rules_of(&plan(&input).findings).contains(&"sign-in-not-preserved");
        assert_eq!(found, said, "{version:?}");
    }
}
