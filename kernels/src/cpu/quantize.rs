//! Between f32 and small integers: the f32 operations of the reference, one for one, so that results
//! are equal.

use super::Cpu;
use super::isa::Loop;
use network::tensor::{Data, Tensor};

/// Elements that one thread takes at once where all have the same scale.
const PIECE: usize = 1 << 14;

/// Scale and zero point of pieces of a tensor, piece by piece and again from the first.
struct Parameters<'a> {
    scales: &'a [f32],
    zero_points: Vec<i32>,
    /// Elements of a piece.
    step: usize,
}

impl<'a> Parameters<'a> {
    fn new(axis: usize, inputs: &[&'a Tensor]) -> Option<Self> {
        let scales = inputs[1].as_f32()?;
        let shape = inputs[0].shape();
        let step = match *inputs[1].shape() {
            [] | [1] => PIECE,
            [count] if shape.get(axis) == Some(&count) => shape[axis + 1..].iter().product(),
            _ => return None,
        };
        let zero_points = match inputs.get(2) {
            None => vec![0; scales.len()],
            Some(zero_point) if zero_point.shape() != inputs[1].shape() => return None,
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

/// x, scale, zero point; none for whatever the reference would refuse.
pub(super) fn quantize(cpu: &Cpu, axis: usize, inputs: &[&Tensor]) -> Option<Tensor> {
    let x = inputs[0].as_f32().filter(|x| !x.is_empty())?;
    let parameters = Parameters::new(axis, inputs)?;
    let data = match inputs[2].data() {
        Data::U8(_) => Data::U8(parameters.each(cpu, x, |x, y, scale, zero_point| {
            let bounds = [0.0, 255.0];
            let step = |y: i32| y as u8;
            cpu.isa.run(Quantize {
                x,
                y,
                scale,
                zero_point,
                bounds,
                step,
            });
        })),
        Data::I8(_) => Data::I8(parameters.each(cpu, x, |x, y, scale, zero_point| {
            let bounds = [-128.0, 127.0];
            let step = |y: i32| y as i8;
            cpu.isa.run(Quantize {
                x,
                y,
                scale,
                zero_point,
                bounds,
                step,
            });
        })),
        _ => return None,
    };
    Tensor::new(inputs[0].shape(), data).ok()
}

/// x, scale, zero point?; none for whatever the reference would refuse, and for 32-bit integers with
/// a zero point.
pub(super) fn dequantize(cpu: &Cpu, axis: usize, inputs: &[&Tensor]) -> Option<Tensor> {
    let parameters = Parameters::new(axis, inputs)?;
    if (inputs.get(2)).is_some_and(|zero_point| zero_point.dtype() != inputs[0].dtype())
        || inputs[0].is_empty()
    {
        return None;
    }
    fn real<X: Copy + Sync + Into<i32>>(
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
    let y = match inputs[0].data() {
        Data::U8(x) => real(cpu, &parameters, x),
        Data::I8(x) => real(cpu, &parameters, x),
        Data::I32(x) => real(cpu, &parameters, x),
        Data::F32(_) | Data::I64(_) => return None,
    };
    Tensor::f32(inputs[0].shape(), y).ok()
}

/// `step(zero_point + clamp(round_half_even(x / scale), bounds - zero_point))`.
struct Quantize<'a, Y, F> {
    x: &'a [f32],
    y: &'a mut [Y],
    scale: f32,
    zero_point: i32,
    bounds: [f32; 2],
    step: F,
}

impl<Y, F: Fn(i32) -> Y> Loop for Quantize<'_, Y, F> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const LANES: usize>(self) {
        let [low, high] = self.bounds.map(|bound| bound - self.zero_point as f32);
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            // Casting a NaN gives 0, the zero point.
            let steps = (x / self.scale).round_ties_even().clamp(low, high) as i32;
            *y = (self.step)(steps + self.zero_point);
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
    fn run<const FMA: bool, const LANES: usize>(self) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            // 32-bit integers come with zero points of 0 only.
            *y = (x.into() - self.zero_point) as f32 * self.scale;
        }
    }
}
