//! What a connection carries, and the HTTP/2 settings that follow from it.

use std::time::Duration;

use tonic::transport::{Endpoint, Server};

/// How often an idle connection is probed. Firewalls forget silent connections after minutes; an agent that dialled
/// out would then wait for wake-ups that cannot arrive.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long a probe may stay unanswered before the connection counts as lost.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long TCP and TLS may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const MIB: u32 = 1024 * 1024;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Commands, reports, queries: many small messages.
    Control,
    /// Chunks of artifacts: few large ones. Fixed windows, because HTTP/2's 64 KiB default caps a stream at about
    /// 3 MB/s over 20 ms, and adaptive windows need seconds to find that out.
    Bulk,
}

impl Profile {
    /// The largest message either side takes, in bytes; for `max_decoding_message_size` of the generated code.
    pub const fn max_message_bytes(self) -> usize {
        match self {
            Profile::Control => 16 * MIB as usize,
            Profile::Bulk => 32 * MIB as usize,
        }
    }

    /// Windows for one stream and for the whole connection; `None` leaves the library's.
    const fn windows(self) -> Option<(u32, u32)> {
        match self {
            Profile::Control => None,
            Profile::Bulk => Some((16 * MIB, 32 * MIB)),
        }
    }

    /// A server with this profile's settings.
    pub fn server(self) -> Server {
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
        match self.windows() {
            Some((stream, connection)) => server
                .initial_stream_window_size(stream)
                .initial_connection_window_size(connection),
            None => server,
        }
    }

    pub(super) fn apply(self, endpoint: Endpoint) -> Endpoint {
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        match self.windows() {
            Some((stream, connection)) => endpoint
                .initial_stream_window_size(stream)
                .initial_connection_window_size(connection),
            None => endpoint,
        }
    }
}
