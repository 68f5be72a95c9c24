//! Element types of weight files, and their conversion.

use std::fmt;

use half::{bf16, f16};
use network::tensor::Data;
use safetensors::Dtype;

/// Type of the elements of a tensor in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// As safetensors names it; none for types that no network of this project has.
    pub(crate) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        Some(match dtype {
            Dtype::F64 => Self::F64,
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::BF16,
            Dtype::I64 => Self::I64,
            Dtype::I32 => Self::I32,
            Dtype::I16 => Self::I16,
            Dtype::I8 => Self::I8,
            Dtype::U8 => Self::U8,
            Dtype::BOOL => Self::Bool,
            _ => return None,
        })
    }

    /// As PyTorch names a storage (`FloatStorage`) or a type (`float32`).
    pub(crate) fn of_torch(name: &str) -> Option<Self> {
        Some(match name {
            "DoubleStorage" | "float64" => Self::F64,
            "FloatStorage" | "float32" => Self::F32,
            "HalfStorage" | "float16" => Self::F16,
            "BFloat16Storage" | "bfloat16" => Self::BF16,
            "LongStorage" | "int64" => Self::I64,
            "IntStorage" | "int32" => Self::I32,
            "ShortStorage" | "int16" => Self::I16,
            "CharStorage" | "int8" => Self::I8,
            "ByteStorage" | "UntypedStorage" | "uint8" => Self::U8,
            "BoolStorage" | "bool" => Self::Bool,
            _ => return None,
        })
    }

    /// Whether its elements become f32.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    /// Bytes of one element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// `bytes`, a whole number of elements, as the elements of a tensor. The error is for people.
    pub(crate) fn decode(self, bytes: &[u8], big_endian: bool) -> Result<Data, String> {
        let swapped;
        let bytes = if big_endian && self.size() > 1 {
            let mut copy = bytes.to_vec();
            copy.chunks_exact_mut(self.size()).for_each(<[u8]>::reverse);
            swapped = copy;
            &swapped
        } else {
            bytes
        };
        Ok(match self {
            Self::F64 => Data::F32(narrowed(&each(bytes, f64::from_le_bytes))?),
            Self::F32 => Data::F32(each(bytes, f32::from_le_bytes)),
            Self::F16 => Data::F32(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
            Self::BF16 => Data::F32(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
            Self::I64 => Data::I64(each(bytes, i64::from_le_bytes)),
            Self::I32 => Data::I32(each(bytes, i32::from_le_bytes)),
            Self::I16 => Data::I32(each(bytes, |b| i32::from(i16::from_le_bytes(b)))),
            Self::I8 => Data::I8(each(bytes, i8::from_le_bytes)),
            Self::U8 | Self::Bool => Data::U8(bytes.to_vec()),
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I16 => "i16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        })
    }
}

fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|b| read(*b)).collect()
}

/// Rounded to f32. A finite number that f32 would take for infinite is an error.
fn narrowed(values: &[f64]) -> Result<Vec<f32>, String> {
    let narrow = |(i, &value): (usize, &f64)| {
        let narrow = value as f32;
        if value.is_finite() && narrow.is_infinite() {
            return Err(format!("element {i} is {value:e}, beyond f32"));
        }
        Ok(narrow)
    };
    values.iter().enumerate().map(narrow).collect()
}
