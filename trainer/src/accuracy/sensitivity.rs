//! Sensitivity of layers: one layer quantised at a time, all others float.
//!
//! Layers are ordered by the loss of cosine, which settles with few crops; mAP of a few hundred crops
//! changes in steps of whole queries. Losses of single layers do not add up, so [`super::budget`]
//! evaluates every combination that it tries.

use network::graph::Graph;
use retrieval::metrics::evaluate;
use retrieval::{Embeddings, Metric};
use serde::{Deserialize, Serialize};

use super::{TestEmbeddings, agreement, labels};
use crate::Result;
use crate::data::dataset::{Dataset, Image};
use crate::export::int8::spread;

/// Right answers that a person brings along into a [`subset`].
const ANSWERS: usize = 3;

/// The effect of quantising one layer alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerSensitivity {
    /// Name of the layer.
    pub layer: String,
    /// 1 less the mean cosine between the embeddings with and without; 2 if it leaves a crop none at
    /// all.
    pub loss: f64,
    /// The least cosine; -1 if it leaves a crop no embedding at all.
    pub cosine_min: f64,
    /// mAP of the float network less that with this layer quantised, on the same crops.
    pub map_drop: f64,
}

/// Queries and gallery of few persons: a query of each and up to three right answers. Persons come
/// from all over the data set, so that at most `images` are in it.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if no query has a right answer, or `images` is not enough for one.
pub fn subset(set: &Dataset, images: usize) -> Result<Dataset> {
    let mut persons: Vec<(&Image, Vec<&Image>)> = Vec::new();
    for query in &set.query {
        let person = query.label.person;
        let known = |(other, _): &(&Image, Vec<&Image>)| other.label.person == person;
        if person <= 0 || persons.iter().any(known) {
            continue;
        }
        let right = |image: &&Image| {
            image.label.person == person && image.label.camera != query.label.camera
        };
        let answers: Vec<&Image> = set.gallery.iter().filter(right).collect();
        if !answers.is_empty() {
            persons.push((query, spread(&answers, ANSWERS)));
        }
    }
    let most = images / (1 + ANSWERS);
    if persons.is_empty() || most == 0 {
        bail!(
            "{}: {} queries of different persons have a right answer, with {images} images at most: \
             wanted at least one, and {} images",
            set.name,
            persons.len(),
            1 + ANSWERS
        );
    }
    let chosen = spread(&persons, most);
    Ok(Dataset {
        name: format!("{} of {}", cli::count(chosen.len(), "person"), set.name),
        train: Vec::new(),
        query: chosen.iter().map(|(query, _)| (*query).clone()).collect(),
        gallery: (chosen.iter())
            .flat_map(|(_, answers)| answers.iter().map(|image| (*image).clone()))
            .collect(),
        cameras: set.cameras,
        left_out: Vec::new(),
    })
}

/// Quantises each of `layers` alone and embeds `crops` with it; the most harmful comes first, of
/// equals the earlier name. `seen` is called after each layer.
///
/// # Errors
/// Errors of `quantise_only` and `embed`, and [`Error::Argument`](crate::Error::Argument) if embeddings and crops do not match.
pub fn sensitivity(
    layers: &[String],
    crops: &Dataset,
    float: &TestEmbeddings,
    mut quantise_only: impl FnMut(&str) -> Result<Graph>,
    mut embed: impl FnMut(&Graph, &[Image]) -> Result<Embeddings>,
    mut seen: impl FnMut(),
) -> Result<Vec<LayerSensitivity>> {
    float.check("float", crops)?;
    let map_float = map(crops, float)?;
    let mut found = Vec::with_capacity(layers.len());
    for layer in layers {
        let graph = quantise_only(layer)?;
        let int8 = TestEmbeddings::of(crops, |images| embed(&graph, images))?;
        int8.check("quantised", crops)?;
        found.push(if alive(&int8.query) && alive(&int8.gallery) {
            let cosine = agreement(crops, float, &int8)?;
            LayerSensitivity {
                layer: layer.clone(),
                loss: 1.0 - cosine.mean,
                cosine_min: cosine.min,
                map_drop: map_float - map(crops, &int8)?,
            }
        } else {
            LayerSensitivity {
                layer: layer.clone(),
                loss: 2.0,
                cosine_min: -1.0,
                map_drop: map_float,
            }
        });
        seen();
    }
    found.sort_by(|a, b| b.loss.total_cmp(&a.loss).then(a.layer.cmp(&b.layer)));
    Ok(found)
}

/// Whether every row has a direction.
fn alive(rows: &Embeddings) -> bool {
    rows.clone().normalise().is_ok()
}

fn map(crops: &Dataset, network: &TestEmbeddings) -> Result<f64> {
    let labels = [&crops.query, &crops.gallery].map(|images| labels(images));
    let [query, gallery] = network.labelled(&labels);
    Ok(evaluate(&query, &gallery, Metric::Cosine)?.map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::tests::{at, image, set};

    #[test]
    fn a_subset_is_from_all_over_and_has_right_answers() {
        let mut all = set(&[], &[]);
        for person in 1..=40 {
            for frame in 0..3 {
                all.query.push(image(person, 1, frame));
            }
            // Person 40 was seen by no other camera.
            for frame in 0..7 {
                all.gallery
                    .push(image(person, if person == 40 { 1 } else { 2 }, frame));
            }
        }
        all.query.insert(0, image(0, 1, 9));
        all.gallery.push(image(-1, 2, 0));
        let found = subset(&all, 17).unwrap();
        let persons: Vec<i32> = found.query.iter().map(|image| image.label.person).collect();
        assert_eq!(persons, [1, 10, 20, 30]);
        assert_eq!(found.gallery.len(), 12);
        let answers = found.gallery.iter().filter(|i| i.label.person == 10);
        let names: Vec<_> = answers.map(|i| i.path.display().to_string()).collect();
        let wanted = [0, 2, 4].map(|frame| format!("0010_c2s1_{frame:06}_00.jpg"));
        assert_eq!(names, wanted);
        assert_eq!(subset(&all, usize::MAX).unwrap().query.len(), 39);
        let error = subset(&all, 3).unwrap_err().to_string();
        assert!(
            error.contains("wanted at least one, and 4 images"),
            "{error}"
        );
        assert!(subset(&set(&[(1, 1)], &[(1, 1)]), 100).is_err());
    }

    #[test]
    fn the_most_harmful_layer_comes_first() {
        let crops = set(&[(1, 1), (2, 1)], &[(1, 2), (2, 2)]);
        let float = at(&[0.0, 90.0], &[10.0, 80.0]);
        // What each layer turns the embeddings by; the last takes them away.
        let names = [
            "harmless",
            "b turns all",
            "a turns all",
            "mixes up",
            "kills",
        ];
        let layers: Vec<String> = names.map(str::to_owned).to_vec();
        let mut asked = Vec::new();
        let mut seen = 0;
        let found = sensitivity(
            &layers,
            &crops,
            &float,
            |layer| {
                asked.push(layer.to_owned());
                Ok(Graph::new(layer, "x", [3, 1, 1]))
            },
            |graph, images| {
                let query = images[0].label.camera == 1;
                let angles = match (graph.name(), query) {
                    ("harmless", true) => [0.0, 90.0],
                    ("harmless", false) => [10.0, 80.0],
                    ("mixes up", true) => [90.0, 0.0],
                    ("mixes up", false) => [10.0, 80.0],
                    ("kills", _) => return Ok(Embeddings::new(2, vec![0.0; 4])?),
                    (_, true) => [45.0, 135.0],
                    (_, false) => [55.0, 125.0],
                };
                let both = at(&angles, &angles);
                Ok(both.query)
            },
            || seen += 1,
        )
        .unwrap();
        assert_eq!((asked, seen), (layers, 5));
        let order: Vec<&str> = found.iter().map(|harm| &*harm.layer).collect();
        assert_eq!(
            order,
            [
                "kills",
                "mixes up",
                "a turns all",
                "b turns all",
                "harmless"
            ]
        );
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let [kills, mixes, turns, _, harmless] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(
            (kills.loss, kills.cosine_min, kills.map_drop),
            (2.0, -1.0, 1.0)
        );
        let half = 0.5f64.sqrt();
        assert!(near(turns.loss, 1.0 - half) && near(turns.cosine_min, half));
        assert_eq!(turns.map_drop, 0.0, "all turn alike");
        // Two of four crops at a right angle to what they were; both queries find the wrong one first.
        assert!(
            near(mixes.loss, 0.5) && near(mixes.cosine_min, 0.0),
            "{mixes:?}"
        );
        assert!(near(mixes.map_drop, 0.5), "{mixes:?}");
        assert!(near(harmless.loss, 0.0) && harmless.map_drop == 0.0);
    }
}
