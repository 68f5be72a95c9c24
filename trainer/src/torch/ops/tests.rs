//! The operators against ONNX Runtime, on the cases that the reference executor is compared with.

use super::*;
use crate::torch::tensor::{from_tch, to_tch};
use case::cases;
use kernels::tensor::{DType, Tensor as Ours};

#[path = "../../../../kernels/tests/reference/case.rs"]
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
