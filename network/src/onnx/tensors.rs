//! Conversion between `TensorProto` and [`Tensor`].
//!
//! Half floats and doubles become f32, booleans u8 (0 or 1). The length of the data must match the dimensions
//! exactly.

use half::{bf16, f16};

use super::external::Folder;
use super::proto::{EXTERNAL, TensorProto, data_type};
use crate::tensor::{DType, Data, Tensor, elements};
use crate::{Error, Result};

/// The tensor that `proto` describes; its data is taken out of `proto`, or read from a file in
/// `folder`.
///
/// # Errors
/// [`Error::Malformed`], [`Error::Limit`] or [`Error::Io`] with the tensor's name.
pub(super) fn decode(proto: &mut TensorProto, folder: &Folder) -> Result<Tensor> {
    let name = proto.name.clone().unwrap_or_default();
    let malformed = |reason: String| Error::malformed("ONNX tensor", format!("`{name}`: {reason}"));
    let shape = proto
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).map_err(|_| malformed(format!("a dimension is {dim}"))))
        .collect::<Result<Vec<usize>>>()?;
    let count = elements(&shape).map_err(|error| match error {
        Error::Limit { what, found, limit } => Error::Limit {
            what: format!("{what} (`{name}`)"),
            found,
            limit,
        },
        other => other,
    })?;
    if proto.segment.is_some() {
        return Err(malformed("tensors in segments are not supported".into()));
    }
    let element = proto.data_type.unwrap_or_default();
    let data = if proto.data_location == Some(EXTERNAL) {
        let width = width(element).ok_or_else(|| malformed(wrong_type(element)))?;
        let bytes = folder.read(&name, &proto.external_data, (count * width) as u64)?;
        raw(element, &bytes)
    } else if let Some(bytes) = proto.raw_data.take().filter(|bytes| !bytes.is_empty()) {
        raw(element, &bytes)
    } else {
        typed(element, proto)
    };
    let data = data.map_err(malformed)?;
    if data.len() != count {
        return Err(malformed(format!(
            "shape {shape:?} wants {count} elements, found {}",
            data.len()
        )));
    }
    Tensor::new(shape, data)
}

fn wrong_type(element: i32) -> String {
    format!(
        "elements of type {} are not supported",
        data_type::name(element)
    )
}

/// Bytes of one element.
fn width(element: i32) -> Option<usize> {
    match element {
        data_type::UINT8 | data_type::INT8 | data_type::BOOL => Some(1),
        data_type::FLOAT16 | data_type::BFLOAT16 => Some(2),
        data_type::FLOAT | data_type::INT32 => Some(4),
        data_type::DOUBLE | data_type::INT64 => Some(8),
        _ => None,
    }
}

/// Little-endian bytes as elements.
fn raw(element: i32, bytes: &[u8]) -> Result<Data, String> {
    let width = width(element).ok_or_else(|| wrong_type(element))?;
    if !bytes.len().is_multiple_of(width) {
        return Err(format!(
            "{} bytes are no whole number of elements of {width} bytes",
            bytes.len()
        ));
    }
    Ok(match element {
        data_type::UINT8 => Data::U8(bytes.to_vec()),
        data_type::INT8 => Data::I8(bytes.iter().map(|&byte| byte.cast_signed()).collect()),
        data_type::BOOL => Data::U8(bytes.iter().map(|&byte| u8::from(byte != 0)).collect()),
        data_type::FLOAT16 => Data::F32(each(bytes, |b| f16::from_le_bytes(b).to_f32())),
        data_type::BFLOAT16 => Data::F32(each(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        data_type::FLOAT => Data::F32(each(bytes, f32::from_le_bytes)),
        data_type::INT32 => Data::I32(each(bytes, i32::from_le_bytes)),
        data_type::DOUBLE => Data::F32(each(bytes, |b| f64::from_le_bytes(b) as f32)),
        _ => Data::I64(each(bytes, i64::from_le_bytes)),
    })
}

fn each<const WIDTH: usize, T>(bytes: &[u8], element: impl Fn([u8; WIDTH]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<WIDTH>();
    chunks.iter().map(|&chunk| element(chunk)).collect()
}

/// The elements of the list that belongs to the type.
fn typed(element: i32, proto: &mut TensorProto) -> Result<Data, String> {
    fn narrow<T: TryFrom<i32>>(values: &[i32], what: &str) -> Result<Vec<T>, String> {
        values
            .iter()
            .map(|&v| T::try_from(v).map_err(|_| format!("{v} is not of type {what}")))
            .collect()
    }
    let ints = &proto.int32_data;
    Ok(match element {
        data_type::FLOAT => Data::F32(std::mem::take(&mut proto.float_data)),
        data_type::DOUBLE => Data::F32(proto.double_data.iter().map(|&v| v as f32).collect()),
        data_type::INT64 => Data::I64(std::mem::take(&mut proto.int64_data)),
        data_type::INT32 => Data::I32(std::mem::take(&mut proto.int32_data)),
        data_type::INT8 => Data::I8(narrow(ints, "int8")?),
        data_type::UINT8 => Data::U8(narrow(ints, "uint8")?),
        data_type::BOOL => Data::U8(ints.iter().map(|&v| u8::from(v != 0)).collect()),
        data_type::FLOAT16 => Data::F32(
            narrow(ints, "float16")?
                .into_iter()
                .map(|bits| f16::from_bits(bits).to_f32())
                .collect(),
        ),
        data_type::BFLOAT16 => Data::F32(
            narrow(ints, "bfloat16")?
                .into_iter()
                .map(|bits| bf16::from_bits(bits).to_f32())
                .collect(),
        ),
        _ => return Err(wrong_type(element)),
    })
}

/// `tensor` as an initialiser called `name`, its elements as little-endian bytes.
pub(super) fn encode(name: &str, tensor: &Tensor) -> TensorProto {
    let raw = match tensor.data() {
        Data::F32(values) => bytes(values, f32::to_le_bytes),
        Data::I64(values) => bytes(values, i64::to_le_bytes),
        Data::I32(values) => bytes(values, i32::to_le_bytes),
        Data::I8(values) => bytes(values, i8::to_le_bytes),
        Data::U8(values) => values.clone(),
    };
    TensorProto {
        dims: tensor.shape().iter().map(|&dim| dim as i64).collect(),
        data_type: Some(number(tensor.dtype())),
        name: Some(name.to_owned()),
        raw_data: Some(raw),
        ..TensorProto::default()
    }
}

fn bytes<T: Copy, const WIDTH: usize>(values: &[T], element: impl Fn(T) -> [u8; WIDTH]) -> Vec<u8> {
    values.iter().flat_map(|&value| element(value)).collect()
}

/// The number of an element type.
pub(super) fn number(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => data_type::FLOAT,
        DType::I64 => data_type::INT64,
        DType::I32 => data_type::INT32,
        DType::I8 => data_type::INT8,
        DType::U8 => data_type::UINT8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dims: &[i64], element: i32) -> TensorProto {
        TensorProto {
            name: Some("w".into()),
            dims: dims.to_vec(),
            data_type: Some(element),
            ..TensorProto::default()
        }
    }

    #[test]
    fn raw_and_typed_elements_of_every_type_are_read() {
        let one = |raw: &[u8], typed: TensorProto, element: i32, data: Data| {
            let mut with_bytes = tensor(&[2], element);
            with_bytes.raw_data = Some(raw.to_vec());
            let mut with_list = TensorProto {
                name: Some("w".into()),
                dims: vec![2],
                data_type: Some(element),
                ..typed
            };
            let want = Tensor::new([2], data).unwrap();
            for proto in [&mut with_bytes, &mut with_list] {
                assert_eq!(decode(proto, &Folder::none()).unwrap(), want);
            }
        };
        let ints = |values: [i32; 2]| TensorProto {
            int32_data: values.to_vec(),
            ..TensorProto::default()
        };
        let floats = TensorProto {
            float_data: vec![1.0, -2.0],
            ..TensorProto::default()
        };
        let doubles = TensorProto {
            double_data: vec![1.0, -2.0],
            ..TensorProto::default()
        };
        let longs = TensorProto {
            int64_data: vec![1, -2],
            ..TensorProto::default()
        };
        let f32s = || Data::F32(vec![1.0, -2.0]);
        let f64_bytes: Vec<u8> = [1f64, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let f32_bytes: Vec<u8> = [1f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        one(&f32_bytes, floats, data_type::FLOAT, f32s());
        one(&f64_bytes, doubles, data_type::DOUBLE, f32s());
        one(
            &[0x00, 0x3c, 0x00, 0xc0],
            ints([0x3c00, 0xc000]),
            data_type::FLOAT16,
            f32s(),
        );
        one(
            &[0x80, 0x3f, 0x00, 0xc0],
            ints([0x3f80, 0xc000]),
            data_type::BFLOAT16,
            f32s(),
        );
        one(
            &[1, 0xfe],
            ints([1, -2]),
            data_type::INT8,
            Data::I8(vec![1, -2]),
        );
        one(
            &[1, 0xfe],
            ints([1, 254]),
            data_type::UINT8,
            Data::U8(vec![1, 254]),
        );
        one(&[0, 7], ints([0, 7]), data_type::BOOL, Data::U8(vec![0, 1]));
        let i32_bytes: Vec<u8> = [1i32, -2].iter().flat_map(|v| v.to_le_bytes()).collect();
        one(
            &i32_bytes,
            ints([1, -2]),
            data_type::INT32,
            Data::I32(vec![1, -2]),
        );
        let i64_bytes: Vec<u8> = [1i64, -2].iter().flat_map(|v| v.to_le_bytes()).collect();
        one(&i64_bytes, longs, data_type::INT64, Data::I64(vec![1, -2]));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_name() {
        let with = |dims: &[i64], element, change: fn(&mut TensorProto)| {
            let mut proto = tensor(dims, element);
            change(&mut proto);
            proto
        };
        for (mut proto, want) in [
            (
                with(&[3], 1, |t| t.float_data = vec![0.0; 2]),
                "wants 3 elements, found 2",
            ),
            (
                with(&[2], 1, |t| t.raw_data = Some(vec![0; 7])),
                "7 bytes are no whole number",
            ),
            (
                with(&[2], 1, |t| t.int64_data = vec![0; 2]),
                "wants 2 elements, found 0",
            ),
            (with(&[-1], 1, |_| ()), "a dimension is -1"),
            (
                with(&[1 << 40, 1 << 40], 1, |_| ()),
                "the limit is 268435456",
            ),
            (with(&[1], 8, |_| ()), "type string"),
            (with(&[1], 17, |_| ()), "data type 17"),
            (
                with(&[1], 3, |t| t.int32_data = vec![300]),
                "300 is not of type int8",
            ),
            (
                with(&[1], 1, |t| t.segment = Some(Default::default())),
                "segments",
            ),
            (
                with(&[1], 1, |t| t.data_location = Some(EXTERNAL)),
                "read_file",
            ),
        ] {
            let error = decode(&mut proto, &Folder::none()).unwrap_err().to_string();
            assert!(
                error.contains(want) && error.contains("`w`"),
                "{want}: {error}"
            );
        }
    }

    #[test]
    fn encoding_and_decoding_changes_nothing() {
        for data in [
            Data::F32(vec![1.5, -0.0]),
            Data::I64(vec![i64::MIN, 3]),
            Data::I32(vec![i32::MAX, -3]),
            Data::I8(vec![-128, 127]),
            Data::U8(vec![0, 255]),
        ] {
            let tensor = Tensor::new([1, 2], data).unwrap();
            assert_eq!(
                decode(&mut encode("w", &tensor), &Folder::none()).unwrap(),
                tensor
            );
        }
    }
}
