//! Any float ONNX network with a new neck and classifier, so that it can be trained further.

use network::graph::{Dim, Op};
use network::model::Model;

use super::builder::Builder;
use super::{Neck, Net, Spec, init, neck};
use crate::Result;

/// The unfolded network of `model` with a new BNNeck and classifier: its embedding becomes `f_t`,
/// followed by `f_i` and the `logits` of `classes` persons.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if the model is quantised, does not give one row of numbers an image, or has
/// parameters with the names of the neck or the classifier.
pub fn with_new_head(model: Model, classes: usize, seed: u64) -> Result<Net> {
    let mut graph = model.graph;
    let quantised = |op: &Op| matches!(op, Op::QuantizeLinear { .. } | Op::DequantizeLinear { .. });
    if let Some(node) = graph.nodes().iter().find(|node| quantised(&node.op)) {
        bail!(
            "node `{}` ({}): a quantised network cannot be trained: start from the float one",
            node.name,
            node.op.onnx_name()
        );
    }
    let taken = |name: &str| name.starts_with("bottleneck.") || name.starts_with("classifier.");
    if let Some(param) = graph.params().iter().find(|param| taken(&param.name)) {
        bail!(
            "the network has a parameter `{}`, a name that the new neck and classifier need",
            param.name
        );
    }
    let output = &graph.take_outputs()[0];
    let feature = output.value;
    let shape = &graph.value(feature).fact.shape;
    if !matches!(shape.as_slice(), [Dim::Batch, Dim::Fixed(_)]) {
        let found: Vec<String> = shape.iter().map(ToString::to_string).collect();
        bail!(
            "output `{}` is [{}], wanted [N, dim]",
            output.name,
            found.join(", ")
        );
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
