//! The input of a file: one image. Extents that the file leaves open are filled in.

use super::limits::MAX_EXTENT;
use super::limits::limit;
use super::proto::{GraphProto, ValueInfoProto, data_type};
use super::{ReadOptions, WHAT, inputs};
use crate::{Error, Result};

/// The input of the file.
pub(super) struct Image {
    pub(super) name: String,
    pub(super) size: [usize; 3],
    /// The batch, if the file was exported for one.
    pub(super) fixed_batch: Option<usize>,
}

impl Image {
    pub(super) fn of(
        file: &GraphProto,
        options: &ReadOptions,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let given: Vec<&ValueInfoProto> = inputs(file).collect();
        let input = match given.as_slice() {
            [input] => *input,
            several => {
                let names: Vec<&str> = several
                    .iter()
                    .take(8)
                    .filter_map(|i| i.name.as_deref())
                    .collect();
                let (count, names) = (several.len(), names.join("`, `"));
                let reason = format!("it has {count} inputs (`{names}`), one image is supported");
                return Err(Error::malformed(WHAT, reason));
            }
        };
        let name = input.name.clone().unwrap_or_default();
        let refused = |reason: String| Error::malformed(WHAT, format!("input `{name}`: {reason}"));
        let tensor = input
            .r#type
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| refused("it is no tensor".into()))?;
        match tensor.elem_type.unwrap_or_default() {
            data_type::FLOAT => {}
            element @ (data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE) => {
                let element = data_type::name(element);
                warnings.push(format!(
                    "input `{name}` is {element}; f32 is computed instead"
                ));
            }
            element => {
                let element = data_type::name(element);
                return Err(refused(format!("it is {element}, only float is supported")));
            }
        }
        let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice());
        let known = |axis: usize| {
            let value = dims?.get(axis)?.dim_value?;
            usize::try_from(value).ok().filter(|&extent| extent > 0)
        };
        if let Some(dims) = dims.filter(|dims| dims.len() != 4) {
            let rank = dims.len();
            return Err(refused(format!(
                "it has {rank} dimensions, an image has 4: [N, C, H, W]"
            )));
        }
        let few_last = matches!(known(3), Some(1 | 3 | 4));
        if few_last && known(1).is_none_or(|channels| channels > 4) {
            return Err(refused(
                "its channels stand last; export it as [N, C, H, W]".into(),
            ));
        }
        let channels = known(1).unwrap_or_else(|| {
            warnings.push(format!(
                "input `{name}` has an open number of channels; 3 is assumed"
            ));
            3
        });
        let size = match (known(2), known(3)) {
            (Some(height), Some(width)) => {
                if let Some([h, w]) = options.input_size.filter(|&size| size != [height, width]) {
                    warnings.push(format!(
                        "input `{name}` is {height} x {width}; {h} x {w} was asked for"
                    ));
                }
                [height, width]
            }
            (height, width) => {
                let [h, w] = options.input_size.unwrap_or([256, 128]);
                let size = [height.unwrap_or(h), width.unwrap_or(w)];
                if options.input_size.is_none() {
                    warnings.push(format!(
                        "input `{name}` has an open size; {} x {} is assumed",
                        size[0], size[1]
                    ));
                }
                size
            }
        };
        for extent in [channels, size[0], size[1]] {
            let what = format!("extent of a dimension of input `{name}`");
            limit(&what, extent as u64, MAX_EXTENT as u64)?;
            if extent == 0 {
                return Err(Error::Argument(format!("the input size {size:?} is empty")));
            }
        }
        let size = [channels, size[0], size[1]];
        // Three extents of 20 bits each: the product fits.
        let elements = size.iter().map(|&extent| extent as u64).product();
        let most = crate::tensor::MAX_ELEMENTS as u64;
        limit(
            &format!("number of elements of input `{name}`"),
            elements,
            most,
        )?;
        Ok(Self {
            fixed_batch: known(0),
            name,
            size,
        })
    }
}
