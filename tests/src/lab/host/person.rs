//! What a person does on a machine beside the wizard of the installation: the task "Configure staging mode", and Programs and
//! Features.

use super::Host;
use super::engine;
use super::layout::{KEY_ENGINE, KEY_PARAMETERS, KEY_WIZARD, SERVICE};
use super::services::ServiceAction;
use super::sql::literal;

/// Turns staging mode on or off, as the wizard does: in the database of the service that runs.
pub(crate) async fn staging_mode(host: &Host, on: bool) -> Result<(), String> {
    let engine = host.engine().await;
    let Some(engine) = engine.as_ref() else {
        return Err("the service ADSync does not run".to_string());
    };
    let update = format!(
        "UPDATE dbo.mms_global_settings SET value = {} WHERE name = {}",
        literal(if on { "True" } else { "False" }),
        literal("Microsoft.Synchronize.StagingMode")
    );
    engine.ask(host, &update).await.map(|_| ()).map_err(|e| e.to_string())
}

/// Uninstalls Connect and its parts; the database stays.
pub(crate) async fn remove_connect(host: &Host) -> Result<(), String> {
    // A service that is stopped already is as good.
    let _ = engine::control(host, SERVICE, ServiceAction::Stop).await;
    let changed = host.change(|s| {
        s.products.clear();
        s.services.retain(|x| !x.name.eq_ignore_ascii_case(SERVICE));
        for key in [KEY_PARAMETERS, KEY_ENGINE, KEY_WIZARD] {
            s.registry.delete_tree(key);
        }
        s.effects.msi_uninstalls += 1;
    });
    changed.map_err(|e| e.to_string())
}
