//! Embeddings in JSON: little-endian half floats in base64, one text for each. Rounding costs a cosine of less
//! than 1e-7.

use base64ct::{Base64, Encoding};
use half::f16;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `value` rounded to a half float.
pub(super) fn rounded(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

pub(super) fn serialize<S: Serializer>(
    rows: &[Vec<f32>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = |row: &Vec<f32>| {
        let bytes = row.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes());
        Base64::encode_string(&bytes.collect::<Vec<u8>>())
    };
    let texts: Vec<String> = rows.iter().map(text).collect();
    texts.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Vec<f32>>, D::Error> {
    let row = |text: String| {
        let bytes = Base64::decode_vec(&text)
            .map_err(|error| D::Error::custom(format!("an embedding is no base64: {error}")))?;
        let (halves, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            let found = bytes.len();
            let reason = format!("an embedding has {found} bytes, which are no half floats");
            return Err(D::Error::custom(reason));
        }
        Ok(halves
            .iter()
            .map(|&half| f16::from_le_bytes(half).to_f32())
            .collect())
    };
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.into_iter().map(row).collect()
}
