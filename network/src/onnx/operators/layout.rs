//! Operators that move elements: joining, cutting, padding, reshaping.

use super::super::extents::Extent;
use super::super::limits::{MAX_EXTENT, MAX_RANK};
use super::super::scope::Conversion;
use super::super::site::Site;
use super::super::targets;
use crate::Result;
use crate::graph::{Dim, Op};

pub(super) fn concat(site: &mut Site) -> Result<Conversion> {
    let rank = site.fact(0)?.shape.len();
    let along = site
        .attributes
        .int("axis")?
        .ok_or_else(|| site.unsupported("attribute `axis` is missing"))?;
    let axis = site.axis(along, rank)?;
    let (inputs, _) = site.arity();
    let operands = site.operands(inputs, inputs)?;
    Ok(Conversion::Operators(vec![Op::Concat { axis }], operands))
}

/// Sizes are an attribute before version 13, an input since; without them the parts are equal,
/// since version 18 but for a smaller last one.
pub(super) fn split(site: &mut Site) -> Result<Conversion> {
    let shape = site.fact(0)?.shape;
    let along = site.attributes.int("axis")?.unwrap_or(0);
    let axis = site.axis(along, shape.len())?;
    let extent = shape[axis]
        .fixed()
        .ok_or_else(|| site.unsupported("attribute `axis` is that of the batch"))?;
    let parts = site.arity().1;
    if let Some(declared) = site.attributes.int("num_outputs")?
        && declared != parts as i64
    {
        return Err(site.unsupported(format!(
            "attribute `num_outputs` is {declared}, the node has {parts} outputs"
        )));
    }
    let sizes = match site.list("split", 1, 13)? {
        Some(sizes) => sizes
            .iter()
            .map(|&size| usize::try_from(size).ok().filter(|&size| size > 0))
            .collect::<Option<Vec<usize>>>()
            .filter(|sizes| sizes.len() == parts)
            .ok_or_else(|| {
                let shown = &sizes[..sizes.len().min(8)];
                site.unsupported(format!("sizes {shown:?} for {parts} outputs"))
            })?,
        None => {
            let size = extent.div_ceil(parts.max(1));
            let last = extent
                .checked_sub(size * parts.saturating_sub(1))
                .filter(|&last| last > 0);
            let last = last.filter(|&last| last == size || site.opset() >= 18);
            let last = last.ok_or_else(|| {
                site.unsupported(format!("an extent of {extent} in {parts} equal parts"))
            })?;
            let mut sizes = vec![size; parts];
            sizes[parts - 1] = last;
            sizes
        }
    };
    site.first(vec![Op::Split { axis, sizes }])
}

/// Bounds are attributes before version 10, inputs since. Each axis that is cut becomes an [`Op::Slice`].
pub(super) fn slice(site: &mut Site) -> Result<Conversion> {
    let shape = site.fact(0)?.shape;
    let integers = |list: &[i64]| list.iter().map(|&i| Extent::integer(i)).collect::<Vec<_>>();
    let (starts, ends, given, steps) = if site.opset() < 10 {
        let starts = site.attributes.ints("starts")?.map(integers);
        let ends = site.attributes.ints("ends")?.map(integers);
        (
            starts,
            ends,
            site.attributes.ints("axes")?.map(<[i64]>::to_vec),
            None,
        )
    } else {
        (
            site.extents(1)?,
            site.extents(2)?,
            site.integers(3)?,
            site.integers(4)?,
        )
    };
    let (starts, ends) = starts
        .zip(ends)
        .ok_or_else(|| site.unsupported("starts or ends are missing"))?;
    let count = starts.len();
    let given = given.unwrap_or_else(|| (0..count as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; count]);
    if [ends.len(), given.len(), steps.len()] != [count; 3] {
        return Err(site.unsupported("starts, ends, axes and steps differ in length"));
    }
    // Refuses an axis that is given twice.
    site.axes(&given, shape.len())?;
    let mut ops = Vec::new();
    for i in 0..count {
        let axis = site.axis(given[i], shape.len())?;
        let (start, end, step) = (starts[i], ends[i], steps[i]);
        let refused = |why: &str| {
            site.unsupported(format!("{start}..{end} by {step} along axis {axis}: {why}"))
        };
        let step = usize::try_from(step)
            .ok()
            .filter(|&step| step > 0)
            .ok_or_else(|| refused("only positive steps are supported"))?;
        let Dim::Fixed(extent) = shape[axis] else {
            let to_the_end = end.is_batch()
                || end.as_integer().is_some_and(|end| {
                    end >= i64::from(i32::MAX) || usize::try_from(end).ok() == site.fixed_batch()
                });
            if start.as_integer() == Some(0) && to_the_end && step == 1 {
                continue;
            }
            return Err(refused("the batch cannot be cut"));
        };
        let from_front = |index: Extent| {
            let index = index.as_integer()?;
            // Extents are below 2^28: the sum fits, and the clamped index does too.
            let index = if index < 0 {
                index + extent as i64
            } else {
                index
            };
            Some(index.clamp(0, extent as i64) as usize)
        };
        let (start, end) = from_front(start)
            .zip(from_front(end))
            .filter(|(start, end)| start < end)
            .ok_or_else(|| refused("nothing is left, or it depends on the batch"))?;
        if (start, end, step) != (0, extent, 1) {
            ops.push(Op::Slice {
                axis,
                start,
                end,
                step,
            });
        }
    }
    site.first(ops)
}

/// Pads are attributes before version 11, inputs since; version 18 brought axes.
pub(super) fn pad(site: &mut Site) -> Result<Conversion> {
    let rank = site.fact(0)?.shape.len();
    let mode = site.attributes.text("mode")?.unwrap_or("constant");
    if mode != "constant" {
        return Err(site.unsupported(format!(
            "attribute `mode` is {mode:?}, only \"constant\" is supported"
        )));
    }
    let value = match site.opset() {
        ..11 => site.attributes.float("value", 0.0)?,
        _ => site.number(2)?.unwrap_or(0.0),
    };
    let list = site.list("pads", 1, 11)?;
    let list = list.ok_or_else(|| site.unsupported("pads are missing"))?;
    let given = match site.integers(3)? {
        Some(list) => {
            site.axes(&list, rank)?;
            list
        }
        None => (0..rank as i64).collect(),
    };
    let amount = |value: i64| usize::try_from(value).ok().filter(|&pad| pad <= MAX_EXTENT);
    let amounts: Option<Vec<usize>> = list.iter().map(|&value| amount(value)).collect();
    let amounts = amounts
        .filter(|amounts| amounts.len() == 2 * given.len())
        .ok_or_else(|| {
            let (shown, wanted) = (&list[..list.len().min(16)], 2 * given.len());
            site.unsupported(format!(
                "pads {shown:?}, wanted {wanted} numbers of 0 to {MAX_EXTENT}"
            ))
        })?;
    let mut pads = vec![(0, 0); rank];
    for (i, &along) in given.iter().enumerate() {
        pads[site.axis(along, rank)?] = (amounts[i], amounts[i + given.len()]);
    }
    let ops = if pads.iter().all(|&pads| pads == (0, 0)) {
        vec![]
    } else {
        vec![Op::Pad { pads, value }]
    };
    site.first(ops)
}

pub(super) fn flatten(site: &mut Site) -> Result<Conversion> {
    let rank = site.fact(0)?.shape.len();
    let along = site.attributes.int("axis")?.unwrap_or(1);
    // One more than an axis: all dimensions may be in the first group.
    let axis = if along == rank as i64 {
        rank
    } else {
        site.axis(along, rank)?
    };
    site.first(vec![Op::Flatten { axis }])
}

pub(super) fn reshape(site: &mut Site) -> Result<Conversion> {
    let zero_is_empty = site.attributes.flag("allowzero", false)?;
    let x = site.fact(0)?.shape;
    let target = target(site)?;
    let shape = targets::reshape(&x, &target, zero_is_empty, site.fixed_batch())
        .map_err(|reason| site.unsupported(reason))?;
    site.first(vec![Op::Reshape { shape }])
}

pub(super) fn expand(site: &mut Site) -> Result<Conversion> {
    let x = site.fact(0)?.shape;
    let target = target(site)?;
    let shape = targets::expand(&x, &target, site.fixed_batch())
        .map_err(|reason| site.unsupported(reason))?;
    let ops = if shape == x {
        vec![]
    } else {
        vec![Op::Expand { shape }]
    };
    site.first(ops)
}

/// The shape that is the second input.
fn target(site: &Site) -> Result<Vec<Extent>> {
    let target = site
        .extents(1)?
        .ok_or_else(|| site.unsupported("the shape is missing"))?;
    if target.len() > MAX_RANK {
        let rank = target.len();
        return Err(site.unsupported(format!(
            "a shape of {rank} dimensions, at most {MAX_RANK} are supported"
        )));
    }
    Ok(target)
}

pub(super) fn squeeze(site: &mut Site) -> Result<Conversion> {
    let shape = site.fact(0)?.shape;
    let axes = match site.list("axes", 1, 13)? {
        Some(list) => site.axes(&list, shape.len())?,
        None => (0..shape.len())
            .filter(|&axis| shape[axis] == Dim::Fixed(1))
            .collect(),
    };
    let ops = if axes.is_empty() {
        vec![]
    } else {
        vec![Op::Squeeze { axes }]
    };
    site.first(ops)
}

pub(super) fn unsqueeze(site: &mut Site) -> Result<Conversion> {
    let rank = site.fact(0)?.shape.len();
    let list = site.list("axes", 1, 13)?;
    let list = list.ok_or_else(|| site.unsupported("axes are missing"))?;
    if list.len() + rank > MAX_RANK {
        let rank = list.len() + rank;
        return Err(site.unsupported(format!(
            "a result of {rank} dimensions, at most {MAX_RANK} are supported"
        )));
    }
    let axes = site.axes(&list, rank + list.len())?;
    let ops = if axes.is_empty() {
        vec![]
    } else {
        vec![Op::Unsqueeze { axes }]
    };
    site.first(ops)
}

pub(super) fn transpose(site: &mut Site) -> Result<Conversion> {
    let rank = site.fact(0)?.shape.len();
    let perm = match site.attributes.ints("perm")? {
        Some(list) => {
            let perm = list.iter().map(|&i| usize::try_from(i).ok());
            perm.collect::<Option<Vec<usize>>>()
                .filter(|perm| perm.len() == rank)
                .ok_or_else(|| {
                    let shown = &list[..list.len().min(8)];
                    site.unsupported(format!(
                        "attribute `perm` is {shown:?} for {rank} dimensions"
                    ))
                })?
        }
        None => (0..rank).rev().collect(),
    };
    site.first(vec![Op::Transpose { perm }])
}
