//! From a graph to steps, node by node.
//!
//! Of each value of the graph one of several things is known, and sometimes two: it is codes in a
//! slot ([`Codes`]), a real number in a slot or a constant, weights in integers that nobody has
//! dequantised yet, or it is pending: a [`Formula`] that could become one exact step if a
//! `QuantizeLinear` asks for it. If anything else asks, its nodes become float steps.
//!
//! So the pairs of `QuantizeLinear` and `DequantizeLinear` cost nothing, and every graph can be
//! planned: what has no exact step is computed as it stands.

mod formula;
mod layout;
mod weights;

use std::borrow::Cow;
use std::collections::HashMap;

use super::derive::{pixels, table, windows};
use super::{
    Buffer, Dequantise, Float, FloatOperand, Mean, Normalise, Pixels, Plan, Quantise, Step,
    StepKind, Table, TensorId, TensorKind, TensorView, buffers,
};
use formula::Formula;
use layout::Quantised;
use network::graph::{Dim, Fact, Graph, Node, Op, Operand, ParamId, ValueId};
use network::metadata::Preprocessing;
use network::quant::QuantParams;
use network::reference;
use network::tensor::{DType, Data, Tensor};
use network::{Error, Result};

/// A graph on its way into a plan.
pub(super) struct Lowering<'a> {
    graph: &'a Graph,
    preprocessing: &'a Preprocessing,
    steps: Vec<Step>,
    tensors: Vec<TensorView>,
    constants: Vec<Tensor>,
    params: HashMap<ParamId, usize>,
    uses: Vec<usize>,
    /// What is known of each value of the graph.
    known: Vec<Known>,
}

/// What is known of a value.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The value is, or dequantises, these codes.
    codes: Option<Quantised>,
    real: Option<FloatOperand>,
    /// Computed from parameters alone.
    folded: Option<Tensor>,
    /// The node that dequantises it, from constants.
    weights: Option<usize>,
    pending: Option<Formula>,
}

/// Plans `graph`, which has one output and nothing that this does not need.
pub(super) fn lower(graph: &Graph, preprocessing: &Preprocessing) -> Result<Plan> {
    let mut lowering = Lowering {
        graph,
        preprocessing,
        steps: Vec::new(),
        tensors: Vec::new(),
        constants: Vec::new(),
        params: HashMap::new(),
        uses: graph.uses(),
        known: vec![Known::default(); graph.values().len()],
    };
    for index in 0..graph.nodes().len() {
        lowering.node(index)?;
    }
    let FloatOperand::Tensor(output) = lowering.real(graph.outputs()[0].value)? else {
        return Err(Error::Argument(format!(
            "the output `{}` does not depend on the image",
            graph.outputs()[0].name
        )));
    };
    Ok(lowering.finish(output))
}

impl<'a> Lowering<'a> {
    fn finish(mut self, output: TensorId) -> Plan {
        let buffers: Vec<Buffer> = buffers::assign(&self.steps, &mut self.tensors, output);
        let real = |step: &Step| {
            let writes = step.kind.writes();
            writes
                .iter()
                .any(|id| self.tensors[id.0].kind.codes().is_none())
        };
        let exact_until = self.steps.iter().position(real).unwrap_or(self.steps.len());
        let [_, height, width] = self.graph.input_size();
        Plan {
            steps: self.steps,
            tensors: self.tensors,
            buffers,
            constants: self.constants,
            output,
            image: [height, width],
            exact_until,
        }
    }

    fn node(&mut self, index: usize) -> Result<()> {
        let graph = self.graph;
        let node = &graph.nodes()[index];
        if self.fold(index)? {
            return Ok(());
        }
        match &node.op {
            Op::QuantizeLinear { .. } => return self.quantise(node),
            Op::DequantizeLinear { .. } => return self.dequantise(node),
            _ => {}
        }
        if self.rearrange(node)? {
            return Ok(());
        }
        match self.formula(index) {
            Some(formula) if self.uses[node.outputs[0].index()] == 1 => {
                self.known[node.outputs[0].index()].pending = Some(formula);
                Ok(())
            }
            Some(formula) => self.compute(&formula),
            None => self.float(index),
        }
    }

    /// Computes a node of constants, and says whether it is one. What dequantises weights waits
    /// until somebody wants real ones.
    fn fold(&mut self, index: usize) -> Result<bool> {
        let node = &self.graph.nodes()[index];
        let out = node.outputs[0];
        let batch = self.graph.value(out).fact.shape.contains(&Dim::Batch);
        if batch || node.inputs.is_empty() || !node.inputs.iter().all(|&x| self.is_constant(x)) {
            return Ok(false);
        }
        // One whose own scale is dequantised does not: waiting for each other, a file's worth of
        // them could wait deeper than the stack.
        let waits = |&operand: &Operand| match operand {
            Operand::Param(_) => false,
            Operand::Value(id) => self.known[id.index()].weights.is_some(),
        };
        if matches!(node.op, Op::DequantizeLinear { .. }) && !node.inputs.iter().any(waits) {
            self.known[out.index()].weights = Some(index);
            return Ok(true);
        }
        let tensors = self.evaluated(node)?;
        for (out, tensor) in node.outputs.iter().zip(tensors) {
            self.known[out.index()].folded = Some(tensor);
        }
        Ok(true)
    }

    /// What a node computes of constants.
    fn evaluated(&self, node: &Node) -> Result<Vec<Tensor>> {
        let inputs: Vec<Cow<'_, Tensor>> = (node.inputs.iter())
            .map(|&operand| self.constant(operand))
            .collect::<Result<_>>()?;
        let inputs: Vec<&Tensor> = inputs.iter().map(Cow::as_ref).collect();
        reference::eval(&node.name, &node.op, &inputs)
    }

    fn is_constant(&self, operand: Operand) -> bool {
        match operand {
            Operand::Param(_) => true,
            Operand::Value(id) => {
                let known = &self.known[id.index()];
                known.folded.is_some() || known.weights.is_some()
            }
        }
    }

    /// The tensor of an operand that [is constant](Self::is_constant).
    fn constant(&self, operand: Operand) -> Result<Cow<'_, Tensor>> {
        let id = match operand {
            Operand::Param(id) => return Ok(Cow::Borrowed(self.graph.tensor(id))),
            Operand::Value(id) => id,
        };
        match &self.known[id.index()] {
            Known {
                folded: Some(tensor),
                ..
            } => Ok(Cow::Borrowed(tensor)),
            Known {
                weights: Some(index),
                ..
            } => {
                let node = &self.graph.nodes()[*index];
                Ok(Cow::Owned(self.evaluated(node)?.swap_remove(0)))
            }
            _ => Err(unsupported(
                &self.graph.nodes()[self.graph.producer(id).unwrap_or(0)],
                "must compute a constant",
            )),
        }
    }

    /// The meaning of codes that `node` writes or reads: one scale and one zero point, of u8, or of
    /// s8 (the same codes, 128 lower).
    fn params(&self, node: &Node) -> Result<QuantParams> {
        let constant = |index: usize, what: &str| match node.inputs.get(index) {
            Some(&operand) if self.is_constant(operand) => self.constant(operand),
            _ => Err(unsupported(node, format!("its {what} must be a constant"))),
        };
        let scale = constant(1, "scale")?;
        let Some(&[scale]) = scale.as_f32() else {
            return Err(unsupported(
                node,
                format!("activations have one scale, found {:?}", scale.shape()),
            ));
        };
        if !(scale.is_normal() && scale > 0.0) {
            let reason = format!("its scale is {scale}, wanted a positive normal number");
            return Err(unsupported(node, reason));
        }
        let zero_point = match node.inputs.len() {
            2 => Data::U8(vec![0]),
            _ => constant(2, "zero point")?.data().clone(),
        };
        let zero_point = match zero_point {
            Data::U8(z) => z[0],
            Data::I8(z) => z[0].cast_unsigned() ^ 0x80,
            _ => {
                let found = self.graph.fact(node.inputs[2]).dtype;
                let reason = format!("activations are U8 or I8, found {found:?}");
                return Err(unsupported(node, reason));
            }
        };
        Ok(QuantParams { scale, zero_point })
    }

    fn quantise(&mut self, node: &Node) -> Result<()> {
        let params = self.params(node)?;
        let Operand::Value(x) = node.inputs[0] else {
            return Err(unsupported(
                node,
                "its input is a constant of the batch's size",
            ));
        };
        let out = node.outputs[0];
        if x == self.graph.input() {
            let view = self.codes_slot(x, params);
            self.step(
                "pixels",
                StepKind::Pixels(Pixels {
                    sample: pixels::samples(self.preprocessing),
                    table: pixels::codes(self.preprocessing, params),
                    out: view,
                }),
            );
            self.set_codes(out, view);
            return Ok(());
        }
        if let Some(formula) = self.known[x.index()].pending.take() {
            if let Some(view) = self.exact(&formula, x, params) {
                self.set_codes(out, view);
                return Ok(());
            }
            self.compute(&formula)?;
        }
        // Codes of one meaning are themselves; in another, a table.
        if let Some(codes) = &self.known[x.index()].codes {
            if self.tensors[codes.view.0]
                .kind
                .codes()
                .map(|(_, params)| params)
                == Some(params)
            {
                self.known[out.index()].codes = Some(codes.clone());
                return Ok(());
            }
            if let Some((input, x_params)) = self.image(x) {
                let view = self.codes_slot(x, params);
                let table = table::table(x_params, &[], params);
                let table = StepKind::Table(Table {
                    input,
                    table,
                    out: view,
                });
                self.step(&node.name, table);
                self.set_codes(out, view);
                return Ok(());
            }
        }
        let FloatOperand::Tensor(input) = self.real(x)? else {
            return Err(unsupported(node, "its input does not depend on the image"));
        };
        if size_of(&self.graph.value(x).fact).is_none() {
            let reason = "codes are [N, C, H, W] or [N, C], its input is neither";
            return Err(unsupported(node, reason));
        }
        let view = self.codes_slot(x, params);
        self.step(
            &node.name,
            StepKind::Quantise(Quantise { input, out: view }),
        );
        self.set_codes(out, view);
        Ok(())
    }

    fn dequantise(&mut self, node: &Node) -> Result<()> {
        let params = self.params(node)?;
        let (Operand::Value(x), [out]) = (node.inputs[0], node.outputs.as_slice()) else {
            return Err(unsupported(
                node,
                "its input is a constant of the batch's size",
            ));
        };
        let codes = self.known[x.index()].codes.clone();
        let codes =
            codes.ok_or_else(|| unsupported(node, "reads what no QuantizeLinear writes"))?;
        let written = self.tensors[codes.view.0].kind.codes();
        if written.map(|(_, written)| written) != Some(params) {
            let reason = "its scale or zero point is not that of the QuantizeLinear that it reads";
            return Err(unsupported(node, reason));
        }
        self.known[out.index()].codes = Some(codes);
        Ok(())
    }

    /// Where a value is as a real number; computes it if nobody has yet.
    fn real(&mut self, value: ValueId) -> Result<FloatOperand> {
        if let Some(operand) = self.known[value.index()].real {
            return Ok(operand);
        }
        let operand = if value == self.graph.input() {
            let out = self.real_slot(value)?;
            self.step(
                "normalise",
                StepKind::Normalise(Normalise {
                    sample: pixels::samples(self.preprocessing),
                    table: pixels::numbers(self.preprocessing),
                    out,
                }),
            );
            FloatOperand::Tensor(out)
        } else if let Some(formula) = self.known[value.index()].pending.take() {
            self.compute(&formula)?;
            return self.real(value);
        } else if self.is_constant(value.into()) {
            let tensor = self.constant(value.into())?.into_owned();
            self.constants.push(tensor);
            FloatOperand::Constant(self.constants.len() - 1)
        } else if let Some(codes) = self.known[value.index()].codes.clone() {
            FloatOperand::Tensor(self.dequantised(value, &codes)?)
        } else {
            return Err(Error::Argument(format!(
                "nothing computes the value `{}`",
                self.graph.value(value).name
            )));
        };
        self.known[value.index()].real = Some(operand);
        Ok(operand)
    }

    /// A step that makes codes real numbers, and one more if they have no image's shape.
    fn dequantised(&mut self, value: ValueId, codes: &Quantised) -> Result<TensorId> {
        let name = self.graph.value(value).name.clone();
        let input = self.ordered(&name, codes);
        let out = if self.image(value).is_some() {
            self.real_slot(value)?
        } else {
            let size = self.tensors[input.0].kind.codes().map(|(size, _)| size);
            let [height, width, channels] = size.expect("codes lie in slots of codes");
            let shape = [channels, height, width].map(Dim::Fixed);
            let shape = std::iter::once(Dim::Batch).chain(shape).collect();
            self.tensor(&name, TensorKind::Float { shape })
        };
        self.step(&name, StepKind::Dequantise(Dequantise { input, out }));
        if self.image(value).is_some() {
            return Ok(out);
        }
        let shaped = self.real_slot(value)?;
        let shape = self.graph.value(value).fact.shape.clone();
        let reshape = Float {
            op: Op::Reshape { shape },
            operands: vec![FloatOperand::Tensor(out)],
            outs: vec![shaped],
        };
        self.step(&name, StepKind::Float(reshape));
        Ok(shaped)
    }

    /// A node as a float step.
    fn float(&mut self, index: usize) -> Result<()> {
        let node = &self.graph.nodes()[index];
        let mut operands = Vec::new();
        for &operand in &node.inputs {
            operands.push(match operand {
                Operand::Value(id) => self.real(id)?,
                Operand::Param(id) => self.param(id),
            });
        }
        let outs: Vec<TensorId> = (node.outputs.iter())
            .map(|&out| self.real_slot(out))
            .collect::<Result<_>>()?;
        for (value, &out) in node.outputs.iter().zip(&outs) {
            self.known[value.index()].real = Some(FloatOperand::Tensor(out));
        }
        let float = Float {
            op: node.op.clone(),
            operands,
            outs,
        };
        self.step(&node.name, StepKind::Float(float));
        Ok(())
    }

    /// The mean of each channel of codes, as a real number.
    fn mean(&mut self, node: &Node, input: TensorId) -> Result<bool> {
        let Some(([height, width, _], params)) = self.tensors[input.0].kind.codes() else {
            return Ok(false);
        };
        let area = height * width;
        if !windows::sums_exactly(area) {
            return Ok(false);
        }
        let value = node.outputs[0];
        let out = self.real_slot(value)?;
        let mean = Mean {
            input,
            scale: (f64::from(params.scale) / area as f64) as f32,
            out,
        };
        self.step(&node.name, StepKind::Mean(mean));
        self.known[value.index()].real = Some(FloatOperand::Tensor(out));
        Ok(true)
    }

    fn param(&mut self, id: ParamId) -> FloatOperand {
        let index = *self.params.entry(id).or_insert_with(|| {
            self.constants.push(self.graph.tensor(id).clone());
            self.constants.len() - 1
        });
        FloatOperand::Constant(index)
    }

    fn step(&mut self, name: &str, kind: StepKind) {
        let name = name.to_owned();
        self.steps.push(Step { name, kind });
    }

    fn tensor(&mut self, name: &str, kind: TensorKind) -> TensorId {
        self.tensors.push(TensorView {
            name: name.to_owned(),
            kind,
            buffer: 0,
        });
        TensorId(self.tensors.len() - 1)
    }

    /// A slot for the codes of a value, which is an image or a vector.
    fn codes_slot(&mut self, value: ValueId, params: QuantParams) -> TensorId {
        let value = self.graph.value(value);
        let size = size_of(&value.fact).expect("the caller has seen an image or a vector");
        self.tensor(&value.name, TensorKind::Quantised { size, params })
    }

    /// A slot for a value as real numbers.
    fn real_slot(&mut self, value: ValueId) -> Result<TensorId> {
        let described = self.graph.value(value);
        let Fact { dtype, shape } = &described.fact;
        let batches = shape.iter().filter(|&&dim| dim == Dim::Batch).count();
        if *dtype != DType::F32 || batches > 1 {
            let node = self.graph.producer(value).unwrap_or(0);
            let reason = format!(
                "`{}` is {dtype:?} with {batches} dimensions of the batch; wanted F32 and one",
                described.name
            );
            return Err(unsupported(&self.graph.nodes()[node], reason));
        }
        let shape = shape.clone();
        Ok(self.tensor(&described.name, TensorKind::Float { shape }))
    }

    fn set_codes(&mut self, value: ValueId, view: TensorId) {
        let shape = self.graph.value(value).fact.shape_for(1)[1..].to_vec();
        self.known[value.index()].codes = Some(Quantised {
            view,
            shape,
            order: None,
        });
    }
}

/// Height, width and channels of `[N, C, H, W]` and of `[N, C]`; none for other shapes.
fn size_of(fact: &Fact) -> Option<[usize; 3]> {
    match fact.shape[..] {
        [Dim::Batch, Dim::Fixed(c), Dim::Fixed(h), Dim::Fixed(w)] => Some([h, w, c]),
        [Dim::Batch, Dim::Fixed(c)] => Some([1, 1, c]),
        _ => None,
    }
}

fn unsupported(node: &Node, reason: impl Into<String>) -> Error {
    Error::Unsupported {
        node: node.name.clone(),
        op: node.op.onnx_name().to_owned(),
        reason: reason.into(),
    }
}
