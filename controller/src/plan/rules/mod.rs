//! The preflight: each file is one subject, each function one rule. A rule looks at the input and says what it found, with
//! the evidence, its source and what to do next. Rules do not know each other, and none of them changes anything.
//!
//! Sources: "existing-database page" is Microsoft's *Install Microsoft Entra Connect by using an existing ADSync
//! database*; "prerequisites page" is *Microsoft Entra Connect Prerequisites*; "Syncferry" is a rule of our own.

mod account;
mod agents;
mod backup;
mod capacity;
mod carry_over;
mod catalogue;
mod connect_host;
mod database;
pub(crate) mod facts;
mod handover;
mod in_place;
mod installer;
mod leases;
mod leftovers;
mod naming;
mod same_host;
mod source;
mod space;
mod switching;

mod target;

pub(crate) use backup::FRESH_DAYS;
pub(crate) use space::backup_bytes;
pub(crate) use switching::care_is_open;
pub(crate) use target::LONGEST_DATABASE_NAME;

use syncferry_shared::Finding;
pub(crate) use syncferry_shared::finding::bytes;

use super::PlanInput;

/// Microsoft's page about the method.
pub(crate) const EXISTING_DATABASE_PAGE: &str =
    "Microsoft Learn: Install Microsoft Entra Connect by using an existing ADSync database";
/// Microsoft's page about prerequisites.
pub(crate) const PREREQUISITES_PAGE: &str = "Microsoft Learn: Prerequisites for Microsoft Entra Connect";
/// Microsoft's page about accounts.
pub(crate) const ACCOUNTS_PAGE: &str = "Microsoft Learn: Microsoft Entra Connect: accounts and permissions";
/// Our own design.
pub(crate) const OURS: &str = "Syncferry: one server per database, proven before anything is touched";

type Rule = fn(&PlanInput, &mut Vec<Finding>);

/// Every rule that `move-to-full-sql` meets, in the order in which a person would look.
const MOVE_TO_FULL_SQL: &[Rule] = &[
    agents::answered,
    agents::looked_everywhere,
    leases::source_is_registered_and_held,
    leases::nobody_else_uses_the_source,
    leases::new_server_is_free,
    leases::no_other_migration,
    source::instance_is_known,
    source::is_still_the_same_database,
    source::can_be_backed_up,
    source::can_be_fetched,
    database::is_adsync,
    database::is_not_empty,
    database::synchronised_lately,
    database::collation_is_case_insensitive,
    database::is_not_in_an_availability_group,
    database::sign_in_method,
    target::is_full_sql,
    target::engine_is_supported,
    target::engine_is_not_older,
    target::collation_is_case_insensitive,
    target::permissions_suffice,
    target::dba_takes_part,
    target::is_another_instance,
    target::name_is_usable,
    target::name_is_free,
    target::family_is_not_there,
    installer::can_be_read,
    installer::is_connect,
    installer::version_is_allowed,
    installer::brings_changes,
    connect_host::has_no_connect,
    connect_host::is_supported,
    connect_host::service_account_fits,
    account::is_no_standalone,
    account::can_be_used,
    account::names_lead_to_sql,
    connect_host::reaches_sql,
    space::on_the_source,
    space::on_the_target,
    catalogue::is_fresh,
    catalogue::installer_is_supported_for_a_while,
    capacity::memory_fits,
    capacity::express_has_room,
    naming::is_the_machines_own,
    naming::port_is_known,
    leftovers::no_engine_was_left,
    leftovers::no_other_engine,
    carry_over::ad_account_is_prepared,
    carry_over::every_forest_can_be_reached,
    carry_over::nothing_is_flagged,
    carry_over::owner_is_the_holder,
    carry_over::source_stays_as_it_is,
    same_host::backup_is_elsewhere,
    same_host::connect_is_there,
    same_host::installer_is_not_older,
    same_host::no_cycle_runs,
    same_host::consequences,
];

/// Every rule that `replace-server` meets.
const REPLACE_SERVER: &[Rule] = &[
    agents::answered,
    agents::looked_everywhere,
    handover::holder_is_known,
    handover::way_is_open,
    leases::nobody_else_uses_the_source,
    handover::new_server_is_free,
    leases::no_other_migration,
    source::instance_is_known,
    source::is_still_the_same_database,
    source::can_be_backed_up,
    in_place::instance_is_full_sql,
    database::is_adsync,
    database::is_not_empty,
    database::synchronised_lately,
    database::collation_is_case_insensitive,
    in_place::is_in_no_group,
    database::sign_in_method,
    installer::can_be_read,
    installer::is_connect,
    installer::version_is_allowed,
    installer::brings_changes,
    in_place::only_copy_is_upgraded,
    connect_host::has_no_connect,
    connect_host::is_supported,
    connect_host::service_account_fits,
    account::is_no_standalone,
    account::can_be_used,
    account::names_lead_to_sql,
    connect_host::reaches_sql,
    handover::service_account_gets_in,
    handover::accounts_differ,
    handover::what_the_old_server_leaves,
    space::on_the_source,
    target::dba_takes_part,
    in_place::test_restore_can_run,
    catalogue::is_fresh,
    catalogue::installer_is_supported_for_a_while,
    capacity::memory_fits,
    naming::is_the_machines_own,
    naming::port_is_known,
    leftovers::no_engine_was_left,
    carry_over::ad_account_is_prepared,
    carry_over::every_forest_can_be_reached,
    carry_over::nothing_is_flagged,
    carry_over::owner_is_the_holder,
];

/// Every rule that `restore-from-backup` meets.
const RESTORE_FROM_BACKUP: &[Rule] = &[
    agents::answered,
    agents::looked_everywhere,
    backup::old_server_is_known,
    backup::way_needs_no_sql,
    handover::way_is_open,
    leases::new_server_is_free,
    leases::no_other_migration,
    backup::can_be_read,
    backup::is_whole,
    backup::is_of_the_source,
    backup::has_a_manifest,
    backup::is_fresh,
    backup::collation_is_case_insensitive,
    target::is_full_sql,
    target::engine_is_supported,
    backup::fits_the_engine,
    target::collation_is_case_insensitive,
    target::permissions_suffice,
    target::dba_takes_part,
    target::name_is_usable,
    target::name_is_free,
    backup::family_is_not_there,
    installer::can_be_read,
    installer::is_connect,
    installer::version_is_allowed,
    backup::installer_is_not_older,
    connect_host::has_no_connect,
    connect_host::is_supported,
    connect_host::service_account_fits,
    account::is_no_standalone,
    account::can_be_used,
    account::names_lead_to_sql,
    connect_host::reaches_sql,
    handover::accounts_differ,
    handover::what_the_old_server_leaves,
    backup::has_room,
];

/// What `provision-staging` meets besides the rules of a move.
const PROVISION_STAGING: &[Rule] = &[switching::not_beside_the_active, switching::source_is_active];

/// Every rule that `drill` meets.
const DRILL: &[Rule] = &[
    agents::answered,
    agents::looked_everywhere,
    leases::no_other_migration,
    source::instance_is_known,
    source::is_still_the_same_database,
    source::can_be_backed_up,
    source::can_be_fetched,
    database::is_adsync,
    backup::can_be_read,
    backup::is_whole,
    backup::has_a_manifest,
    backup::fits_the_engine,
    target::engine_is_not_older,
    target::permissions_suffice,
    target::dba_takes_part,
    switching::drill_is_elsewhere,
    target::family_is_not_there,
    backup::family_is_not_there,
    space::on_the_source,
    space::on_the_target,
    backup::has_room,
];

/// Every rule that `switch-active` meets.
const SWITCH_ACTIVE: &[Rule] = &[
    agents::answered,
    agents::looked_everywhere,
    leases::no_other_migration,
    switching::export_is_held,
    switching::new_server_is_staging,
    switching::old_server_can_be_put_out,
    switching::staging_synchronised_lately,
    switching::nothing_is_left_to_do,
    switching::sign_in_tasks,
];

/// Every rule that `decommission` meets.
const DECOMMISSION: &[Rule] = &[
    agents::answered,
    agents::looked_everywhere,
    leases::no_other_migration,
    switching::is_not_active,
    switching::what_is_left,
];

/// Runs the preflight of `restore-from-backup`.
pub fn restore_from_backup(input: &PlanInput) -> Vec<Finding> {
    look(RESTORE_FROM_BACKUP, input)
}

/// Runs the preflight of `provision-staging`.
pub fn provision_staging(input: &PlanInput) -> Vec<Finding> {
    let rules: Vec<Rule> = MOVE_TO_FULL_SQL.iter().chain(PROVISION_STAGING).copied().collect();
    let mut findings = look(&rules, input);
    // It says the same, and what is to be done about it here.
    if findings.iter().any(|f| f.rule == "staging-beside-active") {
        findings.retain(|f| f.rule != "target-is-source-instance");
    }
    findings
}

/// Runs the preflight of `drill`.
pub fn drill(input: &PlanInput) -> Vec<Finding> {
    look(DRILL, input)
}

/// Runs the preflight of `switch-active`.
pub fn switch_active(input: &PlanInput) -> Vec<Finding> {
    look(SWITCH_ACTIVE, input)
}

/// Runs the preflight of `decommission`.
pub fn decommission(input: &PlanInput) -> Vec<Finding> {
    look(DECOMMISSION, input)
}

/// Runs the preflight of `move-to-full-sql`. Blockers come first, then warnings, then notes.
pub fn move_to_full_sql(input: &PlanInput) -> Vec<Finding> {
    look(MOVE_TO_FULL_SQL, input)
}

/// Runs the preflight of `replace-server`.
pub fn replace_server(input: &PlanInput) -> Vec<Finding> {
    look(REPLACE_SERVER, input)
}

fn look(rules: &[Rule], input: &PlanInput) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in rules {
        rule(input, &mut findings);
    }
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    findings
}
