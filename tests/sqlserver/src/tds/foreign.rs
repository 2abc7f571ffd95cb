//! Everything that the stand-in reads from a client, as one pure function over bytes: for property tests and fuzzing.

use super::decode::Request;
use super::login7::Login7;
use super::packet::{Assembly, HEADER, Header, Kind};
use super::prelogin::PreLogin;
use super::reader::LOGIN_LIMIT;
use super::version::Version;

/// What became of a client's bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// Whole messages.
    pub messages: usize,
    /// Those among them that say something.
    pub understood: usize,
}

/// Reads what a client sends, packet by packet and message by message, as far as it makes sense. Never panics.
pub fn hear(mut bytes: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let mut assembly = Assembly::new(LOGIN_LIMIT);
    while let Some((head, rest)) = bytes.split_first_chunk::<HEADER>() {
        let Ok(header) = Header::decode(*head) else { break };
        let body = &rest[..rest.len().min(header.length - HEADER)];
        bytes = &rest[body.len()..];
        let Ok(message) = assembly.push(header, body) else {
            break;
        };
        let Some(message) = message else { continue };
        heard.messages += 1;
        let understood = match message.kind {
            Kind::PreLogin => PreLogin::decode(&message.payload).is_ok(),
            Kind::Login7 => Login7::decode(&message.payload).is_ok(),
            _ => [Version::V71, Version::V74]
                .into_iter()
                .all(|version| Request::decode(&message, version).is_ok()),
        };
        heard.understood += usize::from(understood);
    }
    heard
}

/// A client's first words, well-formed: PRELOGIN, then a batch. What tests and fuzzing begin with.
pub fn sample() -> Vec<u8> {
    let mut bytes = vec![0x12, 1, 0, 15, 0, 0, 1, 0, 1, 0, 6, 0, 1, 0xFF, 2];
    let text: Vec<u8> = "SELECT 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let header = Header {
        kind: Kind::Batch,
        status: super::packet::STATUS_END,
        length: HEADER + text.len(),
        spid: 0,
        number: 1,
    };
    bytes.extend(header.encode());
    bytes.extend(text);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_client_is_understood() {
        let heard = hear(&sample());
        assert_eq!((heard.messages, heard.understood), (2, 2));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>, kind in prop::sample::select(vec![1_u8, 3, 6, 7, 14, 16, 18])) {
            hear(&bytes);
            let mut framed = vec![kind, 1, 0, 0, 0, 0, 1, 0];
            framed[2..4].copy_from_slice(&((bytes.len() + HEADER) as u16).to_be_bytes());
            framed.extend(bytes);
            hear(&framed);
        }

        #[test]
        fn cut_and_flipped_bytes_never_panic(at in any::<prop::sample::Index>(), flip: u8, cut: bool) {
            let mut bytes = sample();
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
            hear(&bytes);
        }
    }
}
