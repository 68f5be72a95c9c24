//! From a graph to steps, node by node.
//!
//! Of each value of the graph the lowering knows whether it is a quantised tensor ([`QuantisedView`]), an f32
//! tensor, a constant, integer weights before dequantisation, or pending: a [`Formula`] that becomes one exact step
//! if a `QuantizeLinear` reads it. If anything else reads it, its nodes become float steps. So pairs of
//! `QuantizeLinear` and `DequantizeLinear` cost nothing, and every graph can be planned.

mod formula;
mod layout;
mod weights;

use std::borrow::Cow;
use std::collections::HashMap;

use super::derive::{pixels, table, windows};
use super::{
    FloatOperand, FloatStep, Plan, Step, StepKind, TensorId, TensorKind, TensorView, buffers,
};
use formula::Formula;
use layout::QuantisedView;
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
    /// The value is, or dequantises, this quantised tensor.
    quantised: Option<QuantisedView>,
    float: Option<FloatOperand>,
    /// Computed from parameters alone.
    folded: Option<Tensor>,
    /// The node that dequantises it, from constants.
    weights: Option<usize>,
    pending: Option<Formula>,
}

/// Plans `graph`, which has one output and no node that the output does not need.
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
    let FloatOperand::Tensor(output) = lowering.float_operand(graph.outputs()[0].value)? else {
        return Err(Error::Argument(format!(
            "the output `{}` does not depend on the image",
            graph.outputs()[0].name
        )));
    };
    Ok(lowering.finish(output))
}

impl<'a> Lowering<'a> {
    fn finish(mut self, output: TensorId) -> Plan {
        let buffers = buffers::assign(&self.steps, &mut self.tensors, output);
        let float = |id: &TensorId| self.tensors[id.0].kind.params().is_none();
        let exact = |step: &&Step| !step.outputs.iter().any(float);
        let exact_until = self.steps.iter().take_while(exact).count();
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
            None => self.float_step(index),
        }
    }

    /// Computes a node that reads constants alone, and returns whether it is one. A `DequantizeLinear` of
    /// weights is computed only when f32 weights are needed.
    fn fold(&mut self, index: usize) -> Result<bool> {
        let node = &self.graph.nodes()[index];
        let out = node.outputs[0];
        let batch = self.graph.value(out).fact.shape.contains(&Dim::Batch);
        if batch || node.inputs.is_empty() || !node.inputs.iter().all(|&x| self.is_constant(x)) {
            return Ok(false);
        }
        // One whose own scale is dequantised is computed at once: a file could nest them deeper than the stack.
        let nested = |&operand: &Operand| match operand {
            Operand::Param(_) => false,
            Operand::Value(id) => self.known[id.index()].weights.is_some(),
        };
        if matches!(node.op, Op::DequantizeLinear { .. }) && !node.inputs.iter().any(nested) {
            self.known[out.index()].weights = Some(index);
            return Ok(true);
        }
        let tensors = self.evaluated(node)?;
        for (out, tensor) in node.outputs.iter().zip(tensors) {
            self.known[out.index()].folded = Some(tensor);
        }
        Ok(true)
    }

    /// The outputs of a node that reads constants alone.
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

    /// The quantisation parameters of `node`, a `QuantizeLinear` or `DequantizeLinear`: one scale and one
    /// zero point, of u8, or of s8 (the same values, 128 lower).
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
            let tensor = self.quantised_tensor(x, params);
            let table = pixels::quantised(self.preprocessing, params);
            self.step("pixels", StepKind::Pixels(table), [], [tensor]);
            self.set_quantised(out, tensor);
            return Ok(());
        }
        if let Some(formula) = self.known[x.index()].pending.take() {
            if let Some(tensor) = self.exact(&formula, x, params) {
                self.set_quantised(out, tensor);
                return Ok(());
            }
            self.compute(&formula)?;
        }
        // Values with the same parameters stay; with others, they become those of a table.
        if let Some(view) = &self.known[x.index()].quantised {
            if self.tensors[view.tensor.0].kind.params() == Some(params) {
                self.known[out.index()].quantised = Some(view.clone());
                return Ok(());
            }
            if let Some((input, x_params)) = self.image(x) {
                let tensor = self.quantised_tensor(x, params);
                let table = StepKind::Table(table::table(x_params, &[], params));
                self.step(&node.name, table, [input], [tensor]);
                self.set_quantised(out, tensor);
                return Ok(());
            }
        }
        let FloatOperand::Tensor(input) = self.float_operand(x)? else {
            return Err(unsupported(node, "its input does not depend on the image"));
        };
        if size_of(&self.graph.value(x).fact).is_none() {
            let reason = "quantised values are [N, C, H, W] or [N, C], its input is neither";
            return Err(unsupported(node, reason));
        }
        let tensor = self.quantised_tensor(x, params);
        self.step(&node.name, StepKind::Quantise, [input], [tensor]);
        self.set_quantised(out, tensor);
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
        let view = self.known[x.index()].quantised.clone();
        let view = view.ok_or_else(|| unsupported(node, "reads what no QuantizeLinear writes"))?;
        if self.tensors[view.tensor.0].kind.params() != Some(params) {
            let reason = "its scale or zero point is not that of the QuantizeLinear that it reads";
            return Err(unsupported(node, reason));
        }
        self.known[out.index()].quantised = Some(view);
        Ok(())
    }

    /// A value as f32, by new steps if there is none yet.
    fn float_operand(&mut self, value: ValueId) -> Result<FloatOperand> {
        if let Some(operand) = self.known[value.index()].float {
            return Ok(operand);
        }
        let operand = if value == self.graph.input() {
            let out = self.float_tensor(value)?;
            let table = pixels::float(self.preprocessing);
            self.step("normalise", StepKind::Normalise(table), [], [out]);
            FloatOperand::Tensor(out)
        } else if let Some(formula) = self.known[value.index()].pending.take() {
            self.compute(&formula)?;
            return self.float_operand(value);
        } else if self.is_constant(value.into()) {
            let tensor = self.constant(value.into())?.into_owned();
            self.constants.push(tensor);
            FloatOperand::Constant(self.constants.len() - 1)
        } else if let Some(view) = self.known[value.index()].quantised.clone() {
            FloatOperand::Tensor(self.dequantised(value, &view)?)
        } else {
            return Err(Error::Argument(format!(
                "nothing computes the value `{}`",
                self.graph.value(value).name
            )));
        };
        self.known[value.index()].float = Some(operand);
        Ok(operand)
    }

    /// A quantised view as an f32 tensor: a step that dequantises it, and one that reshapes it if it is no
    /// image.
    fn dequantised(&mut self, value: ValueId, view: &QuantisedView) -> Result<TensorId> {
        let name = self.graph.value(value).name.clone();
        let input = self.ordered(&name, view);
        if self.image(value).is_some() {
            let out = self.float_tensor(value)?;
            self.step(&name, StepKind::Dequantise, [input], [out]);
            return Ok(out);
        }
        let [height, width, channels] = self.size(input);
        let shape = [channels, height, width].map(Dim::Fixed);
        let shape = std::iter::once(Dim::Batch).chain(shape).collect();
        let image = self.tensor(&name, TensorKind::Float { shape });
        self.step(&name, StepKind::Dequantise, [input], [image]);
        let out = self.float_tensor(value)?;
        let shape = self.graph.value(value).fact.shape.clone();
        let reshape = FloatStep {
            op: Op::Reshape { shape },
            operands: vec![FloatOperand::Tensor(image)],
        };
        self.step(&name, StepKind::Float(reshape), [image], [out]);
        Ok(out)
    }

    /// A node as a float step.
    fn float_step(&mut self, index: usize) -> Result<()> {
        let node = &self.graph.nodes()[index];
        let mut operands = Vec::new();
        for &operand in &node.inputs {
            operands.push(match operand {
                Operand::Value(id) => self.float_operand(id)?,
                Operand::Param(id) => self.param(id),
            });
        }
        let outs: Vec<TensorId> = (node.outputs.iter())
            .map(|&out| self.float_tensor(out))
            .collect::<Result<_>>()?;
        for (value, &out) in node.outputs.iter().zip(&outs) {
            self.known[value.index()].float = Some(FloatOperand::Tensor(out));
        }
        let op = node.op.clone();
        let float = FloatStep { op, operands };
        let inputs = float.tensors();
        self.step(&node.name, StepKind::Float(float), inputs, outs);
        Ok(())
    }

    /// The mean of each channel of a quantised tensor, in f32; false if the sum would not be exact.
    fn mean(&mut self, node: &Node, input: TensorId) -> Result<bool> {
        let [height, width, _] = self.size(input);
        let area = height * width;
        if !windows::sums_exactly(area) {
            return Ok(false);
        }
        let value = node.outputs[0];
        let out = self.float_tensor(value)?;
        let scale = (f64::from(self.params_of(input).scale) / area as f64) as f32;
        self.step(&node.name, StepKind::Mean { scale }, [input], [out]);
        self.known[value.index()].float = Some(FloatOperand::Tensor(out));
        Ok(true)
    }

    fn param(&mut self, id: ParamId) -> FloatOperand {
        let index = *self.params.entry(id).or_insert_with(|| {
            self.constants.push(self.graph.tensor(id).clone());
            self.constants.len() - 1
        });
        FloatOperand::Constant(index)
    }

    fn step(
        &mut self,
        name: &str,
        kind: StepKind,
        inputs: impl Into<Vec<TensorId>>,
        outputs: impl Into<Vec<TensorId>>,
    ) {
        self.steps.push(Step {
            name: name.to_owned(),
            kind,
            inputs: inputs.into(),
            outputs: outputs.into(),
        });
    }

    fn tensor(&mut self, name: &str, kind: TensorKind) -> TensorId {
        self.tensors.push(TensorView {
            name: name.to_owned(),
            kind,
            buffer: 0,
        });
        TensorId(self.tensors.len() - 1)
    }

    /// Height, width and channels of a quantised tensor.
    fn size(&self, tensor: TensorId) -> [usize; 3] {
        let size = self.tensors[tensor.0].kind.size();
        size.expect("quantised tensors are images")
    }

    /// Scale and zero point of a quantised tensor.
    fn params_of(&self, tensor: TensorId) -> QuantParams {
        let params = self.tensors[tensor.0].kind.params();
        params.expect("the caller has found it to be quantised")
    }

    /// A new quantised tensor for a value, which is an image or a vector.
    fn quantised_tensor(&mut self, value: ValueId, params: QuantParams) -> TensorId {
        let value = self.graph.value(value);
        let size = size_of(&value.fact).expect("the caller has found an image or a vector");
        self.tensor(&value.name, TensorKind::Quantised { size, params })
    }

    /// A new f32 tensor for a value.
    fn float_tensor(&mut self, value: ValueId) -> Result<TensorId> {
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

    fn set_quantised(&mut self, value: ValueId, tensor: TensorId) {
        let shape = self.graph.value(value).fact.shape_for(1)[1..].to_vec();
        self.known[value.index()].quantised = Some(QuantisedView {
            tensor,
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
