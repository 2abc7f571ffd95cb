//! LOGIN7: who connects, from where, to which database, and which extensions the client knows.

use super::bytes::{Reader, utf16};
use super::error::ProtocolError;
use super::version::Version;

const FLAG2_INTEGRATED_SECURITY: u8 = 0x80;
const FLAG3_EXTENSION: u8 = 0x10;
/// The feature extension's own identifiers ([MS-TDS] 2.2.6.4).
pub(crate) const FEATURE_UTF8: u8 = 0x0A;
const FEATURE_END: u8 = 0xFF;

/// The client's LOGIN7.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login7 {
    pub(crate) version: Version,
    /// The packet size the client wishes, 0 for the server's default.
    pub(crate) packet_size: u32,
    pub(crate) client_pid: u32,
    pub(crate) host_name: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) app_name: String,
    pub(crate) server_name: String,
    pub(crate) library: String,
    pub(crate) database: String,
    /// Windows authentication, which the stand-in refuses as a server outside the client's domain does.
    pub(crate) integrated: bool,
    /// The features asked for, in the client's order.
    pub(crate) features: Vec<u8>,
}

impl Login7 {
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut fixed = Reader::new(payload, "the login");
        let length = fixed.u32()? as usize;
        let payload = payload.get(..length).ok_or(ProtocolError::Truncated("the login"))?;
        let version = Version::from_login(fixed.u32()?).ok_or(ProtocolError::Malformed("the login's TDS version"))?;
        let packet_size = fixed.u32()?;
        let _program_version = fixed.u32()?;
        let client_pid = fixed.u32()?;
        let _connection_id = fixed.u32()?;
        let [_flags1, flags2, _type_flags, flags3] = flags(&mut fixed)?;
        let _time_zone = fixed.u32()?;
        let _lcid = fixed.u32()?;

        let mut text = |name| string(&mut fixed, payload, name);
        let host_name = text("the host name")?;
        let user = text("the user name")?;
        let password = password(&mut fixed, payload)?;
        let mut text = |name| string(&mut fixed, payload, name);
        let app_name = text("the application name")?;
        let server_name = text("the server name")?;
        let extension = (fixed.u16()?, fixed.u16()?);
        let mut text = |name| string(&mut fixed, payload, name);
        let library = text("the library's name")?;
        let _language = text("the language")?;
        let database = text("the database")?;

        let features = match flags3 & FLAG3_EXTENSION {
            0 => Vec::new(),
            _ => features(payload, extension)?,
        };
        let integrated = flags2 & FLAG2_INTEGRATED_SECURITY != 0;
        Ok(Self {
            version,
            packet_size,
            client_pid,
            host_name,
            user,
            password,
            app_name,
            server_name,
            library,
            database,
            integrated,
            features,
        })
    }

    /// The packet size both sides use from the login's answer on.
    pub(crate) fn negotiated_packet_size(&self) -> usize {
        match self.packet_size {
            0 => super::packet::DEFAULT_SIZE,
            size => size.clamp(512, 32_767) as usize,
        }
    }
}

fn flags(fixed: &mut Reader<'_>) -> Result<[u8; 4], ProtocolError> {
    Ok([fixed.u8()?, fixed.u8()?, fixed.u8()?, fixed.u8()?])
}

/// The bytes of a field whose offset and length in characters come next in the fixed part.
fn field<'a>(fixed: &mut Reader<'_>, payload: &'a [u8], name: &'static str) -> Result<&'a [u8], ProtocolError> {
    let offset = usize::from(fixed.u16()?);
    let bytes = usize::from(fixed.u16()?) * 2;
    if bytes == 0 {
        // Some clients leave the offset of an empty field at 0 or behind the end.
        return Ok(&[]);
    }
    payload
        .get(offset..)
        .and_then(|from| from.get(..bytes))
        .ok_or(ProtocolError::Truncated(name))
}

fn string(fixed: &mut Reader<'_>, payload: &[u8], name: &'static str) -> Result<String, ProtocolError> {
    field(fixed, payload, name).map(utf16)
}

/// The password is not encrypted, only scrambled: nibbles swapped, then XOR 0xA5.
fn password(fixed: &mut Reader<'_>, payload: &[u8]) -> Result<String, ProtocolError> {
    let scrambled = field(fixed, payload, "the password")?;
    let clear: Vec<u8> = scrambled.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect();
    Ok(utf16(&clear))
}

/// The identifiers in the feature extension, to which the extension field points by way of another offset.
fn features(payload: &[u8], (offset, length): (u16, u16)) -> Result<Vec<u8>, ProtocolError> {
    const WHAT: &str = "the feature extension";
    if length < 4 {
        return Err(ProtocolError::Malformed(WHAT));
    }
    let pointer = payload
        .get(usize::from(offset)..)
        .ok_or(ProtocolError::Truncated(WHAT))?;
    let at = Reader::new(pointer, WHAT).u32()? as usize;
    let mut options = Reader::new(payload.get(at..).ok_or(ProtocolError::Truncated(WHAT))?, WHAT);
    let mut features = Vec::new();
    loop {
        match options.u8()? {
            FEATURE_END => return Ok(features),
            feature => {
                let length = options.u32()? as usize;
                options.take(length)?;
                features.push(feature);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tds::bytes::put_utf16;

    /// A LOGIN7 as a client builds it.
    fn sample() -> Vec<u8> {
        let scrambled: Vec<u8> = "pä$$"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .map(|byte| byte.rotate_left(4) ^ 0xA5)
            .collect();
        let mut variable = Vec::new();
        let mut fixed = Vec::new();
        for value in [0_u32, 0x7400_0004, 8000, 7, 4711, 0] {
            fixed.extend_from_slice(&value.to_le_bytes());
        }
        fixed.extend_from_slice(&[0, 0, 0, FLAG3_EXTENSION]);
        fixed.extend_from_slice(&[0; 8]);
        for text in ["CONNECT01", "sa", "\0", "app", "SQL01", "\u{1}", "lib", "", "ADSync"] {
            let start = variable.len();
            match text {
                "\0" => variable.extend_from_slice(&scrambled),
                "\u{1}" => variable.extend_from_slice(&[0; 4]),
                _ => put_utf16(&mut variable, text),
            }
            let units = (variable.len() - start) / if text == "\u{1}" { 1 } else { 2 };
            fixed.extend_from_slice(&((94 + start) as u16).to_le_bytes());
            fixed.extend_from_slice(&(units as u16).to_le_bytes());
        }
        fixed.resize(94, 0);
        let pointer = usize::from(u16::from_le_bytes([fixed[56], fixed[57]]));
        let feature_at = 94 + variable.len();
        fixed.append(&mut variable);
        fixed[pointer..pointer + 4].copy_from_slice(&(feature_at as u32).to_le_bytes());
        fixed.extend_from_slice(&[FEATURE_UTF8, 1, 0, 0, 0, 1, FEATURE_END]);
        let length = fixed.len() as u32;
        fixed[..4].copy_from_slice(&length.to_le_bytes());
        fixed
    }

    #[test]
    fn every_field_is_read() {
        let login = Login7::decode(&sample()).unwrap();
        assert_eq!(login.version, Version::V74);
        assert_eq!(login.negotiated_packet_size(), 8000);
        assert_eq!(login.client_pid, 4711);
        assert_eq!((login.host_name.as_str(), login.user.as_str()), ("CONNECT01", "sa"));
        assert_eq!(login.password, "pä$$");
        assert_eq!((login.app_name.as_str(), login.server_name.as_str()), ("app", "SQL01"));
        assert_eq!((login.library.as_str(), login.database.as_str()), ("lib", "ADSync"));
        assert_eq!(login.features, [FEATURE_UTF8]);
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            let _ = Login7::decode(&bytes);
        }

        #[test]
        fn any_damage_decodes_or_is_refused(at in 0_usize..200, byte: u8, end in 0_usize..250) {
            let mut login = sample();
            let at = at.min(login.len() - 1);
            login[at] = byte;
            login.truncate(end);
            let _ = Login7::decode(&login);
        }
    }
}
