//! Watching a long statement: its own messages from the work session, and what the monitor session sees of it. Either alone
//! will do; when neither moves for too long, the statement is cancelled.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use syncferry_shared::progress::{Progress, Unit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::sql::errors::{ServerMessage, SqlError, SqlErrorKind};
use crate::sql::session::{Answer, SqlSession};
use crate::sql::statements::{Statement, progress as statements};

/// The message that carries `STATS` progress.
const PERCENT_DONE: i32 = 3211;

/// How a long statement is watched.
pub struct Watch<'a> {
    /// A second session on the same instance, where there is one.
    pub monitor: Option<&'a mut SqlSession>,
    /// How often the monitor session looks.
    pub every: Duration,
    /// How long nothing may move.
    pub stall_after: Duration,
    /// The application name of the work session: only such a session would ever be ended.
    pub application: String,
}

impl<'a> Watch<'a> {
    /// Looks every second and gives up after ten minutes of silence.
    pub fn new(monitor: Option<&'a mut SqlSession>, application: impl Into<String>) -> Self {
        Self {
            monitor,
            every: Duration::from_secs(1),
            stall_after: Duration::from_secs(600),
            application: application.into(),
        }
    }
}

/// What both sides of the watch share.
struct Seen<'p> {
    progress: &'p mut (dyn FnMut(Progress) + Send),
    what: &'static str,
    percent: f64,
    left_ms: Option<u64>,
    counters: (i64, i64, i64),
    moved: Instant,
}

impl Seen<'_> {
    fn moved(&mut self) {
        self.moved = Instant::now();
    }

    fn percent(&mut self, percent: f64) {
        // Messages and the view may be a step apart; progress never goes back.
        if percent <= self.percent {
            return;
        }
        self.percent = percent.min(100.0);
        self.moved();
        self.tell();
    }

    fn tell(&mut self) {
        let message = if self.percent >= 100.0 {
            format!("{} finishing", self.what)
        } else {
            format!("{} {:.0} %", self.what, self.percent)
        };
        (self.progress)(Progress {
            message,
            done: self.percent as u64,
            total: 100,
            unit: Unit::Percent,
            left_ms: self.left_ms,
            ..Progress::default()
        });
    }
}

/// Runs a statement on the work session and reports its progress. `what` is how people call it, for example `BACKUP DATABASE`.
pub async fn run_watched(
    work: &mut SqlSession,
    watch: Watch<'_>,
    statement: &Statement,
    what: &'static str,
    cancel: &CancellationToken,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Answer, SqlError> {
    let inner = cancel.child_token();
    let finished = CancellationToken::new();
    let spid = work.spid();
    let seen = Mutex::new(Seen {
        progress,
        what,
        percent: -1.0,
        left_ms: None,
        counters: (0, 0, 0),
        moved: Instant::now(),
    });
    let lock = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let Watch {
        mut monitor,
        every,
        stall_after,
        application,
    } = watch;

    let run = async {
        let result = work
            .execute_streaming(statement, &inner, |message| {
                let mut seen = lock();
                seen.moved();
                if let Some(percent) = percent_of(message) {
                    seen.percent(percent);
                }
            })
            .await;
        finished.cancel();
        result
    };
    // The loop ends between two looks, never inside one: a query that is dropped half-way would spoil the monitor session.
    let look = async {
        let mut stalled = false;
        let mut blind = monitor.is_none();
        loop {
            tokio::select! {
                () = finished.cancelled() => return stalled,
                () = tokio::time::sleep(every) => {}
            }
            if !blind && let Some(session) = monitor.as_deref_mut() {
                match look_once(session, spid).await {
                    Ok(Some(found)) => note(&mut lock(), &found),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::debug!(%error, "progress is known from messages only");
                        blind = true;
                    }
                }
            }
            // A large restore is silent while files are made; without the monitor that cannot be told from a stall.
            let limit = if blind { stall_after * 6 } else { stall_after };
            if !stalled && lock().moved.elapsed() > limit {
                tracing::warn!(
                    statement = statement.name,
                    spid,
                    "nothing moved for {limit:?}; cancelling"
                );
                stalled = true;
                inner.cancel();
            }
        }
    };
    let (result, stalled) = tokio::join!(run, look);
    let error = match result {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    if inner.is_cancelled()
        && error.kind == SqlErrorKind::ConnectionLost
        && let Some(session) = monitor
    {
        end_session(session, spid, &application).await;
    }
    Err(as_caused(error, stalled, cancel.is_cancelled()))
}

/// An error that our own cancelling brought about is named after its cause.
fn as_caused(mut error: SqlError, stalled: bool, cancelled: bool) -> SqlError {
    let from_cancel = matches!(
        error.kind,
        SqlErrorKind::Cancelled | SqlErrorKind::ConnectionLost | SqlErrorKind::TimedOut | SqlErrorKind::Aborted
    );
    if from_cancel && stalled {
        error.kind = SqlErrorKind::Stalled;
    } else if from_cancel && cancelled {
        error.kind = SqlErrorKind::Cancelled;
    }
    error
}

/// What the view says of the running request.
struct Look {
    percent: f64,
    left_ms: Option<u64>,
    counters: (i64, i64, i64),
}

async fn look_once(session: &mut SqlSession, spid: i32) -> Result<Option<Look>, SqlError> {
    let sets = session.query(&statements::of_session(spid)).await?;
    let rows = super::rows(sets);
    Ok(rows.first().map(|row| Look {
        percent: row.float("percent_complete").unwrap_or(0.0),
        left_ms: row.size("estimated_completion_time").filter(|ms| *ms > 0),
        counters: (
            row.int("reads").unwrap_or(0),
            row.int("writes").unwrap_or(0),
            row.int("cpu_time").unwrap_or(0),
        ),
    }))
}

fn note(seen: &mut Seen<'_>, look: &Look) {
    seen.left_ms = look.left_ms;
    if look.counters != seen.counters {
        seen.counters = look.counters;
        seen.moved();
    }
    if look.percent > 0.0 {
        seen.percent(look.percent);
    }
}

/// Ends a session of ours that did not acknowledge its cancellation; the server would otherwise go on with it.
async fn end_session(monitor: &mut SqlSession, spid: i32, application: &str) {
    let ours = monitor.query(&statements::session_is_ours(spid, application)).await;
    if !ours.is_ok_and(|sets| sets.iter().any(|s| s.first().is_some())) {
        return;
    }
    if let Err(error) = monitor.query(&statements::kill(spid)).await {
        tracing::warn!(%error, spid, "a session that does not end could not be killed");
    }
}

/// The number in a progress message. The text is localised, the number is not.
fn percent_of(message: &ServerMessage) -> Option<f64> {
    if message.number != PERCENT_DONE {
        return None;
    }
    let digits: String = message
        .text
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().ok().filter(|p| *p <= 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: i32, text: &str) -> ServerMessage {
        ServerMessage {
            number,
            state: 1,
            class: 0,
            text: text.into(),
        }
    }

    #[test]
    fn per_cent_is_read_in_any_language() {
        assert_eq!(percent_of(&message(3211, "43 percent processed.")), Some(43.0));
        assert_eq!(percent_of(&message(3211, "43 Prozent verarbeitet.")), Some(43.0));
        assert_eq!(percent_of(&message(3211, "Verarbeitet: 7 %")), Some(7.0));
        assert_eq!(percent_of(&message(4035, "43 percent")), None);
        assert_eq!(percent_of(&message(3211, "percent")), None);
    }

    #[test]
    fn progress_never_goes_back() {
        let mut told = Vec::new();
        let mut tell = |p: Progress| told.push(p.done);
        let mut seen = Seen {
            progress: &mut tell,
            what: "BACKUP DATABASE",
            percent: -1.0,
            left_ms: None,
            counters: (0, 0, 0),
            moved: Instant::now(),
        };
        for percent in [0.0, 10.0, 9.0, 10.0, 55.5, 100.0, 100.0] {
            seen.percent(percent);
        }
        assert_eq!(told, [0, 10, 55, 100]);
    }

    #[test]
    fn what_we_cancelled_is_called_so() {
        let lost = SqlError::local(SqlErrorKind::ConnectionLost, "i", "s", "gone");
        assert_eq!(as_caused(lost.clone(), false, true).kind, SqlErrorKind::Cancelled);
        assert_eq!(as_caused(lost.clone(), true, true).kind, SqlErrorKind::Stalled);
        assert_eq!(as_caused(lost, false, false).kind, SqlErrorKind::ConnectionLost);
        let full = SqlError::local(SqlErrorKind::NoSpace, "i", "s", "");
        assert_eq!(as_caused(full, false, true).kind, SqlErrorKind::NoSpace);
    }
}
