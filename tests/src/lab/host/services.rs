//! Windows services: state, start type, account.

use serde::{Deserialize, Serialize};

/// Whether a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It does not run.
    Stopped,
    /// It is starting.
    StartPending,
    /// It runs.
    Running,
}

impl ServiceState {
    /// `stopped`, `start_pending`, `running`.
    pub fn as_str(self) -> &'static str {
        match self {
            ServiceState::Stopped => "stopped",
            ServiceState::StartPending => "start_pending",
            ServiceState::Running => "running",
        }
    }
}

/// How a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartType {
    /// With the machine.
    Automatic,
    /// When somebody asks.
    Manual,
    /// Never.
    Disabled,
}

impl StartType {
    /// `automatic`, `manual`, `disabled`.
    pub fn as_str(self) -> &'static str {
        match self {
            StartType::Automatic => "automatic",
            StartType::Manual => "manual",
            StartType::Disabled => "disabled",
        }
    }
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its display name.
    pub display_name: String,
    /// Whether it runs.
    pub state: ServiceState,
    /// How it starts.
    pub start: StartType,
    /// The account it runs as.
    pub account: String,
}

/// What can be done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceAction {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Never start it again.
    Disable,
    /// Start it with the machine.
    Enable,
    /// Start it when somebody asks.
    Manual,
}

/// Why the service control manager did not do it: Win32 numbers and texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// 1053.
    #[error("Error 1053: The service did not respond to the start or control request in a timely fashion.")]
    NoResponse,
    /// 1056.
    #[error("Error 1056: An instance of the service is already running.")]
    AlreadyRunning,
    /// 1058.
    #[error(
        "Error 1058: The service cannot be started, either because it is disabled or because it has no enabled devices associated with it."
    )]
    Disabled,
    /// 1060.
    #[error("Error 1060: The specified service does not exist as an installed service.")]
    NotInstalled,
    /// 1062.
    #[error("Error 1062: The service has not been started.")]
    NotStarted,
    /// 1066 with the engine's own code for "no database".
    #[error("Error 1066: The service has returned a service-specific error code.")]
    ServiceSpecific,
    /// 1069.
    #[error("Error 1069: The service did not start due to a logon failure.")]
    Logon,
}

impl ServiceError {
    /// The error for a number in the fault plan.
    pub fn of_number(number: u32) -> ServiceError {
        match number {
            1053 => ServiceError::NoResponse,
            1069 => ServiceError::Logon,
            _ => ServiceError::ServiceSpecific,
        }
    }
}
