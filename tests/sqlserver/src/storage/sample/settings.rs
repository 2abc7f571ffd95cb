//! Server configuration and global settings.

use time::format_description::well_known::Rfc2822;
use time::{Duration, UtcOffset};

use super::build::{Tables, guid, int, text};
use super::dice::Dice;
use super::{AdSync, SignOn};
use crate::storage::Table;

/// `mms_server_configuration`: one row. `mms_global_settings`: what `mms_get_globalsettings` returns; where Connect
/// really keeps it is not published.
pub(crate) fn tables(tables: &mut Tables, spec: &AdSync, dice: &mut Dice) -> Vec<Table> {
    let mut server = tables.table(
        "mms_server_configuration",
        1,
        "instance_id guid!, keyset_id int!, entropy guid!, mv_schema_xml text, import_attribute_flow_xml text, \
         sql_schema_version int!",
    );
    server.rows.push(vec![
        guid(dice.guid()),
        int(1),
        guid(dice.guid()),
        text("<mv-data><dsml:dsml xmlns:dsml=\"http://www.dsml.org/DSML\"/></mv-data>"),
        text("<import-attribute-flow/>"),
        int(if spec.connect_version.starts_with('1') {
            508
        } else {
            616
        }),
    ]);
    let mut settings = tables.table("mms_global_settings", 1, "name name!, value text");
    for (name, value) in values(spec) {
        settings.rows.push(vec![text(name), text(value)]);
    }
    vec![server, settings]
}

fn values(spec: &AdSync) -> Vec<(&'static str, String)> {
    let yes = |b: bool| if b { "True" } else { "False" }.to_string();
    let next = (spec.now - spec.last_sync_age.unwrap_or_default() + Duration::minutes(30)).to_offset(UtcOffset::UTC);
    // RFC 1123 is RFC 2822 with the zone's name.
    let next = next
        .replace_nanosecond(0)
        .unwrap_or(next)
        .format(&Rfc2822)
        .unwrap_or_default()
        .replace("+0000", "GMT");
    let sign_on = match spec.sign_on {
        SignOn::PasswordHashSync => "PasswordHashSync",
        SignOn::PassThrough => "PassThroughAuthentication",
        SignOn::Federation => "Federation",
        SignOn::PingFederate => "PingFederate",
        SignOn::None => "None",
    };
    vec![
        ("Microsoft.OptionalFeature.AutoUpgradeState", "Enabled".into()),
        ("Microsoft.OptionalFeature.AutoUpgradeSuspensionReason", String::new()),
        ("Microsoft.OptionalFeature.DeviceWriteBack", yes(spec.device_writeback)),
        ("Microsoft.OptionalFeature.ExportDeletionThreshold", yes(true)),
        ("Microsoft.OptionalFeature.ExportDeletionThresholdValue", "500".into()),
        ("Microsoft.OptionalFeature.GroupFiltering", yes(false)),
        ("Microsoft.OptionalFeature.GroupWriteBack", yes(false)),
        ("Microsoft.OptionalFeature.HybridExchange", yes(false)),
        (
            "Microsoft.OptionalFeature.PasswordHashSync",
            yes(spec.sign_on == SignOn::PasswordHashSync),
        ),
        ("Microsoft.OptionalFeature.PasswordWriteback", yes(true)),
        (
            "Microsoft.SynchronizationOption.AnchorAttribute",
            "mS-DS-ConsistencyGuid".into(),
        ),
        ("Microsoft.SynchronizationOption.JoinCriteria", "AlwaysProvision".into()),
        (
            "Microsoft.SynchronizationOption.UPNAttribute",
            "userPrincipalName".into(),
        ),
        ("Microsoft.Synchronize.MaintenanceEnabled", yes(true)),
        ("Microsoft.Synchronize.NextStartTime", next),
        ("Microsoft.Synchronize.RunHistoryPurgeInterval", "7.00:00:00".into()),
        ("Microsoft.Synchronize.SchedulerSuspended", yes(false)),
        (
            "Microsoft.Synchronize.ServerConfigurationVersion",
            spec.connect_version.clone(),
        ),
        ("Microsoft.Synchronize.StagingMode", yes(spec.staging)),
        ("Microsoft.Synchronize.SynchronizationPolicy", "Delta".into()),
        ("Microsoft.Synchronize.SynchronizationSchedule", yes(true)),
        ("Microsoft.Synchronize.TimeInterval", "00:30:00".into()),
        ("Microsoft.SystemInformation.MachineRole", "RoleMemberServer".into()),
        ("Microsoft.UserSignIn.DesktopSsoEnabled", yes(spec.desktop_sso)),
        ("Microsoft.UserSignIn.SignOnMethod", sign_on.into()),
        ("Microsoft.Version.SynchronizationRuleImmutableTag", "V1".into()),
    ]
}
