//! The part of the accuracy report that comes from the quantiser: settings and layers.

use std::collections::BTreeMap;

use clap::ValueEnum;
use network::graph::{Graph, Node};
use trainer::accuracy::report::{LayerReport, Settings};
use trainer::export::quantise::{QuantisationRecord, ValueRecord};

/// The report on a quantised network, from its record.
pub(super) fn report_of(
    graph: &Graph,
    record: &QuantisationRecord,
    images: usize,
) -> (Settings, Vec<LayerReport>) {
    let nodes: BTreeMap<&str, &Node> = (graph.nodes().iter())
        .map(|node| (node.name.as_str(), node))
        .collect();
    let mut layers: Vec<LayerReport> = (record.values.iter())
        .map(|value| of_value(graph, &nodes, record, value))
        .collect();
    layers.extend(record.float.iter().map(|name| {
        let (op, macs, weights) = cost(graph, &nodes, name);
        LayerReport {
            macs,
            weights,
            float: true,
            name: name.clone(),
            op: op.to_owned(),
            ..LayerReport::default()
        }
    }));
    let options = &record.options;
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let settings = [
        ("Scheme", options.scheme.to_string()),
        ("Layout", options.layout.to_string()),
        ("Calibration", options.calibration.to_string()),
        ("Rounding", word(options.rounding)),
        ("Equalised", yes(options.equalise)),
        ("Bias correction", yes(options.bias_correction)),
        ("Calibration images", images.to_string()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    (settings.to_vec(), layers)
}

/// A setting as on the command line.
fn word(value: impl ValueEnum) -> String {
    let word = value.to_possible_value();
    word.map_or_else(String::new, |word| word.get_name().to_owned())
}

/// A scale, and the layer whose result it is.
fn of_value(
    graph: &Graph,
    nodes: &BTreeMap<&str, &Node>,
    record: &QuantisationRecord,
    value: &ValueRecord,
) -> LayerReport {
    let name = &value.names[0];
    let layer = (record.layers.iter()).find(|layer| layer.between[1] == *name);
    let (op, macs, weights) = match layer {
        Some(layer) => cost(graph, nodes, &layer.name),
        None => (
            nodes
                .get(name.as_str())
                .map_or("", |node| node.op.onnx_name()),
            0,
            0,
        ),
    };
    let params = value.params;
    let edge = |byte: i32| (byte - params.zero_point) as f32 * params.scale;
    LayerReport {
        method: value.method.to_owned(),
        range: Some(params.bytes.map(edge)),
        scale: Some(params.scale),
        zero: Some(params.zero_point),
        histogram: Some(value.histogram.clone()),
        mse: Some(value.mse),
        sqnr: decibels(value.noise),
        weight_sqnr: layer.and_then(|layer| decibels(layer.noise)),
        macs,
        weights,
        name: layer.map_or(name, |layer| &layer.name).clone(),
        op: op.to_owned(),
        ..LayerReport::default()
    }
}

/// Operator, multiply-accumulates and weights of a node.
fn cost(graph: &Graph, nodes: &BTreeMap<&str, &Node>, name: &str) -> (&'static str, u64, u64) {
    let Some(node) = nodes.get(name) else {
        return ("", 0, 0);
    };
    let weights: usize = graph.fact(node.inputs[1]).shape_for(1).iter().product();
    (node.op.onnx_name(), graph.macs(node), weights as u64)
}

/// Signal to noise ratio in dB; none without noise.
fn decibels(noise: f64) -> Option<f64> {
    (noise > 0.0).then(|| -10.0 * noise.log10())
}
