//! A panic inside the client library must not take the agent down: here it becomes a value.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// Runs a future to its end, or to its panic, whose message is the error. What the future worked on is not to be trusted
/// after a panic: the caller gives it up.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(said(&*panic))),
    })
    .await
}

/// What the panic said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_error_also_after_waiting() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let later = caught(async {
            tokio::task::yield_now().await;
            panic!("nothing there")
        });
        assert_eq!(later.await, Err::<(), _>("nothing there".to_string()));
        assert_eq!(
            caught(async { panic!("at {}", 3) }).await,
            Err::<(), _>("at 3".to_string())
        );
    }
}
