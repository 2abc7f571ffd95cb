//! Hints between the controllers that share a store: what rings here rings there. Hints carry no truth; whoever misses one finds
//! everything at the next tick.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::wake::Reason;

/// NOTIFY takes less than 8,000 bytes.
const MOST_BYTES: usize = 4_000;
/// After a failure, before the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells the others, until told to stop.
pub async fn tell(core: Arc<Core>, mut rung: Receiver<Reason>, stop: CancellationToken) {
    let mut many = Vec::new();
    loop {
        let count = tokio::select! {
            () = stop.cancelled() => return,
            count = rung.recv_many(&mut many, 256) => count,
        };
        if count == 0 {
            return;
        }
        let words: BTreeSet<String> = many.drain(..).map(|r| r.word()).collect();
        for hint in hints(&core.id.to_string(), words) {
            if let Err(error) = core.store.tell(&hint).await {
                tracing::debug!(%error, "the other controllers were not told; they look at their next tick");
            }
        }
    }
}

/// Hears the others, until told to stop.
pub async fn hear(core: Arc<Core>, stop: CancellationToken) {
    let me = core.id.to_string();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = hear_until_it_fails(&core, &me) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn hear_until_it_fails(core: &Core, me: &str) {
    let mut hints = match core.store.hints().await {
        Ok(Some(hints)) => hints,
        Ok(None) => return std::future::pending().await,
        Err(error) => {
            tracing::debug!(%error, "the other controllers cannot be heard");
            return;
        }
    };
    loop {
        match hints.next().await {
            Ok(Some(hint)) => {
                for reason in read(me, &hint) {
                    core.wake.ring_from_afar(reason);
                }
            }
            // Something may have been missed.
            Ok(None) => {
                core.wake.ring_from_afar(Reason::Work);
                core.wake.ring_from_afar(Reason::Inspection);
            }
            Err(error) => {
                tracing::debug!(%error, "the other controllers cannot be heard");
                return;
            }
        }
    }
}

/// `<controller> <word>;<word>;…`, as many of them as it takes.
fn hints(me: &str, words: BTreeSet<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in words {
        match all.last_mut() {
            Some(hint) if hint.len() + word.len() < MOST_BYTES => {
                hint.push(';');
                hint.push_str(&word);
            }
            _ => all.push(format!("{me} {word}")),
        }
    }
    all
}

/// What another controller told. One's own hints come back too, and what a newer version tells may not be understood.
fn read(me: &str, hint: &str) -> Vec<Reason> {
    match hint.split_once(' ') {
        Some((from, words)) if from != me => words.split(';').filter_map(Reason::read).collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wake::HostReason;
    use syncferry_shared::{HostId, MigrationId, Millis};

    #[test]
    fn what_rings_here_rings_there_and_not_here_again() {
        let host = HostId::new(Millis(1), &[1; 10]);
        let migration = MigrationId::new(Millis(1), &[2; 10]);
        let all = [
            Reason::Work,
            Reason::Inspection,
            Reason::Migration(migration),
            Reason::Host(host, HostReason::Work),
            Reason::Host(host, HostReason::Inspection),
            Reason::Host(host, HostReason::Lease),
            Reason::Host(host, HostReason::Gate),
        ];
        let told = hints("a", all.iter().map(|r| r.word()).collect());
        assert_eq!(told.len(), 1);
        let heard = read("b", &told[0]);
        assert_eq!(heard.len(), all.len());
        assert!(all.iter().all(|r| heard.contains(r)), "{heard:?}");
        assert_eq!(read("a", &told[0]), vec![]);
        assert_eq!(read("b", "c something-new;work"), vec![Reason::Work]);
        assert_eq!(read("b", "rubbish"), vec![]);
    }

    #[test]
    fn many_hints_are_several() {
        let words = (0..1_000u16).map(|n| format!("migration {n:036}")).collect();
        let told = hints("a", words);
        assert!(told.len() > 5 && told.iter().all(|h| h.len() < 8_000));
        assert_eq!(told.iter().map(|h| h.split(';').count()).sum::<usize>(), 1_000);
    }
}
