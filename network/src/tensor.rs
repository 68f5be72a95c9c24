//! Dense tensors: the parameters of a graph, and the values that the reference executor computes.

use crate::{Error, Result};

/// The most elements that one tensor may hold: 2^28 (1 GiB of f32), above every re-identification
/// net and below what an edge device can allocate.
pub const MAX_ELEMENTS: usize = 1 << 28;

/// Element types that a [`Tensor`] can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float: weights and activations.
    F32,
    /// 64-bit integer: shapes, axes, indices.
    I64,
    /// 32-bit integer: biases of quantised layers.
    I32,
    /// Signed byte: quantised weights.
    I8,
    /// Unsigned byte: quantised activations and pixels.
    U8,
}

/// The elements of a [`Tensor`], row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// See [`DType::F32`].
    F32(Vec<f32>),
    /// See [`DType::I64`].
    I64(Vec<i64>),
    /// See [`DType::I32`].
    I32(Vec<i32>),
    /// See [`DType::I8`].
    I8(Vec<i8>),
    /// See [`DType::U8`].
    U8(Vec<u8>),
}

/// A dense, row-major (C order) tensor. A scalar has shape `[]` and one element.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// Evaluates an expression with the elements of any type.
macro_rules! with_elements {
    ($data:expr, |$elements:ident| $body:expr) => {
        match $data {
            $crate::tensor::Data::F32($elements) => $body,
            $crate::tensor::Data::I64($elements) => $body,
            $crate::tensor::Data::I32($elements) => $body,
            $crate::tensor::Data::I8($elements) => $body,
            $crate::tensor::Data::U8($elements) => $body,
        }
    };
}

pub(crate) use with_elements;

macro_rules! data_from {
    ($($type:ty, $variant:ident);+) => {
        $(impl From<Vec<$type>> for Data {
            fn from(elements: Vec<$type>) -> Self {
                Self::$variant(elements)
            }
        })+
    };
}

data_from!(f32, F32; i64, I64; i32, I32; i8, I8; u8, U8);

impl Data {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        with_elements!(self, |elements| elements.len())
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tensor {
    /// A tensor of `shape` over `data`.
    ///
    /// # Errors
    /// [`Error::Limit`] above [`MAX_ELEMENTS`], [`Error::Malformed`] if `data` does not have as
    /// many elements as `shape` demands.
    pub fn new(shape: impl Into<Vec<usize>>, data: Data) -> Result<Self> {
        let shape = shape.into();
        let wanted = elements(&shape)?;
        if wanted != data.len() {
            return Err(Error::malformed(
                "tensor",
                format!(
                    "shape {shape:?} wants {wanted} elements, found {}",
                    data.len()
                ),
            ));
        }
        Ok(Self { shape, data })
    }

    /// An f32 tensor; see [`Tensor::new`].
    ///
    /// # Errors
    /// As [`Tensor::new`].
    pub fn f32(shape: impl Into<Vec<usize>>, data: impl Into<Vec<f32>>) -> Result<Self> {
        Self::new(shape, Data::F32(data.into()))
    }

    /// A one-dimensional i64 tensor, the form of shapes and axes.
    #[must_use]
    pub fn i64s(values: impl Into<Vec<i64>>) -> Self {
        let values = values.into();
        Self {
            shape: vec![values.len()],
            data: Data::I64(values),
        }
    }

    /// A scalar f32.
    #[must_use]
    pub fn scalar(value: f32) -> Self {
        Self {
            shape: Vec::new(),
            data: Data::F32(vec![value]),
        }
    }

    /// An f32 tensor of zeros.
    ///
    /// # Errors
    /// [`Error::Limit`] above [`MAX_ELEMENTS`].
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Result<Self> {
        let shape = shape.into();
        let len = elements(&shape)?;
        Ok(Self {
            shape,
            data: Data::F32(vec![0.0; len]),
        })
    }

    /// Extent of each dimension, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether a dimension is zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self.data {
            Data::F32(_) => DType::F32,
            Data::I64(_) => DType::I64,
            Data::I32(_) => DType::I32,
            Data::I8(_) => DType::I8,
            Data::U8(_) => DType::U8,
        }
    }

    /// The elements if they are f32.
    #[must_use]
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements, to be changed, if they are f32.
    pub fn as_f32_mut(&mut self) -> Option<&mut [f32]> {
        match &mut self.data {
            Data::F32(v) => Some(v),
            _ => None,
        }
    }

    /// The elements if they are i64.
    #[must_use]
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(v) => Some(v),
            _ => None,
        }
    }

    /// The one element of a one-element f32 tensor of any rank.
    #[must_use]
    pub fn as_f32_scalar(&self) -> Option<f32> {
        match self.as_f32() {
            Some([value]) => Some(*value),
            _ => None,
        }
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the number of elements differs.
    pub fn reshaped(self, shape: impl Into<Vec<usize>>) -> Result<Self> {
        Self::new(shape, self.data)
    }
}

/// Number of elements of `shape`, refused beyond [`MAX_ELEMENTS`] and never overflowing.
///
/// # Errors
/// [`Error::Limit`].
pub fn elements(shape: &[usize]) -> Result<usize> {
    let product = shape
        .iter()
        .try_fold(1u64, |product, &dim| product.checked_mul(dim as u64));
    // A zero dimension makes the tensor empty whatever the others are.
    let found = if shape.contains(&0) {
        0
    } else {
        product.unwrap_or(u64::MAX)
    };
    if found > MAX_ELEMENTS as u64 {
        return Err(Error::Limit {
            what: format!("number of elements of a tensor of shape {shape:?}"),
            found,
            limit: MAX_ELEMENTS as u64,
        });
    }
    Ok(found as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_and_data_must_agree() {
        assert!(Tensor::f32([2, 3], vec![0.0; 6]).is_ok());
        let error = Tensor::f32([2, 3], vec![0.0; 5]).unwrap_err().to_string();
        assert!(error.contains("wants 6 elements, found 5"), "{error}");
    }

    #[test]
    fn huge_and_overflowing_shapes_are_refused_before_allocating() {
        for shape in [
            vec![usize::MAX, 2],
            vec![1 << 20, 1 << 20],
            vec![usize::MAX; 8],
        ] {
            assert!(matches!(Tensor::zeros(shape), Err(Error::Limit { .. })));
        }
        assert_eq!(Tensor::zeros([usize::MAX, 0]).unwrap().len(), 0);
    }
}
