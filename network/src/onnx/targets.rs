//! The results of `Reshape` and `Expand`, with the batch in its place.
//!
//! In: the shape of the operand and the target as [`Extent`]s. Out: dimensions.

use super::extents::{Extent, count};
use crate::graph::Dim;

/// The result of a `Reshape` of `x` to `target`. `fixed_batch` is the batch size that the file was exported
/// for, if it is fixed: a leading extent equal to it is the batch if the number of elements allows it.
///
/// # Errors
/// A text with what does not fit.
pub(super) fn reshape(
    x: &[Dim],
    target: &[Extent],
    zero_is_empty: bool,
    fixed_batch: Option<usize>,
) -> Result<Vec<Dim>, String> {
    let refused = |reason: &str| {
        let list = |parts: Vec<String>| format!("[{}]", parts.join(", "));
        let from = list(x.iter().map(ToString::to_string).collect());
        let to = list(target.iter().map(ToString::to_string).collect());
        format!("{from} to {to}: {reason}")
    };
    let mut hole = None;
    let mut shape = Vec::with_capacity(target.len());
    for (axis, &extent) in target.iter().enumerate() {
        shape.push(match extent.as_integer() {
            Some(0) if !zero_is_empty => *x
                .get(axis)
                .ok_or_else(|| refused("0 stands for a dimension that is not there"))?,
            Some(-1) if hole.is_none() => {
                hole = Some(axis);
                Dim::Fixed(1)
            }
            Some(extent) => {
                Dim::Fixed(usize::try_from(extent).map_err(|_| refused("a dimension is negative"))?)
            }
            None if extent.is_batch() => Dim::Batch,
            None => return Err(refused("only the batch itself can be a dimension")),
        });
    }
    let product = |dims: &[Dim]| {
        count(
            &dims
                .iter()
                .filter_map(|dim| dim.fixed())
                .collect::<Vec<_>>(),
        )
        .filter(|&product| product > 0)
        .ok_or_else(|| refused("the number of elements is zero or too large"))
    };
    let wanted = product(x)?;
    if x.contains(&Dim::Batch) && !shape.contains(&Dim::Batch) {
        let rest = product(shape.get(1..).unwrap_or_default())?;
        let leads = fixed_batch.is_some_and(|batch| shape.first() == Some(&Dim::Fixed(batch)));
        let fills = rest == wanted || (hole.is_some() && wanted.is_multiple_of(rest));
        if leads && hole != Some(0) && fills {
            shape[0] = Dim::Batch;
        } else if let Some(axis) = hole.filter(|_| product(&shape) == Ok(wanted)) {
            shape[axis] = Dim::Batch;
            hole = None;
        } else {
            return Err(refused("the batch has no place in it"));
        }
    }
    if let Some(axis) = hole {
        shape[axis] = Dim::Fixed(wanted / product(&shape)?);
    }
    let batches = |dims: &[Dim]| dims.iter().filter(|&&dim| dim == Dim::Batch).count();
    if product(&shape)? == wanted && batches(&shape) == batches(x) {
        Ok(shape)
    } else {
        Err(refused("the number of elements differs"))
    }
}

/// The result of an `Expand` of `x` by `target`; `fixed_batch` as in [`reshape`].
///
/// # Errors
/// A text with what does not fit.
pub(super) fn expand(
    x: &[Dim],
    target: &[Extent],
    fixed_batch: Option<usize>,
) -> Result<Vec<Dim>, String> {
    let rank = x.len().max(target.len());
    (0..rank)
        .map(|axis| {
            let own = (axis + x.len())
                .checked_sub(rank)
                .map_or(Dim::Fixed(1), |axis| x[axis]);
            let Some(wanted) = (axis + target.len())
                .checked_sub(rank)
                .map(|axis| target[axis])
            else {
                return Ok(own);
            };
            let fixed = wanted
                .as_integer()
                .and_then(|extent| usize::try_from(extent).ok());
            match (own, fixed) {
                (own, Some(1)) => Ok(own),
                (own, Some(extent)) if own == Dim::Fixed(extent) || own == Dim::Fixed(1) => {
                    Ok(Dim::Fixed(extent))
                }
                (Dim::Batch, Some(_)) if fixed == fixed_batch => Ok(Dim::Batch),
                (Dim::Batch | Dim::Fixed(1), None) if wanted.is_batch() => Ok(Dim::Batch),
                _ => Err(format!("an extent of {own} does not broadcast to {wanted}")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Dim = Dim::Batch;

    fn fixed(extent: usize) -> Dim {
        Dim::Fixed(extent)
    }

    #[test]
    fn reshape_finds_the_place_of_the_batch() {
        struct Case {
            name: &'static str,
            x: Vec<Dim>,
            target: &'static [i64],
            batch: Option<usize>,
            want: Result<Vec<Dim>, &'static str>,
        }
        let x = || vec![N, fixed(8), fixed(2), fixed(1)];
        for Case {
            name,
            x,
            target,
            batch,
            want,
        } in [
            Case {
                name: "zero",
                x: x(),
                target: &[0, -1],
                batch: None,
                want: Ok(vec![N, fixed(16)]),
            },
            Case {
                name: "rest",
                x: x(),
                target: &[-1, 16],
                batch: None,
                want: Ok(vec![N, fixed(16)]),
            },
            Case {
                name: "exported for one",
                x: x(),
                target: &[1, -1],
                batch: Some(1),
                want: Ok(vec![N, fixed(16)]),
            },
            Case {
                name: "exported for four",
                x: x(),
                target: &[4, 2, 8],
                batch: Some(4),
                want: Ok(vec![N, fixed(2), fixed(8)]),
            },
            Case {
                name: "both",
                x: vec![N, fixed(1)],
                target: &[1, -1],
                batch: Some(1),
                want: Ok(vec![N, fixed(1)]),
            },
            Case {
                name: "constant",
                x: vec![fixed(6)],
                target: &[2, -1],
                batch: Some(2),
                want: Ok(vec![fixed(2), fixed(3)]),
            },
            Case {
                name: "no place",
                x: x(),
                target: &[1, 16],
                batch: None,
                want: Err("the batch has no place"),
            },
            Case {
                name: "batch joined",
                x: x(),
                target: &[-1, 2],
                batch: None,
                want: Err("the batch has no place"),
            },
            Case {
                name: "wrong count",
                x: x(),
                target: &[0, 3, -1],
                batch: None,
                want: Err("number of elements differs"),
            },
            Case {
                name: "two holes",
                x: x(),
                target: &[0, -1, -1],
                batch: None,
                want: Err("negative"),
            },
            Case {
                name: "zero beyond",
                x: vec![N],
                target: &[-1, 0],
                batch: None,
                want: Err("not there"),
            },
            Case {
                name: "empty",
                x: x(),
                target: &[],
                batch: None,
                want: Err("the batch has no place"),
            },
            Case {
                name: "huge",
                x: x(),
                target: &[0, i64::MAX, 4],
                batch: None,
                want: Err("zero or too large"),
            },
        ] {
            let target: Vec<Extent> = target.iter().map(|&e| Extent::integer(e)).collect();
            match (reshape(&x, &target, false, batch), want) {
                (Err(found), Err(want)) => assert!(found.contains(want), "{name}: {found}"),
                (found, want) => assert_eq!(found, want.map_err(String::from), "{name}"),
            }
        }
        let twice = Extent::from(N).multiply(Extent::integer(2)).unwrap();
        let error = reshape(&x(), &[twice, Extent::integer(8)], false, None).unwrap_err();
        assert!(error.contains("2 x N"), "{error}");
        assert!(reshape(&x(), &[Extent::integer(0)], true, None).is_err());
    }

    #[test]
    fn expand_keeps_the_batch() {
        let x = [N, fixed(1)];
        let sixteen = Extent::integer(16);
        for (name, target, batch, want) in [
            (
                "batch",
                vec![N.into(), sixteen],
                None,
                Ok(vec![N, fixed(16)]),
            ),
            (
                "one",
                vec![Extent::integer(1), sixteen],
                None,
                Ok(vec![N, fixed(16)]),
            ),
            (
                "exported for four",
                vec![Extent::integer(4), sixteen],
                Some(4),
                Ok(vec![N, fixed(16)]),
            ),
            ("shorter", vec![sixteen], None, Ok(vec![N, fixed(16)])),
            (
                "longer",
                vec![sixteen, N.into(), sixteen],
                None,
                Ok(vec![fixed(16), N, fixed(16)]),
            ),
            (
                "other",
                vec![Extent::integer(4), sixteen],
                None,
                Err("N does not broadcast to 4"),
            ),
        ] {
            match (expand(&x, &target, batch), want) {
                (Err(found), Err(want)) => assert!(found.contains(want), "{name}: {found}"),
                (found, want) => assert_eq!(found, want.map_err(String::from), "{name}"),
            }
        }
        assert_eq!(expand(&[fixed(1)], &[N.into()], None), Ok(vec![N]));
    }
}
