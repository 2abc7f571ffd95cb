//! The handles by which a session steers a running attempt.

use std::sync::Arc;

use syncferry_shared::progress::Progress;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// The runner's side of the handles. Cheap to clone: every clone steers the same attempt.
#[derive(Debug, Clone)]
pub struct Controls {
    /// Stop at the next safe point and put everything back.
    pub cancel: CancellationToken,
    /// Stop at once and touch nothing: the attempt is not ours any more, or the process ends.
    pub abandon: CancellationToken,
    /// While true, no destructive step begins: the controller is silent.
    pub paused: watch::Receiver<bool>,
    /// A person says that the gate at which the attempt waits is done.
    pub claims: Arc<Notify>,
    /// How far the attempt is.
    pub progress: watch::Sender<Progress>,
}

impl Controls {
    /// Fresh handles.
    pub fn new(paused: watch::Receiver<bool>) -> Self {
        Self {
            cancel: CancellationToken::new(),
            abandon: CancellationToken::new(),
            paused,
            claims: Arc::new(Notify::new()),
            progress: watch::Sender::new(Progress::default()),
        }
    }
}
