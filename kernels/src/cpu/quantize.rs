//! Conversion between f32 and small integers by the f32 operations of the reference, so that results are equal.

use super::isa::Loop;
use super::{Cpu, f32s};
use network::tensor::{Data, Tensor};

/// Elements that one thread takes at once where all have the same scale.
const PIECE: usize = 1 << 14;

/// Scales and zero points of consecutive pieces of a tensor, repeated from the first.
struct Parameters<'a> {
    scales: &'a [f32],
    zero_points: Vec<i32>,
    /// Elements of a piece.
    step: usize,
}

impl<'a> Parameters<'a> {
    /// None for zero points of 32 bits other than 0.
    fn new(axis: usize, inputs: &[&'a Tensor]) -> Option<Self> {
        let scales = f32s(inputs[1]);
        let step = match scales.len() {
            1 => PIECE,
            _ => inputs[0].shape()[axis + 1..].iter().product(),
        };
        let zero_points = match inputs.get(2) {
            None => vec![0; scales.len()],
            Some(zero_point) => match zero_point.data() {
                Data::U8(v) => v.iter().map(|&z| z.into()).collect(),
                Data::I8(v) => v.iter().map(|&z| z.into()).collect(),
                Data::I32(v) if v.iter().all(|&z| z == 0) => v.clone(),
                _ => return None,
            },
        };
        Some(Self {
            scales,
            zero_points,
            step,
        })
    }

    /// Calls `work` with every piece, its scale and its zero point.
    fn each<X: Copy + Sync, Y: Copy + Default + Send>(
        &self,
        cpu: &Cpu,
        x: &[X],
        work: impl Fn(&[X], &mut [Y], f32, i32) + Sync,
    ) -> Vec<Y> {
        let mut y = vec![Y::default(); x.len()];
        let pieces = x.chunks(self.step).zip(y.chunks_mut(self.step)).enumerate();
        cpu.each(x.len(), pieces, |_, (i, (x, y))| {
            let i = i % self.scales.len();
            work(x, y, self.scales[i], self.zero_points[i]);
        });
        y
    }
}

/// x, scale, zero point.
pub(super) fn quantize(cpu: &Cpu, axis: usize, inputs: &[&Tensor]) -> Option<Data> {
    fn quantised<Y: Copy + Default + Send>(
        cpu: &Cpu,
        parameters: &Parameters<'_>,
        x: &[f32],
        bounds: [f32; 2],
        cast: impl Fn(i32) -> Y + Copy + Sync,
    ) -> Vec<Y> {
        parameters.each(cpu, x, |x, y, scale, zero_point| {
            cpu.isa.run(Quantize {
                x,
                y,
                scale,
                zero_point,
                bounds,
                cast,
            });
        })
    }
    let (x, parameters) = (f32s(inputs[0]), &Parameters::new(axis, inputs)?);
    Some(match inputs[2].data() {
        Data::U8(_) => Data::U8(quantised(cpu, parameters, x, [0.0, 255.0], |y| y as u8)),
        _ => Data::I8(quantised(cpu, parameters, x, [-128.0, 127.0], |y| y as i8)),
    })
}

/// x, scale, zero point?; none for 32-bit integers with a zero point.
pub(super) fn dequantize(cpu: &Cpu, axis: usize, inputs: &[&Tensor]) -> Option<Vec<f32>> {
    fn dequantised<X: Copy + Sync + Into<i32>>(
        cpu: &Cpu,
        parameters: &Parameters<'_>,
        x: &[X],
    ) -> Vec<f32> {
        parameters.each(cpu, x, |x, y, scale, zero_point| {
            cpu.isa.run(Dequantize {
                x,
                y,
                scale,
                zero_point,
            });
        })
    }
    let parameters = &Parameters::new(axis, inputs)?;
    match inputs[0].data() {
        Data::U8(x) => Some(dequantised(cpu, parameters, x)),
        Data::I8(x) => Some(dequantised(cpu, parameters, x)),
        Data::I32(x) => Some(dequantised(cpu, parameters, x)),
        Data::F32(_) | Data::I64(_) => None,
    }
}

/// `cast(zero_point + clamp(round_half_even(x / scale), bounds - zero_point))`.
struct Quantize<'a, Y, F> {
    x: &'a [f32],
    y: &'a mut [Y],
    scale: f32,
    zero_point: i32,
    bounds: [f32; 2],
    cast: F,
}

impl<Y, F: Fn(i32) -> Y> Loop for Quantize<'_, Y, F> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let [low, high] = self.bounds.map(|bound| bound - self.zero_point as f32);
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            // Casting a NaN gives 0, the zero point.
            let steps = (x / self.scale).round_ties_even().clamp(low, high) as i32;
            *y = (self.cast)(steps + self.zero_point);
        }
    }
}

/// `(x - zero_point) * scale`.
struct Dequantize<'a, X> {
    x: &'a [X],
    y: &'a mut [f32],
    scale: f32,
    zero_point: i32,
}

impl<X: Copy + Into<i32>> Loop for Dequantize<'_, X> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            // 32-bit integers come with zero points of 0 only.
            *y = (x.into() - self.zero_point) as f32 * self.scale;
        }
    }
}
