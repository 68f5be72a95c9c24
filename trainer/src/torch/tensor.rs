//! Conversion between [`Tensor`] and tensors of libtorch.

use network::tensor::{Data, Tensor};
use tch::Kind;

use crate::Result;

/// A copy in libtorch's memory, on the CPU.
///
/// # Errors
/// [`Error::Torch`](crate::Error::Torch) if there is no memory for it.
pub fn to_tch(tensor: &Tensor) -> Result<tch::Tensor> {
    let flat = match tensor.data() {
        Data::F32(values) => tch::Tensor::f_from_slice(values)?,
        Data::I64(values) => tch::Tensor::f_from_slice(values)?,
        Data::I32(values) => tch::Tensor::f_from_slice(values)?,
        Data::I8(values) => tch::Tensor::f_from_slice(values)?,
        Data::U8(values) => tch::Tensor::f_from_slice(values)?,
    };
    Ok(flat.f_reshape(sizes(tensor.shape()))?)
}

/// A copy of a float tensor, whatever its device, layout and precision, as f32.
///
/// # Errors
/// [`Error::Torch`](crate::Error::Torch) if it cannot be copied, [`Error::Kernels`](crate::Error::Kernels) if it is larger than tensors may be.
pub fn from_tch(tensor: &tch::Tensor) -> Result<Tensor> {
    let flat = tensor
        .f_detach()?
        .f_to_kind(Kind::Float)?
        .f_to_device(tch::Device::Cpu)?
        .f_contiguous()?
        .f_view(-1)?;
    let mut values = vec![0.0f32; flat.numel()];
    flat.f_copy_data(&mut values, flat.numel())?;
    let shape: Vec<usize> = (tensor.size().iter())
        .map(|&n| usize::try_from(n).expect("extents are not negative"))
        .collect();
    Ok(Tensor::f32(shape, values)?)
}

/// Extents as libtorch counts them.
pub(super) fn sizes(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&n| size(n)).collect()
}

/// One extent.
pub(super) fn size(n: usize) -> i64 {
    i64::try_from(n).expect("extents of tensors that fit in memory fit in 63 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_go_there_and_back() {
        let values: Vec<f32> = (0u8..24).map(f32::from).collect();
        let ours = Tensor::f32([2, 3, 2, 2], values).unwrap();
        let theirs = to_tch(&ours).unwrap();
        assert_eq!(theirs.size(), [2, 3, 2, 2]);
        assert_eq!(from_tch(&theirs).unwrap(), ours);
        // A layout of channels last holds the same tensor.
        let last = theirs
            .permute([0, 2, 3, 1])
            .contiguous()
            .permute([0, 3, 1, 2]);
        assert_eq!(from_tch(&last).unwrap(), ours);
        let scalar = Tensor::scalar(4.5);
        assert_eq!(from_tch(&to_tch(&scalar).unwrap()).unwrap(), scalar);
    }
}
