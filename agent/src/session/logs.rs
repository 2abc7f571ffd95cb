//! Ships the lines of an attempt's log. Best effort: a log is for people, and nothing waits for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use syncferry_proto::v1;
use syncferry_shared::token::AttemptToken;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::controller::Controller;

/// Lines in a chunk.
const CHUNK: usize = 200;
/// Lines that are kept while the controller is silent.
const KEPT: usize = 2_000;
/// How long lines are collected.
const COLLECT: Duration = Duration::from_millis(300);
/// How long the last lines are tried.
const LAST: Duration = Duration::from_secs(5);

/// Ships lines until the channel closes. Chunks are numbered on from `base`, which grows with every start of the agent.
pub(super) async fn ship(
    controller: Arc<dyn Controller>,
    token: Option<AttemptToken>,
    base: u64,
    mut lines: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
) {
    let Some(token) = token else { return };
    let mut number = i64::try_from(base).unwrap_or(0).saturating_mul(1 << 16);
    let mut waiting: VecDeque<String> = VecDeque::new();
    let mut open = true;
    while open || !waiting.is_empty() {
        if waiting.is_empty() {
            match lines.recv().await {
                Some(line) => waiting.push_back(line),
                None => return,
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COLLECT) => {}
            }
        }
        // Asked before the channel is emptied, so that no line comes between.
        open = !lines.is_closed();
        while let Ok(line) = lines.try_recv() {
            waiting.push_back(line);
        }
        while waiting.len() > KEPT {
            waiting.pop_front();
        }
        let chunk: Vec<String> = waiting.iter().take(CHUNK).cloned().collect();
        let count = chunk.len();
        let request = v1::LogChunkRequest {
            token: Some((&token).into()),
            number: number + 1,
            lines: chunk,
        };
        let sent = tokio::select! {
            () = stop.cancelled() => return,
            sent = controller.log_chunk(request) => sent,
        };
        match sent {
            Ok(_) => {
                number += 1;
                waiting.drain(..count);
            }
            Err(e) if e.is_passing() && open => tokio::time::sleep(LAST).await,
            Err(_) => {
                waiting.drain(..count);
            }
        }
    }
}
