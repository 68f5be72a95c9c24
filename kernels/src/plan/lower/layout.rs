//! What only moves codes, or picks some: such a node is a step of its own or none at all, and its
//! result has the meaning of its input. It needs no `QuantizeLinear` behind it; one of the same
//! scale and zero point changes nothing.

use super::Lowering;
use crate::plan::derive::windows::Windows;
use crate::plan::{Channels, Crop, MaxPool, Pad, Run, StepKind, TensorId};
use network::Result;
use network::graph::{Dim, Node, Op, Operand, ValueId};
use network::quant::QuantParams;

/// A value as codes: the channels of a slot, in an order, under a shape.
///
/// The slot is `[N, height, width, channels]`; the value is `[N, shape]`. Row by row, its elements
/// are, for each channel of `order`, the pixels of the slot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantised {
    pub(super) view: TensorId,
    /// Without the batch.
    pub(super) shape: Vec<usize>,
    /// Which channel of the slot each channel of the value is; none for all in their order.
    pub(super) order: Option<Vec<usize>>,
}

impl Lowering<'_> {
    /// Plans a node that only moves codes, and says whether it is one.
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
                let Some((input, size, params)) = self.first_image(node) else {
                    return Ok(false);
                };
                let shape = self.graph.value(node.outputs[0]).fact.shape_for(1);
                let [rows, columns] = [0, 1].map(|axis| {
                    Windows::of(pool, axis, size[axis], shape[2 + axis], true).unclassed()
                });
                let out = self.codes_slot(node.outputs[0], params);
                let pool = MaxPool {
                    input,
                    rows,
                    columns,
                    out,
                };
                self.moved(node, node.outputs[0], StepKind::MaxPool(pool), out);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// The slot and the meaning of a value that is codes and an image or a vector.
    pub(super) fn image(&mut self, value: ValueId) -> Option<(TensorId, QuantParams)> {
        let codes = self.known[value.index()].codes.clone()?;
        let ([height, width, channels], params) = self.tensors[codes.view.0].kind.codes()?;
        let same = match codes.shape[..] {
            [c, h, w] => [c, h, w] == [channels, height, width],
            [c] => [c, 1, 1] == [channels, height, width],
            _ => false,
        };
        if !same {
            return None;
        }
        let name = self.graph.value(value).name.clone();
        let view = self.ordered(&name, &codes);
        self.known[value.index()].codes = Some(Quantised {
            view,
            order: None,
            ..codes
        });
        Some((view, params))
    }

    /// A slot that has the channels of `codes` in their order.
    pub(super) fn ordered(&mut self, name: &str, codes: &Quantised) -> TensorId {
        let Some(order) = &codes.order else {
            return codes.view;
        };
        let kind = self.tensors[codes.view.0].kind.clone();
        let out = self.tensor(name, kind);
        let channels = Channels {
            inputs: vec![codes.view],
            runs: runs(order),
            out,
        };
        self.step(name, StepKind::Channels(channels));
        out
    }

    fn first_image(&mut self, node: &Node) -> Option<(TensorId, [usize; 3], QuantParams)> {
        let Operand::Value(x) = node.inputs[0] else {
            return None;
        };
        let (input, params) = self.image(x)?;
        let (size, _) = self.tensors[input.0].kind.codes()?;
        Some((input, size, params))
    }

    fn moved(&mut self, node: &Node, value: ValueId, kind: StepKind, out: TensorId) {
        self.step(&node.name, kind);
        self.set_codes(value, out);
    }

    /// The input's codes, and the shape of the result without the batch.
    fn shapes(&self, node: &Node) -> Option<(Quantised, [usize; 3], Vec<usize>)> {
        let Operand::Value(x) = node.inputs[0] else {
            return None;
        };
        let codes = self.known[x.index()].codes.clone()?;
        let (size, _) = self.tensors[codes.view.0].kind.codes()?;
        match self.graph.value(node.outputs[0]).fact.shape.split_first()? {
            (Dim::Batch, rest) => {
                let shape = rest.iter().map(|dim| dim.fixed()).collect::<Option<_>>()?;
                Some((codes, size, shape))
            }
            _ => None,
        }
    }

    /// Another shape of the same elements. Pixels must stay together; one pixel always does.
    fn reshape(&mut self, node: &Node) -> bool {
        let Some((codes, [height, width, _], shape)) = self.shapes(node) else {
            return false;
        };
        if height * width > 1 && !shape.ends_with(&[height, width]) {
            return false;
        }
        self.known[node.outputs[0].index()].codes = Some(Quantised { shape, ..codes });
        true
    }

    /// Channels in another order, as a shuffle of groups is written.
    fn transpose(&mut self, node: &Node, perm: &[usize]) -> bool {
        let Some((codes, [height, width, channels], shape)) = self.shapes(node) else {
            return false;
        };
        let rank = codes.shape.len();
        // Dimensions of the channels; those of the pixels must stay where they are.
        let moving = if height * width > 1 { rank - 2 } else { rank };
        if perm
            .iter()
            .enumerate()
            .any(|(i, &from)| i != from && (i == 0 || i > moving))
        {
            return false;
        }
        let extents = &codes.shape[..moving];
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
            "a value has every channel of its slot"
        );
        if let Some(before) = &codes.order {
            order = order.into_iter().map(|channel| before[channel]).collect();
        }
        let plain = order.iter().copied().eq(0..channels);
        self.known[node.outputs[0].index()].codes = Some(Quantised {
            view: codes.view,
            shape,
            order: (!plain).then_some(order),
        });
        true
    }

    fn concat(&mut self, node: &Node) -> bool {
        let mut inputs = Vec::new();
        let mut runs = Vec::new();
        let mut meaning = None;
        for (i, &operand) in node.inputs.iter().enumerate() {
            let Operand::Value(x) = operand else {
                return false;
            };
            let Some((view, params)) = self.image(x) else {
                return false;
            };
            if *meaning.get_or_insert(params) != params {
                return false;
            }
            let Some(([_, _, len], _)) = self.tensors[view.0].kind.codes() else {
                return false;
            };
            inputs.push(view);
            runs.push(Run {
                input: i,
                start: 0,
                len,
            });
        }
        let Some(params) = meaning else {
            return false;
        };
        let out = self.codes_slot(node.outputs[0], params);
        let channels = Channels { inputs, runs, out };
        self.moved(node, node.outputs[0], StepKind::Channels(channels), out);
        true
    }

    /// One piece, `start..end`, along a dimension for each value that the node writes.
    fn cut(&mut self, node: &Node, axis: usize, pieces: &[(usize, usize)], step: usize) -> bool {
        let Some((input, _, params)) = self.first_image(node) else {
            return false;
        };
        if axis == 0 {
            return false;
        }
        for (&value, &(start, end)) in node.outputs.iter().zip(pieces) {
            let out = self.codes_slot(value, params);
            let kind = if axis == 1 {
                let channels: Vec<usize> = (start..end).step_by(step).collect();
                StepKind::Channels(Channels {
                    inputs: vec![input],
                    runs: runs(&channels),
                    out,
                })
            } else {
                let mut crop = Crop {
                    input,
                    start: [0, 0],
                    step: [1, 1],
                    out,
                };
                crop.start[axis - 2] = start;
                crop.step[axis - 2] = step;
                StepKind::Crop(crop)
            };
            self.moved(node, value, kind, out);
        }
        true
    }

    /// A border, if the codes have its number.
    fn pad(&mut self, node: &Node, pads: &[(usize, usize)], value: f32) -> bool {
        let Some((input, _, params)) = self.first_image(node) else {
            return false;
        };
        let code = params.code(value.into());
        if params.number(code) != f64::from(value) {
            return false;
        }
        let before = match *pads {
            [(0, 0), (c, _), (h, _), (w, _)] => [h, w, c],
            [(0, 0), (c, _)] => [0, 0, c],
            _ => return false,
        };
        let out = self.codes_slot(node.outputs[0], params);
        let pad = Pad {
            input,
            before,
            value: code,
            out,
        };
        self.moved(node, node.outputs[0], StepKind::Pad(pad), out);
        true
    }
}

/// Channels of one input as runs, as long as they can be.
fn runs(channels: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for &channel in channels {
        match runs.last_mut() {
            Some(run) if run.start + run.len == channel => run.len += 1,
            _ => runs.push(Run {
                input: 0,
                start: channel,
                len: 1,
            }),
        }
    }
    runs
}
