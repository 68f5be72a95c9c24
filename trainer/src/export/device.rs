//! Runs a network as a device does: with the integer executor if it is quantised, else in f32.

use std::collections::BTreeMap;

use kernels::cpu::{Cpu, Executor, FloatExecutor};
use kernels::plan::Plan;
use network::graph::Graph;
use network::graph::fold::fold;
use network::metadata::Preprocessing;
use network::onnx::{self, ReadOptions};
use network::preprocess::Normaliser;
use network::tensor::Tensor;

use crate::Result;

/// A network and the processor that computes it.
#[derive(Debug)]
pub struct DeviceNetwork<'a> {
    graph: &'a Graph,
    preprocessing: Preprocessing,
    threads: usize,
    cpu: Cpu,
    /// Of a quantised network.
    plan: Option<Plan>,
}

/// Computes a network on one thread of several.
#[derive(Debug)]
pub struct Worker<'a>(Backend<'a>);

#[derive(Debug)]
enum Backend<'a> {
    Integers(Box<Executor>),
    Floats(FloatExecutor<'a>, Box<Normaliser>, [usize; 2]),
}

impl<'a> DeviceNetwork<'a> {
    /// A network that each worker computes on `threads` threads, 0 for one a core. It is quantised
    /// if it has a `QuantizeLinear`.
    ///
    /// # Errors
    /// [`Error::Kernels`](crate::Error::Kernels) if a quantised network cannot be planned.
    pub fn new(graph: &'a Graph, preprocessing: &Preprocessing, threads: usize) -> Result<Self> {
        let plan = (graph.is_quantised())
            .then(|| planned(graph, preprocessing))
            .transpose()?;
        Ok(Self {
            plan,
            ..Self::in_floats(graph, preprocessing, threads)
        })
    }

    /// The same network in f32, also if it is quantised, as other runtimes compute it.
    #[must_use]
    pub fn in_floats(graph: &'a Graph, preprocessing: &Preprocessing, threads: usize) -> Self {
        Self {
            graph,
            preprocessing: *preprocessing,
            threads,
            cpu: Cpu::new(threads),
            plan: None,
        }
    }

    /// A worker that computes it.
    ///
    /// # Errors
    /// [`Error::Kernels`](crate::Error::Kernels) if it gives no embedding.
    pub fn worker(&self) -> Result<Worker<'_>> {
        let Preprocessing { height, width, .. } = self.preprocessing;
        Ok(Worker(match &self.plan {
            Some(plan) => Backend::Integers(Box::new(Executor::new(plan, self.threads)?)),
            None => Backend::Floats(
                self.cpu.prepare(self.graph),
                Box::new(Normaliser::new(&self.preprocessing)?),
                [height, width],
            ),
        }))
    }
}

impl Worker<'_> {
    /// The embedding of one crop, RGB bytes `[height, width, 3]`; not normalised.
    ///
    /// # Errors
    /// [`Error::Kernels`](crate::Error::Kernels) for a crop of another size.
    pub fn embed(&mut self, crop: &[u8]) -> Result<Vec<f32>> {
        match &mut self.0 {
            Backend::Integers(executor) => {
                let mut embedding = vec![0.0; executor.dim()];
                executor.run(crop, &mut embedding)?;
                Ok(embedding)
            }
            Backend::Floats(network, normaliser, size) => {
                let output = network
                    .run(&input(normaliser, *size, crop)?)?
                    .swap_remove(0);
                Ok(output.as_f32().expect("embeddings are f32").to_vec())
            }
        }
    }
}

/// A crop as a float network reads it, `[1, 3, height, width]`.
pub(super) fn input(normaliser: &Normaliser, size: [usize; 2], crop: &[u8]) -> Result<Tensor> {
    let mut planes = vec![0.0; crop.len()];
    normaliser.fill(crop, &mut planes)?;
    Ok(Tensor::f32([1, 3, size[0], size[1]], planes)?)
}

/// The plan that a device will make of a quantised network: planning may depend on the order of
/// nodes, so the network is written and read before.
pub(super) fn planned(graph: &Graph, preprocessing: &Preprocessing) -> Result<Plan> {
    let bytes = onnx::write_bytes(graph, &BTreeMap::new())?;
    let read = onnx::read_bytes(&bytes, &ReadOptions::default())?;
    Ok(Plan::new(&fold(&read.graph)?, preprocessing)?)
}
