//! Quantises and evaluates a network, and keeps layers float where the budget for mAP demands it.
//!
//! The quantiser ([`Quantiser`]) and the function that embeds images are arguments, so that the order
//! of the steps is tested without either.

use network::graph::Graph;
use retrieval::open_set::OperatingPoint;
use retrieval::{Embeddings, Label};

use super::budget::BudgetTrial;
use super::budget::fit_budget;
use super::collapse::{self, CollapseCheck};
use super::report::{DropBudget, Evaluation, SensitivityReport};
use super::sensitivity::{sensitivity, subset};
use super::{CompareSettings, Comparison, TestEmbeddings, compare, thresholds};
use crate::Result;
use crate::data::dataset::{Dataset, Image};

/// Functions of a calibrated quantiser.
pub struct Quantiser<'a> {
    /// Names of the layers that it quantises.
    pub layers: Vec<String>,
    /// The network with all of its layers quantised, but those named.
    pub all_but: &'a mut dyn FnMut(&[String]) -> Result<Graph>,
    /// The network with the layer named quantised, and nothing else.
    pub only: &'a mut dyn FnMut(&str) -> Result<Graph>,
}

/// Options of the evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvaluateOptions {
    /// How networks are compared.
    pub settings: CompareSettings,
    /// Images that the sensitivity of each layer is measured on.
    pub images: usize,
    /// Whether the sensitivity is measured in any case.
    pub sensitivity: bool,
    /// What mAP may drop by, from 0 to 1.
    pub max_map_drop: Option<f64>,
}

/// A quantised network that passed the collapse check and is within its budget.
#[derive(Debug)]
pub struct EvaluatedNetwork {
    /// The network.
    pub graph: Graph,
    /// FPIR and FNIR by threshold, for the model metadata.
    pub thresholds: Vec<OperatingPoint>,
    /// The results, except for the cost.
    pub evaluation: Evaluation,
}

/// A network that was tried.
struct Attempt {
    graph: Graph,
    embedded: TestEmbeddings,
    comparison: Comparison,
}

/// Quantises and evaluates. `embed` returns the embeddings of images, one row for each.
///
/// Without a budget all layers are quantised, and the drop is whatever it is. With one, the layers'
/// sensitivity is measured only if quantising all of them is beyond it.
///
/// # Errors
/// [`Error::Argument`] if the network has collapsed ([`collapse::check`]) or the budget cannot be met
/// ([`fit_budget`]); errors of the quantiser and of `embed`.
///
/// [`Error::Argument`]: crate::Error::Argument
pub fn evaluate_quantised(
    set: &Dataset,
    float: &Graph,
    quantiser: Quantiser<'_>,
    mut embed: impl FnMut(&Graph, &[Image]) -> Result<Embeddings>,
    wanted: EvaluateOptions,
) -> Result<EvaluatedNetwork> {
    let Quantiser {
        layers,
        all_but,
        only,
    } = quantiser;
    let reference = TestEmbeddings::of(set, |images| embed(float, images))?;
    let all = attempt(set, &reference, all_but(&[])?, &mut embed, wanted.settings)?;
    let beyond =
        (wanted.max_map_drop).filter(|most| all.comparison.map.drop.value > *most || most.is_nan());
    let found = if wanted.sensitivity || beyond.is_some() {
        let crops = subset(set, wanted.images)?;
        let alone = TestEmbeddings::of(&crops, |images| embed(float, images))?;
        let ranked = sensitivity(&layers, &crops, &alone, only, &mut embed, || ())?;
        Some(SensitivityReport {
            crops: crops.query.len() + crops.gallery.len(),
            layers: ranked,
        })
    } else {
        None
    };

    let mut budget = wanted.max_map_drop.map(|max_map_drop| DropBudget {
        max_map_drop,
        kept: Vec::new(),
        trials: vec![BudgetTrial {
            kept: 0,
            map_drop: all.comparison.map.drop,
        }],
    });
    let mut chosen = all;
    if let (Some(most), Some(found)) = (beyond, &found) {
        let first = chosen.comparison.clone();
        let mixed = fit_budget(&found.layers, most, |kept| {
            if kept.is_empty() {
                return Ok(first.clone());
            }
            let graph = all_but(kept)?;
            let tried = attempt(set, &reference, graph, &mut embed, wanted.settings)?;
            let comparison = tried.comparison.clone();
            // Each that is within keeps fewer layers float than the one before.
            if comparison.map.drop.value <= most {
                chosen = tried;
            }
            Ok(comparison)
        })?;
        budget = Some(DropBudget {
            max_map_drop: most,
            kept: mixed.kept,
            trials: mixed.trials,
        });
    }

    let collapse = check(set, &reference, &chosen.embedded)?;
    let (open_set, thresholds) = thresholds(set, &chosen.embedded)?;
    Ok(EvaluatedNetwork {
        graph: chosen.graph,
        thresholds,
        evaluation: Evaluation {
            retrieval: Some(chosen.comparison.int8_scores()),
            comparison: Some(chosen.comparison),
            collapse: Some(collapse),
            open_set: Some(open_set),
            sensitivity: found,
            budget,
            ..Evaluation::default()
        },
    })
}

fn attempt(
    set: &Dataset,
    reference: &TestEmbeddings,
    graph: Graph,
    embed: &mut impl FnMut(&Graph, &[Image]) -> Result<Embeddings>,
    settings: CompareSettings,
) -> Result<Attempt> {
    let embedded = TestEmbeddings::of(set, |images| embed(&graph, images))?;
    let comparison = compare(set, reference, &embedded, settings).or_else(|error| {
        // If the embeddings cannot be compared, the collapse check has the better error.
        check(set, reference, &embedded)?;
        Err(error)
    })?;
    Ok(Attempt {
        graph,
        embedded,
        comparison,
    })
}

/// The collapse check on all queries and gallery images.
fn check(
    set: &Dataset,
    reference: &TestEmbeddings,
    int8: &TestEmbeddings,
) -> Result<CollapseCheck> {
    let all = |side: &TestEmbeddings| {
        let rows = [&side.query, &side.gallery].map(Embeddings::as_slice);
        Embeddings::new(side.query.dim(), rows.concat())
    };
    let images = || set.query.iter().chain(&set.gallery);
    let names: Vec<String> = images()
        .map(|image| image.path.display().to_string())
        .collect();
    let labels: Vec<Label> = images().map(|image| image.label).collect();
    collapse::check(&all(reference)?, &all(int8)?, &names, Some(&labels))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::accuracy::tests::set;

    const LAYERS: [&str; 4] = ["a", "b", "c", "d"];

    /// Six pairs of persons, seen twice; a layer that is quantised swaps the second images of some
    /// pairs: `a` of none, `b` of three, `c` of two, `d` of one.
    fn embedding(quantised: &str, image: &Image) -> [f32; 2] {
        let person = image.label.person - 1;
        let swaps = ["b", "b", "b", "c", "c", "d"][person as usize / 2];
        let second = image.label.camera == 2;
        let swapped = second && quantised.contains(swaps);
        let place = if swapped { person ^ 1 } else { person };
        let angle = 60 * (place / 2) + 10 * (place % 2) + if second { 2 } else { 0 };
        (angle as f32).to_radians().sin_cos().into()
    }

    fn embed(graph: &Graph, images: &[Image]) -> Result<Embeddings> {
        let rows = images
            .iter()
            .flat_map(|image| embedding(graph.name(), image));
        Ok(Embeddings::new(2, rows.collect())?)
    }

    struct Ran {
        evaluated: Result<EvaluatedNetwork>,
        /// What was quantised, one after the other.
        asked: Vec<String>,
    }

    fn run(
        wanted: EvaluateOptions,
        embed: impl FnMut(&Graph, &[Image]) -> Result<Embeddings>,
    ) -> Ran {
        let people: Vec<(i32, u32)> = (1..=12).map(|person| (person, 1)).collect();
        let again: Vec<(i32, u32)> = people.iter().map(|&(person, _)| (person, 2)).collect();
        let asked = RefCell::new(Vec::new());
        let graph = |name: String| {
            asked.borrow_mut().push(name.clone());
            Ok(Graph::new(name, "x", [3, 1, 1]))
        };
        let evaluated = evaluate_quantised(
            &set(&people, &again),
            &Graph::new("float", "x", [3, 1, 1]),
            Quantiser {
                layers: LAYERS.map(str::to_owned).to_vec(),
                all_but: &mut |kept| {
                    let left = LAYERS
                        .iter()
                        .filter(|layer| !kept.contains(&(**layer).into()));
                    graph(left.copied().collect())
                },
                only: &mut |layer| graph(layer.to_owned()),
            },
            embed,
            wanted,
        );
        Ran {
            evaluated,
            asked: asked.into_inner(),
        }
    }

    const PLAIN: EvaluateOptions = EvaluateOptions {
        settings: CompareSettings {
            bootstrap: crate::accuracy::bootstrap::Bootstrap {
                resamples: 200,
                seed: 1,
            },
            fmr: 0.01,
        },
        images: 100,
        sensitivity: false,
        max_map_drop: None,
    };

    #[test]
    fn without_a_budget_all_is_quantised_once() {
        let ran = run(PLAIN, embed);
        let evaluated = ran.evaluated.unwrap();
        assert_eq!(ran.asked, ["abcd"]);
        assert_eq!(evaluated.graph.name(), "abcd");
        // Each query finds the other person of its pair first.
        assert!(
            (evaluated
                .evaluation
                .comparison
                .as_ref()
                .unwrap()
                .map
                .drop
                .value
                - 0.5)
                .abs()
                < 1e-6
        );
        assert!(
            evaluated.evaluation.sensitivity.is_none() && evaluated.evaluation.budget.is_none()
        );
        assert!(
            !evaluated.thresholds.is_empty() && evaluated.evaluation.collapse.unwrap().crops == 24
        );
    }

    #[test]
    fn a_budget_keeps_the_most_harmful_layers() {
        struct Case(f64, &'static [&'static str], &'static str);
        let cases = [
            Case(0.51, &[], "abcd"),
            Case(0.49, &["b"], "acd"),
            Case(0.26, &["b"], "acd"),
            Case(0.10, &["b", "c"], "ad"),
            Case(0.01, &["b", "c", "d"], "a"),
        ];
        for Case(most, kept, name) in cases {
            let wanted = EvaluateOptions {
                max_map_drop: Some(most),
                ..PLAIN
            };
            let ran = run(wanted, embed);
            let evaluated = ran.evaluated.unwrap();
            let budget = evaluated.evaluation.budget.as_ref().unwrap();
            assert_eq!(budget.kept, kept, "{most}");
            assert_eq!(evaluated.graph.name(), name, "{most}");
            assert!(
                evaluated
                    .evaluation
                    .comparison
                    .as_ref()
                    .unwrap()
                    .map
                    .drop
                    .value
                    <= most,
                "{most}"
            );
            assert_eq!(budget.trials[0].kept, 0, "{most}");
            // What was evaluated with all of them quantised is not computed again.
            let whole = ran.asked.iter().filter(|name| *name == "abcd").count();
            assert_eq!(whole, 1, "{most}: {:?}", ran.asked);
            assert_eq!(
                evaluated.evaluation.sensitivity.is_some(),
                !kept.is_empty(),
                "{most}"
            );
        }
    }

    #[test]
    fn sensitivity_is_measured_when_it_is_asked_for() {
        let wanted = EvaluateOptions {
            sensitivity: true,
            images: 48,
            ..PLAIN
        };
        let ran = run(wanted, embed);
        let evaluated = ran.evaluated.unwrap();
        assert_eq!(ran.asked, ["abcd", "a", "b", "c", "d"]);
        let found = evaluated.evaluation.sensitivity.unwrap();
        assert_eq!(found.crops, 24);
        let order: Vec<&str> = found.layers.iter().map(|harm| &*harm.layer).collect();
        assert_eq!(order, ["b", "c", "d", "a"]);
        assert_eq!(evaluated.graph.name(), "abcd");
    }

    #[test]
    fn the_dead_are_refused() {
        let all_alike = |graph: &Graph, images: &[Image]| match graph.name() {
            "abcd" => Ok(Embeddings::new(2, vec![1.0; 2 * images.len()])?),
            _ => embed(graph, images),
        };
        let error = run(PLAIN, all_alike).evaluated.unwrap_err().to_string();
        assert!(error.contains("they are all the same"), "{error}");
        let none = |graph: &Graph, images: &[Image]| match graph.name() {
            "abcd" => Ok(Embeddings::new(2, vec![f32::NAN; 2 * images.len()])?),
            _ => embed(graph, images),
        };
        let error = run(PLAIN, none).evaluated.unwrap_err().to_string();
        assert!(
            error.starts_with("the quantised network has collapsed: number 0"),
            "{error}"
        );
        // Within a budget some layers revive it.
        let wanted = EvaluateOptions {
            max_map_drop: Some(0.3),
            ..PLAIN
        };
        let evaluated = run(wanted, all_alike).evaluated.unwrap();
        assert_eq!(evaluated.graph.name(), "acd");
        let half = |graph: &Graph, images: &[Image]| match graph.name() {
            "float" => embed(graph, images),
            _ => Ok(Embeddings::new(2, vec![1.0; 2 * images.len()])?),
        };
        let error = run(wanted, half).evaluated.unwrap_err().to_string();
        assert!(
            error.contains("nothing would be left to quantise"),
            "{error}"
        );
    }
}
