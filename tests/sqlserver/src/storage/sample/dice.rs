//! Randomness that is the same for the same seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

/// A seeded generator and a pool of base64 text to cut certificates and photos from.
pub(crate) struct Dice {
    rng: StdRng,
    pool: String,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut bytes = vec![0u8; 48 * 1024];
        rng.fill(&mut bytes[..]);
        Dice {
            rng,
            pool: base64(&bytes),
        }
    }
    /// 0 to `end` - 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.rng.random_range(0..end) }
    }
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    pub(crate) fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let index = self.below(from.len());
        from.get(index).copied().unwrap_or_default()
    }
    pub(crate) fn guid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.random()).into_uuid()
    }
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits)
            .map(|_| char::from(b"0123456789abcdef"[self.below(16)]))
            .collect()
    }
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill(&mut bytes[..]);
        bytes
    }
    /// Base64 text of this length (at most 60,000), all of it different from draw to draw.
    pub(crate) fn blob(&mut self, len: usize) -> &str {
        let start = self.below(self.pool.len().saturating_sub(len));
        &self.pool[start..(start + len).min(self.pool.len())]
    }
}

/// Base64 with padding, as an immutableId has it.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let six = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit > group.len() {
                '='
            } else {
                char::from(DIGITS[six])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_is_the_usual_one() {
        let cases = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in cases {
            assert_eq!(super::base64(plain.as_bytes()), coded);
        }
    }
}
