//! The controller's key for transfer tickets, as last heard. It comes with enrolment and again with every hello.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use data_encoding::BASE64;
use syncferry_proto::transport::TicketPublicKey;

/// The key. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct TicketKey(Arc<ArcSwapOption<TicketPublicKey>>);

/// The text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the controller's ticket key cannot be read; agents and controller should have the same version")]
pub struct InvalidKey;

impl TicketKey {
    /// The key now.
    pub fn get(&self) -> Option<TicketPublicKey> {
        self.0.load().as_deref().copied()
    }

    /// Takes a key from its text: base64 as on the wire, or the hexadecimal form.
    pub fn set_from<'a>(&self, text: &'a str) -> Result<&'a str, InvalidKey> {
        let key: TicketPublicKey = match text.parse() {
            Ok(key) => key,
            Err(_) => {
                let bytes = BASE64.decode(text.as_bytes()).map_err(|_| InvalidKey)?;
                TicketPublicKey::try_from(bytes.as_slice()).map_err(|_| InvalidKey)?
            }
        };
        self.0.store(Some(Arc::new(key)));
        Ok(text)
    }
}
