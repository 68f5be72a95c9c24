//! Runs a model's [self-test](network::self_test) on a backend: its golden crops in, whether the
//! results are the exporter's out.
//!
//! A pass is kept in the user's cache ([`Passes`]), so that a program that starts often does not
//! repeat the test, and counts for one model, computation, program and machine ([`Subject`]). A
//! failure is not kept: it is found and reported again.

mod machine;
mod passes;

use network::model::Model;
use network::self_test::Passed;
use serde::Serialize;

use super::{Chosen, Embedder};
use crate::Result;
pub(super) use passes::Passes;

/// A self-test that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proof {
    /// How it was passed.
    #[serde(flatten)]
    pub passed: Passed,
    /// Whether it was passed by an earlier run.
    pub cached: bool,
}

/// What was tested, and by whom. A pass does not count for another model, computation, program or machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Subject {
    /// The model and how it is computed: each has one kept pass.
    computation: String,
    /// The program and the machine: a pass of another one is replaced.
    by: String,
}

impl Subject {
    /// `None` if the model has no digest, or if this program or machine cannot be identified.
    fn of(model: &Model, chosen: &Chosen) -> Option<Self> {
        let digest = model.digest.as_deref()?;
        let [_, height, width] = model.graph.input_size();
        let Chosen {
            backend,
            threads,
            batch,
            ..
        } = chosen;
        Some(Self {
            computation: format!(
                "file {digest}, input {height}x{width}, {backend}, batch {batch}, threads {threads}"
            ),
            by: format!(
                "{}, {}, {}",
                machine::program()?,
                machine::processor(),
                machine::machine()?
            ),
        })
    }
}

/// Runs the self-test of `model` on `embedder`.
///
/// # Errors
/// [`network::Error::NotReproduced`] with the crop and the step that differ;
/// [`Error::Embed`](crate::Error::Embed) if the network does not run.
///
/// # Panics
/// If the model has no self-test.
pub(super) fn replay(embedder: &mut dyn Embedder, model: &Model) -> Result<Passed> {
    let self_test = model
        .metadata
        .self_test
        .as_ref()
        .expect("the caller checked");
    let [_, height, width] = model.graph.input_size();
    self_test.replay([height, width], |crops| embedder.replay(crops, self_test))
}

/// As [`replay`], unless `passes` has a pass; `None` without a self-test.
///
/// # Errors
/// As [`replay`].
pub(super) fn prove(
    embedder: &mut dyn Embedder,
    model: &Model,
    passes: &Passes,
) -> Result<Option<Proof>> {
    if model.metadata.self_test.is_none() {
        return Ok(None);
    }
    let tested = Subject::of(model, embedder.chosen());
    let kept = tested.as_ref().and_then(|tested| passes.find(tested));
    let passed = match kept {
        Some(passed) => passed,
        None => replay(embedder, model)?,
    };
    if let (Some(tested), None) = (&tested, kept) {
        passes.keep(tested, passed);
    }
    Ok(Some(Proof {
        passed,
        cached: kept.is_some(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use network::graph::Graph;
    use network::metadata::{
        Embedding, Metric, ModelMetadata, Preprocessing, VERSION, WeightsOrigin,
    };

    fn model(size: [usize; 2], digest: Option<&str>) -> Model {
        let [height, width] = size;
        Model {
            graph: Graph::new("net", "images", [3, height, width]),
            metadata: ModelMetadata {
                version: VERSION,
                preprocessing: Preprocessing::default(),
                embedding: Embedding {
                    output: "embedding".to_owned(),
                    dim: 4,
                    metric: Metric::Cosine,
                },
                net: None,
                space: None,
                weights: WeightsOrigin::default(),
                thresholds: Vec::new(),
                quantisation: None,
                self_test: None,
            },
            warnings: Vec::new(),
            nodes_in_file: 0,
            digest: digest.map(str::to_owned),
        }
    }

    /// A pass of one of these must not be taken for a pass of another one.
    #[test]
    fn a_pass_is_of_one_file_input_backend_batch_and_number_of_threads() {
        let chosen = |backend: &str, threads, batch| Chosen {
            backend: backend.to_owned(),
            threads,
            batch,
            ..Chosen::default()
        };
        let plain = chosen("kernels int8, avx2", 2, 1);
        let cases = [
            ("plain", model([256, 128], Some("a")), plain.clone()),
            ("file", model([256, 128], Some("b")), plain.clone()),
            ("input", model([128, 64], Some("a")), plain.clone()),
            (
                "instructions",
                model([256, 128], Some("a")),
                chosen("kernels int8, avx512vnni", 2, 1),
            ),
            (
                "threads",
                model([256, 128], Some("a")),
                chosen("kernels int8, avx2", 1, 1),
            ),
            (
                "batch",
                model([256, 128], Some("a")),
                chosen("kernels int8, avx2", 2, 2),
            ),
        ];
        let tested = |(_, model, chosen): &(_, Model, Chosen)| Subject::of(model, chosen).unwrap();
        for (index, case) in cases.iter().enumerate() {
            let mut earlier = cases[..index].iter();
            assert!(
                earlier.all(|other| tested(other) != tested(case)),
                "{}",
                case.0
            );
            assert_eq!(tested(case), tested(case), "{}", case.0);
        }
        assert_eq!(Subject::of(&model([256, 128], None), &plain), None);
    }
}
