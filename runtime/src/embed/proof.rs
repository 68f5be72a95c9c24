//! Whether a backend computes what the model's exporter did.
//!
//! A model that carries a [self-test](network::self_test) is tested before anything is embedded with
//! it: its golden crops go through the backend as any crops do. A backend whose results differ is
//! not used.
//!
//! A test takes as long as embedding its few crops, which a program that starts often should not
//! pay each time. So a pass is kept in the user's cache ([`Passes`]) and counts for exactly what it
//! proves ([`Tested`]). A failure is not kept: it is found again, and reported again.

mod machine;
mod passes;

use network::model::Model;
use network::self_test::Passed;
use serde::Serialize;

use super::{Chosen, Embedder};
use crate::Result;
pub(super) use passes::Passes;

/// A receipt that was reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proof {
    /// How well.
    #[serde(flatten)]
    pub passed: Passed,
    /// Whether that was found out by an earlier run, and kept.
    pub cached: bool,
}

/// What a pass is of. It says nothing of any other model, computation, program or machine.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tested {
    /// The model and the way it is computed: each has one kept pass.
    subject: String,
    /// The program and the machine that passed: a pass of another one is replaced.
    by: String,
}

impl Tested {
    /// None if the model states no digest, or if this program or machine cannot be told from others.
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
            subject: format!(
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

/// Puts `embedder` to the test that `model` carries.
///
/// # Errors
/// [`network::Error::NotReproduced`] with the crop and the step that differ;
/// [`Error::Embed`](crate::Error::Embed) if the network does not run.
///
/// # Panics
/// If the model carries no receipt.
pub(super) fn replay(embedder: &mut dyn Embedder, model: &Model) -> Result<Passed> {
    let self_test = model.metadata.self_test.as_ref().expect("it carries one");
    let [_, height, width] = model.graph.input_size();
    self_test.replay([height, width], |crops| embedder.replay(crops, self_test))
}

/// As [`replay`], unless `passes` has a pass; none without a receipt.
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
    let tested = Tested::of(model, embedder.chosen());
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
        let tested = |(_, model, chosen): &(_, Model, Chosen)| Tested::of(model, chosen).unwrap();
        for (index, case) in cases.iter().enumerate() {
            let mut earlier = cases[..index].iter();
            assert!(
                earlier.all(|other| tested(other) != tested(case)),
                "{}",
                case.0
            );
            assert_eq!(tested(case), tested(case), "{}", case.0);
        }
        assert_eq!(Tested::of(&model([256, 128], None), &plain), None);
    }
}
