//! The operators against ONNX Runtime, on the cases that the reference executor is compared with.

use super::*;
use crate::torch::tensor::{from_tch, to_tch};
use case::cases;
use network::tensor::{DType, Tensor as Ours};

#[path = "../../../../network/tests/reference/case.rs"]
mod case;

/// Relative to the number or to 1, whichever is larger: both sides compute in f32, in their own
/// orders.
const TOLERANCE: f32 = 4e-6;

fn computed(op: &Op, inputs: &[&Ours], shapes: &[Vec<i64>]) -> Result<Vec<Ours>> {
    let inputs: Vec<Tensor> = inputs.iter().map(|x| to_tch(x)).collect::<Result<_>>()?;
    let call = Call {
        inputs: &inputs.iter().collect::<Vec<_>>(),
        shapes,
        mode: Mode::Eval,
        precision: Precision::F32,
    };
    compute(op, &call)?.iter().map(from_tch).collect()
}

#[test]
fn every_float_case_agrees_with_onnx_runtime() {
    let (mut compared, mut quantised, mut wrong) = (0, 0, Vec::new());
    for case in cases() {
        let difference = case.difference(|op, inputs, shapes| {
            if inputs.iter().any(|x| x.dtype() != DType::F32)
                || op.onnx_name().ends_with("izeLinear")
            {
                return Err("quantised".to_owned());
            }
            let shapes: Vec<Vec<i64>> = shapes.iter().map(|s| sizes(s)).collect();
            computed(op, inputs, &shapes).map_err(|error| error.to_string())
        });
        match difference {
            Ok(difference) if difference <= TOLERANCE => compared += 1,
            Ok(difference) => wrong.push(format!("{}: off by {difference:e}", case.title())),
            Err(reason) if reason == "quantised" => quantised += 1,
            Err(reason) => wrong.push(format!("{}: {reason}", case.title())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{compared} cases compared, {quantised} of other types");
    assert!(compared > 250, "{compared}");
}

/// What oneDNN gets wrong is not given to it: see [`FEW`]. The gradient against one computed by hand,
/// several times, so that broken memory shows.
#[test]
fn a_strided_point_of_few_channels_has_its_gradient() {
    let conv = Conv {
        strides: [2, 2],
        ..Conv::pointwise()
    };
    for _ in 0..4 {
        let x = Tensor::randn([4, 3, 64, 32], (Kind::Float, tch::Device::Cpu));
        let x = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let weight = Tensor::randn([48, 3, 1, 1], (Kind::Float, tch::Device::Cpu));
        let weight = weight.set_requires_grad(true);
        let call = Call {
            inputs: &[&x, &weight],
            shapes: &[vec![4, 48, 32, 16]],
            mode: Mode::Train,
            precision: Precision::F32,
        };
        let y = compute(&Op::Conv(conv.clone()), &call).unwrap().remove(0);
        assert_eq!(y.size(), [4, 48, 32, 16]);
        y.sum(Kind::Float).backward();
        // Every output adds the pixel that it stands on.
        let seen = x.slice(2, 0, None, 2).slice(3, 0, None, 2);
        let wanted = seen.sum_dim_intlist([0i64, 2, 3].as_slice(), false, Kind::Float);
        let found = weight.grad().reshape([48, 3]);
        let off = (found - wanted.unsqueeze(0)).abs().max().double_value(&[]);
        assert!(off < 1e-2, "{off}");
    }
}

#[test]
fn gradients_pass_straight_through_rounding_and_stop_at_the_ends() {
    let x = Tensor::from_slice(&[-0.3f32, 0.26, 0.24, 9.0]).set_requires_grad(true);
    let scale = Tensor::from_slice(&[0.5f32]).reshape([0i64; 0]);
    let zero = Tensor::from_slice(&[10u8]).reshape([0i64; 0]);
    let call = Call {
        inputs: &[&x, &scale, &zero],
        shapes: &[vec![4]],
        mode: Mode::Train,
        precision: Precision::F32,
    };
    let y = compute(&Op::QuantizeLinear { axis: 0 }, &call)
        .unwrap()
        .remove(0);
    (&y * Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0]))
        .sum(Kind::Float)
        .backward();
    assert_eq!(Vec::<f32>::try_from(&y).unwrap(), [-0.5, 0.5, 0.0, 9.0]);
    assert_eq!(
        Vec::<f32>::try_from(x.grad()).unwrap(),
        [1.0, 2.0, 3.0, 4.0]
    );
    // Beyond the last code nothing is to be gained.
    let x = Tensor::from_slice(&[-5.1f32, -6.0, 122.5, 123.0]).set_requires_grad(true);
    let call = Call {
        inputs: &[&x, &scale, &zero],
        ..call
    };
    let y = compute(&Op::QuantizeLinear { axis: 0 }, &call)
        .unwrap()
        .remove(0);
    y.sum(Kind::Float).backward();
    assert_eq!(
        Vec::<f32>::try_from(&y).unwrap(),
        [-5.0, -5.0, 122.5, 122.5]
    );
    assert_eq!(
        Vec::<f32>::try_from(x.grad()).unwrap(),
        [1.0, 0.0, 1.0, 0.0]
    );
}
