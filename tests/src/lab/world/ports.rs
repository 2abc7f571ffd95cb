//! The ports of a world. They are chosen once and kept: a plan names the address that a backup is fetched from.

use std::net::TcpListener;

use serde::{Deserialize, Serialize};

/// Linux gives ports from 32768 on to outgoing connections.
const LOW: std::ops::Range<u16> = 15_000..32_000;
const TRIES: usize = 100;

/// The ports, all on 127.0.0.1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The controller.
    pub controller: u16,
    /// The old server's LocalDB. A real one has a pipe.
    pub sql_source: u16,
    /// The SQL host's instance.
    pub sql_target: u16,
    /// Where the old server's agent hands backups over.
    pub transfer: u16,
}

impl Ports {
    /// Free ports: those of before where nobody else has taken them.
    pub fn choose(before: Option<&Ports>) -> std::io::Result<Ports> {
        // All are held until all are chosen, so that none is given twice.
        let mut held = Vec::new();
        let mut choose = |before: Option<u16>| -> std::io::Result<u16> {
            let kept = before.and_then(|port| TcpListener::bind(("127.0.0.1", port)).ok());
            let listener = match kept.or_else(low) {
                Some(listener) => listener,
                None => TcpListener::bind(("127.0.0.1", 0))?,
            };
            let port = listener.local_addr()?.port();
            held.push(listener);
            Ok(port)
        };
        Ok(Ports {
            controller: choose(before.map(|p| p.controller))?,
            sql_source: choose(before.map(|p| p.sql_source))?,
            sql_target: choose(before.map(|p| p.sql_target))?,
            transfer: choose(before.map(|p| p.transfer))?,
        })
    }
}

/// A free port below those that systems give to outgoing connections: nobody takes it while a process is started again.
fn low() -> Option<TcpListener> {
    (0..TRIES).find_map(|_| TcpListener::bind(("127.0.0.1", rand::random_range(LOW))).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stay_unless_somebody_took_them() {
        let first = Ports::choose(None).unwrap();
        let taken = TcpListener::bind(("127.0.0.1", first.transfer)).unwrap();
        let second = Ports::choose(Some(&first)).unwrap();
        assert_eq!(second.controller, first.controller);
        assert_ne!(second.transfer, first.transfer);
        drop(taken);
    }
}
