//! What a network costs: parameters and multiplications for one crop.

use super::{Graph, Node, Op};

/// Counts for one crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Elements of all parameters.
    pub parameters: u64,
    /// Multiply-accumulates of convolutions and matrix products, the count that papers call MACs
    /// (or, wrongly, FLOPs).
    pub macs: u64,
}

impl Graph {
    /// What one crop costs.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let parameters = self
            .params()
            .iter()
            .map(|param| param.tensor.len() as u64)
            .sum();
        let macs = self.nodes().iter().map(|node| self.macs(node));
        Cost {
            parameters,
            macs: macs.fold(0, u64::saturating_add),
        }
    }

    /// Multiply-accumulates of one node of this graph, for one crop; see [`Cost::macs`].
    #[must_use]
    pub fn macs(&self, node: &Node) -> u64 {
        let written: usize = self
            .value(node.outputs[0])
            .fact
            .shape_for(1)
            .iter()
            .product();
        let each = match &node.op {
            // Each output element is a sum over the taps of one filter.
            Op::Conv(_) => self.fact(node.inputs[1]).shape_for(1)[1..].iter().product(),
            Op::Gemm(gemm) => self.fact(node.inputs[0]).shape_for(1)[usize::from(!gemm.trans_a)],
            Op::MatMul => self
                .fact(node.inputs[0])
                .shape_for(1)
                .last()
                .copied()
                .unwrap_or(0),
            _ => 0,
        };
        (written as u64).saturating_mul(each as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Conv, Gemm};
    use crate::tensor::Tensor;

    #[test]
    fn a_conv_and_a_layer_are_counted() {
        let mut graph = Graph::new("net", "x", [3, 8, 4]);
        let weight = graph.param("w", Tensor::zeros([5, 3, 3, 3]).unwrap());
        let conv = Op::Conv(Conv {
            pads: [1; 4],
            strides: [2, 2],
            ..Conv::pointwise()
        });
        let x = graph
            .push1("c", conv, [graph.input().into(), weight.into()])
            .unwrap();
        let x = graph
            .push1("f", Op::Flatten { axis: 1 }, [x.into()])
            .unwrap();
        let weight = graph.param("v", Tensor::zeros([7, 40]).unwrap());
        let gemm = Op::Gemm(Gemm {
            alpha: 1.0,
            beta: 1.0,
            trans_a: false,
            trans_b: true,
        });
        graph.push1("g", gemm, [x.into(), weight.into()]).unwrap();
        let each: Vec<u64> = graph.nodes().iter().map(|node| graph.macs(node)).collect();
        assert_eq!(each, [5 * 4 * 2 * 27, 0, 7 * 40]);
        let macs = 5 * 4 * 2 * 27 + 7 * 40;
        assert_eq!(
            graph.cost(),
            Cost {
                parameters: 5 * 27 + 280,
                macs
            }
        );
    }
}
