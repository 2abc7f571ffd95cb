//! Services: what they are, and ending one for good. State and start type are read back: an answer of the service manager
//! that it accepted an order is no proof that it was carried out.

use std::time::{Duration, Instant};

use syncferry_shared::inventory::ServiceFacts;
use syncferry_win32::service_config;
use windows_service::service::{Service, ServiceAccess, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use crate::host::HostError;

/// How a running service is shown.
pub(super) const RUNNING: &str = "running";
/// ERROR_SERVICE_DOES_NOT_EXIST.
const NO_SUCH_SERVICE: i32 = 1060;
/// ERROR_SERVICE_NOT_ACTIVE.
const NOT_ACTIVE: i32 = 1062;
/// How long a service may take to stop: the engine finishes its current run step first.
const STOP_LIMIT: Duration = Duration::from_secs(300);

fn failed(what: String) -> impl FnOnce(windows_service::Error) -> HostError {
    move |e| HostError::Os {
        what,
        error: match os_code(&e) {
            Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
            None => e.to_string(),
        },
    }
}

fn os_code(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(e) => e.raw_os_error(),
        _ => None,
    }
}

fn open(name: &str, access: ServiceAccess) -> Result<Option<Service>, HostError> {
    let manager = ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
        .map_err(failed("the service manager".to_string()))?;
    match manager.open_service(name, access) {
        Ok(service) => Ok(Some(service)),
        Err(e) if os_code(&e) == Some(NO_SUCH_SERVICE) => Ok(None),
        Err(e) => Err(failed(format!("the service {name}"))(e)),
    }
}

/// What a service is; `None` where there is none of this name.
pub fn facts(name: &str) -> Result<Option<ServiceFacts>, HostError> {
    let Some(service) = open(name, ServiceAccess::QUERY_STATUS | ServiceAccess::QUERY_CONFIG)? else {
        return Ok(None);
    };
    let state = service
        .query_status()
        .map_err(failed(format!("the state of {name}")))?
        .current_state;
    let config = service
        .query_config()
        .map_err(failed(format!("the configuration of {name}")))?;
    Ok(Some(ServiceFacts {
        state: state_name(state).to_string(),
        start: match config.start_type {
            ServiceStartType::AutoStart | ServiceStartType::BootStart | ServiceStartType::SystemStart => "automatic",
            ServiceStartType::OnDemand => "manual",
            ServiceStartType::Disabled => "disabled",
        }
        .to_string(),
        account: config
            .account_name
            .map(|a| a.to_string_lossy().into_owned())
            .unwrap_or_default(),
    }))
}

fn state_name(state: ServiceState) -> &'static str {
    match state {
        ServiceState::Stopped => "stopped",
        ServiceState::StartPending => "starting",
        ServiceState::StopPending => "stopping",
        ServiceState::Running => RUNNING,
        ServiceState::ContinuePending => "continuing",
        ServiceState::PausePending => "pausing",
        ServiceState::Paused => "paused",
    }
}

/// Disables a service, then stops it, in this order: between the two nobody can start it again. Returns what was read back.
pub(super) fn stop_and_disable(name: &str) -> Result<ServiceFacts, HostError> {
    let gone = || HostError::Answer {
        what: format!("the service {name}"),
        reason: "there is no service of this name".to_string(),
    };
    service_config::disable(name).map_err(super::refused(format!("disabling {name}")))?;
    let access = ServiceAccess::QUERY_STATUS | ServiceAccess::STOP;
    let service = open(name, access)?.ok_or_else(gone)?;
    let status = || service.query_status().map_err(failed(format!("the state of {name}")));
    let began = Instant::now();
    while status()?.current_state != ServiceState::Stopped {
        match service.stop() {
            Ok(_) => {}
            Err(e) if os_code(&e) == Some(NOT_ACTIVE) => {}
            // It takes no orders while it starts or stops: asked again.
            Err(_) if began.elapsed() < STOP_LIMIT => {}
            Err(e) => return Err(failed(format!("stopping {name}"))(e)),
        }
        if began.elapsed() > STOP_LIMIT {
            return Err(HostError::Timeout {
                what: format!("stopping {name}"),
                seconds: STOP_LIMIT.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    let facts = facts(name)?.ok_or_else(gone)?;
    if facts.state == "stopped" && facts.start == "disabled" {
        Ok(facts)
    } else {
        Err(HostError::Answer {
            what: format!("stopping and disabling {name}"),
            reason: format!("it is {} and starts as {} afterwards", facts.state, facts.start),
        })
    }
}
