//! From a decoded file to an [`OnnxModel`]: names are resolved, nodes converted, constants folded.
//!
//! Every name of the file is bound to a [`Binding`]: a value of the graph, a parameter, a constant, or a shape
//! that depends on the batch. [`operators`] converts a node to a [`Conversion`], which is applied here.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::external::Folder;
use super::image::Image;
use super::limits::{MAX_BYTES, MAX_NODES, MAX_RANK, limit};
use super::proto::{GraphProto, ModelProto, NodeProto};
use super::scope::{Binding, Conversion, Scope, unique};
use super::site::Site;
use super::{OnnxModel, ReadOptions, WHAT, operators, order, tensors};
use crate::graph::{Dim, Gemm, Graph, Op, Operand, ParamId, ValueId};
use crate::reference;
use crate::tensor::{DType, Tensor};
use crate::{Error, Result};

/// Operator sets that [`operators`] implements; 28 is that of ONNX 1.23.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// The most multiplications and elements for folding the constants of a file; as f32 results they would take
/// 1 GiB.
const FOLD_BUDGET: u64 = 1 << 28;

/// The model in `proto`; elements in other files are read from `folder`.
///
/// # Errors
/// As [`super::read_file`].
pub(super) fn model(
    mut proto: ModelProto,
    folder: &Folder,
    options: &ReadOptions,
) -> Result<OnnxModel> {
    let opset = opset(&proto)?;
    let mut file = proto
        .graph
        .take()
        .ok_or_else(|| Error::malformed(WHAT, "it holds no graph"))?;
    refuse_extensions(&proto, &file)?;
    limit(
        "number of nodes of the ONNX graph",
        file.node.len() as u64,
        MAX_NODES,
    )?;

    let names = node_names(&file.node);
    let mut warnings = Vec::new();
    let image = Image::of(&file, options, &mut warnings)?;
    let order = order::execution(&file, &names)?;
    let graph = Graph::new(
        file.name.clone().unwrap_or_default(),
        &image.name,
        image.size,
    );
    let mut reader = Scope {
        bindings: vec![Binding::Value(graph.input())],
        names: HashMap::from([(image.name, 0)]),
        taken: value_names(&file),
        graph,
        opset,
        fixed_batch: image.fixed_batch,
        budget: FOLD_BUDGET,
        warnings,
    };
    let needed: HashSet<String> = order
        .iter()
        .flat_map(|&index| &file.node[index].input)
        .chain(file.output.iter().filter_map(|output| output.name.as_ref()))
        .cloned()
        .collect();
    reader.initialisers(&mut file, &needed, folder)?;
    for index in order {
        reader.node(&file.node[index], &names[index], &needed)?;
    }
    let graph = reader.finish(&file)?;
    let producer = [proto.producer_name, proto.producer_version];
    let producer: Vec<String> = producer.into_iter().flatten().collect();
    Ok(OnnxModel {
        graph,
        metadata: metadata(&proto.metadata_props)?,
        opset: u32::try_from(opset).expect("within OPSETS"),
        ir_version: proto.ir_version.unwrap_or_default(),
        producer: producer.join(" ").trim().to_owned(),
        warnings: reader.warnings,
        digest: None,
    })
}

/// Version of the standard operator set.
fn opset(proto: &ModelProto) -> Result<i64> {
    let mut versions = proto
        .opset_import
        .iter()
        .filter(|opset| is_standard(opset.domain.as_deref()))
        .map(|opset| opset.version.unwrap_or_default());
    let Some(version) = versions.next() else {
        let reason = "it states no version of the standard operator set";
        return Err(Error::malformed(WHAT, reason));
    };
    if versions.any(|other| other != version) {
        let reason = "it states several versions of the standard operator set";
        return Err(Error::malformed(WHAT, reason));
    }
    if !OPSETS.contains(&version) {
        let (first, last) = (OPSETS.start(), OPSETS.end());
        let reason = format!("operator set {version}, {first} to {last} are supported");
        return Err(Error::malformed(WHAT, reason));
    }
    Ok(version)
}

fn is_standard(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}

fn refuse_extensions(proto: &ModelProto, file: &GraphProto) -> Result<()> {
    if let Some(function) = proto.functions.first() {
        let name = function.name.as_deref().unwrap_or_default();
        let reason = format!("functions (`{name}`) are not supported; export them inlined");
        return Err(Error::malformed(WHAT, reason));
    }
    if let Some(sparse) = file.sparse_initializer.first() {
        let values = sparse.values.as_ref();
        let name = values
            .and_then(|values| values.name.as_deref())
            .unwrap_or_default();
        let reason = format!("sparse initialisers (`{name}`) are not supported");
        return Err(Error::malformed(WHAT, reason));
    }
    Ok(())
}

fn metadata(entries: &[super::proto::StringStringEntryProto]) -> Result<BTreeMap<String, String>> {
    let mut metadata = BTreeMap::new();
    for entry in entries {
        let key = entry.key.clone().unwrap_or_default();
        let value = entry.value.clone().unwrap_or_default();
        if metadata.insert(key, value).is_some() {
            let key = entry.key.as_deref().unwrap_or_default();
            let reason = format!("key `{key}` of metadata_props is there twice");
            return Err(Error::malformed(WHAT, reason));
        }
    }
    Ok(metadata)
}

/// The names of the nodes, as in the file, but unique and not empty.
fn node_names(nodes: &[NodeProto]) -> Vec<String> {
    let given = |node: &NodeProto| node.name.clone().filter(|name| !name.is_empty());
    let mut taken: HashSet<String> = nodes.iter().filter_map(given).collect();
    let mut seen = HashSet::new();
    let mut name = |(index, node): (usize, &NodeProto)| {
        let base = match given(node) {
            Some(name) if seen.insert(name.clone()) => return name,
            Some(name) => name,
            None => node.op_type.clone().unwrap_or_default(),
        };
        unique(format!("{base}_{index}"), &mut taken)
    };
    nodes.iter().enumerate().map(&mut name).collect()
}

/// Every name of a value, an input or an initialiser.
fn value_names(file: &GraphProto) -> HashSet<String> {
    let inputs = file.input.iter().filter_map(|input| input.name.clone());
    let tensors = file
        .initializer
        .iter()
        .filter_map(|tensor| tensor.name.clone());
    let outputs = file
        .node
        .iter()
        .flat_map(|node| node.output.iter().cloned());
    inputs.chain(tensors).chain(outputs).collect()
}

impl Scope {
    fn bind(&mut self, name: &str, binding: Binding) {
        self.names.insert(name.to_owned(), self.bindings.len());
        self.bindings.push(binding);
    }

    /// Binds the initialisers of `file` that are `needed`.
    fn initialisers(
        &mut self,
        file: &mut GraphProto,
        needed: &HashSet<String>,
        folder: &Folder,
    ) -> Result<()> {
        let mut total = 0;
        for mut proto in file.initializer.drain(..) {
            let name = proto.name.clone().unwrap_or_default();
            if !needed.contains(&name) {
                continue;
            }
            let tensor = tensors::decode(&mut proto, folder)?;
            total += match tensor.dtype() {
                DType::F32 | DType::I32 => 4,
                DType::I64 => 8,
                DType::I8 | DType::U8 => 1,
            } * tensor.len() as u64;
            limit("bytes of all initialisers", total, MAX_BYTES)?;
            self.bind(&name.clone(), Binding::Constant { name, tensor });
        }
        Ok(())
    }

    /// Converts one node.
    fn node(&mut self, node: &NodeProto, name: &str, needed: &HashSet<String>) -> Result<()> {
        let mut site = Site::new(&mut *self, node, name);
        if !is_standard(node.domain.as_deref()) {
            let domain = node.domain.as_deref().unwrap_or_default();
            return Err(
                site.unsupported(format!("operators of domain `{domain}` are not supported"))
            );
        }
        let conversion = operators::convert(&mut site)?;
        site.attributes.finish()?;
        let written: Vec<usize> = match conversion {
            Conversion::Same => vec![site.index(0).ok_or_else(|| site.missing(0))?],
            Conversion::Constant(tensor) => {
                let name = node.output.first().cloned().unwrap_or_default();
                self.bindings.push(Binding::Constant { name, tensor });
                vec![self.bindings.len() - 1]
            }
            Conversion::Shape(array) => {
                let name = node.output.first().cloned().unwrap_or_default();
                self.bindings.push(match array.to_tensor() {
                    Some(tensor) => Binding::Constant { name, tensor },
                    None => Binding::Shape(array),
                });
                vec![self.bindings.len() - 1]
            }
            Conversion::Operators(ops, operands) => self.operators(node, name, ops, operands)?,
        };
        for (index, output) in node.output.iter().enumerate() {
            match written.get(index) {
                Some(&index) => {
                    self.names.insert(output.clone(), index);
                }
                None if needed.contains(output) && !output.is_empty() => {
                    return Err(Error::Unsupported {
                        node: name.to_owned(),
                        op: node.op_type.clone().unwrap_or_default(),
                        reason: format!("output {index} (`{output}`) is not supported"),
                    });
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Adds operators to the graph, and returns where the outputs of the last are bound.
    fn operators(
        &mut self,
        node: &NodeProto,
        name: &str,
        ops: Vec<Op>,
        mut operands: Vec<Operand>,
    ) -> Result<Vec<usize>> {
        let last = ops.len().saturating_sub(1);
        let mut written = Vec::new();
        for (step, op) in ops.into_iter().enumerate() {
            let (step_name, value_names) = if step == last {
                (name.to_owned(), node.output.as_slice())
            } else {
                (
                    unique(format!("{name}_{step}"), &mut self.taken),
                    [].as_slice(),
                )
            };
            let first = self.bindings.len();
            for (i, binding) in self
                .apply(&step_name, op, operands)?
                .into_iter()
                .enumerate()
            {
                let value_name = value_names.get(i).filter(|name| !name.is_empty());
                self.bindings.push(match (binding, value_name) {
                    (Binding::Constant { tensor, .. }, Some(name)) => Binding::Constant {
                        name: name.clone(),
                        tensor,
                    },
                    (Binding::Value(value), Some(name)) => {
                        self.graph.rename(value, name.as_str());
                        Binding::Value(value)
                    }
                    (binding, _) => binding,
                });
            }
            written = (first..self.bindings.len()).collect();
            operands = vec![];
            if step != last {
                operands.push(self.operand(first)?);
            }
        }
        Ok(written)
    }

    /// Adds one operator to the graph; one that reads constants alone is computed at once.
    fn apply(&mut self, name: &str, op: Op, operands: Vec<Operand>) -> Result<Vec<Binding>> {
        let params: Option<Vec<ParamId>> = operands
            .iter()
            .map(|operand| match operand {
                Operand::Param(id) => Some(*id),
                Operand::Value(_) => None,
            })
            .collect();
        let quantises = matches!(op, Op::QuantizeLinear { .. } | Op::DequantizeLinear { .. });
        let values = self.graph.push(name, op.clone(), operands.clone())?;
        let mut fixed = true;
        for &value in &values {
            let shape = &self.graph.value(value).fact.shape;
            fixed &= !shape.contains(&Dim::Batch);
            if shape.contains(&Dim::Fixed(0)) || shape.len() > MAX_RANK {
                return Err(Error::Shape {
                    node: name.to_owned(),
                    op: op.onnx_name(),
                    reason: format!(
                        "it writes {} dimensions; {MAX_RANK} are supported, and none empty",
                        shape.len()
                    ),
                });
            }
        }
        if let Some(params) = params.filter(|_| fixed && !quantises) {
            let work = self.work(&op, &operands, &values);
            if let Some(left) = self.budget.checked_sub(work) {
                self.budget = left;
                // The node keeps no reader, so `finish` drops it.
                let tensors: Vec<&Tensor> =
                    params.iter().map(|&id| self.graph.tensor(id)).collect();
                let constant = |(i, tensor)| Binding::Constant {
                    name: self.graph.value(values[i]).name.clone(),
                    tensor,
                };
                let folded = reference::eval(name, &op, &tensors)?;
                return Ok(folded.into_iter().enumerate().map(constant).collect());
            }
        }
        Ok(values.into_iter().map(Binding::Value).collect())
    }

    /// Elements and multiplications that `op` takes.
    fn work(&self, op: &Op, operands: &[Operand], values: &[ValueId]) -> u64 {
        let elements = |shape: &[Dim]| {
            let extents = shape.iter().map(|dim| dim.for_batch(1) as u64);
            extents.fold(1, u64::saturating_mul)
        };
        let read = |index: usize| elements(&self.graph.fact(operands[index]).shape);
        let extent = |index: usize, axis: usize| {
            let shape = self.graph.fact(operands[index]).shape;
            shape.get(axis).map_or(1, |dim| dim.for_batch(1) as u64)
        };
        let written = values
            .iter()
            .map(|&value| elements(&self.graph.value(value).fact.shape))
            .fold(0, u64::saturating_add);
        let each = match op {
            Op::Conv(_) => read(1) / extent(1, 0).max(1),
            Op::Gemm(Gemm { trans_a, .. }) => extent(0, usize::from(!trans_a)),
            Op::MatMul => {
                let rank = self.graph.fact(operands[0]).shape.len();
                extent(0, rank.saturating_sub(1))
            }
            Op::MaxPool(pool) | Op::AveragePool { pool, .. } => {
                (pool.kernel[0] as u64).saturating_mul(pool.kernel[1] as u64)
            }
            _ => 1,
        };
        let read = (0..operands.len()).map(read).fold(0, u64::saturating_add);
        written.saturating_mul(each).saturating_add(read)
    }

    /// The graph with the outputs of the file, without nodes that only shapes and constants needed.
    fn finish(&mut self, file: &GraphProto) -> Result<Graph> {
        if file.output.is_empty() {
            return Err(Error::malformed(WHAT, "it has no output"));
        }
        let mut declared = HashSet::new();
        for output in &file.output {
            let name = output.name.as_deref().unwrap_or_default();
            let refused = |reason| Error::malformed(WHAT, format!("output `{name}` {reason}"));
            if !declared.insert(name) {
                return Err(refused("is there twice"));
            }
            match self.names.get(name).map(|&index| &self.bindings[index]) {
                Some(Binding::Value(value)) => self.graph.output(name, *value),
                Some(Binding::Shape(_)) => return Err(refused("is a shape")),
                _ => return Err(refused("does not depend on the image")),
            }
        }
        let uses = self.graph.uses();
        let unread = |value: &ValueId| uses[value.index()] == 0;
        let nodes = self.graph.nodes();
        let params: HashSet<&Operand> = nodes
            .iter()
            .flat_map(|node| &node.inputs)
            .filter(|operand| matches!(operand, Operand::Param(_)))
            .collect();
        let leftovers = params.len() < self.graph.params().len()
            || nodes.iter().any(|node| node.outputs.iter().all(unread));
        if leftovers {
            self.graph.pruned()
        } else {
            let image = self.graph.input_size();
            Ok(std::mem::replace(
                &mut self.graph,
                Graph::new("", "", image),
            ))
        }
    }
}
