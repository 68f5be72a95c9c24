//! Builds the QDQ graph from a float graph and its scales.
//!
//! Each quantised value gets `QuantizeLinear -> DequantizeLinear`, read by all its readers. A weight
//! is i8 behind a `DequantizeLinear` with one scale for each output channel; a bias is i32 with the
//! scale of the input times that of the weight.

use std::collections::{HashMap, HashSet};

use network::graph::{Graph, Node, Op, Operand, ParamId, ValueId};
use network::tensor::{Data, Tensor};

use super::layer::{WeightLayer, quantised_bias};
use super::range::QuantParams;
use super::sites::{NodeRole, Sites};
use super::{QuantiseOptions, Scheme};
use crate::Result;

/// A quantised graph, and where its layers are.
pub(super) struct Inserted {
    pub(super) graph: Graph,
    pub(super) layers: Vec<Placed>,
}

/// A layer of a quantised graph.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// The node of the float graph.
    pub(super) float: usize,
    /// The node of the quantised graph.
    pub(super) node: usize,
    pub(super) layer: WeightLayer,
    /// Of the quantised graph.
    pub(super) weight: ParamId,
    pub(super) bias: ParamId,
    /// Of each row.
    pub(super) scales: Vec<f32>,
    /// Of the bias: the input's scale times the row's.
    pub(super) bias_scales: Vec<f32>,
    /// Whether another node uses the weight as well.
    pub(super) shared: bool,
}

/// Builds the graph. `params` has scale and zero point of each group.
pub(super) fn insert(
    float: &Graph,
    sites: &Sites,
    params: &[QuantParams],
    options: &QuantiseOptions,
) -> Result<Inserted> {
    let input = &float.value(float.input()).name;
    let mut insert = Insert {
        float,
        sites,
        params,
        scheme: options.scheme,
        only: options.only.as_deref(),
        new: Graph::new(float.name(), input.clone(), float.input_size()),
        values: vec![None; float.values().len()],
        copied: HashMap::new(),
        scales: vec![None; params.len()],
        weights: HashMap::new(),
        names: HashSet::new(),
        layers: Vec::new(),
    };
    let own = insert.new.input();
    insert.written(float.input(), own)?;
    for (index, node) in float.nodes().iter().enumerate() {
        insert.node(index, node)?;
    }
    let Insert {
        mut new,
        values,
        layers,
        ..
    } = insert;
    for output in float.outputs() {
        let value = values[output.value.index()].expect("every node was taken over");
        new.output(output.name.clone(), value);
    }
    Ok(Inserted { graph: new, layers })
}

/// Weight, bias and their scales, for the nodes that share them.
#[derive(Clone)]
struct Shared {
    weight: ParamId,
    bias: ParamId,
    read: [ValueId; 2],
    scales: Vec<f32>,
    bias_scales: Vec<f32>,
}

struct Insert<'a> {
    float: &'a Graph,
    sites: &'a Sites,
    params: &'a [QuantParams],
    scheme: Scheme,
    only: Option<&'a str>,
    new: Graph,
    /// The new value of each float value.
    values: Vec<Option<ValueId>>,
    /// Parameters that stay as they are.
    copied: HashMap<ParamId, ParamId>,
    /// Scale and zero point of each group.
    scales: Vec<Option<[ParamId; 2]>>,
    weights: HashMap<(ParamId, Option<ParamId>), Shared>,
    /// Names of weights and biases that are taken.
    names: HashSet<String>,
    layers: Vec<Placed>,
}

impl Insert<'_> {
    fn node(&mut self, index: usize, node: &Node) -> Result<()> {
        let mut inputs: Vec<Operand> = Vec::new();
        for &input in &node.inputs {
            inputs.push(match input {
                Operand::Value(id) => {
                    Operand::Value(self.values[id.index()].expect("written before it is read"))
                }
                Operand::Param(id) => Operand::Param(id),
            });
        }
        let quantised = self.sites.roles[index] == NodeRole::Layer
            && self.only.is_none_or(|only| only == node.name);
        if quantised {
            let layer = WeightLayer::of(self.float, node).expect("its role is `Layer`");
            let shared = self.weight(index, node, &layer)?;
            inputs.truncate(1);
            inputs.extend(shared.read.map(Operand::Value));
            self.layers.push(Placed {
                float: index,
                node: self.new.nodes().len(),
                weight: shared.weight,
                bias: shared.bias,
                scales: shared.scales,
                bias_scales: shared.bias_scales,
                shared: self.is_shared(layer.weight),
                layer,
            });
        } else {
            for input in &mut inputs {
                if let Operand::Param(id) = input {
                    *input = Operand::Param(self.copy(*id));
                }
            }
        }
        let outputs = self.new.push(node.name.clone(), node.op.clone(), inputs)?;
        for (&old, new) in node.outputs.iter().zip(outputs) {
            self.new.rename(new, self.float.value(old).name.clone());
            self.written(old, new)?;
        }
        Ok(())
    }

    /// `name`, or another if that has been taken: layers may share a bias and not a weight.
    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut others = 2..;
        while !self.names.insert(unique.clone()) {
            let other: u32 = others.next().expect("there are fewer layers");
            unique = format!("{name}/{other}");
        }
        unique
    }

    fn is_shared(&self, weight: ParamId) -> bool {
        let nodes = self.float.nodes().iter();
        nodes
            .filter(|node| node.inputs.contains(&Operand::Param(weight)))
            .count()
            > 1
    }

    fn copy(&mut self, id: ParamId) -> ParamId {
        let param = &self.float.params()[id.index()];
        let new = &mut self.new;
        *(self.copied.entry(id))
            .or_insert_with(|| new.param(param.name.clone(), param.tensor.clone()))
    }

    /// Maps the float value `old` to `new`, quantised if it has a scale.
    fn written(&mut self, old: ValueId, new: ValueId) -> Result<()> {
        let mut read = new;
        if let Some(group) = self.sites.group_of[old.index()].filter(|_| self.is_wanted(old)) {
            let name = self.float.value(old).name.clone();
            let operands = self.scale(group)?.map(Operand::Param);
            let quantise = Op::QuantizeLinear { axis: 0 };
            let inputs = [&[Operand::Value(new)], operands.as_slice()].concat();
            let bytes = self
                .new
                .push1(format!("{name}/quantise"), quantise, inputs)?;
            let dequantise = Op::DequantizeLinear { axis: 0 };
            let inputs = [&[Operand::Value(bytes)], operands.as_slice()].concat();
            read = self
                .new
                .push1(format!("{name}/dequantise"), dequantise, inputs)?;
        }
        self.values[old.index()] = Some(read);
        Ok(())
    }

    /// Whether a value is quantised: all are, unless only one layer is, which needs its input and, if
    /// nothing is added to it first, its result.
    fn is_wanted(&self, value: ValueId) -> bool {
        let Some(only) = self.only else {
            return true;
        };
        let nodes = self.float.nodes();
        let reads = (self.sites.readers[value.index()].iter()).any(|&at| nodes[at].name == only);
        let ends = (nodes.iter().zip(&self.sites.result_of))
            .any(|(node, result)| node.name == only && *result == Some(value));
        let added = self
            .float
            .producer(value)
            .is_some_and(|at| self.sites.is_behind_sum(self.float, at));
        reads || ends && !added
    }

    /// Scale and zero point of a group, once for all its values.
    fn scale(&mut self, group: usize) -> Result<[ParamId; 2]> {
        if let Some(params) = self.scales[group] {
            return Ok(params);
        }
        let QuantParams {
            scale, zero_point, ..
        } = self.params[group];
        let first = self.sites.groups[group][0];
        let name = &self.float.value(first).name;
        let zero = match self.scheme {
            Scheme::U8 => Data::U8(vec![zero_point as u8]),
            Scheme::S8Symmetric => Data::I8(vec![zero_point as i8]),
        };
        let scale = self
            .new
            .param(format!("{name}/scale"), Tensor::scalar(scale));
        let zero = Tensor::new([], zero)?;
        let zero = self.new.param(format!("{name}/zero_point"), zero);
        self.scales[group] = Some([scale, zero]);
        Ok([scale, zero])
    }

    /// Weight and bias of a layer in integers.
    fn weight(&mut self, index: usize, node: &Node, layer: &WeightLayer) -> Result<Shared> {
        let key = (layer.weight, layer.bias);
        if let Some(shared) = self.weights.get(&key) {
            return Ok(shared.clone());
        }
        let Operand::Value(x) = node.inputs[0] else {
            unreachable!("a layer reads a value");
        };
        let group = |value: ValueId| self.sites.group_of[value.index()].expect("it is quantised");
        let result = self.sites.result_of[index].expect("a layer has a result");
        let (s_x, s_y) = (
            self.params[group(x)].scale,
            self.params[group(result)].scale,
        );
        let residual =
            (self.sites.added_to(self.float, index)).map(|id| self.params[group(id)].scale);
        let of = |id: ParamId| self.float.tensor(id).as_f32().expect("checked by its role");
        let weight = of(layer.weight);
        let bias = match layer.bias {
            Some(id) => of(id).to_vec(),
            None => vec![0.0; layer.outputs],
        };
        let scales = layer.scales(weight, &bias, [s_x, s_y], residual);
        let bias_scales: Vec<f32> = scales.iter().map(|&s_w| s_x * s_w).collect();
        let wide: Vec<f64> = bias.iter().map(|&b| f64::from(b)).collect();
        let bias = Data::I32(quantised_bias(&wide, &bias_scales));
        let tensors = [
            layer.tensor(layer.quantised(weight, &scales))?,
            Tensor::new([layer.outputs], bias)?,
        ];
        let name = |id: ParamId| self.float.params()[id.index()].name.clone();
        let names = [
            name(layer.weight),
            layer.bias.map_or(format!("{}.bias", node.name), name),
        ];
        let axes = [layer.axis, 0];
        let mut ids = Vec::new();
        let mut read = Vec::new();
        for (i, tensor) in tensors.into_iter().enumerate() {
            let name = &self.unique(&names[i]);
            let steps = [&scales, &bias_scales][i].clone();
            let steps = Tensor::f32([layer.outputs], steps)?;
            let id = self.new.param(format!("{name}/quantised"), tensor);
            let steps = self.new.param(format!("{name}/scale"), steps);
            let dequantise = Op::DequantizeLinear { axis: axes[i] };
            ids.push(id);
            read.push(self.new.push1(
                format!("{name}/dequantise"),
                dequantise,
                [id.into(), steps.into()],
            )?);
        }
        let shared = Shared {
            weight: ids[0],
            bias: ids[1],
            read: [read[0], read[1]],
            scales,
            bias_scales,
        };
        self.weights.insert(key, shared.clone());
        Ok(shared)
    }
}
