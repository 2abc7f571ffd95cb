//! Collations on the wire and the code page that goes with them.

/// `SQL_Latin1_General_CP1_CI_AS`: LCID 0x0409, sort order 52, what SQL Server installs by default.
pub(crate) const DEFAULT: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// The collation's UTF-8 bit, in the 32 bits before the sort order.
const FLAG_UTF8: u32 = 1 << 26;

/// Windows-1252 from 0x80 to 0x9F; below and above it is Latin-1. U+0081 and the like have no character.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// Encodes for a `char`, `varchar` or `text` column; what the code page lacks becomes `?`, as on SQL Server.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    text.chars().map(encode_char).collect()
}

fn encode_char(character: char) -> u8 {
    match u32::from(character) {
        code @ (0..0x80 | 0xA0..0x100) => code as u8,
        // At most 31 + 0x80.
        _ => WINDOWS_1252
            .iter()
            .position(|known| *known == character)
            .map_or(b'?', |at| 0x80 + at as u8),
    }
}

/// Decodes a client's `char` or `varchar` by its collation.
pub(crate) fn decode(bytes: &[u8], collation: [u8; 5]) -> String {
    let flags = u32::from_le_bytes([collation[0], collation[1], collation[2], collation[3]]);
    if flags & FLAG_UTF8 != 0 {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    bytes.iter().map(|byte| decode_byte(*byte)).collect()
}

fn decode_byte(byte: u8) -> char {
    match byte {
        0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_the_round_trip() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(encode(&decode(&all, DEFAULT)), all);
    }

    #[test]
    fn what_the_code_page_lacks_is_a_question_mark() {
        assert_eq!(encode("aЖ€"), [b'a', b'?', 0x80]);
    }
}
