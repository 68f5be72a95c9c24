//! A decoded file becomes a [`Model`]: names are resolved, nodes converted one by one, constants
//! folded.
//!
//! Every name of the file is bound to a [`Binding`]: a value of the graph, a parameter, a constant
//! that may become one, or a shape that depends on the batch. [`operators`] says what a node means
//! ([`Meaning`]); what is done about it is done here.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::attributes::Attributes;
use super::extents::{Array, Extent};
use super::external::Folder;
use super::limits::{MAX_BYTES, MAX_NODES, limit};
use super::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto, data_type};
use super::{Model, ReadOptions, WHAT, inputs, operators, order, tensors};
use crate::graph::{Dim, Fact, Gemm, Graph, Op, Operand, ParamId, ValueId};
use crate::reference;
use crate::tensor::{DType, Data, Tensor};
use crate::{Error, Result};

/// Operator sets whose operators mean what [`operators`] takes them for; 28 is that of ONNX 1.23.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

/// Extents of images, strides, kernels and pads stay below this: their products fit 64 bits.
pub(super) const MAX_EXTENT: usize = 1 << 20;

/// The most dimensions of a value. Networks have four, shuffles and attention five or six.
pub(super) const MAX_RANK: usize = 8;

/// The most multiplications, and elements written, that folding constants may take over a whole
/// file: about a second, and 1 GiB.
const FOLD_BUDGET: u64 = 1 << 28;

/// What a name of the file stands for.
pub(super) enum Binding {
    /// Computed from the image.
    Value(ValueId),
    /// A parameter of the graph.
    Param(ParamId),
    /// A constant that no node of the graph has read so far.
    Constant { name: String, tensor: Tensor },
    /// A shape, or what was computed from one, that depends on the batch.
    Shape(Array),
}

/// What a node means.
pub(super) enum Meaning {
    /// These operators: the first reads the operands, each further one what the one before wrote.
    Operators(Vec<Op>, Vec<Operand>),
    /// Its first input.
    Same,
    /// This constant.
    Constant(Tensor),
    /// This shape.
    Shape(Array),
}

/// The graph so far, and what the names of the file stand for in it.
pub(super) struct Reader {
    graph: Graph,
    bindings: Vec<Binding>,
    names: HashMap<String, usize>,
    /// Every name of a value in the file, and those made up since.
    taken: HashSet<String>,
    opset: i64,
    fixed_batch: Option<usize>,
    budget: u64,
    warnings: Vec<String>,
}

/// One node of the file, with what is known of its inputs.
pub(super) struct Site<'r> {
    reader: &'r mut Reader,
    node: &'r NodeProto,
    name: &'r str,
    pub(super) attributes: Attributes<'r>,
}

/// What `proto` holds; elements in other files are looked up in `folder`.
///
/// # Errors
/// As [`super::read_file`].
pub(super) fn model(
    mut proto: ModelProto,
    folder: &Folder,
    options: &ReadOptions,
) -> Result<Model> {
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
    let order = order::execution(&file, &names)?;
    let mut warnings = Vec::new();
    let image = Image::of(&file, options, &mut warnings)?;
    let graph = Graph::new(
        file.name.clone().unwrap_or_default(),
        &image.name,
        image.size,
    );
    let mut reader = Reader {
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
    Ok(Model {
        graph,
        metadata: metadata(&proto.metadata_props)?,
        opset: u32::try_from(opset).expect("within OPSETS"),
        ir_version: proto.ir_version.unwrap_or_default(),
        producer: producer.join(" ").trim().to_owned(),
        warnings: reader.warnings,
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
        let reason = "it says no version of the standard operator set";
        return Err(Error::malformed(WHAT, reason));
    };
    if versions.any(|other| other != version) {
        let reason = "it says several versions of the standard operator set";
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

/// What the nodes are called: as in the file, made unique and never empty.
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

/// `base`, or with the first number behind it that makes it a new name.
pub(super) fn unique(base: String, taken: &mut HashSet<String>) -> String {
    let mut name = base.clone();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        name = format!("{base}_{count}");
        count += 1;
    }
    name
}

/// The input of the file.
struct Image {
    name: String,
    size: [usize; 3],
    /// The batch, if the file was exported for one.
    fixed_batch: Option<usize>,
}

impl Image {
    fn of(file: &GraphProto, options: &ReadOptions, warnings: &mut Vec<String>) -> Result<Self> {
        let given: Vec<&ValueInfoProto> = inputs(file).collect();
        let input = match given.as_slice() {
            [input] => *input,
            several => {
                let names: Vec<&str> = several
                    .iter()
                    .take(8)
                    .filter_map(|i| i.name.as_deref())
                    .collect();
                let (count, names) = (several.len(), names.join("`, `"));
                let reason = format!("it has {count} inputs (`{names}`), one image is supported");
                return Err(Error::malformed(WHAT, reason));
            }
        };
        let name = input.name.clone().unwrap_or_default();
        let refused = |reason: String| Error::malformed(WHAT, format!("input `{name}`: {reason}"));
        let tensor = input
            .r#type
            .as_ref()
            .and_then(|kind| kind.tensor_type.as_ref());
        let tensor = tensor.ok_or_else(|| refused("it is no tensor".into()))?;
        match tensor.elem_type.unwrap_or_default() {
            data_type::FLOAT => {}
            element @ (data_type::FLOAT16 | data_type::BFLOAT16 | data_type::DOUBLE) => {
                let element = data_type::name(element);
                warnings.push(format!(
                    "input `{name}` is {element}; f32 is computed instead"
                ));
            }
            element => {
                let element = data_type::name(element);
                return Err(refused(format!("it is {element}, only float is supported")));
            }
        }
        let dims = tensor.shape.as_ref().map(|shape| shape.dim.as_slice());
        let known = |axis: usize| {
            let value = dims?.get(axis)?.dim_value?;
            usize::try_from(value).ok().filter(|&extent| extent > 0)
        };
        if let Some(dims) = dims.filter(|dims| dims.len() != 4) {
            let rank = dims.len();
            return Err(refused(format!(
                "it has {rank} dimensions, an image has 4: [N, C, H, W]"
            )));
        }
        if matches!((known(1), known(3)), (channels, Some(1 | 3 | 4)) if channels.is_none_or(|c| c > 4))
        {
            return Err(refused(
                "its channels stand last; export it as [N, C, H, W]".into(),
            ));
        }
        let channels = known(1).unwrap_or_else(|| {
            warnings.push(format!(
                "input `{name}` has an open number of channels; 3 is assumed"
            ));
            3
        });
        let size = match (known(2), known(3)) {
            (Some(height), Some(width)) => {
                if let Some([h, w]) = options.input_size.filter(|&size| size != [height, width]) {
                    warnings.push(format!(
                        "input `{name}` is {height} x {width}; {h} x {w} was asked for"
                    ));
                }
                [height, width]
            }
            (height, width) => {
                let [h, w] = options.input_size.unwrap_or([256, 128]);
                let size = [height.unwrap_or(h), width.unwrap_or(w)];
                if options.input_size.is_none() {
                    warnings.push(format!(
                        "input `{name}` has an open size; {} x {} is assumed",
                        size[0], size[1]
                    ));
                }
                size
            }
        };
        for extent in [channels, size[0], size[1]] {
            let what = format!("extent of a dimension of input `{name}`");
            limit(&what, extent as u64, MAX_EXTENT as u64)?;
            if extent == 0 {
                return Err(Error::Argument(format!("the input size {size:?} is empty")));
            }
        }
        let size = [channels, size[0], size[1]];
        // Three extents of 20 bits each: the product fits.
        let elements = size.iter().map(|&extent| extent as u64).product();
        let most = crate::tensor::MAX_ELEMENTS as u64;
        limit(
            &format!("number of elements of input `{name}`"),
            elements,
            most,
        )?;
        Ok(Self {
            fixed_batch: known(0),
            name,
            size,
        })
    }
}

impl Reader {
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
        let mut site = Site {
            attributes: Attributes::of(name, node),
            reader: &mut *self,
            node,
            name,
        };
        if !is_standard(node.domain.as_deref()) {
            let domain = node.domain.as_deref().unwrap_or_default();
            return Err(
                site.unsupported(format!("operators of domain `{domain}` are not supported"))
            );
        }
        let meaning = operators::convert(&mut site)?;
        site.attributes.finish()?;
        let written: Vec<usize> = match meaning {
            Meaning::Same => vec![site.slot(0).ok_or_else(|| site.missing(0))?],
            Meaning::Constant(tensor) => {
                let name = node.output.first().cloned().unwrap_or_default();
                self.bindings.push(Binding::Constant { name, tensor });
                vec![self.bindings.len() - 1]
            }
            Meaning::Shape(array) => {
                let name = node.output.first().cloned().unwrap_or_default();
                self.bindings.push(match array.to_tensor() {
                    Some(tensor) => Binding::Constant { name, tensor },
                    None => Binding::Shape(array),
                });
                vec![self.bindings.len() - 1]
            }
            Meaning::Operators(ops, operands) => self.operators(node, name, ops, operands)?,
        };
        for (index, output) in node.output.iter().enumerate() {
            match written.get(index) {
                Some(&slot) => {
                    self.names.insert(output.clone(), slot);
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

    /// Adds operators to the graph, and returns where what the last of them writes is bound.
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

    /// Adds one operator to the graph; one that reads nothing but constants is computed at once.
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
        for &value in &values {
            let shape = &self.graph.value(value).fact.shape;
            if shape.contains(&Dim::Fixed(0)) || shape.len() > MAX_RANK {
                return Err(Error::Shape {
                    node: name.to_owned(),
                    op: op.onnx_name(),
                    reason: format!(
                        "it writes a value of {} dimensions, at most {MAX_RANK} and none empty are supported",
                        shape.len()
                    ),
                });
            }
        }
        if let Some(params) = params.filter(|_| !quantises) {
            let work = self.work(&op, &operands, &values);
            if let Some(left) = self.budget.checked_sub(work) {
                self.budget = left;
                // The node stays in the graph without a reader, and is left behind by `finish`.
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

    /// How many elements and multiplications it takes to compute `op`.
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

    /// What is bound at `slot`, to be read by a node of the graph.
    fn operand(&mut self, slot: usize) -> Result<Operand> {
        match &mut self.bindings[slot] {
            Binding::Value(id) => Ok(Operand::Value(*id)),
            Binding::Param(id) => Ok(Operand::Param(*id)),
            Binding::Constant { name, tensor } => {
                let tensor = std::mem::replace(tensor, Tensor::scalar(0.0));
                let name = std::mem::take(name);
                let id = self.param(name, tensor)?;
                self.bindings[slot] = Binding::Param(id);
                Ok(Operand::Param(id))
            }
            Binding::Shape(_) => {
                let reason = "a shape that depends on the batch is used as data";
                Err(Error::Argument(reason.into()))
            }
        }
    }

    fn param(&mut self, name: String, tensor: Tensor) -> Result<ParamId> {
        let refused =
            |reason: String| Error::malformed("ONNX tensor", format!("`{name}` {reason}"));
        if tensor.is_empty() {
            return Err(refused("is empty".into()));
        }
        if tensor.shape().len() > MAX_RANK {
            let rank = tensor.shape().len();
            return Err(refused(format!(
                "has {rank} dimensions, at most {MAX_RANK} are supported"
            )));
        }
        if let Data::F32(values) = tensor.data()
            && let Some(at) = values.iter().position(|value| !value.is_finite())
        {
            return Err(refused(format!("holds {} as element {at}", values[at])));
        }
        Ok(self.graph.param(name, tensor))
    }

    /// The graph with the outputs of the file, without what only shapes and constants needed.
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
            match self.names.get(name).map(|&slot| &self.bindings[slot]) {
                Some(Binding::Value(value)) => self.graph.output(name, *value),
                Some(Binding::Shape(_)) => return Err(refused("is a shape")),
                _ => return Err(refused("does not depend on the image")),
            }
        }
        let uses = self.graph.uses();
        let unread = |value: &ValueId| uses[value.index()] == 0;
        if self
            .graph
            .nodes()
            .iter()
            .any(|node| node.outputs.iter().all(unread))
        {
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

impl<'r> Site<'r> {
    /// The operator as the file names it.
    pub(super) fn op(&self) -> &'r str {
        self.node.op_type.as_deref().unwrap_or_default()
    }

    /// Version of the operator set.
    pub(super) fn opset(&self) -> i64 {
        self.reader.opset
    }

    /// The batch that the file was exported for, if it says a number.
    pub(super) fn fixed_batch(&self) -> Option<usize> {
        self.reader.fixed_batch
    }

    /// An error about this node.
    pub(super) fn unsupported(&self, reason: impl Into<String>) -> Error {
        Error::Unsupported {
            node: self.name.to_owned(),
            op: self.op().to_owned(),
            reason: reason.into(),
        }
    }

    fn missing(&self, input: usize) -> Error {
        self.unsupported(format!("input {input} is missing"))
    }

    /// The name of the first output.
    pub(super) fn output(&self) -> &'r str {
        self.node
            .output
            .first()
            .map(String::as_str)
            .unwrap_or_default()
    }

    /// Accounts for `elements` made of nothing, so that many small nodes make no large memory.
    pub(super) fn charge(&mut self, elements: usize) -> Result<()> {
        // An extent takes 24 bytes, six times a float.
        let cost = 8 * elements as u64;
        match self.reader.budget.checked_sub(cost) {
            Some(left) => {
                self.reader.budget = left;
                Ok(())
            }
            None => Err(self.unsupported("constants and shapes are too large in sum")),
        }
    }

    /// How many inputs and outputs the node lists.
    pub(super) fn arity(&self) -> (usize, usize) {
        (self.node.input.len(), self.node.output.len())
    }

    /// Where input `index` is bound, if it is there.
    fn slot(&self, index: usize) -> Option<usize> {
        let name = self.node.input.get(index).filter(|name| !name.is_empty())?;
        self.reader.names.get(name).copied()
    }

    /// What input `index` is bound to, if it is there.
    pub(super) fn binding(&self, index: usize) -> Option<&Binding> {
        self.slot(index).map(|slot| &self.reader.bindings[slot])
    }

    /// Whether input `index` is there.
    pub(super) fn has(&self, index: usize) -> bool {
        self.slot(index).is_some()
    }

    /// Input `index`, to be read by a node of the graph.
    pub(super) fn operand(&mut self, index: usize) -> Result<Operand> {
        let slot = self.slot(index).ok_or_else(|| self.missing(index))?;
        if let Binding::Shape(_) = self.reader.bindings[slot] {
            return Err(self.unsupported(format!(
                "input {index} is a shape that depends on the batch, used as data"
            )));
        }
        self.reader.operand(slot)
    }

    /// The inputs: the first `required` must be there, further ones up to `most` may be missing
    /// from the end.
    pub(super) fn operands(&mut self, required: usize, most: usize) -> Result<Vec<Operand>> {
        let given = self.arity().0;
        let present = (0..given)
            .rev()
            .find(|&index| self.has(index))
            .map_or(0, |last| last + 1);
        if present > most {
            return Err(self.unsupported(format!("{present} inputs, at most {most} are supported")));
        }
        (0..present.max(required))
            .map(|index| self.operand(index))
            .collect()
    }

    /// Adds a constant that is not in the file, called `suffix` after the node.
    pub(super) fn made_up(&mut self, suffix: &str, tensor: Tensor) -> Result<Operand> {
        let name = unique(format!("{}.{suffix}", self.name), &mut self.reader.taken);
        Ok(Operand::Param(self.reader.param(name, tensor)?))
    }

    /// Element type and shape of input `index`.
    pub(super) fn fact(&mut self, index: usize) -> Result<Fact> {
        let operand = self.operand(index)?;
        Ok(self.reader.graph.fact(operand))
    }

    /// Input `index` if it is a constant.
    pub(super) fn constant(&self, index: usize) -> Option<&Tensor> {
        match self.binding(index)? {
            Binding::Param(id) => Some(self.reader.graph.tensor(*id)),
            Binding::Constant { tensor, .. } => Some(tensor),
            Binding::Value(_) | Binding::Shape(_) => None,
        }
    }

    /// Input `index` as a small array of numbers that the image does not decide; none if it is
    /// missing.
    pub(super) fn array(&self, index: usize) -> Result<Option<Array>> {
        let Some(binding) = self.binding(index) else {
            return Ok(None);
        };
        let array = match binding {
            Binding::Shape(array) => Some(array.clone()),
            Binding::Value(_) => {
                let reason = format!("input {index} is computed, only constants are supported");
                return Err(self.unsupported(reason));
            }
            Binding::Param(_) | Binding::Constant { .. } => {
                self.constant(index).and_then(Array::from_tensor)
            }
        };
        let array = array.ok_or_else(|| {
            self.unsupported(format!("input {index} is no small list of numbers"))
        })?;
        Ok(Some(array))
    }

    /// Input `index` as the extents of a shape; none if it is missing.
    pub(super) fn extents(&self, index: usize) -> Result<Option<Vec<Extent>>> {
        Ok(self.array(index)?.map(|array| array.elements))
    }

    /// Input `index` as integers that do not depend on the batch; none if it is missing.
    pub(super) fn integers(&self, index: usize) -> Result<Option<Vec<i64>>> {
        let Some(extents) = self.extents(index)? else {
            return Ok(None);
        };
        let integer = |extent: &Extent| {
            extent
                .as_integer()
                .ok_or_else(|| self.unsupported(format!("input {index} holds {extent}")))
        };
        extents.iter().map(integer).collect::<Result<_>>().map(Some)
    }

    /// Input `index` as one number; none if it is missing.
    pub(super) fn number(&self, index: usize) -> Result<Option<f32>> {
        if !self.has(index) {
            return Ok(None);
        }
        let number = self.constant(index).and_then(Tensor::as_f32_scalar);
        match number.filter(|number| !number.is_nan()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.unsupported(format!("input {index} is no constant number"))),
        }
    }
}
