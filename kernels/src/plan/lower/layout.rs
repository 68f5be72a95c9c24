//! Nodes that only move or select quantised values: each is a step of its own or no step at all, and its
//! result has the quantisation parameters of its input. It needs no `QuantizeLinear` after it; one of
//! the same scale and zero point changes nothing.

use super::Lowering;
use crate::plan::derive::windows::Windows;
use crate::plan::{ChannelRange, StepKind, TensorId};
use network::Result;
use network::graph::{Dim, Node, Op, Operand, ValueId};
use network::quant::QuantParams;

/// A value as a quantised tensor: its channels, in an order, under a shape.
///
/// The tensor is `[N, height, width, channels]`; the value is `[N, shape]`. Its elements, row-major,
/// are the pixels of the tensor for each channel of `order`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QuantisedView {
    pub(super) tensor: TensorId,
    /// Without the batch.
    pub(super) shape: Vec<usize>,
    /// For each channel of the value the channel of the tensor; none for all in their order.
    pub(super) order: Option<Vec<usize>>,
}

impl Lowering<'_> {
    /// Plans a node that only moves quantised values, and returns whether it is one.
    pub(super) fn rearrange(&mut self, node: &Node) -> Result<bool> {
        match &node.op {
            Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze { .. } | Op::Unsqueeze { .. } => {
                Ok(self.reshape(node))
            }
            Op::Transpose { perm } => Ok(self.transpose(node, perm)),
            Op::Concat { axis: 1 } => Ok(self.concat(node)),
            Op::Split { axis, sizes } => {
                let mut start = 0;
                let pieces: Vec<_> = (sizes.iter())
                    .map(|&size| {
                        start += size;
                        (start - size, start)
                    })
                    .collect();
                Ok(self.cut(node, *axis, &pieces, 1))
            }
            Op::Slice {
                axis,
                start,
                end,
                step,
            } => Ok(self.cut(node, *axis, &[(*start, *end)], *step)),
            Op::Pad { pads, value } => Ok(self.pad(node, pads, *value)),
            Op::MaxPool(pool) => {
                let Some((input, params)) = self.first_image(node) else {
                    return Ok(false);
                };
                let size = self.size(input);
                let shape = self.graph.value(node.outputs[0]).fact.shape_for(1);
                let [rows, columns] = [0, 1].map(|axis| {
                    Windows::of(pool, axis, size[axis], shape[2 + axis], true).unclassed()
                });
                self.moved(
                    node,
                    0,
                    StepKind::MaxPool { rows, columns },
                    [input],
                    params,
                );
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// A value as a quantised tensor whose channels are in order, if it is an image or a vector.
    pub(super) fn image(&mut self, value: ValueId) -> Option<(TensorId, QuantParams)> {
        let view = self.known[value.index()].quantised.clone()?;
        let [height, width, channels] = self.size(view.tensor);
        let same = match view.shape[..] {
            [c, h, w] => [c, h, w] == [channels, height, width],
            [c] => [c, 1, 1] == [channels, height, width],
            _ => false,
        };
        if !same {
            return None;
        }
        let name = self.graph.value(value).name.clone();
        let tensor = self.ordered(&name, &view);
        self.known[value.index()].quantised = Some(QuantisedView {
            tensor,
            order: None,
            ..view
        });
        Some((tensor, self.params_of(tensor)))
    }

    /// A tensor that has the channels of `view` in their order.
    pub(super) fn ordered(&mut self, name: &str, view: &QuantisedView) -> TensorId {
        let Some(order) = &view.order else {
            return view.tensor;
        };
        let out = self.tensor(name, self.tensors[view.tensor.0].kind.clone());
        self.step(
            name,
            StepKind::Channels(ranges(order)),
            [view.tensor],
            [out],
        );
        out
    }

    fn first_image(&mut self, node: &Node) -> Option<(TensorId, QuantParams)> {
        match node.inputs[0] {
            Operand::Value(x) => self.image(x),
            Operand::Param(_) => None,
        }
    }

    /// Adds the step that writes the output `index` of `node`.
    fn moved(
        &mut self,
        node: &Node,
        index: usize,
        kind: StepKind,
        inputs: impl Into<Vec<TensorId>>,
        params: QuantParams,
    ) {
        let out = self.quantised_tensor(node.outputs[index], params);
        self.step(&node.name, kind, inputs, [out]);
        self.set_quantised(node.outputs[index], out);
    }

    /// The quantised view of the input, the size of its tensor, and the shape of the result without the batch.
    fn shapes(&self, node: &Node) -> Option<(QuantisedView, [usize; 3], Vec<usize>)> {
        let Operand::Value(x) = node.inputs[0] else {
            return None;
        };
        let view = self.known[x.index()].quantised.clone()?;
        let size = self.size(view.tensor);
        match self.graph.value(node.outputs[0]).fact.shape.split_first()? {
            (Dim::Batch, rest) => {
                let shape = rest.iter().map(|dim| dim.fixed()).collect::<Option<_>>()?;
                Some((view, size, shape))
            }
            _ => None,
        }
    }

    /// Another shape of the same elements. Pixels must stay together; one pixel always does.
    fn reshape(&mut self, node: &Node) -> bool {
        let Some((view, [height, width, _], shape)) = self.shapes(node) else {
            return false;
        };
        if height * width > 1 && !shape.ends_with(&[height, width]) {
            return false;
        }
        self.known[node.outputs[0].index()].quantised = Some(QuantisedView { shape, ..view });
        true
    }

    /// Channels in another order, as a shuffle of groups is written.
    fn transpose(&mut self, node: &Node, perm: &[usize]) -> bool {
        let Some((view, [height, width, channels], shape)) = self.shapes(node) else {
            return false;
        };
        let rank = view.shape.len();
        // Dimensions of the channels; those of the pixels must stay where they are.
        let moving = if height * width > 1 { rank - 2 } else { rank };
        if perm
            .iter()
            .enumerate()
            .any(|(i, &from)| i != from && (i == 0 || i > moving))
        {
            return false;
        }
        let extents = &view.shape[..moving];
        let mut steps = vec![1; moving];
        for i in (1..moving).rev() {
            steps[i - 1] = steps[i] * extents[i];
        }
        let mut order = vec![0];
        for &from in &perm[1..=moving] {
            let (extent, step) = (extents[from - 1], steps[from - 1]);
            let along = |&base: &usize| (0..extent).map(move |i| base + i * step);
            order = order.iter().flat_map(along).collect();
        }
        debug_assert_eq!(
            order.len(),
            channels,
            "a value has every channel of its tensor"
        );
        if let Some(before) = &view.order {
            order = order.into_iter().map(|channel| before[channel]).collect();
        }
        let plain = order.iter().copied().eq(0..channels);
        self.known[node.outputs[0].index()].quantised = Some(QuantisedView {
            shape,
            order: (!plain).then_some(order),
            ..view
        });
        true
    }

    fn concat(&mut self, node: &Node) -> bool {
        let mut inputs = Vec::new();
        let mut ranges = Vec::new();
        let mut common = None;
        for (i, &operand) in node.inputs.iter().enumerate() {
            let Operand::Value(x) = operand else {
                return false;
            };
            let Some((tensor, params)) = self.image(x) else {
                return false;
            };
            if *common.get_or_insert(params) != params {
                return false;
            }
            inputs.push(tensor);
            ranges.push(ChannelRange {
                input: i,
                start: 0,
                len: self.size(tensor)[2],
            });
        }
        let Some(params) = common else {
            return false;
        };
        self.moved(node, 0, StepKind::Channels(ranges), inputs, params);
        true
    }

    /// One piece, `start..end`, along a dimension for each value that the node writes.
    fn cut(&mut self, node: &Node, axis: usize, pieces: &[(usize, usize)], step: usize) -> bool {
        let Some((input, params)) = self.first_image(node) else {
            return false;
        };
        if axis == 0 {
            return false;
        }
        for (index, &(start, end)) in pieces.iter().enumerate() {
            let kind = if axis == 1 {
                let channels: Vec<usize> = (start..end).step_by(step).collect();
                StepKind::Channels(ranges(&channels))
            } else {
                let (mut starts, mut steps) = ([0, 0], [1, 1]);
                starts[axis - 2] = start;
                steps[axis - 2] = step;
                StepKind::Crop {
                    start: starts,
                    step: steps,
                }
            };
            self.moved(node, index, kind, [input], params);
        }
        true
    }

    /// A border, if its value can be quantised exactly.
    fn pad(&mut self, node: &Node, pads: &[(usize, usize)], value: f32) -> bool {
        let Some((input, params)) = self.first_image(node) else {
            return false;
        };
        let quantised = params.quantise_f64(value.into());
        if params.dequantise_f64(quantised) != f64::from(value) {
            return false;
        }
        let before = match *pads {
            [(0, 0), (c, _), (h, _), (w, _)] => [h, w, c],
            [(0, 0), (c, _)] => [0, 0, c],
            _ => return false,
        };
        let pad = StepKind::Pad {
            before,
            value: quantised,
        };
        self.moved(node, 0, pad, [input], params);
        true
    }
}

/// Channels of one input as ranges, as long as possible.
fn ranges(channels: &[usize]) -> Vec<ChannelRange> {
    let mut ranges: Vec<ChannelRange> = Vec::new();
    for &channel in channels {
        match ranges.last_mut() {
            Some(range) if range.start + range.len == channel => range.len += 1,
            _ => ranges.push(ChannelRange {
                input: 0,
                start: channel,
                len: 1,
            }),
        }
    }
    ranges
}
