//! Services of this machine: what they are, starting and stopping them, and how they start.

use std::time::{Duration, Instant};

use syncferry_shared::inventory::ServiceFacts;
use syncferry_win32::service_config::{self, Start};
use windows_service::service::{Service, ServiceAccess, ServiceStartType, ServiceState};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use crate::host::HostError;

/// How a running service is shown.
pub(super) const RUNNING: &str = "running";
/// ERROR_SERVICE_DOES_NOT_EXIST.
const NO_SUCH_SERVICE: i32 = 1060;
/// ERROR_SERVICE_ALREADY_RUNNING.
const ALREADY_RUNNING: i32 = 1056;
/// ERROR_SERVICE_CANNOT_ACCEPT_CTRL.
const NO_ORDERS_NOW: i32 = 1061;
/// ERROR_SERVICE_NOT_ACTIVE.
const NOT_ACTIVE: i32 = 1062;
/// How long a service may take to stop or start: the engine finishes its current run step first.
const LIMIT: Duration = Duration::from_secs(300);

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

/// Stops a service and waits until it has. One that is stopped already is as good.
pub(super) fn stop(name: &str) -> Result<(), HostError> {
    let service = must_open(name, ServiceAccess::QUERY_STATUS | ServiceAccess::STOP)?;
    until(name, &service, ServiceState::Stopped, || match service.stop() {
        Err(e) if os_code(&e) != Some(NOT_ACTIVE) => Err(e),
        _ => Ok(()),
    })
}

/// Starts a service and waits until it runs.
pub(super) fn start(name: &str) -> Result<(), HostError> {
    let service = must_open(name, ServiceAccess::QUERY_STATUS | ServiceAccess::START)?;
    until(name, &service, ServiceState::Running, || {
        match service.start::<&str>(&[]) {
            Err(e) if os_code(&e) != Some(ALREADY_RUNNING) => Err(e),
            _ => Ok(()),
        }
    })
}

fn must_open(name: &str, access: ServiceAccess) -> Result<Service, HostError> {
    open(name, access)?.ok_or_else(|| HostError::Answer {
        what: format!("the service {name}"),
        reason: "there is no service of this name".to_string(),
    })
}

/// Gives an order and looks until the state is the one that is wanted. While a service starts or stops it takes no orders, so
/// the order is given again.
fn until(
    name: &str,
    service: &Service,
    wanted: ServiceState,
    order: impl Fn() -> windows_service::Result<()>,
) -> Result<(), HostError> {
    let what = || format!("bringing {name} to {}", state_name(wanted));
    let began = Instant::now();
    loop {
        let state = service.query_status().map_err(failed(what()))?.current_state;
        if state == wanted {
            return Ok(());
        }
        let waits = matches!(state, ServiceState::StartPending | ServiceState::StopPending);
        match order() {
            Err(e) if !waits && !matches!(os_code(&e), Some(NO_ORDERS_NOW)) => return Err(failed(what())(e)),
            _ => {}
        }
        if began.elapsed() > LIMIT {
            return Err(HostError::Timeout {
                what: what(),
                seconds: LIMIT.as_secs(),
            });
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Changes how a service starts, and reads it back: that the service manager took an order is no proof that it was carried out.
pub(super) fn set_start(name: &str, start: &str) -> Result<(), HostError> {
    let what = || format!("making {name} start as '{start}'");
    let kind = match start {
        "automatic" => Start::Automatic,
        "manual" => Start::Manual,
        "disabled" => Start::Disabled,
        _ => {
            return Err(HostError::Answer {
                what: what(),
                reason: "there is no such way to start".to_string(),
            });
        }
    };
    service_config::set_start(name, kind).map_err(super::refused(what()))?;
    match facts(name)? {
        Some(facts) if facts.start == start => Ok(()),
        read => Err(HostError::Answer {
            what: what(),
            reason: format!(
                "afterwards it starts as '{}'",
                read.map_or("nothing".into(), |f| f.start)
            ),
        }),
    }
}
