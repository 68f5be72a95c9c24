//! Operators on images `[N, C, H, W]`: convolution, normalisation, pooling.

use super::super::limits::MAX_EXTENT;
use super::super::scope::Conversion;
use super::super::site::Site;
use crate::Result;
use crate::graph::{Conv, Op, Pool};
use crate::tensor::Tensor;

pub(super) fn conv(site: &mut Site) -> Result<Conversion> {
    let weight = site.fact(1)?.shape;
    let &[_, _, height, width] = weight.as_slice() else {
        let rank = weight.len();
        return Err(site.unsupported(format!(
            "a weight of {rank} dimensions, only 2-D convolution with 4 is supported"
        )));
    };
    let kernel = [height.for_batch(1), width.for_batch(1)];
    if let Some(declared) = pair(site, "kernel_shape")?.filter(|&declared| declared != kernel) {
        return Err(site.unsupported(format!(
            "attribute `kernel_shape` is {declared:?}, the weight has {kernel:?}"
        )));
    }
    let strides = pair(site, "strides")?.unwrap_or([1, 1]);
    let dilations = pair(site, "dilations")?.unwrap_or([1, 1]);
    let groups = site.attributes.int("group")?.unwrap_or(1);
    let groups = usize::try_from(groups)
        .ok()
        .filter(|groups| (1..=MAX_EXTENT).contains(groups))
        .ok_or_else(|| site.unsupported(format!("attribute `group` is {groups}")))?;
    let reach = [0, 1].map(|axis| dilations[axis] * kernel[axis].saturating_sub(1) + 1);
    let op = Op::Conv(Conv {
        strides,
        pads: pads(site, reach, strides)?,
        dilations,
        groups,
    });
    Ok(Conversion::Operators(vec![op], site.operands(2, 3)?))
}

/// At inference only: version 14 brought `training_mode`, versions 7 and 8 had `spatial`.
pub(super) fn batch_norm(site: &mut Site) -> Result<Conversion> {
    site.attributes.ignore("momentum");
    site.attributes.only("training_mode", 0)?;
    site.attributes.only("spatial", 1)?;
    let epsilon = epsilon(site)?;
    site.plain(Op::BatchNorm { epsilon }, 5)
}

pub(super) fn instance_norm(site: &mut Site) -> Result<Conversion> {
    let epsilon = epsilon(site)?;
    site.plain(Op::InstanceNorm { epsilon }, 3)
}

fn epsilon(site: &mut Site) -> Result<f32> {
    let epsilon = site.attributes.float("epsilon", 1e-5)?;
    if epsilon.is_finite() && epsilon >= 0.0 {
        Ok(epsilon)
    } else {
        Err(site.unsupported(format!("attribute `epsilon` is {epsilon}")))
    }
}

/// Over each channel of each image it is an instance normalisation without scale. ONNX adds its 1e-9
/// to the deviation, here it goes to the variance: the relative difference is 1e-9 / (2 variance),
/// below 1e-6 where the deviation is above 0.03.
pub(super) fn mean_variance(site: &mut Site) -> Result<Conversion> {
    let axes = site.attributes.ints("axes")?.unwrap_or(&[0, 2, 3]);
    if !matches!(axes, [2, 3] | [-2, -1]) {
        return Err(site.unsupported(format!(
            "attribute `axes` is {axes:?}, only [2, 3] is supported"
        )));
    }
    let channels = site.fact(0)?.shape.get(1).and_then(|dim| dim.fixed());
    let channels = channels.ok_or_else(|| site.unsupported("its input has no channels"))?;
    let x = site.operand(0)?;
    let scale = site.generated("scale", Tensor::f32([channels], vec![1.0; channels])?)?;
    let bias = site.generated("bias", Tensor::zeros([channels])?)?;
    let op = Op::InstanceNorm { epsilon: 1e-9 };
    Ok(Conversion::Operators(vec![op], vec![x, scale, bias]))
}

pub(super) fn max_pool(site: &mut Site) -> Result<Conversion> {
    // It concerns the second output alone.
    site.attributes.ignore("storage_order");
    let pool = pool(site)?;
    site.plain(Op::MaxPool(pool), 1)
}

pub(super) fn average_pool(site: &mut Site) -> Result<Conversion> {
    let count_include_pad = site.attributes.flag("count_include_pad", false)?;
    let pool = pool(site)?;
    let op = Op::AveragePool {
        pool,
        count_include_pad,
    };
    site.plain(op, 1)
}

fn pool(site: &mut Site) -> Result<Pool> {
    let kernel = pair(site, "kernel_shape")?
        .ok_or_else(|| site.unsupported("attribute `kernel_shape` is missing"))?;
    if let Some(dilations) = pair(site, "dilations")?.filter(|&dilations| dilations != [1, 1]) {
        return Err(site.unsupported(format!(
            "attribute `dilations` is {dilations:?}, only [1, 1] is supported"
        )));
    }
    let strides = pair(site, "strides")?.unwrap_or([1, 1]);
    Ok(Pool {
        kernel,
        strides,
        pads: pads(site, kernel, strides)?,
        ceil_mode: site.attributes.flag("ceil_mode", false)?,
    })
}

/// Two positive numbers, vertical and horizontal.
fn pair(site: &mut Site, name: &str) -> Result<Option<[usize; 2]>> {
    match site.attributes.ints(name)? {
        None => Ok(None),
        Some(list) => match sizes(list, 1).as_deref() {
            Some(&[vertical, horizontal]) => Ok(Some([vertical, horizontal])),
            _ => Err(site.unsupported(format!(
                "attribute `{name}` is {list:?}, wanted 2 numbers of 1 to {MAX_EXTENT}"
            ))),
        },
    }
}

/// `list` if its numbers are between `least` and [`MAX_EXTENT`].
fn sizes(list: &[i64], least: usize) -> Option<Vec<usize>> {
    let size = |&value: &i64| {
        let size = usize::try_from(value).ok()?;
        (least..=MAX_EXTENT).contains(&size).then_some(size)
    };
    list.iter().map(size).collect()
}

/// Padding above, left, below and right, for windows of `reach`; `auto_pad` is resolved with the
/// size of the image.
fn pads(site: &mut Site, reach: [usize; 2], strides: [usize; 2]) -> Result<[usize; 4]> {
    let explicit = match site.attributes.ints("pads")? {
        None => [0; 4],
        Some(list) => match sizes(list, 0).as_deref() {
            Some(&[top, left, bottom, right]) => [top, left, bottom, right],
            _ => {
                return Err(site.unsupported(format!(
                    "attribute `pads` is {list:?}, wanted 4 numbers of 0 to {MAX_EXTENT}"
                )));
            }
        },
    };
    let mode = site.attributes.text("auto_pad")?.unwrap_or("NOTSET");
    if mode != "NOTSET" && explicit != [0; 4] {
        return Err(site.unsupported(format!(
            "attributes `auto_pad` = {mode:?} and `pads` = {explicit:?} contradict each other"
        )));
    }
    let more_below = match mode {
        "NOTSET" => return Ok(explicit),
        "VALID" => return Ok([0; 4]),
        "SAME_UPPER" => true,
        "SAME_LOWER" => false,
        _ => return Err(site.unsupported(format!("attribute `auto_pad` is {mode:?}"))),
    };
    let shape = site.fact(0)?.shape;
    let image = match shape.as_slice() {
        [_, _, height, width] => height.fixed().zip(width.fixed()),
        _ => None,
    };
    let (height, width) = image.ok_or_else(|| site.unsupported("its input is no image"))?;
    let mut pads = [0; 4];
    for (axis, extent) in [height, width].into_iter().enumerate() {
        let windows = extent.div_ceil(strides[axis]);
        let covered = windows.saturating_sub(1) * strides[axis] + reach[axis];
        let total = covered.saturating_sub(extent);
        let (less, more) = (total / 2, total.div_ceil(2));
        (pads[axis], pads[axis + 2]) = if more_below {
            (less, more)
        } else {
            (more, less)
        };
    }
    Ok(pads)
}
