//! Values and rows as bytes.

/// A value as hex text in JSON.
pub(crate) mod value_hex {
    use serde::{Deserializer, Serializer};

    use crate::types::Value;

    pub(crate) fn serialize<S: Serializer>(value: &Value, _s: S) -> Result<S::Ok, S::Error> {
        unimplemented!("{value:?}")
    }
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(_d: D) -> Result<Value, D::Error> {
        unimplemented!()
    }
}
