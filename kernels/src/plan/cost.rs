//! What each step costs.

use super::{FloatOperand, Plan, StepKind, TensorKind};
use network::graph::Op;
use network::tensor::{DType, Tensor};

/// Counts for one image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCost {
    /// Multiply-accumulates of convolutions and matrix products.
    pub macs: u64,
    /// Bytes read from slots.
    pub read: u64,
    /// Bytes written to slots.
    pub written: u64,
    /// Bytes of weights, biases, scales and tables.
    pub constants: u64,
}

impl Plan {
    /// What each step costs, in their order.
    #[must_use]
    pub fn costs(&self) -> Vec<StepCost> {
        self.steps
            .iter()
            .map(|step| self.cost(&step.kind))
            .collect()
    }

    fn cost(&self, step: &StepKind) -> StepCost {
        let bytes = |id| {
            let kind = &self.tensor(id).kind;
            let each = match kind {
                TensorKind::Quantised { .. } => 1,
                TensorKind::Float { .. } => 4,
            };
            (kind.len(1) * each) as u64
        };
        let mut read: u64 = step.reads().into_iter().map(bytes).sum();
        if matches!(step, StepKind::Pixels(_) | StepKind::Normalise(_)) {
            read += (3 * self.image[0] * self.image[1]) as u64;
        }
        let written: u64 = step.writes().iter().copied().map(bytes).sum();
        let (macs, constants) = match step {
            StepKind::Conv(conv) => {
                let filters = conv.bias.len();
                let pixels = self.tensor(conv.out).kind.len(1) / filters;
                let words = if conv.residual.is_some() { 4 } else { 2 };
                let macs = (pixels * conv.weight.len()) as u64;
                (macs, (conv.weight.len() + 4 * words * filters) as u64)
            }
            StepKind::Pixels(_) => (0, 3 * 256),
            StepKind::Normalise(_) => (0, 4 * 3 * 256),
            StepKind::Table(_) => (0, 256),
            StepKind::Float(float) => {
                let constants = float.operands.iter().filter_map(|operand| match operand {
                    FloatOperand::Constant(index) => Some(&self.constants[*index]),
                    FloatOperand::Tensor(_) => None,
                });
                let bytes = constants.map(|tensor| (tensor.len() * size_of(tensor)) as u64);
                let out = self.tensor(float.outs[0]).kind.len(1);
                // Each output element is a sum over the taps of one filter, or over a row.
                let each = |index: usize| match float.operands[index] {
                    FloatOperand::Constant(index) => self.constants[index].shape().to_vec(),
                    FloatOperand::Tensor(id) => self.tensor(id).kind.real(1).unwrap_or_default(),
                };
                let taps = match &float.op {
                    Op::Conv(_) => each(1)[1..].iter().product(),
                    Op::Gemm(gemm) => each(0)[usize::from(!gemm.trans_a)],
                    Op::MatMul => each(0).last().copied().unwrap_or(0),
                    _ => 0,
                };
                ((out * taps) as u64, bytes.sum())
            }
            _ => (0, 0),
        };
        StepCost {
            macs,
            read,
            written,
            constants,
        }
    }
}

fn size_of(tensor: &Tensor) -> usize {
    match tensor.dtype() {
        DType::U8 | DType::I8 => 1,
        DType::F32 | DType::I32 => 4,
        DType::I64 => 8,
    }
}
