//! Gates: points where a person must act. A step opens one, and then looks again and again; what it sees is reported when
//! it changes, and once more when a person claims to be done, because that claim wants an answer.

use std::time::Duration;

use syncferry_shared::card::Card;
use syncferry_shared::progress::Progress;

use super::Cx;
use super::report;
use super::step::StepError;
use crate::journal::{Report, Sight};

/// An open gate.
#[derive(Debug)]
pub struct Gate {
    last: (Sight, String),
    claimed: bool,
}

impl Gate {
    pub(super) async fn open(cx: &mut Cx, title: &str, cards: &[Card]) -> Result<Self, StepError> {
        let observation = "waiting for a person".to_string();
        let opening = Report::Gate {
            sight: Sight::Waiting,
            observation: observation.clone(),
            title: Some(title.to_string()),
            cards: cards.to_vec(),
        };
        report::write(&cx.journal, cx.key, opening).await?;
        cx.log(format!("waiting for a person: {title}"));
        Ok(Self {
            last: (Sight::Waiting, observation),
            claimed: false,
        })
    }

    /// Says what is seen. Nothing is sent while it is the same as before, unless a person asked.
    pub async fn saw(&mut self, cx: &mut Cx, sight: Sight, observation: &str) -> Result<(), StepError> {
        cx.progress(Progress {
            message: observation.to_string(),
            ..Progress::default()
        });
        let seen = (sight, observation.to_string());
        if self.last == seen && !self.claimed {
            return Ok(());
        }
        self.claimed = false;
        self.last = seen;
        let report = Report::Gate {
            sight,
            observation: observation.to_string(),
            title: None,
            cards: Vec::new(),
        };
        report::write(&cx.journal, cx.key, report).await
    }

    /// Waits until it is time to look again: after `interval`, or at once when a person claims to be done.
    pub async fn next_look(&mut self, cx: &Cx, interval: Duration) -> Result<(), StepError> {
        tokio::select! {
            biased;
            () = cx.controls.abandon.cancelled() => Err(StepError::Lost),
            () = cx.controls.cancel.cancelled() => Err(StepError::Cancelled),
            () = cx.controls.claims.notified() => {
                self.claimed = true;
                Ok(())
            }
            () = tokio::time::sleep(interval) => Ok(()),
        }
    }

    /// Whether the look that comes next answers a person's claim.
    pub fn claimed(&self) -> bool {
        self.claimed
    }
}
