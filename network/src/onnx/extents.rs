//! Arithmetic on shapes while reading: what `Shape` and the nodes after it compute, with a symbolic batch.
//!
//! Exporters write `x.flatten(1)` as Shape, Gather, Unsqueeze, Concat, Reshape. Each number on the way is an
//! [`Extent`]: an exact fraction times a power of the batch, so that `N * 512 / 512` is `N`. Small integer
//! constants take part as well.

use crate::graph::Dim;
use crate::reference::{Walk, broadcast, strides_of};
use crate::tensor::{Data, Tensor};

/// The most elements of an [`Array`]; shapes and paddings have a dozen.
const MAX_ELEMENTS: usize = 4096;

/// The number `numerator / denominator * N^power`, in lowest terms, where `N` is the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    numerator: i64,
    denominator: i64,
    power: i32,
}

/// What the elements of an [`Array`] are, which decides what a division does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Float,
    Boolean,
}

/// A small row-major tensor of numbers that may depend on the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Array {
    pub(super) kind: Kind,
    pub(super) shape: Vec<usize>,
    pub(super) elements: Vec<Extent>,
}

/// Functions of two extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Equal,
}

impl From<Dim> for Extent {
    fn from(dim: Dim) -> Self {
        match dim {
            Dim::Batch => Self {
                numerator: 1,
                denominator: 1,
                power: 1,
            },
            // Extents of values are below 2^28, those of empty tensors may be larger than any use
            // of them.
            Dim::Fixed(extent) => Self::integer(i64::try_from(extent).unwrap_or(i64::MAX)),
        }
    }
}

impl std::fmt::Display for Extent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.numerator)?;
        if self.denominator != 1 {
            write!(f, "/{}", self.denominator)?;
        }
        match self.power {
            0 => Ok(()),
            1 => f.write_str(" x N"),
            power => write!(f, " x N^{power}"),
        }
    }
}

impl Extent {
    /// A number that does not depend on the batch.
    pub(super) fn integer(value: i64) -> Self {
        Self {
            numerator: value,
            denominator: 1,
            power: 0,
        }
    }

    /// `numerator / denominator * N^power` in lowest terms; none beyond 64 bits or over zero.
    fn new(numerator: i128, denominator: i128, power: i32) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        let (mut a, mut b) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = i128::try_from(a).ok()? * denominator.signum();
        Some(Self {
            numerator: i64::try_from(numerator / divisor).ok()?,
            denominator: i64::try_from(denominator / divisor).ok()?,
            power: if numerator == 0 { 0 } else { power },
        })
    }

    /// A float as an exact fraction; none if 64 bits do not suffice.
    fn float(value: f32) -> Option<Self> {
        let mut denominator: i64 = 1;
        let mut scaled = f64::from(value);
        while scaled.fract() != 0.0 {
            scaled *= 2.0;
            denominator = denominator.checked_mul(2)?;
        }
        // Floats of 2^53 and more are no extents, and not exact in their integer neighbours.
        (scaled.abs() < 2f64.powi(53)).then_some(())?;
        Self::new(scaled as i128, denominator.into(), 0)
    }

    /// The number if it is an integer that does not depend on the batch.
    pub(super) fn as_integer(self) -> Option<i64> {
        (self.power == 0 && self.denominator == 1).then_some(self.numerator)
    }

    /// Whether it is the batch itself.
    pub(super) fn is_batch(self) -> bool {
        self == Self::from(Dim::Batch)
    }

    fn add(self, other: Self) -> Option<Self> {
        if other.numerator == 0 {
            return Some(self);
        }
        let same = self.power == other.power || self.numerator == 0;
        let (a, b) = (i128::from(self.numerator), i128::from(self.denominator));
        let (c, d) = (i128::from(other.numerator), i128::from(other.denominator));
        same.then(|| Self::new((a * d).checked_add(c * b)?, b * d, other.power))?
    }

    fn negative(self) -> Option<Self> {
        let numerator = self.numerator.checked_neg()?;
        Some(Self { numerator, ..self })
    }

    pub(super) fn multiply(self, other: Self) -> Option<Self> {
        Self::new(
            i128::from(self.numerator) * i128::from(other.numerator),
            i128::from(self.denominator) * i128::from(other.denominator),
            self.power.checked_add(other.power)?,
        )
    }

    fn inverse(self) -> Option<Self> {
        let power = self.power.checked_neg()?;
        Self::new(self.denominator.into(), self.numerator.into(), power)
    }

    /// The next integer towards zero, or towards minus infinity; none where that depends on the
    /// batch.
    fn integral(self, round: impl Fn(i64, i64) -> i64) -> Option<Self> {
        if self.denominator == 1 {
            // A whole multiple of a power of the batch; 1/N is not.
            return (self.power >= 0).then_some(self);
        }
        (self.power == 0).then(|| Self::integer(round(self.numerator, self.denominator)))
    }

    /// Whether both are equal for every batch; none if that depends on the batch.
    fn equals(self, other: Self) -> Option<bool> {
        if self.power == other.power {
            Some(self == other)
        } else if self.numerator.signum() != other.numerator.signum() {
            // The batch is positive: -1 is no multiple of it.
            Some(false)
        } else {
            None
        }
    }
}

impl Array {
    /// A list, the form of a shape.
    pub(super) fn list(elements: Vec<Extent>) -> Self {
        Self {
            kind: Kind::Integer,
            shape: vec![elements.len()],
            elements,
        }
    }

    /// The elements of a small constant; none if it is large, or has elements that are no exact
    /// fractions.
    pub(super) fn from_tensor(tensor: &Tensor) -> Option<Self> {
        small(tensor.shape())?;
        let integers =
            |values: &mut dyn Iterator<Item = i64>| values.map(Extent::integer).collect();
        let (kind, elements) = match tensor.data() {
            Data::I64(values) => (Kind::Integer, integers(&mut values.iter().copied())),
            Data::I32(values) => (
                Kind::Integer,
                integers(&mut values.iter().map(|&v| v.into())),
            ),
            Data::I8(values) => (
                Kind::Integer,
                integers(&mut values.iter().map(|&v| v.into())),
            ),
            // Small u8 constants beside shapes are the conditions of `Where`.
            Data::U8(values) => (
                Kind::Boolean,
                integers(&mut values.iter().map(|&v| v.into())),
            ),
            Data::F32(values) => {
                let exact = values.iter().map(|&v| Extent::float(v));
                (Kind::Float, exact.collect::<Option<_>>()?)
            }
        };
        Some(Self {
            kind,
            shape: tensor.shape().to_vec(),
            elements,
        })
    }

    /// The array as a constant, if it does not depend on the batch.
    pub(super) fn to_tensor(&self) -> Option<Tensor> {
        let fixed = self.elements.iter().all(|extent| extent.power == 0);
        fixed.then_some(())?;
        let integers = || self.elements.iter().map(|extent| extent.as_integer());
        let data = match self.kind {
            Kind::Integer => Data::I64(integers().collect::<Option<_>>()?),
            Kind::Boolean => Data::U8(
                integers()
                    .map(|value| value.map(|value| u8::from(value != 0)))
                    .collect::<Option<_>>()?,
            ),
            Kind::Float => Data::F32(
                self.elements
                    .iter()
                    .map(|e| (e.numerator as f64 / e.denominator as f64) as f32)
                    .collect(),
            ),
        };
        Tensor::new(self.shape.clone(), data).ok()
    }

    /// The array with its elements as `kind`, those of floats cut to integers.
    pub(super) fn cast(mut self, kind: Kind) -> Option<Self> {
        for element in &mut self.elements {
            match kind {
                Kind::Float => {}
                Kind::Integer => *element = element.integral(|a, b| a / b)?,
                Kind::Boolean => *element = Extent::integer(i64::from(element.numerator != 0)),
            }
        }
        self.kind = kind;
        Some(self)
    }

    /// The largest integers below the elements.
    pub(super) fn floor(mut self) -> Option<Self> {
        for element in &mut self.elements {
            *element = element.integral(i64::div_euclid)?;
        }
        Some(self)
    }

    /// The same elements under another shape, which may hold one -1.
    pub(super) fn reshape(self, target: &[i64]) -> Option<Self> {
        let known = target
            .iter()
            .filter(|&&extent| extent != -1)
            .try_fold(1usize, |product, &extent| {
                product.checked_mul(usize::try_from(extent).ok()?)
            })?;
        let shape: Vec<usize> = target
            .iter()
            .map(|&extent| match extent {
                -1 => self.elements.len().checked_div(known),
                extent => usize::try_from(extent).ok(),
            })
            .collect::<Option<_>>()?;
        let fits = small(&shape)? == self.elements.len();
        fits.then_some(Self { shape, ..self })
    }

    /// The elements at `indices` along `axis`.
    pub(super) fn take(&self, axis: usize, indices: &[usize]) -> Option<Self> {
        let extent = *self.shape.get(axis)?;
        let inner = count(&self.shape[axis + 1..])?;
        let outer = count(&self.shape[..axis])?;
        indices.iter().all(|&i| i < extent).then_some(())?;
        let mut shape = self.shape.clone();
        shape[axis] = indices.len();
        let mut elements = Vec::with_capacity(small(&shape)?);
        for block in (0..outer).map(|block| block * extent) {
            for row in indices.iter().map(|&index| (block + index) * inner) {
                elements.extend_from_slice(&self.elements[row..row + inner]);
            }
        }
        Some(Self {
            kind: self.kind,
            shape,
            elements,
        })
    }

    /// The dimensions in another order.
    pub(super) fn transpose(&self, perm: &[usize]) -> Option<Self> {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        sorted
            .iter()
            .copied()
            .eq(0..self.shape.len())
            .then_some(())?;
        let strides = strides_of(&self.shape);
        let shape: Vec<usize> = perm.iter().map(|&axis| self.shape[axis]).collect();
        let walk = Walk::new(0, &shape, perm.iter().map(|&axis| strides[axis]).collect());
        Some(self.gather(shape, walk))
    }

    /// The array repeated along its dimensions of extent 1 to fill `shape`, as NumPy does.
    pub(super) fn expand(&self, shape: &[usize]) -> Option<Self> {
        small(shape)?;
        (broadcast(&self.shape, shape)? == shape).then_some(())?;
        Some(self.gather(shape.to_vec(), Walk::broadcast(&self.shape, shape)))
    }

    fn gather(&self, shape: Vec<usize>, walk: Walk) -> Self {
        Self {
            kind: self.kind,
            elements: walk.map(|at| self.elements[at]).collect(),
            shape,
        }
    }

    /// Joins arrays along `axis`.
    pub(super) fn concat(arrays: &[Self], axis: usize) -> Option<Self> {
        let first = arrays.first()?;
        let outer = count(first.shape.get(..axis)?)?;
        let mut shape = first.shape.clone();
        *shape.get_mut(axis)? = 0;
        for array in arrays {
            let beside = |shape: &[usize]| {
                let mut shape = shape.to_vec();
                shape.get(axis)?;
                shape.remove(axis);
                Some(shape)
            };
            let fits = array.kind == first.kind && beside(&array.shape) == beside(&first.shape);
            fits.then_some(())?;
            shape[axis] += array.shape[axis];
        }
        small(&shape)?;
        let mut elements = Vec::new();
        for block in 0..outer {
            for array in arrays {
                let length = array.elements.len() / outer;
                elements.extend_from_slice(&array.elements[block * length..(block + 1) * length]);
            }
        }
        Some(Self {
            kind: first.kind,
            shape,
            elements,
        })
    }

    /// A function of each pair of elements, with broadcasting; none where the result is no
    /// [`Extent`].
    pub(super) fn combine(&self, what: Arithmetic, other: &Self) -> Option<Self> {
        (self.kind == other.kind).then_some(())?;
        let shape = broadcast(&self.shape, &other.shape)?;
        let (left, right) = (self.expand(&shape)?, other.expand(&shape)?);
        let pairs = left.elements.iter().zip(&right.elements);
        let elements = pairs
            .map(|(&a, &b)| match what {
                Arithmetic::Add => a.add(b),
                Arithmetic::Sub => a.add(b.negative()?),
                Arithmetic::Mul => a.multiply(b),
                Arithmetic::Div => {
                    let quotient = a.multiply(b.inverse()?)?;
                    match self.kind {
                        Kind::Integer => quotient.integral(|a, b| a / b),
                        _ => Some(quotient),
                    }
                }
                Arithmetic::Equal => Some(Extent::integer(a.equals(b)?.into())),
            })
            .collect::<Option<_>>()?;
        let kind = match what {
            Arithmetic::Equal => Kind::Boolean,
            _ => self.kind,
        };
        Some(Self {
            kind,
            shape,
            elements,
        })
    }

    /// `self` where true, chosen from two arrays with broadcasting.
    pub(super) fn choose(&self, yes: &Self, no: &Self) -> Option<Self> {
        (yes.kind == no.kind).then_some(())?;
        let shape = broadcast(&broadcast(&self.shape, &yes.shape)?, &no.shape)?;
        let (condition, yes, no) = (
            self.expand(&shape)?,
            yes.expand(&shape)?,
            no.expand(&shape)?,
        );
        let elements = condition
            .elements
            .iter()
            .zip(yes.elements.iter().zip(&no.elements));
        Some(Self {
            kind: yes.kind,
            elements: elements
                .map(|(c, (&yes, &no))| if c.numerator != 0 { yes } else { no })
                .collect(),
            shape,
        })
    }
}

/// Product of extents, none beyond 64 bits.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

/// Number of elements of the shape of an [`Array`]; none if it is too large, empty dimensions
/// aside.
fn small(shape: &[usize]) -> Option<usize> {
    let extents: Vec<usize> = shape.iter().map(|&extent| extent.max(1)).collect();
    (count(&extents)? <= MAX_ELEMENTS).then_some(())?;
    count(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: Dim = Dim::Batch;

    fn list(extents: &[i64]) -> Array {
        Array::list(
            extents
                .iter()
                .map(|&extent| Extent::integer(extent))
                .collect(),
        )
    }

    #[test]
    fn the_batch_cancels_or_is_refused() {
        let batch = Array::list(vec![N.into()]);
        let four = list(&[4]);
        let product = batch.combine(Arithmetic::Mul, &four).unwrap();
        assert_eq!(product.elements[0].to_string(), "4 x N");
        assert_eq!(product.combine(Arithmetic::Div, &four), Some(batch.clone()));
        assert_eq!(product.combine(Arithmetic::Div, &batch), Some(four.clone()));
        let difference = product.combine(Arithmetic::Sub, &product).unwrap();
        assert_eq!(difference, list(&[0]));
        for (name, left, what, right) in [
            ("N + 4", &batch, Arithmetic::Add, &four),
            ("N / 4", &batch, Arithmetic::Div, &four),
            ("4 / N", &four, Arithmetic::Div, &batch),
            ("N == 4", &batch, Arithmetic::Equal, &four),
            ("4 / 0", &four, Arithmetic::Div, &difference),
            (
                "4 + lists of 2 and 3",
                &list(&[1, 2]),
                Arithmetic::Add,
                &list(&[1, 2, 3]),
            ),
        ] {
            assert_eq!(left.combine(what, right), None, "{name}");
        }
        let no = batch.combine(Arithmetic::Equal, &list(&[-1])).unwrap();
        assert_eq!(
            (no.kind, no.elements[0].as_integer()),
            (Kind::Boolean, Some(0))
        );
    }

    #[test]
    fn numbers_beyond_64_bits_are_refused() {
        let huge = list(&[i64::MAX]);
        let least = list(&[i64::MIN]);
        assert_eq!(huge.combine(Arithmetic::Mul, &huge), None);
        assert_eq!(huge.combine(Arithmetic::Add, &huge), None);
        assert_eq!(least.combine(Arithmetic::Sub, &least), None);
        assert_eq!(least.combine(Arithmetic::Div, &list(&[-1])), None);
        assert_eq!(huge.expand(&[usize::MAX]), None);
        assert_eq!(huge.reshape(&[i64::MAX, 4]), None);
    }

    #[test]
    fn old_exporters_divide_in_floats() {
        let float = |extents: &[i64]| list(extents).cast(Kind::Float).unwrap();
        let half = Array::from_tensor(&Tensor::f32([1], [0.5]).unwrap()).unwrap();
        let scaled = float(&[7]).combine(Arithmetic::Mul, &half).unwrap();
        assert_eq!(scaled.to_tensor().unwrap().as_f32(), Some([3.5].as_slice()));
        assert_eq!(
            scaled.floor().unwrap().cast(Kind::Integer),
            Some(list(&[3]))
        );
        let below = float(&[-7]).combine(Arithmetic::Mul, &half).unwrap();
        assert_eq!(
            below.clone().floor().unwrap().cast(Kind::Integer),
            Some(list(&[-4]))
        );
        assert_eq!(below.cast(Kind::Integer), Some(list(&[-3])));
        assert_eq!(
            Array::from_tensor(&Tensor::f32([1], [f32::NAN]).unwrap()),
            None
        );
        assert_eq!(
            Array::from_tensor(&Tensor::f32([1], [1e-30]).unwrap()),
            None
        );
    }

    #[test]
    fn pytorch_turns_paddings_around() {
        // What it makes of F.pad(x, (1, 2, 3, 4)): pairs from the last dimension on become all
        // starts, then all ends.
        let pairs = list(&[1, 2, 3, 4, 0, 0, 0, 0]).reshape(&[-1, 2]).unwrap();
        let turned = pairs
            .take(0, &[3, 2, 1, 0])
            .unwrap()
            .transpose(&[1, 0])
            .unwrap();
        assert_eq!(turned.reshape(&[-1]), Some(list(&[0, 0, 3, 1, 0, 0, 4, 2])));
    }

    #[test]
    fn where_and_concat() {
        let shape = Array::list(vec![N.into(), Extent::integer(-1)]);
        let unknown = shape.combine(Arithmetic::Equal, &list(&[-1])).unwrap();
        let chosen = unknown.choose(&list(&[1]), &shape).unwrap();
        assert_eq!(chosen, Array::list(vec![N.into(), Extent::integer(1)]));
        let joined = Array::concat(&[chosen, list(&[7])], 0).unwrap();
        assert_eq!(joined.shape, [3]);
        assert_eq!(Array::concat(&[list(&[1]), unknown], 0), None);
        assert_eq!(Array::concat(&[list(&[1])], 1), None);
    }
}
