//! The version of Microsoft Entra Connect Sync: four numbers, compared as numbers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Connect version such as 2.5.79.0. A missing part is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectVersion(pub [u32; 4]);

/// Why a text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a Connect version: expected two to four numbers such as 2.5.79.0")]
pub struct InvalidVersion(pub String);

impl std::str::FromStr for ConnectVersion {
    type Err = InvalidVersion;
    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        let mut parts = [0u32; 4];
        let mut count = 0;
        for part in text.trim().split('.') {
            let slot = parts.get_mut(count).ok_or_else(|| InvalidVersion(text.to_string()))?;
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            *slot = digits
                .then(|| part.parse().ok())
                .flatten()
                .ok_or_else(|| InvalidVersion(text.to_string()))?;
            count += 1;
        }
        if count < 2 {
            Err(InvalidVersion(text.to_string()))
        } else {
            Ok(Self(parts))
        }
    }
}

impl std::fmt::Display for ConnectVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d] = self.0;
        write!(f, "{a}.{b}.{c}.{d}")
    }
}

impl Serialize for ConnectVersion {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectVersion {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn compares_as_numbers_and_fills_up_with_zeros() {
        let v = |t: &str| t.parse::<ConnectVersion>().unwrap();
        assert!(v("2.5.190.0") > v("2.5.79.0"));
        assert_eq!(v("2.3.20"), v("2.3.20.0"));
        assert_eq!(v("2.3.20").to_string(), "2.3.20.0");
    }

    #[test]
    fn refuses_what_is_not_a_version() {
        for text in ["", "2", "2.", "2.a", "2.5.79.0.1", "+2.5", "2.99999999999"] {
            assert!(text.parse::<ConnectVersion>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_survives_the_round_trip(parts: [u32; 4]) {
            let v = ConnectVersion(parts);
            prop_assert_eq!(v.to_string().parse::<ConnectVersion>(), Ok(v));
        }
        #[test]
        fn arbitrary_text_never_panics(text in ".*") {
            let _ = text.parse::<ConnectVersion>();
        }
    }
}
