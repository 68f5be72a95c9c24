//! Functions of one quantised value, as tables.

use network::graph::Unary;
use network::quant::QuantParams;

/// `functions`, one after the other, of each quantised value of `x`, quantised with `y`. Exponentials come
/// from `libm`, which computes the same on every processor.
pub(in crate::plan) fn table(
    x: QuantParams,
    functions: &[Unary],
    y: QuantParams,
) -> Box<[u8; 256]> {
    Box::new(std::array::from_fn(|value| {
        let x = x.dequantise_f64(value as u8);
        y.quantise_f64(functions.iter().fold(x, |x, &function| apply(function, x)))
    }))
}

fn apply(function: Unary, x: f64) -> f64 {
    match function {
        Unary::Relu => x.max(0.0),
        Unary::LeakyRelu { alpha } => x.max(0.0) + f64::from(alpha) * x.min(0.0),
        Unary::Sigmoid => 1.0 / (1.0 + libm::exp(-x)),
        Unary::HardSigmoid { alpha, beta } => {
            (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
        }
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::Tanh => libm::tanh(x),
        Unary::Clip { min, max } => x.max(min.into()).min(max.into()),
        Unary::Sqrt => x.sqrt(),
        Unary::Exp => libm::exp(x),
        Unary::Reciprocal => x.recip(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_functions() {
        struct Case(&'static str, Unary, QuantParams, QuantParams, [u8; 4]);
        let params = |scale, zero_point| QuantParams { scale, zero_point };
        // Of the quantised values 0, 100, 128 and 255.
        let cases = [
            Case(
                "relu",
                Unary::Relu,
                params(0.5, 100),
                params(0.5, 0),
                [0, 0, 28, 155],
            ),
            Case(
                "half to even",
                Unary::Relu,
                params(0.5, 1),
                params(1.0, 0),
                [0, 50, 64, 127],
            ),
            Case(
                "sigmoid",
                Unary::Sigmoid,
                params(0.0625, 128),
                params(1.0 / 256.0, 0),
                // 256 * sigmoid of -8, -1.75, 0, 7.9375.
                [0, 38, 128, 255],
            ),
            Case(
                "same",
                Unary::Clip {
                    min: -9e9,
                    max: 9e9,
                },
                params(0.1, 7),
                params(0.1, 7),
                [0, 100, 128, 255],
            ),
            Case(
                "nothing below 0",
                Unary::Sqrt,
                params(1.0, 100),
                params(0.5, 4),
                [4, 4, 15, 29],
            ),
            Case(
                "1 / 0",
                Unary::Reciprocal,
                params(1.0, 100),
                params(0.01, 4),
                [3, 255, 8, 5],
            ),
        ];
        for Case(name, function, x, y, wanted) in cases {
            let table = table(x, &[function], y);
            assert_eq!(
                [0, 100, 128, 255].map(|value| table[value]),
                wanted,
                "{name}"
            );
        }
    }
}
