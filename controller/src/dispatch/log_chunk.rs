//! LogChunk: lines of an attempt's log. They go into the controller's own log and nowhere else.

use syncferry_shared::AgentId;
use syncferry_shared::token::AttemptToken;

use super::known_agent;
use crate::core::Core;
use crate::problem::Problem;

/// So many lines of a chunk are kept, and so much of each.
const MOST_LINES: usize = 1000;
const MOST_CHARS: usize = 1000;

/// Logs the lines, if the attempt is the agent's.
pub async fn log_chunk(core: &Core, id: AgentId, token: &AttemptToken, lines: &[String]) -> Result<(), Problem> {
    let mut tx = core.store.read("dispatch.log-chunk").await?;
    let (_, host) = known_agent(&mut *tx, id).await?;
    if tx.attempt_of(token).await?.is_none_or(|a| a.agent != id) {
        return Ok(());
    }
    for line in lines.iter().take(MOST_LINES) {
        let line = one_line(line);
        tracing::info!(host = %host.name, job = %token.job.short(), attempt = token.attempt, "{line}");
    }
    Ok(())
}

/// A line stays one: what is in it must not look like another entry of our log.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MOST_CHARS).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line("a\nERROR b\u{1b}[31m"), "a ERROR b [31m");
        assert_eq!(one_line(&"ä".repeat(5_000)).chars().count(), 1_000);
    }
}
