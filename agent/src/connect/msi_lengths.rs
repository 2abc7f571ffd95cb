//! Lengths inside a Windows Installer package, held against the package before its reader believes them: for a string that
//! calls itself four gigabytes long, the `msi` crate takes four gigabytes, and where memory is short that ends the process.

use std::io::{self, Read, Seek};

/// Streams that are looked into are small in every real package; nothing longer is read.
const LONGEST: u64 = 64 << 20;
const SUMMARY: &str = "\u{5}SummaryInformation";
/// The type of a property that is a string.
const STRING: u32 = 30;

/// Refuses a package whose strings cannot be as long as they say.
pub(super) fn check(file: impl Read + Seek) -> io::Result<()> {
    let mut package = cfb::CompoundFile::open(file)?;
    let mut stream = |name: &str| -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if package.is_stream(name) {
            package.open_stream(name)?.take(LONGEST).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    let summary = stream(SUMMARY)?;
    let pool = stream(&table("_StringPool"))?;
    let data = stream(&table("_StringData"))?;
    if longest_property(&summary).is_some_and(|length| length > summary.len() as u64) {
        return Err(io::Error::other(
            "its summary has a string that is longer than the summary",
        ));
    }
    if all_strings(&pool) > data.len() as u64 {
        return Err(io::Error::other("its strings are longer than what holds them"));
    }
    Ok(())
}

/// A table's stream: names are packed two characters into one.
fn table(name: &str) -> String {
    const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._";
    let value = |c: char| DIGITS.find(c).and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
    let mut packed = String::from('\u{4840}');
    let characters: Vec<char> = name.chars().collect();
    for pair in characters.chunks(2) {
        let code = match pair {
            [a, b] => 0x3800 + (value(*b) << 6) + value(*a),
            [a] => 0x4800 + value(*a),
            _ => continue,
        };
        packed.extend(char::from_u32(code));
    }
    packed
}

fn u32_at(bytes: &[u8], at: u64) -> Option<u32> {
    let at = usize::try_from(at).ok()?;
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*four))
}

/// The longest string that a property set says it has; `None` where it is no property set, which its reader finds itself.
fn longest_property(set: &[u8]) -> Option<u64> {
    let section = u64::from(u32_at(set, 44)?);
    let count = u64::from(u32_at(set, section + 4)?);
    let mut longest = 0;
    for entry in 0..count {
        // Past the end there are no more, whatever the count says.
        let Some(offset) = u32_at(set, section + 8 + entry * 8 + 4) else {
            break;
        };
        let value = section + u64::from(offset);
        if u32_at(set, value) == Some(STRING) {
            longest = longest.max(u64::from(u32_at(set, value + 4).unwrap_or(0)));
        }
    }
    Some(longest)
}

/// How long all strings of a pool are together, as it says.
fn all_strings(pool: &[u8]) -> u64 {
    let mut rest = pool.get(4..).unwrap_or_default();
    let mut sum = 0_u64;
    while let Some((entry, after)) = rest.split_first_chunk::<4>() {
        rest = after;
        let length = u16::from_le_bytes([entry[0], entry[1]]);
        let references = u16::from_le_bytes([entry[2], entry[3]]);
        let mut length = u32::from(length);
        // A long string: its length follows.
        if length == 0 && references > 0 {
            let Some((long, after)) = rest.split_first_chunk::<4>() else {
                break;
            };
            rest = after;
            length = u32::from_le_bytes(*long);
        }
        sum = sum.saturating_add(u64::from(length));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_are_packed() {
        assert_eq!(
            table("_StringPool"),
            "\u{4840}\u{3f3f}\u{4577}\u{446c}\u{3e6a}\u{44b2}\u{482f}"
        );
        assert_eq!(
            table("_StringData"),
            "\u{4840}\u{3f3f}\u{4577}\u{446c}\u{3b6a}\u{45e4}\u{4824}"
        );
    }

    #[test]
    fn lengths_are_added_up() {
        let mut pool = vec![0xE4, 4, 0, 0, 5, 0, 1, 0, 0, 0, 2, 0];
        pool.extend(70_000_u32.to_le_bytes());
        pool.extend([7, 0, 1, 0, 9]);
        assert_eq!(all_strings(&pool), 70_012);
        assert_eq!(all_strings(&[]), 0);
        let mut set = vec![0; 48];
        set[44] = 48;
        // Size, one property, its id and place, and then a string.
        for number in [0, 1, 2, 16, STRING, 4_000_000_000] {
            set.extend(number.to_le_bytes());
        }
        assert_eq!(longest_property(&set), Some(4_000_000_000));
        assert_eq!(longest_property(&set[..40]), None);
        set[60..64].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(longest_property(&set), Some(0));
    }
}
