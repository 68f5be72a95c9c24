//! Networks of others as a beginning: any float ONNX file that can be read gets a neck and a
//! classifier, and can be trained further.

use network::graph::{Dim, Op};
use network::model::Model;

use super::builder::Builder;
use super::{Neck, Net, Spec, init, neck};
use crate::{Error, Result};

/// The network of a model that was opened unfolded: its embedding becomes `f_t`, a fresh BNNeck
/// makes `f_i` of it and a classifier of `classes` persons `logits`: the outputs of the new network. Its normalisation is in the
/// model's contract, not in the graph any more.
///
/// # Errors
/// [`Error::Argument`] if the model is quantised, does not give one row of numbers an image, or has
/// parameters that are called as ours are.
pub fn with_new_head(model: Model, classes: usize, seed: u64) -> Result<Net> {
    let mut graph = model.graph;
    let quantised = |op: &Op| matches!(op, Op::QuantizeLinear { .. } | Op::DequantizeLinear { .. });
    if let Some(node) = graph.nodes().iter().find(|node| quantised(&node.op)) {
        return Err(Error::Argument(format!(
            "node `{}` ({}): a quantised network cannot be trained, start from the float one",
            node.name,
            node.op.onnx_name()
        )));
    }
    let taken = |name: &str| name.starts_with("bottleneck.") || name.starts_with("classifier.");
    if let Some(param) = graph.params().iter().find(|param| taken(&param.name)) {
        return Err(Error::Argument(format!(
            "the network has a parameter `{}`, which the neck and the classifier need for themselves",
            param.name
        )));
    }
    let output = &graph.take_outputs()[0];
    let feature = output.value;
    let shape = &graph.value(feature).fact.shape;
    if !matches!(shape.as_slice(), [Dim::Batch, Dim::Fixed(_)]) {
        let found: Vec<String> = shape.iter().map(ToString::to_string).collect();
        return Err(Error::Argument(format!(
            "output `{}` is [{}], wanted [N, dim]",
            output.name,
            found.join(", ")
        )));
    }
    let mut b = Builder::over(graph);
    let spec = Spec {
        neck: Neck::Bnneck,
        dim: 0,
        ..Spec::default()
    };
    neck::head(&mut b, &spec, classes, feature)?;
    let (mut net, fresh) = b.finish();
    init::initialise(&mut net, &fresh, seed)?;
    Ok(net)
}
