//! Long work in steps: its pace, its percentage for the others, its messages, and whether it has to stop.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::errors::{SqlError, err, msg};
use crate::engine::interpreter::Run;
use crate::engine::output::Out;
use crate::engine::session::Session;
use crate::storage::PAGE_SIZE;
use crate::storage::backup::Progress;

/// How a BACKUP, RESTORE, VERIFYONLY or CHECKDB goes on.
pub(super) struct Pace {
    began: Instant,
    mb_per_s: f64,
    /// STATS; 0 says nothing.
    every: u8,
    said: u8,
    cur_cmd: u16,
    /// The occasion for the fault plan: backup, restore, verify.
    occasion: &'static str,
    database: String,
}

impl Pace {
    pub(super) fn new(session: &Session, every: u8, cur_cmd: u16, occasion: &'static str, database: &str) -> Pace {
        let mb_per_s = session.inst.settings().io_mb_per_s;
        Pace {
            began: Instant::now(),
            mb_per_s,
            every,
            said: 0,
            cur_cmd,
            occasion,
            database: database.to_owned(),
        }
    }

    /// Seconds since it began, never zero.
    pub(super) fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64().max(0.001)
    }

    /// After a step: tells, waits, and stops for Attention, KILL and the fault plan.
    pub(super) async fn step(&mut self, session: &Session, out: &mut Out<'_>, progress: Progress) -> Run<()> {
        let percent = progress.percent();
        session.info.activity().percent = f32::from(percent);
        if self.every > 0 && percent / self.every > self.said / self.every {
            self.said = percent;
            out.info(msg!(3211, percent)).await?;
            out.done_more(self.cur_cmd).await?;
        }
        let strike = session
            .inst
            .faults
            .strike(self.occasion, &self.database, "", Some(percent));
        if let Some(error) = session.suffer(strike).await? {
            return Err(error.into());
        }
        if self.mb_per_s > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "a duration")]
            let due = progress.done as f64 * PAGE_SIZE as f64 / (self.mb_per_s * 1_048_576.0);
            let ahead = due - self.began.elapsed().as_secs_f64();
            if ahead > 0.0 && !session.sleep(Duration::from_secs_f64(ahead)).await {
                return Err(SqlError::cancelled().into());
            }
        }
        // Steps are synchronous: let the other sessions run between them.
        tokio::task::yield_now().await;
        if session.stopped() {
            Err(SqlError::cancelled().into())
        } else {
            Ok(())
        }
    }

    /// The last percentage, if a step has not said it.
    pub(super) async fn finish(&mut self, session: &Session, out: &mut Out<'_>) -> Run<()> {
        session.info.activity().percent = 100.0;
        if self.every > 0 && self.said < 100 {
            self.said = 100;
            out.info(msg!(3211, 100)).await?;
            out.done_more(self.cur_cmd).await?;
        }
        Ok(())
    }

    /// 4035 for a file and 3014 for the whole are worded here, because both need the time it took.
    pub(super) fn summary(&self, statement: &str, pages: u64) -> crate::types::Message {
        let seconds = self.seconds();
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let rate = pages as f64 * 8.0 / 1024.0 / seconds;
        msg!(3014, statement, pages, format!("{seconds:.3}"), format!("{rate:.3}"))
    }
}

/// A fault plan's full disk.
pub(super) fn full_disk(session: &Session, database: &str, device: &str) -> Option<SqlError> {
    let strike = session.inst.faults.strike("disk_full", database, "", None)?;
    strike
        .disk_full
        .then(|| err!(3202, device, crate::storage::OsError::DiskFull))
}
