//! What a device has to compute of the exported network, to be proven there.

use kernels::cpu::{Executor, StepOutput};
use kernels::plan::{Plan, TensorId, TensorKind};
use kernels::plan::{TensorValue, run_plan};
use network::metadata::Preprocessing;
use network::self_test::{ChecksumRecorder, Golden, SelfTest, TestOutputs, checksum_steps};

use super::device::{DeviceNetwork, planned};
use super::{Exported, dot};
use crate::{Error, Result};

/// Least cosine that a device may compute a float network with. Single precision reaches 0.999999;
/// planes in another order, another normalisation or a wrong layer are far below this.
const CLOSE: f64 = 0.999;

/// Least cosine behind equal integers, if nothing but the head computes in floats.
const EXACT: f64 = 0.999_999;

/// The same if integers follow floats again, so that a rounding can become a step.
const MIXED: f64 = 0.999;

/// What a contract says where no integers are shared: the first step is a float one.
const NOTHING: &str = "nothing";

impl Exported {
    /// Writes into the contract what comes out of golden crops: checksums of integers and embeddings
    /// for a quantised network, embeddings alone for a float one. Where integers end is written
    /// into the contract's `quantisation` as well. To be called last: whatever is changed afterwards
    /// makes the receipt wrong.
    ///
    /// # Errors
    /// [`Error::Kernels`] if the network has collapsed: it sees nothing in a golden crop.
    /// [`Error::Argument`] if a network that is said to be quantised computes nothing in integers.
    pub fn add_self_test(&mut self) -> Result<()> {
        let Preprocessing { height, width, .. } = self.metadata.preprocessing;
        let golden = Golden::for_dim(self.metadata.embedding.dim);
        let self_test = match self.metadata.quantisation.is_some() {
            true => self.of_integers(golden)?,
            false => SelfTest::make(golden, [height, width], CLOSE, None, |crops| {
                let embeddings = self.in_floats(crops)?;
                Ok::<_, Error>(TestOutputs {
                    embeddings,
                    sums: None,
                })
            })?,
        };
        self.metadata.self_test = Some(self_test);
        Ok(())
    }

    /// The receipt of a quantised network, by the executor of its plan.
    ///
    /// What floats make of the same file is measured, and other runtimes are allowed to be three
    /// times as far away: they round in other places.
    fn of_integers(&mut self, golden: Golden) -> Result<SelfTest> {
        let plan = planned(&self.graph, &self.metadata.preprocessing)?;
        let exact = plan.exact_steps();
        let names = checksum_steps(&exact);
        let is_quantised =
            |&id: &TensorId| matches!(plan.tensor(id).kind, TensorKind::Quantised { .. });
        if !(plan.steps().iter()).any(|step| step.outputs.iter().any(is_quantised)) {
            let reason = "the network is said to be quantised, but none of it is in integers";
            return Err(Error::Argument(reason.to_owned()));
        }
        if let Some(quantisation) = &mut self.metadata.quantisation {
            let last = exact.last().map_or(NOTHING, String::as_str);
            last.clone_into(&mut quantisation.exact_until);
        }
        let quantised_again = plan.steps()[plan.exact_until()..]
            .iter()
            .any(|step| step.outputs.iter().any(is_quantised));
        let cosine = if quantised_again { MIXED } else { EXACT };
        let mut executor = Executor::new(&plan, 0)?;
        let crops = golden.crops(plan.image());
        let mut embeddings = vec![0.0; golden.count * executor.dim()];
        // Where the first step is a float one, there are no integers that all executors share.
        let mut recorder = (!names.is_empty())
            .then(|| ChecksumRecorder::new(&exact, names.iter().map(String::as_str), golden.count))
            .transpose()?;
        executor.run_with(&crops, &mut embeddings, |step, written| {
            if let (Some(recorder), StepOutput::Quantised(values)) = (&mut recorder, written) {
                recorder.record(step, values);
            }
        })?;
        let floats = self.in_floats(&crops)?;
        let rows = embeddings.chunks_exact(executor.dim());
        let far = rows
            .zip(floats.chunks_exact(executor.dim()))
            .map(|(a, b)| 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
            .fold(0.0, f64::max);
        let close = (1.0 - 3.0 * far).clamp(0.5, CLOSE);
        let said = recorder.is_some().then_some((cosine, &names[..]));
        let produced = match recorder {
            Some(recorder) => {
                let produced = recorder.finish(embeddings)?;
                let each = crops.len() / golden.count;
                same_as_plain(&plan, &exact, &names, &crops[..each], &produced)?;
                produced
            }
            None => TestOutputs {
                embeddings,
                sums: None,
            },
        };
        SelfTest::make(golden, plan.image(), close, said, |_| Ok(produced))
    }

    /// What the network makes of crops in floats, one after the other: a batch of large images would
    /// need memory for all of them.
    fn in_floats(&self, crops: &[u8]) -> Result<Vec<f32>> {
        let preprocessing = &self.metadata.preprocessing;
        let network = DeviceNetwork::in_floats(&self.graph, preprocessing, 0);
        let mut worker = network.worker()?;
        let crops = crops.chunks_exact(preprocessing.height * preprocessing.width * 3);
        let embeddings = crops.map(|crop| worker.embed(crop));
        Ok(embeddings.collect::<Result<Vec<_>>>()?.concat())
    }
}

/// Whether the fast executor has the integers of the plain one on the first golden crop.
fn same_as_plain(
    plan: &Plan,
    exact: &[String],
    names: &[String],
    crop: &[u8],
    fast: &TestOutputs,
) -> Result<()> {
    let mut recorder = ChecksumRecorder::new(exact, names.iter().map(String::as_str), 1)?;
    run_plan(plan, crop, |step, value| {
        if let TensorValue::Quantised(values) = value {
            recorder.record(step, values);
        }
    })?;
    let plain = recorder.finish(Vec::new())?.sums.unwrap_or_default();
    let fast = fast.sums.as_deref().unwrap_or_default();
    match names
        .iter()
        .zip(&plain)
        .zip(fast)
        .find(|((_, plain), fast)| plain != fast)
    {
        None => Ok(()),
        Some(((name, plain), fast)) => Err(Error::Argument(format!(
            "step `{name}`: the checksum of the fast executor is {fast}, that of the plain one {plain}: please report this processor and this network"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use network::graph::{Conv, Graph, Op, Operand, Unary, ValueId};
    use network::metadata::{
        self, Calibration, Embedding, Metric, ModelMetadata, QdqLayout, Quantisation, Scheme,
        WeightsOrigin,
    };
    use network::self_test::Golden;
    use network::tensor::{Data, Tensor};

    use super::*;

    fn quantised_value(graph: &mut Graph, name: &str, x: ValueId, scale: f32, zero: u8) -> ValueId {
        let scale = graph.param(format!("{name}.scale"), Tensor::scalar(scale));
        let zero = Tensor::new(Vec::new(), Data::U8(vec![zero])).unwrap();
        let zero = graph.param(format!("{name}.zero"), zero);
        let quantise = Op::QuantizeLinear { axis: 1 };
        let operands = [x.into(), scale.into(), zero.into()];
        let x = graph
            .push1(format!("{name}.q"), quantise, operands)
            .unwrap();
        let operands = [x.into(), scale.into(), zero.into()];
        let back = Op::DequantizeLinear { axis: 1 };
        graph.push1(format!("{name}.dq"), back, operands).unwrap()
    }

    /// Eight filters of 3 x 3, their means; behind a layer that was kept float, if that is asked for.
    fn quantised(float_first: bool) -> Exported {
        let mut graph = Graph::new("small", "images", [3, 8, 4]);
        let mut x = graph.input();
        if float_first {
            let weight = [0.9, 0.1, 0.0, 0.0, 0.9, 0.1, 0.1, 0.0, 0.9];
            let weight = graph.param("first", Tensor::f32([3, 3, 1, 1], weight).unwrap());
            let operands = [x.into(), weight.into()];
            x = graph
                .push1("first", Op::Conv(Conv::pointwise()), operands)
                .unwrap();
        }
        let x = quantised_value(&mut graph, "images", x, 0.02, 120);
        let weight = (0..8 * 27).map(|i| (i * 37 % 255 - 127) as i8).collect();
        let weight = Tensor::new([8, 3, 3, 3], Data::I8(weight)).unwrap();
        let weight = graph.param("weight", weight);
        let scale = graph.param("weight.scale", Tensor::f32([8], [0.003; 8]).unwrap());
        let back = Op::DequantizeLinear { axis: 0 };
        let operands: [Operand; 2] = [weight.into(), scale.into()];
        let weight = graph.push1("weight.dq", back, operands).unwrap();
        let conv = Op::Conv(Conv {
            pads: [1; 4],
            ..Conv::pointwise()
        });
        let x = graph
            .push1("conv", conv, [x.into(), weight.into()])
            .unwrap();
        let relu = Op::Unary(Unary::Relu);
        let x = graph.push1("relu", relu, [x.into()]).unwrap();
        let x = quantised_value(&mut graph, "relu", x, 0.03, 0);
        let x = graph
            .push1("mean", Op::GlobalAveragePool, [x.into()])
            .unwrap();
        let x = graph
            .push1("flat", Op::Flatten { axis: 1 }, [x.into()])
            .unwrap();
        graph.output("embedding", x);
        let metadata = ModelMetadata {
            version: metadata::VERSION,
            preprocessing: Preprocessing {
                height: 8,
                width: 4,
                ..Preprocessing::default()
            },
            embedding: Embedding {
                output: "embedding".to_owned(),
                dim: 8,
                metric: Metric::Cosine,
            },
            net: None,
            space: None,
            weights: WeightsOrigin::default(),
            thresholds: Vec::new(),
            quantisation: Some(Quantisation {
                scheme: Scheme::U8,
                layout: QdqLayout::Fused,
                exact_until: "unknown".to_owned(),
                calibration: Calibration {
                    method: "none".to_owned(),
                    crops: 1,
                },
                float_layers: Vec::new(),
            }),
            self_test: None,
        };
        Exported {
            unfolded: graph.clone(),
            graph,
            metadata,
        }
    }

    #[test]
    fn a_quantised_network_has_a_receipt_of_its_integers() {
        let mut exported = quantised(false);
        exported.add_self_test().unwrap();
        let metadata = ModelMetadata::from_json(&exported.metadata.to_json()).unwrap();
        let self_test = metadata.self_test.unwrap();
        assert_eq!(self_test.golden, Golden { seed: 1, count: 4 });
        let exact = self_test.exact.as_ref().unwrap();
        assert_eq!(exact.cosine, EXACT);
        let until = metadata.quantisation.unwrap().exact_until;
        assert_eq!(exact.steps.last().map(|step| &step.name), Some(&until));
        assert!(
            (0.9..=CLOSE).contains(&self_test.close),
            "{}",
            self_test.close
        );
    }

    #[test]
    fn integers_behind_a_float_layer_are_only_close() {
        let mut exported = quantised(true);
        exported.add_self_test().unwrap();
        let metadata = ModelMetadata::from_json(&exported.metadata.to_json()).unwrap();
        assert!(metadata.self_test.unwrap().exact.is_none());
        assert_eq!(metadata.quantisation.unwrap().exact_until, NOTHING);
    }

    #[test]
    fn floats_that_are_said_to_be_integers_are_refused() {
        let mut exported = quantised(false);
        let mut graph = Graph::new("floats", "images", [3, 8, 4]);
        let input = graph.input();
        let flat = graph.push1("flat", Op::Flatten { axis: 1 }, [input.into()]);
        graph.output("embedding", flat.unwrap());
        exported.graph = graph;
        let error = exported.add_self_test().unwrap_err().to_string();
        assert!(error.contains("none of it is in integers"), "{error}");
    }
}
