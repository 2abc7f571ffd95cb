//! Stands where Connect's service would: it starts, runs and stops as a service does, and does nothing else.

#[cfg(windows)]
fn main() -> windows_service::Result<()> {
    service::serve()
}

#[cfg(not(windows))]
fn main() {}

#[cfg(windows)]
mod service {
    use std::ffi::OsString;
    use std::time::Duration;

    use windows_service::service::{
        ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
    };
    use windows_service::service_control_handler::{self, ServiceControlHandlerResult};

    windows_service::define_windows_service!(entry_of_windows, main);

    pub fn serve() -> windows_service::Result<()> {
        windows_service::service_dispatcher::start("ADSync", entry_of_windows)
    }

    fn main(_arguments: Vec<OsString>) {
        let (order, orders) = std::sync::mpsc::channel();
        let handler = move |control| match control {
            ServiceControl::Stop => {
                let _ = order.send(());
                ServiceControlHandlerResult::NoError
            }
            ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
            _ => ServiceControlHandlerResult::NotImplemented,
        };
        let Ok(manager) = service_control_handler::register("ADSync", handler) else { return };
        let status = |state, accepted| ServiceStatus {
            service_type: ServiceType::OWN_PROCESS,
            current_state: state,
            controls_accepted: accepted,
            exit_code: ServiceExitCode::Win32(0),
            checkpoint: 0,
            wait_hint: Duration::from_secs(10),
            process_id: None,
        };
        let _ = manager.set_service_status(status(ServiceState::Running, ServiceControlAccept::STOP));
        let _ = orders.recv();
        // A real engine takes a moment to end its run step.
        let _ = manager.set_service_status(status(ServiceState::StopPending, ServiceControlAccept::empty()));
        std::thread::sleep(Duration::from_millis(700));
        let _ = manager.set_service_status(status(ServiceState::Stopped, ServiceControlAccept::empty()));
    }
}
