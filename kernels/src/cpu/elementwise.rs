//! Functions of each element and of pairs of elements in f32, and normalisations.

use super::isa::Loop;
use super::{Cpu, f32s};
use network::graph::{Binary, Unary};
use network::reference::{self, Walk};
use network::tensor::Tensor;

/// Elements that one thread takes at once.
const PIECE: usize = 1 << 14;

/// `out[i] = with(x[i])`.
struct Map<'a, F> {
    x: &'a [f32],
    out: &'a mut [f32],
    with: F,
}

impl<F: Fn(f32) -> f32> Loop for Map<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = (self.with)(x);
        }
    }
}

/// `out[i] = with(a[i], b[i])`, where one side may be a single number.
struct Pairs<'a, F> {
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
    with: F,
}

impl<F: Fn(f32, f32) -> f32> Loop for Pairs<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) {
        let Self { a, b, out, with } = self;
        match (a, b) {
            (&[a], b) => {
                for (out, &b) in out.iter_mut().zip(b) {
                    *out = with(a, b);
                }
            }
            (a, &[b]) => {
                for (out, &a) in out.iter_mut().zip(a) {
                    *out = with(a, b);
                }
            }
            (a, b) => {
                for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
                    *out = with(a, b);
                }
            }
        }
    }
}

/// One or two f32 operations where these suffice, else the formula of the reference in f64.
pub(super) fn unary(cpu: &Cpu, unary: Unary, x: &Tensor) -> Vec<f32> {
    match unary {
        Unary::Relu => map(cpu, x, |x| if x < 0.0 { 0.0 } else { x }),
        Unary::LeakyRelu { alpha } => map(cpu, x, |x| if x < 0.0 { alpha * x } else { x }),
        Unary::HardSigmoid { alpha, beta } => map(cpu, x, |x| (alpha * x + beta).clamp(0.0, 1.0)),
        Unary::HardSwish => map(cpu, x, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        Unary::Clip { min, max } => map(cpu, x, |x| {
            let x = if x < min { min } else { x };
            if x > max { max } else { x }
        }),
        Unary::Sqrt => map(cpu, x, f32::sqrt),
        Unary::Reciprocal => map(cpu, x, f32::recip),
        Unary::Sigmoid | Unary::Tanh | Unary::Exp => {
            map(cpu, x, |x| reference::apply(unary, x.into()) as f32)
        }
    }
}

fn map(cpu: &Cpu, x: &Tensor, with: impl Fn(f32) -> f32 + Copy + Sync) -> Vec<f32> {
    let x = f32s(x);
    let mut y = vec![0.0; x.len()];
    let pieces = x.chunks(PIECE).zip(y.chunks_mut(PIECE));
    cpu.each(x.len(), pieces, |_, (x, out)| {
        cpu.isa.run(Map { x, out, with });
    });
    y
}

/// None for integers.
pub(super) fn binary(
    cpu: &Cpu,
    binary: Binary,
    inputs: &[&Tensor],
    shape: &[usize],
) -> Option<Vec<f32>> {
    inputs[0].as_f32()?;
    Some(match binary {
        Binary::Add => pairs(cpu, inputs, shape, |a, b| a + b),
        Binary::Sub => pairs(cpu, inputs, shape, |a, b| a - b),
        Binary::Mul => pairs(cpu, inputs, shape, |a, b| a * b),
        Binary::Div => pairs(cpu, inputs, shape, |a, b| a / b),
        Binary::Pow => pairs(cpu, inputs, shape, |a, b| {
            f64::from(a).powf(f64::from(b)) as f32
        }),
    })
}

pub(super) fn prelu(cpu: &Cpu, inputs: &[&Tensor], shape: &[usize]) -> Vec<f32> {
    pairs(
        cpu,
        inputs,
        shape,
        |x, slope| {
            if x < 0.0 { slope * x } else { x }
        },
    )
}

/// The innermost dimensions are one loop: those along which each side has either every element or the same one.
fn pairs(
    cpu: &Cpu,
    inputs: &[&Tensor],
    shape: &[usize],
    with: impl Fn(f32, f32) -> f32 + Copy + Sync,
) -> Vec<f32> {
    let (a, b) = (f32s(inputs[0]), f32s(inputs[1]));
    let mut y = vec![0.0; shape.iter().product()];
    let aligned = |tensor: &Tensor| {
        let mut aligned = vec![1; shape.len() - tensor.shape().len()];
        aligned.extend(tensor.shape());
        aligned
    };
    let (a_shape, b_shape) = (aligned(inputs[0]), aligned(inputs[1]));
    let alike = |from: &[usize], start: usize| {
        from[start..] == shape[start..] || from[start..].iter().all(|&extent| extent == 1)
    };
    let start = (0..shape.len())
        .find(|&start| alike(&a_shape, start) && alike(&b_shape, start))
        .unwrap_or(shape.len());
    let inner: usize = shape[start..].iter().product();
    let steps = [&a_shape, &b_shape].map(|from| from[start..].iter().product::<usize>());
    let walks = Walk::broadcast(&a_shape[..start], &shape[..start])
        .zip(Walk::broadcast(&b_shape[..start], &shape[..start]));
    let work = y.len();
    let pieces = walks
        .zip(y.chunks_exact_mut(inner))
        .flat_map(|((i, j), out)| {
            let (a, b) = (
                &a[i * steps[0]..][..steps[0]],
                &b[j * steps[1]..][..steps[1]],
            );
            let piece = |side: &'_ [f32], at: usize, len: usize| match side.len() {
                1 => 0..1,
                _ => at..at + len,
            };
            out.chunks_mut(PIECE).enumerate().map(move |(i, out)| {
                let at = i * PIECE;
                (
                    &a[piece(a, at, out.len())],
                    &b[piece(b, at, out.len())],
                    out,
                )
            })
        });
    cpu.each(work, pieces, |_, (a, b, out)| {
        cpu.isa.run(Pairs { a, b, out, with });
    });
    y
}

/// Operands: x, scale, bias, mean, variance.
pub(super) fn batch_norm(cpu: &Cpu, epsilon: f32, inputs: &[&Tensor]) -> Vec<f32> {
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(|operand| f32s(inputs[operand]));
    planes(cpu, inputs[0], |c, x, out| {
        let deviation = (f64::from(variance[c]) + f64::from(epsilon)).sqrt();
        let factor = (f64::from(scale[c]) / deviation) as f32;
        let (mean, bias) = (mean[c], bias[c]);
        let with = |x| (x - mean) * factor + bias;
        cpu.isa.run(Map { x, out, with });
    })
}

/// By the statistics of each plane. Operands: x, scale, bias.
pub(super) fn instance_norm(cpu: &Cpu, epsilon: f32, inputs: &[&Tensor]) -> Vec<f32> {
    let (scale, bias) = (f32s(inputs[1]), f32s(inputs[2]));
    planes(cpu, inputs[0], |c, x, out| {
        let pixels = x.len() as f64;
        let mean = cpu.isa.run(Sum { x, with: |x| x }) / pixels;
        let squares = cpu.isa.run(Sum {
            x,
            with: |x| (x - mean) * (x - mean),
        });
        let deviation = (squares / pixels + f64::from(epsilon)).sqrt();
        let factor = (f64::from(scale[c]) / deviation) as f32;
        let bias = bias[c];
        let with = |x| (f64::from(x) - mean) as f32 * factor + bias;
        cpu.isa.run(Map { x, out, with });
    })
}

/// Rewrites each plane of an image; `rewrite` gets its channel.
fn planes(cpu: &Cpu, x: &Tensor, rewrite: impl Fn(usize, &[f32], &mut [f32]) + Sync) -> Vec<f32> {
    let (x, shape) = (f32s(x), x.shape());
    let (channels, pixels) = (shape[1], shape[2..].iter().product());
    let mut y = vec![0.0; x.len()];
    let planes = x.chunks_exact(pixels).zip(y.chunks_exact_mut(pixels));
    cpu.each(x.len(), planes.enumerate(), |_, (number, (x, out))| {
        rewrite(number % channels, x, out);
    });
    y
}

/// The mean of each plane.
pub(super) fn global_average(cpu: &Cpu, x: &Tensor) -> Vec<f32> {
    let (x, pixels) = (f32s(x), x.shape()[2..].iter().product());
    let mut y = vec![0.0; x.len() / pixels];
    let planes = x.chunks_exact(pixels).zip(&mut y);
    cpu.each(x.len(), planes, |_, (x, out)| {
        *out = (cpu.isa.run(Sum { x, with: |x| x }) / pixels as f64) as f32;
    });
    y
}

/// The sum of `with(x[i])` in f64, of every eighth element first, then of these eight.
struct Sum<'a, F> {
    x: &'a [f32],
    with: F,
}

impl<F: Fn(f64) -> f64> Loop for Sum<'_, F> {
    type Out = f64;

    #[inline(always)]
    fn run<const FMA: bool, const NR: usize>(self) -> f64 {
        let mut sums = [0.0; 8];
        let (eights, rest) = self.x.as_chunks::<8>();
        for x in eights {
            for (sum, &x) in sums.iter_mut().zip(x) {
                *sum += (self.with)(x.into());
            }
        }
        for (sum, &x) in sums.iter_mut().zip(rest) {
            *sum += (self.with)(x.into());
        }
        sums.iter().sum()
    }
}
