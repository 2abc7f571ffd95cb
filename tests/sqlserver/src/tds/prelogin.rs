//! PRELOGIN: versions and, above all, how much of the connection is encrypted ([MS-TDS] 2.2.6.5).

use super::bytes::Reader;
use super::error::ProtocolError;

const OPTION_VERSION: u8 = 0;
const OPTION_ENCRYPTION: u8 = 1;
const OPTION_INSTANCE: u8 = 2;
const OPTION_THREAD: u8 = 3;
const OPTION_MARS: u8 = 4;
const TERMINATOR: u8 = 0xFF;

/// What the client wants to have encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// The login packet only.
    Off,
    /// Everything.
    On,
    /// The client cannot encrypt.
    NotSupported,
    /// Everything, or no connection.
    Required,
}

/// What both sides then do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// TLS for the first packet of LOGIN7, plain bytes before and after.
    LoginOnly,
    /// TLS from the handshake to the end.
    Full,
    /// No TLS at all.
    None,
}

/// The client's PRELOGIN, as far as the server looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreLogin {
    pub(crate) wish: Wish,
}

impl PreLogin {
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut options = Reader::new(payload, "the pre-login");
        let mut wish = Wish::NotSupported;
        loop {
            let option = options.u8()?;
            if option == TERMINATOR {
                return Ok(Self { wish });
            }
            let offset = usize::from(options.u16_be()?);
            let length = usize::from(options.u16_be()?);
            let data = payload.get(offset..).and_then(|from| from.get(..length));
            let data = data.ok_or(ProtocolError::Truncated("a pre-login option"))?;
            if option == OPTION_ENCRYPTION {
                wish = wished(data)?;
            }
        }
    }
}

fn wished(data: &[u8]) -> Result<Wish, ProtocolError> {
    match data {
        // 0x80 is the client-certificate bit; the rest means the same with it.
        [byte] => match byte & 0x7F {
            0 => Ok(Wish::Off),
            1 => Ok(Wish::On),
            2 => Ok(Wish::NotSupported),
            3 => Ok(Wish::Required),
            _ => Err(ProtocolError::Malformed("the encryption option")),
        },
        _ => Err(ProtocolError::Malformed("the encryption option")),
    }
}

/// The byte the server answers and what follows from it. The server can always encrypt; `force` is its
/// ForceEncryption setting.
pub(crate) fn negotiate(wish: Wish, force: bool) -> (u8, Encryption) {
    match (wish, force) {
        (Wish::Off, false) => (0, Encryption::LoginOnly),
        (Wish::NotSupported, false) => (2, Encryption::None),
        (Wish::On | Wish::Required, _) => (1, Encryption::Full),
        // A client that cannot encrypt hangs up when it reads this.
        (Wish::Off | Wish::NotSupported, true) => (3, Encryption::Full),
    }
}

/// The server's PRELOGIN.
pub(crate) fn encode(product: (u8, u8, u16), encryption: u8) -> Vec<u8> {
    let [build_high, build_low] = product.2.to_be_bytes();
    let version = [product.0, product.1, build_high, build_low, 0, 0];
    let options: [(u8, &[u8]); 5] = [
        (OPTION_VERSION, &version),
        (OPTION_ENCRYPTION, &[encryption]),
        (OPTION_INSTANCE, &[0]),
        (OPTION_THREAD, &[]),
        (OPTION_MARS, &[0]),
    ];
    let mut offset = options.len() * 5 + 1;
    let mut out = Vec::with_capacity(offset + 16);
    for (option, data) in options {
        out.push(option);
        out.extend_from_slice(&(offset as u16).to_be_bytes());
        out.extend_from_slice(&(data.len() as u16).to_be_bytes());
        offset += data.len();
    }
    out.push(TERMINATOR);
    for (_, data) in options {
        out.extend_from_slice(data);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn our_own_answer_can_be_read() {
        let answer = encode((16, 0, 4236), 1);
        assert_eq!(PreLogin::decode(&answer), Ok(PreLogin { wish: Wish::On }));
    }

    #[test]
    fn an_option_outside_the_message_is_refused() {
        assert!(PreLogin::decode(&[1, 0, 200, 0, 1, 0xFF]).is_err());
    }

    #[test]
    fn forcing_encryption_leaves_no_plain_connection() {
        for wish in [Wish::Off, Wish::On, Wish::NotSupported, Wish::Required] {
            assert_eq!(negotiate(wish, true).1, Encryption::Full);
        }
        assert_eq!(negotiate(Wish::Off, false), (0, Encryption::LoginOnly));
        assert_eq!(negotiate(Wish::NotSupported, false), (2, Encryption::None));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let _ = PreLogin::decode(&bytes);
        }

        #[test]
        fn every_truncation_decodes_or_is_refused(end in 0_usize..36) {
            let answer = encode((16, 0, 4236), 1);
            let _ = PreLogin::decode(&answer[..end.min(answer.len())]);
        }
    }
}
