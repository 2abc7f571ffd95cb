//! Artifacts on the move: hashing a backup into a manifest, handing it out, fetching it from another agent. Bulk data never
//! goes through the controller.

mod artifacts;
mod client;
mod error;
mod manifest;
mod partial;
mod rate;
mod server;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use syncferry_proto::v1;
use syncferry_shared::ArtifactId;
use syncferry_shared::artifact::Manifest;
use syncferry_shared::token::AttemptToken;

pub use artifacts::{ArtifactError, Artifacts};
pub use client::{DialAs, Ticket, Tickets, Wanted, fetch};
pub use error::TransferError;
pub use manifest::{HashError, Hashed, hash_file};
pub use server::{Counter, serve};

use crate::controller::{CallError, Controller};
use crate::runner::{Cx, StepError};

/// Tickets from the controller, for one attempt.
struct FromController {
    controller: Arc<dyn Controller>,
    token: AttemptToken,
    artifact: ArtifactId,
}

#[async_trait]
impl Tickets for FromController {
    async fn ticket(&self) -> Result<Ticket, TransferError> {
        let request = v1::RequestTransferRequest {
            token: Some((&self.token).into()),
            artifact_id: self.artifact.to_string(),
        };
        let answer = self.controller.request_transfer(request).await.map_err(|e| match e {
            CallError::Unreachable(_) => TransferError::Unreachable(e.to_string()),
            _ => TransferError::Refused(e.to_string()),
        })?;
        let source = answer.source_agent_id.parse();
        Ok(Ticket {
            text: answer.ticket,
            source: source.map_err(|e: syncferry_shared::InvalidId| TransferError::Refused(e.to_string()))?,
            address: answer.source_address,
        })
    }
}

/// Fetches an artifact for a running attempt. A step's `act`: run again, it goes on where it stopped.
pub async fn pull(cx: &mut Cx, wanted: &Wanted) -> Result<Manifest, StepError> {
    let Some(dial) = cx.env.dial_as.clone() else {
        let refused = TransferError::Refused("this agent has no identity to dial with".into());
        return Err(refused.into());
    };
    let tickets = FromController {
        controller: Arc::clone(&cx.env.controller),
        token: cx.token.clone(),
        artifact: wanted.artifact,
    };
    let progress = Some(cx.progress_sink());
    let manifest = fetch(wanted, Arc::new(tickets), &dial, progress, cx.cancel_token()).await?;
    Ok(manifest)
}

/// Whether the file is there, complete and right: a transfer step's probe.
pub async fn is_there(cx: &Cx, wanted: &Wanted) -> Result<bool, StepError> {
    let size = std::fs::metadata(&wanted.destination).map(|m| m.len());
    if size.is_ok_and(|s| s == wanted.size) {
        let hashed = hash_file(
            wanted.destination.clone(),
            "reading the file",
            Some(cx.progress_sink()),
            cx.cancel_token(),
        );
        return match hashed.await {
            Ok(hashed) => Ok(hashed.root == wanted.root),
            Err(HashError::Cancelled) => Err(StepError::Cancelled),
            Err(HashError::Io { path, error }) => Err(TransferError::disk(&path, error).into()),
        };
    }
    Ok(false)
}

/// Bytes that an artifact's file, or an unfinished transfer of it, takes up on the disk already.
pub fn taken_up(destination: &Path) -> u64 {
    partial::taken_up(destination)
}

/// Removes an artifact's file and whatever an unfinished transfer left beside it.
pub fn discard(destination: &Path) -> Result<(), TransferError> {
    let failed = |e| TransferError::disk(destination, e);
    partial::remove(destination).map_err(failed)?;
    match std::fs::remove_file(destination) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
