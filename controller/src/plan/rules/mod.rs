//! The preflight: each file is one subject, each function one rule. A rule looks at the input and says what it found, with
//! the evidence, its source and what to do next. Rules do not know each other, and none of them changes anything.
//!
//! Sources: "existing-database page" is Microsoft's *Install Microsoft Entra Connect by using an existing ADSync
//! database*; "prerequisites page" is *Microsoft Entra Connect Prerequisites*; "Syncferry" is a rule of our own.

mod agents;
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
mod source;
mod space;

mod target;

pub(crate) use space::backup_bytes;
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
    connect_host::reaches_sql,
    handover::service_account_gets_in,
    handover::accounts_differ,
    handover::what_the_old_server_leaves,
    space::on_the_source,
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
