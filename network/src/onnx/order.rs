//! Execution order of the nodes of a file.
//!
//! In: the nodes of the file, in any order. Out: those that an output needs, each after all that it reads,
//! otherwise in the order of the file.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::WHAT;
use super::proto::GraphProto;
use crate::{Error, Result};

/// Where the value of a name comes from.
#[derive(Clone, Copy, PartialEq)]
enum Source {
    /// An input or an initialiser.
    File,
    /// The node with this index.
    Node(usize),
}

/// Indices of the nodes that `graph` needs for its outputs, in execution order. `names` are
/// the names of the nodes in messages.
///
/// # Errors
/// [`Error::Malformed`] if two values have one name, a value is read that no node writes, or nodes
/// form a cycle.
pub(super) fn execution(graph: &GraphProto, names: &[String]) -> Result<Vec<usize>> {
    let sources = sources(graph, names)?;
    let live = live(graph, names, &sources)?;
    let writer = |input: &String| match sources.get(input.as_str()) {
        Some(Source::Node(writer)) => Some(*writer),
        _ => None,
    };

    let mut readers = vec![Vec::new(); graph.node.len()];
    let mut waits_for = vec![0usize; graph.node.len()];
    for (index, node) in graph
        .node
        .iter()
        .enumerate()
        .filter(|&(index, _)| live[index])
    {
        for writer in node.input.iter().filter_map(writer) {
            readers[writer].push(index);
            waits_for[index] += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<usize>> = (0..graph.node.len())
        .filter(|&index| live[index] && waits_for[index] == 0)
        .map(Reverse)
        .collect();
    let mut order = Vec::new();
    while let Some(Reverse(index)) = ready.pop() {
        order.push(index);
        for &reader in &readers[index] {
            waits_for[reader] -= 1;
            if waits_for[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    // Every node that still waits reads one that still waits, so going backwards from any of them ends in a
    // cycle.
    match (0..graph.node.len()).find(|&index| waits_for[index] > 0) {
        None => Ok(order),
        Some(start) => {
            let before = |index: usize| {
                let mut writers = graph.node[index].input.iter().filter_map(writer);
                writers
                    .find(|&writer| waits_for[writer] > 0)
                    .expect("it waits for one")
            };
            let cycle: Vec<&str> = cycle(start, before)
                .iter()
                .map(|&i| names[i].as_str())
                .collect();
            let shown = cycle[..cycle.len().min(8)].join("` -> `");
            let more = if cycle.len() > 8 { " -> ..." } else { "" };
            Err(Error::malformed(
                WHAT,
                format!("{} nodes form a cycle: `{shown}`{more}", cycle.len()),
            ))
        }
    }
}

/// The source of every name of the graph.
fn sources<'a>(graph: &'a GraphProto, names: &[String]) -> Result<HashMap<&'a str, Source>> {
    let mut sources = HashMap::new();
    let mut declare = |name: &'a str, source: Source, by: &dyn Fn() -> String| match sources
        .insert(name, source)
    {
        None => Ok(()),
        Some(_) => Err(Error::malformed(
            WHAT,
            format!("value `{name}` of {} is already there", by()),
        )),
    };
    for tensor in &graph.initializer {
        let name = tensor.name.as_deref().unwrap_or_default();
        declare(name, Source::File, &|| "an initialiser".into())?;
    }
    for input in super::inputs(graph) {
        let name = input.name.as_deref().unwrap_or_default();
        declare(name, Source::File, &|| "an input".into())?;
    }
    for (index, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            let by = || format!("node `{}`", names[index]);
            declare(output, Source::Node(index), &by)?;
        }
    }
    Ok(sources)
}

/// The nodes that the outputs need.
fn live(
    graph: &GraphProto,
    names: &[String],
    sources: &HashMap<&str, Source>,
) -> Result<Vec<bool>> {
    let source = |name: &str, reader: &dyn Fn() -> String| match sources.get(name) {
        Some(source) => Ok(*source),
        None => Err(Error::malformed(
            WHAT,
            format!(
                "{} reads `{name}`, which is no input, no initialiser and written by no node",
                reader()
            ),
        )),
    };
    let mut live = vec![false; graph.node.len()];
    let mut pending = Vec::new();
    let mut need = |source: Source, pending: &mut Vec<usize>| {
        if let Source::Node(index) = source
            && !std::mem::replace(&mut live[index], true)
        {
            pending.push(index);
        }
    };
    for output in &graph.output {
        let name = output.name.as_deref().unwrap_or_default();
        need(source(name, &|| "an output".into())?, &mut pending);
    }
    while let Some(index) = pending.pop() {
        for input in graph.node[index]
            .input
            .iter()
            .filter(|input| !input.is_empty())
        {
            let reader = || format!("node `{}`", names[index]);
            need(source(input, &reader)?, &mut pending);
        }
    }
    Ok(live)
}

/// The cycle that is reached from `start` by following `before`, in the direction of the data.
fn cycle(start: usize, before: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut seen = HashMap::new();
    let mut path = Vec::new();
    let mut index = start;
    while !seen.contains_key(&index) {
        seen.insert(index, path.len());
        path.push(index);
        index = before(index);
    }
    let mut cycle = path.split_off(seen[&index]);
    cycle.reverse();
    cycle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{NodeProto, ValueInfoProto};

    /// Nodes written as `a b > c`, the image being `x` and the output `y`.
    fn order(nodes: &[&str]) -> Result<Vec<usize>> {
        let value = |name: &str| ValueInfoProto {
            name: Some(name.into()),
            r#type: None,
        };
        let words = |text: &str| text.split_whitespace().map(String::from).collect();
        let node = |text: &&str| {
            let (input, output) = text.split_once('>').unwrap();
            NodeProto {
                input: words(input),
                output: words(output),
                ..NodeProto::default()
            }
        };
        let graph = GraphProto {
            node: nodes.iter().map(node).collect(),
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        let names: Vec<String> = (0..nodes.len()).map(|i| format!("n{i}")).collect();
        execution(&graph, &names)
    }

    #[test]
    fn nodes_are_sorted_and_dropped() {
        assert_eq!(order(&["x > a", "a > b", "a b > y"]).unwrap(), [0, 1, 2]);
        assert_eq!(order(&["b > y", "x > a", "a > b"]).unwrap(), [1, 2, 0]);
        assert_eq!(
            order(&["x > a", "a > dead", "a > y", "gone > dead2"]).unwrap(),
            [0, 2]
        );
    }

    #[test]
    fn what_cannot_be_sorted_is_named() {
        for (nodes, want) in [
            (
                ["x > a", "a c > b", "b > c", "c > y"].as_slice(),
                "2 nodes form a cycle: `n2` -> `n1`",
            ),
            (&["y > y"], "1 nodes form a cycle: `n0`"),
            (&["z > y"], "node `n0` reads `z`"),
            (&["x > z"], "an output reads `y`"),
            (
                &["x > y", "x > y"],
                "value `y` of node `n1` is already there",
            ),
            (&["y > x"], "value `x` of node `n0` is already there"),
        ] {
            let error = order(nodes).unwrap_err().to_string();
            assert!(error.contains(want), "{want}: {error}");
        }
    }
}
