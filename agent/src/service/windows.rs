//! Windows: a service of the service manager, with recovery, delayed start, a source in the event log and a log file of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use syncferry_win32::event_log::{self, Level};
use tokio_util::sync::CancellationToken;
use windows_registry::LOCAL_MACHINE;
use windows_service::service::{
    ServiceAccess, ServiceAction, ServiceActionType, ServiceControl, ServiceControlAccept, ServiceErrorControl,
    ServiceExitCode, ServiceFailureActions, ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState,
    ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult, ServiceStatusHandle};
use windows_service::service_dispatcher;
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::{Done, Options, ServiceError, Status};
use crate::cli;
use crate::config::Config;
use crate::os::service_facts;

const NAME: &str = "SyncferryAgent";
const DISPLAY: &str = "Syncferry Agent";
const DESCRIPTION: &str =
    "Runs Syncferry's jobs on this host: moves and guards the database of Microsoft Entra Connect Sync.";
/// Where the event log looks up who wrote an entry and how it is shown.
const KEY_SOURCE: &str = r"SYSTEM\CurrentControlSet\Services\EventLog\Application\SyncferryAgent";
/// Has a message for every id from 1 to 1000 that shows the text as it is.
const MESSAGES: &str = r"%SystemRoot%\System32\EventCreate.exe";
/// How long a start may take before it is called a failure.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What has run for so long goes on running, as far as can be said.
const STEADY: Duration = Duration::from_secs(2);
/// The agent's ids in the event log.
const EVENT_STARTED: u32 = 100;
const EVENT_STOPPED: u32 = 101;
const EVENT_FAILED: u32 = 102;
/// ERROR_SERVICE_EXISTS and ERROR_SERVICE_NOT_ACTIVE.
const NOT_ACTIVE: i32 = 1062;

fn refused(what: &str) -> impl FnOnce(windows_service::Error) -> ServiceError + '_ {
    move |e| {
        let code = match &e {
            windows_service::Error::Winapi(e) => e.raw_os_error(),
            _ => None,
        };
        ServiceError::Refused {
            what: what.to_string(),
            error: code.map_or_else(|| e.to_string(), |c| std::io::Error::from_raw_os_error(c).to_string()),
            next: match code {
                Some(5) => ". Open a console as administrator",
                Some(1057 | 1326 | 1332) => {
                    ". Is the account's name DOMAIN\\name, and its password right? A group managed service account ends with $"
                }
                Some(1072) => ". It was taken away and somebody still holds it open: close the console 'Services'",
                _ => "",
            },
        }
    }
}

fn manager(access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&str>, access).map_err(refused("the service manager"))
}

/// Makes the service, with everything that belongs to it, and starts it where asked for.
pub fn install(options: &Options, config: &Config) -> Result<Done, ServiceError> {
    let now = status()?;
    if now.installed {
        return Err(ServiceError::There {
            name: NAME,
            state: now.state,
        });
    }
    let program = std::env::current_exe().map_err(|e| ServiceError::Refused {
        what: "this program's path".into(),
        error: e.to_string(),
        next: "",
    })?;
    let info = ServiceInfo {
        name: NAME.into(),
        display_name: DISPLAY.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: vec!["--config".into(), options.config.clone().into(), "service".into()],
        dependencies: Vec::new(),
        account_name: options.account.clone().map(Into::into),
        account_password: options.password.clone().map(Into::into),
    };
    let access = ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?
        .create_service(&info, access)
        .map_err(refused("making the service"))?;
    let mut done = vec![format!(
        "service {NAME} made; it runs as {}",
        options.account.as_deref().unwrap_or("LocalSystem")
    )];
    // None of these is needed to run. What cannot be set is said, and the service stays.
    let mut set = |what: &str, result: windows_service::Result<()>| match result {
        Ok(()) => done.push(format!("{what}: set")),
        Err(e) => done.push(format!("{what}: NOT set ({})", refused(what)(e))),
    };
    set("description", service.set_description(DESCRIPTION));
    set("delayed start", service.set_delayed_auto_start(true));
    let restart = |seconds| ServiceAction {
        action_type: ServiceActionType::Restart,
        delay: Duration::from_secs(seconds),
    };
    set(
        "recovery: restart after 5, 30 and 60 s",
        service.update_failure_actions(ServiceFailureActions {
            reset_period: ServiceFailureResetPeriod::After(Duration::from_secs(24 * 60 * 60)),
            reboot_msg: None,
            command: None,
            actions: Some(vec![restart(5), restart(30), restart(60)]),
        }),
    );
    set(
        "recovery also when it ends with an error",
        service.set_failure_actions_on_non_crash_failures(true),
    );
    match event_source() {
        Ok(()) => done.push(format!("event log: source {NAME}")),
        Err(e) => done.push(format!("event log: NOT set ({})", e.message())),
    }
    drop(service);
    if let Some(account) = &options.account {
        for folder in [config.data_dir.as_path(), Path::new(&config.staging_dir)] {
            // The account may be a stranger to folders that an administrator's enrolment made.
            crate::os::make_private(folder, std::slice::from_ref(account)).map_err(|e| ServiceError::Refused {
                what: format!("letting {account} into {}", folder.display()),
                error: e.to_string(),
                next: ". The service is there; give the account the folder by hand, then start it",
            })?;
            done.push(format!("{account} may use {}", folder.display()));
        }
    }
    if options.start {
        done.extend(start(config)?);
    }
    Ok(done)
}

/// Starts it, and looks whether it goes on running.
pub fn start(config: &Config) -> Result<Done, ServiceError> {
    let now = status()?;
    if !now.installed {
        return Err(ServiceError::NotThere(NAME));
    }
    if !now.runs() {
        manager(ServiceManagerAccess::CONNECT)?
            .open_service(NAME, ServiceAccess::START)
            .and_then(|service| service.start::<OsString>(&[]))
            .map_err(refused("starting the service"))?;
    }
    Ok(vec![wait_until_it_runs(config)?])
}

fn event_source() -> windows_result::Result<()> {
    let key = LOCAL_MACHINE.create(KEY_SOURCE)?;
    key.set_expand_string("EventMessageFile", MESSAGES)?;
    key.set_u32("TypesSupported", 7)
}

/// The service manager says at once that it started something; whether it goes on running is what matters.
fn wait_until_it_runs(config: &Config) -> Result<String, ServiceError> {
    let began = Instant::now();
    let mut running_since = None;
    loop {
        let state = status()?.state;
        match state.as_str() {
            // One that has no identity, or no journal, ends a moment after it has begun.
            "running" if running_since.get_or_insert_with(Instant::now).elapsed() < STEADY => {
                std::thread::sleep(Duration::from_millis(200));
            }
            "running" => {
                return Ok(format!(
                    "service {NAME} runs; its log: {}",
                    log_folder(config).display()
                ));
            }
            "starting" if began.elapsed() < START_LIMIT => std::thread::sleep(Duration::from_millis(200)),
            _ => {
                return Err(ServiceError::DoesNotRun {
                    name: NAME,
                    state,
                    log: format!(
                        "{}, and the event log's Application with the source {NAME}",
                        log_folder(config).display()
                    ),
                });
            }
        }
    }
}

/// Stops it and takes it away. Data and configuration stay.
pub fn uninstall() -> Result<Done, ServiceError> {
    if !status()?.installed {
        return Err(ServiceError::NotThere(NAME));
    }
    let access = ServiceAccess::STOP | ServiceAccess::QUERY_STATUS | ServiceAccess::DELETE;
    let service = manager(ServiceManagerAccess::CONNECT)?
        .open_service(NAME, access)
        .map_err(refused("opening the service"))?;
    match service.stop() {
        Ok(_) => {}
        Err(windows_service::Error::Winapi(e)) if e.raw_os_error() == Some(NOT_ACTIVE) => {}
        Err(e) => return Err(refused("stopping the service")(e)),
    }
    let began = Instant::now();
    while service
        .query_status()
        .map_err(refused("the service's state"))?
        .current_state
        != ServiceState::Stopped
    {
        if began.elapsed() > START_LIMIT {
            return Err(ServiceError::Refused {
                what: "stopping the service".into(),
                error: format!("it did not stop within {} s", START_LIMIT.as_secs()),
                next: ". Look at its log; then run uninstall again",
            });
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    service.delete().map_err(refused("taking the service away"))?;
    // Nothing depends on the source; entries that it wrote stay readable without it.
    let _ = LOCAL_MACHINE.remove_tree(KEY_SOURCE);
    Ok(vec![
        format!("service {NAME} stopped and taken away"),
        "the agent's data, its identity and its configuration stay where they are".to_string(),
    ])
}

/// What it is now.
pub fn status() -> Result<Status, ServiceError> {
    let facts = service_facts(NAME).map_err(|e| ServiceError::Refused {
        what: "looking at the service".into(),
        error: e.to_string(),
        next: "",
    })?;
    Ok(match facts {
        Some(facts) => Status {
            installed: true,
            state: facts.state,
            start: facts.start,
            account: facts.account,
        },
        None => Status {
            installed: false,
            state: "none".into(),
            start: "none".into(),
            account: String::new(),
        },
    })
}

fn log_folder(config: &Config) -> PathBuf {
    config.data_dir.join("logs")
}

/// The configuration that the service manager named when it started this process.
static CONFIG: OnceLock<PathBuf> = OnceLock::new();

mod entry {
    //! The one function that Windows calls. The macro's body reads the arguments that Windows passes by pointer.
    use super::{NAME, main, service_dispatcher};
    windows_service::define_windows_service!(service_entry, main);

    pub(super) fn dispatch() -> windows_service::Result<()> {
        service_dispatcher::start(NAME, service_entry)
    }
}

/// Serves as the service. The service manager starts it; nobody else can.
pub fn run(config: PathBuf) -> ExitCode {
    // Set once per process, before the only reader starts.
    let _ = CONFIG.set(config);
    match entry::dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let error = refused("serving as a service")(e);
            eprintln!(
                "syncferry-agent: {error}. This is for the service manager; 'syncferry-agent run' runs the agent here"
            );
            ExitCode::from(2)
        }
    }
}

fn main(_arguments: Vec<OsString>) {
    let stop = CancellationToken::new();
    let ordered = stop.clone();
    let handler = move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            ordered.cancel();
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    };
    let manager = match service_control_handler::register(NAME, handler) {
        Ok(manager) => manager,
        Err(e) => {
            return told(
                Level::Error,
                EVENT_FAILED,
                &format!("the service manager does not take our handler: {e}"),
            );
        }
    };
    tell(&manager, ServiceState::StartPending, 0);
    let code = served(&manager, stop);
    tell(&manager, ServiceState::Stopped, code);
}

/// From the configuration to the end. The exit code is the one of `syncferry-agent run`.
fn served(manager: &ServiceStatusHandle, stop: CancellationToken) -> u32 {
    let path = CONFIG.get().cloned().unwrap_or_default();
    let config = match Config::load(&path, |k| std::env::var(k).ok()) {
        Ok(config) => config,
        Err(e) => {
            told(Level::Error, EVENT_FAILED, &e.to_string());
            return u32::from(cli::EXIT_CONFIG);
        }
    };
    let _kept = match log_to(&log_folder(&config), &config) {
        Ok(kept) => Some(kept),
        Err(e) => {
            told(
                Level::Warning,
                EVENT_FAILED,
                &format!("no log file in {}: {e}", log_folder(&config).display()),
            );
            None
        }
    };
    tell(manager, ServiceState::Running, 0);
    told(
        Level::Information,
        EVENT_STARTED,
        &format!(
            "The agent runs. Configuration: {}. Log: {}",
            path.display(),
            log_folder(&config).display()
        ),
    );
    match cli::run_until(config, stop) {
        Ok(()) => {
            told(Level::Information, EVENT_STOPPED, "The agent stopped as asked.");
            0
        }
        Err((error, code)) => {
            tracing::error!("{error}");
            told(Level::Error, EVENT_FAILED, &error);
            u32::from(code)
        }
    }
}

fn told(level: Level, id: u32, message: &str) {
    // Without an event log there is nobody left to tell.
    let _ = event_log::report(NAME, level, id, message);
}

fn tell(manager: &ServiceStatusHandle, state: ServiceState, code: u32) {
    let accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    // The manager asks again when it misses an answer.
    let _ = manager.set_service_status(ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: accepted,
        exit_code: match code {
            0 => ServiceExitCode::Win32(0),
            code => ServiceExitCode::ServiceSpecific(code),
        },
        checkpoint: 0,
        wait_hint: START_LIMIT,
        process_id: None,
    });
}

/// A file a day, two weeks of them.
fn log_to(folder: &Path, config: &Config) -> Result<tracing_appender::non_blocking::WorkerGuard, String> {
    let files = tracing_appender::rolling::Builder::new()
        .rotation(tracing_appender::rolling::Rotation::DAILY)
        .filename_prefix("agent")
        .filename_suffix("log")
        .max_log_files(14)
        .build(folder)
        .map_err(|e| e.to_string())?;
    let (writer, kept) = tracing_appender::non_blocking(files);
    cli::init_logs(config, writer);
    Ok(kept)
}
