//! Nodes that compute with shapes and small integers: evaluated while reading, see
//! [`extents`](super::super::extents).

use super::super::extents::{Arithmetic, Array, Extent, Kind};
use super::super::external::Folder;
use super::super::limits::MAX_RANK;
use super::super::proto::data_type;
use super::super::scope::{Binding, Conversion};
use super::super::site::Site;
use super::super::tensors;
use crate::Result;
use crate::tensor::{DType, Data, Tensor, elements, with_elements};

/// The most elements of a `ConstantOfShape`, whose size costs no bytes in the file.
const MAX_FILLED: usize = 1 << 20;

/// The result of a node on shapes; none if the node computes with the image, or with weights.
pub(super) fn interpret(site: &mut Site) -> Result<Option<Conversion>> {
    let array = match site.op() {
        "Shape" => shape(site)?,
        "Gather" => gather(site)?,
        "Floor" => input(site, 0)?.floor(),
        "Equal" => input(site, 0)?.combine(Arithmetic::Equal, &input(site, 1)?),
        "Where" => input(site, 0)?.choose(&input(site, 1)?, &input(site, 2)?),
        "ConstantOfShape" => return constant_of_shape(site).map(Some),
        _ if !over_shapes(site) => return Ok(None),
        "Add" => input(site, 0)?.combine(Arithmetic::Add, &input(site, 1)?),
        "Sub" => input(site, 0)?.combine(Arithmetic::Sub, &input(site, 1)?),
        "Mul" => input(site, 0)?.combine(Arithmetic::Mul, &input(site, 1)?),
        "Div" => input(site, 0)?.combine(Arithmetic::Div, &input(site, 1)?),
        "Concat" => concat(site)?,
        "Slice" => slice(site)?,
        "Squeeze" => squeeze(site)?,
        "Unsqueeze" => unsqueeze(site)?,
        "Reshape" => reshape(site)?,
        "Transpose" => transpose(site)?,
        "Expand" => expand(site)?,
        _ => return Ok(None),
    };
    match array {
        Some(array) => {
            site.charge(array.elements.len())?;
            Ok(Some(Conversion::Shape(array)))
        }
        None => Err(site.unsupported(
            "its inputs do not fit, or its result depends on the batch by more than a factor",
        )),
    }
}

/// Whether the data of the node is a shape, or a constant of integers.
fn over_shapes(site: &Site) -> bool {
    let data = match site.op() {
        "Add" | "Sub" | "Mul" | "Div" | "Concat" => site.arity().0,
        // Further inputs of the others are parameters.
        _ => site.arity().0.min(1),
    };
    let is_shape = |index| matches!(site.binding(index), Some(Binding::Shape(_)));
    let is_integer = |index| {
        let dtype = site.constant(index).map(Tensor::dtype);
        matches!(dtype, Some(DType::I64 | DType::I32))
    };
    let computed = |index| matches!(site.binding(index), Some(Binding::Value(_)));
    let shape = (0..data).any(is_shape) && !(0..data).any(computed);
    data > 0 && (shape || (0..data).all(is_integer))
}

fn input(site: &Site, index: usize) -> Result<Array> {
    site.array(index)?
        .ok_or_else(|| site.unsupported(format!("input {index} is missing")))
}

/// Version 15 brought `start` and `end`.
fn shape(site: &mut Site) -> Result<Option<Array>> {
    let extents: Vec<Extent> = match site.binding(0) {
        Some(Binding::Shape(array)) => array
            .shape
            .iter()
            .map(|&extent| Extent::integer(extent as i64))
            .collect(),
        _ => match site.constant(0) {
            Some(tensor) => tensor
                .shape()
                .iter()
                .map(|&extent| Extent::integer(extent as i64))
                .collect(),
            None => site.fact(0)?.shape.into_iter().map(Extent::from).collect(),
        },
    };
    let rank = extents.len();
    let bound = |value: Option<i64>, default: usize| match value {
        None => default,
        Some(value) if value < 0 => rank.saturating_sub(value.unsigned_abs() as usize),
        Some(value) => rank.min(value as usize),
    };
    let start = bound(site.attributes.int("start")?, 0);
    let end = bound(site.attributes.int("end")?, rank);
    Ok(extents
        .get(start..end)
        .map(|part| Array::list(part.to_vec())))
}

fn gather(site: &mut Site) -> Result<Option<Array>> {
    let data = input(site, 0)?;
    let along = site.attributes.int("axis")?.unwrap_or(0);
    let axis = site.axis(along, data.shape.len())?;
    let indices = input(site, 1)?;
    let extent = data.shape[axis] as i64;
    let positions: Option<Vec<usize>> = indices
        .elements
        .iter()
        .map(|index| {
            let index = index.as_integer()?;
            let index = if index < 0 {
                index.checked_add(extent)?
            } else {
                index
            };
            usize::try_from(index).ok()
        })
        .collect();
    let Some(mut taken) = positions.and_then(|positions| data.take(axis, &positions)) else {
        return Ok(None);
    };
    // The dimensions of the indices replace the axis: none, for a single number.
    taken.shape.splice(axis..=axis, indices.shape);
    Ok((taken.shape.len() <= MAX_RANK).then_some(taken))
}

fn concat(site: &mut Site) -> Result<Option<Array>> {
    let (inputs, _) = site.arity();
    let arrays: Vec<Array> = (0..inputs)
        .map(|index| input(site, index))
        .collect::<Result<_>>()?;
    let along = site.attributes.int("axis")?.unwrap_or(0);
    let rank = arrays.first().map_or(0, |array| array.shape.len());
    let axis = site.axis(along, rank)?;
    Ok(Array::concat(&arrays, axis))
}

/// Steps may be negative here: exporters reverse lists with them.
fn slice(site: &mut Site) -> Result<Option<Array>> {
    let mut data = input(site, 0)?;
    let (starts, ends) = (site.list("starts", 1, 10)?, site.list("ends", 2, 10)?);
    let (Some(starts), Some(ends)) = (starts, ends) else {
        return Ok(None);
    };
    let axes = site.list("axes", 3, 10)?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = site.integers(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || axes.len() > MAX_RANK {
        return Ok(None);
    }
    for (((start, end), along), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let axis = site.axis(along, data.shape.len())?;
        let extent = data.shape[axis] as i64;
        let from_front = |index: i64| {
            if index < 0 {
                index.saturating_add(extent)
            } else {
                index
            }
        };
        let (start, end) = (from_front(start), from_front(end));
        // Backwards, the end may be before the first element; forwards, the start behind the last.
        let (start, end) = if step < 0 {
            (start.clamp(-1, extent - 1), end.clamp(-1, extent - 1))
        } else {
            (start.clamp(0, extent), end.clamp(0, extent))
        };
        let indices: Vec<usize> = match step {
            0 => return Ok(None),
            step => (0..=extent)
                .map_while(|i| {
                    i.checked_mul(step)
                        .map(|offset| start.saturating_add(offset))
                })
                .take_while(|&index| if step < 0 { index > end } else { index < end })
                .map(|index| index as usize)
                .collect(),
        };
        match data.take(axis, &indices) {
            Some(part) => data = part,
            None => return Ok(None),
        }
    }
    Ok(Some(data))
}

fn squeeze(site: &mut Site) -> Result<Option<Array>> {
    let mut data = input(site, 0)?;
    let rank = data.shape.len();
    let axes = match site.list("axes", 1, 13)? {
        Some(list) => site.axes(&list, rank)?,
        None => (0..rank).filter(|&axis| data.shape[axis] == 1).collect(),
    };
    for axis in axes.into_iter().rev() {
        if data.shape.remove(axis) != 1 {
            return Ok(None);
        }
    }
    Ok(Some(data))
}

fn unsqueeze(site: &mut Site) -> Result<Option<Array>> {
    let mut data = input(site, 0)?;
    let list = site.list("axes", 1, 13)?.unwrap_or_default();
    let rank = data.shape.len() + list.len();
    if rank > MAX_RANK {
        return Ok(None);
    }
    for axis in site.axes(&list, rank)? {
        data.shape.insert(axis, 1);
    }
    Ok(Some(data))
}

fn reshape(site: &mut Site) -> Result<Option<Array>> {
    site.attributes.ignore("allowzero");
    let data = input(site, 0)?;
    let mut target = site.integers(1)?.unwrap_or_default();
    for (axis, extent) in target
        .iter_mut()
        .enumerate()
        .filter(|(_, extent)| **extent == 0)
    {
        let Some(&own) = data.shape.get(axis) else {
            return Ok(None);
        };
        *extent = own as i64;
    }
    let fits = target.len() <= MAX_RANK;
    Ok(fits.then(|| data.reshape(&target)).flatten())
}

fn transpose(site: &mut Site) -> Result<Option<Array>> {
    let data = input(site, 0)?;
    let perm: Option<Vec<usize>> = match site.attributes.ints("perm")? {
        Some(list) => list
            .iter()
            .map(|&axis| usize::try_from(axis).ok())
            .collect(),
        None => Some((0..data.shape.len()).rev().collect()),
    };
    Ok(perm.and_then(|perm| data.transpose(&perm)))
}

fn expand(site: &mut Site) -> Result<Option<Array>> {
    let data = input(site, 0)?;
    let target = site.integers(1)?.unwrap_or_default();
    let target: Option<Vec<usize>> = target.iter().map(|&e| usize::try_from(e).ok()).collect();
    // A target of 1 leaves an extent as it is.
    let widened = target.and_then(|mut target| {
        let missing = data.shape.len().saturating_sub(target.len());
        target.splice(0..0, vec![1; missing]);
        let offset = target.len() - data.shape.len();
        for (axis, &own) in data.shape.iter().enumerate() {
            if target[offset + axis] == 1 {
                target[offset + axis] = own;
            }
        }
        (target.len() <= MAX_RANK).then_some(target)
    });
    Ok(widened.and_then(|target| data.expand(&target)))
}

fn constant_of_shape(site: &mut Site) -> Result<Conversion> {
    let extents = site.integers(0)?.unwrap_or_default();
    let value = match site.attributes.tensor("value")? {
        Some(proto) => tensors::decode(&mut proto.clone(), &Folder::none())?,
        None => Tensor::scalar(0.0),
    };
    let shape: Option<Vec<usize>> = extents.iter().map(|&e| usize::try_from(e).ok()).collect();
    let shape = shape.filter(|shape| {
        shape.len() <= MAX_RANK && elements(shape).is_ok_and(|count| count <= MAX_FILLED)
    });
    let Some(shape) = shape.filter(|_| value.len() == 1) else {
        return Err(site.unsupported(format!(
            "a constant of shape {:?} of {} values, up to {MAX_FILLED} elements of one are supported",
            &extents[..extents.len().min(MAX_RANK)],
            value.len()
        )));
    };
    let count = elements(&shape)?;
    site.charge(count)?;
    let data = with_elements!(value.data(), |one| vec![one[0]; count].into());
    Ok(Conversion::Constant(Tensor::new(shape, data)?))
}

/// Version 12 brought the forms without a tensor.
pub(super) fn constant(site: &mut Site) -> Result<Conversion> {
    let tensor = if let Some(proto) = site.attributes.tensor("value")? {
        let mut proto = proto.clone();
        // Tensors of attributes have no name of their own; messages are better with one.
        let unnamed = proto.name.as_deref().is_none_or(str::is_empty);
        if unnamed {
            proto.name = Some(site.output().to_owned());
        }
        tensors::decode(&mut proto, &Folder::none())?
    } else if let Some(values) = site.attributes.floats("value_floats")? {
        Tensor::f32([values.len()], values)?
    } else if let Some(values) = site.attributes.ints("value_ints")? {
        Tensor::i64s(values)
    } else if let Some(value) = site.attributes.int("value_int")? {
        Tensor::new([], Data::I64(vec![value]))?
    } else {
        match site.attributes.number("value_float")? {
            Some(value) => Tensor::scalar(value),
            None => return Err(site.unsupported("it has no value of a supported type")),
        }
    };
    Ok(Conversion::Constant(tensor))
}

/// A constant or a shape with elements of type `to`.
pub(super) fn cast(site: &mut Site, to: i32) -> Result<Conversion> {
    let kind = match to {
        data_type::INT64 | data_type::INT32 => Kind::Integer,
        data_type::FLOAT | data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE => {
            Kind::Float
        }
        data_type::BOOL => Kind::Boolean,
        _ => {
            let name = data_type::name(to);
            return Err(site.unsupported(format!("attribute `to` is {name}")));
        }
    };
    let array = input(site, 0)?.cast(kind);
    let refused = || site.unsupported("its result depends on the batch");
    Ok(Conversion::Shape(array.ok_or_else(refused)?))
}
