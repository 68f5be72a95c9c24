//! `reid eval`: retrieval metrics of a model on a labelled folder.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use retrieval::metrics::{Scores, evaluate, evaluate_distances};
use retrieval::open_set::{OpenSet, OperatingPoint, curve};
use retrieval::rerank::{RerankOptions, k_reciprocal};
use retrieval::{Label, Labelled, Metric, market};
use serde::Serialize;

use super::{DeviceArgs, ModelArgs, Outcome, images};

/// Evaluate a model on a data set in the layout of Market-1501.
///
/// The folder has `query/` and `bounding_box_test/`; file names state person and camera.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Eval {
    /// The data set, a folder
    data: String,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Also evaluate after k-reciprocal re-ranking (k1 20, k2 6, lambda 0.3)
    #[arg(long)]
    rerank: bool,
    /// Also FPIR (unknown persons identified) and FNIR (enrolled persons missed) by threshold
    #[arg(long)]
    open_set: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Example:
  reid eval Market-1501 --model person.onnx --open-set

Images of the query's person by the query's camera are left out, junk (person -1) is dropped,
distractors (person 0) stay. rank-k is the share of queries with a correct match among the first k,
mAP the mean of the precision at each correct match, mINP the mean of the number of correct matches
divided by the rank of the last one.";

#[derive(Serialize)]
struct Report {
    schema: u32,
    #[serde(flatten)]
    scores: Short,
    queries: usize,
    skipped: usize,
    gallery: usize,
    unreadable: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    reranked: Option<Short>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_set: Option<OpenSet>,
    space: String,
}

/// Retrieval scores, 0 to 1.
#[derive(Serialize)]
struct Short {
    rank1: f64,
    rank5: f64,
    rank10: f64,
    map: f64,
    minp: f64,
}

/// Query or gallery of the data set.
struct Side {
    embedded: images::Embedded,
    labels: Vec<Label>,
}

impl Eval {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let model = self.model.open()?;
        let mut embedder = self.device.embedder(&model)?;
        let mut side = |name: &str| {
            let folder = Path::new(&self.data).join(name);
            if !folder.is_dir() {
                bail!(
                    "{}: no such folder; wanted {}/ and {}/ in {}",
                    folder.display(),
                    market::QUERY,
                    market::GALLERY,
                    self.data
                );
            }
            let specs = [folder.display().to_string()];
            let embedded = images::embed(&specs, &model, embedder.as_mut())?;
            let labels = embedded
                .paths
                .iter()
                .map(|path| market::label(Path::new(path)))
                .collect::<Result<_, _>>()?;
            anyhow::Ok(Side { embedded, labels })
        };
        let (query, gallery) = (side(market::QUERY)?, side(market::GALLERY)?);
        let (query_side, gallery_side) = (query.labelled(), gallery.labelled());

        let scores = evaluate(&query_side, &gallery_side, Metric::Cosine)
            .with_context(|| self.data.clone())?;
        let reranked = match self.rerank {
            true => {
                let (q, g) = (query_side.embeddings, gallery_side.embeddings);
                let distances = k_reciprocal(q, g, RerankOptions::default())?;
                Some(evaluate_distances(
                    &distances,
                    query_side.labels,
                    gallery_side.labels,
                )?)
            }
            false => None,
        };
        let open_set = match self.open_set {
            true => Some(curve(&query_side, &gallery_side)?),
            false => None,
        };
        let unreadable = query.embedded.unreadable + gallery.embedded.unreadable;
        let report = Report {
            schema: 1,
            queries: scores.queries,
            skipped: scores.skipped,
            gallery: gallery.labels.len(),
            unreadable,
            scores: Short::of(&scores),
            reranked: reranked.as_ref().map(Short::of),
            open_set,
            space: model.space().to_owned(),
        };
        cli::report(self.json, &report, Report::text)?;
        Ok(Outcome::of_unreadable(unreadable))
    }
}

impl Side {
    fn labelled(&self) -> Labelled<'_> {
        Labelled {
            embeddings: &self.embedded.embeddings,
            labels: &self.labels,
        }
    }
}

impl Short {
    fn of(scores: &Scores) -> Self {
        let Scores {
            rank1,
            rank5,
            rank10,
            map,
            minp,
            ..
        } = *scores;
        Self {
            rank1,
            rank5,
            rank10,
            map,
            minp,
        }
    }

    fn row(&self, name: &str) -> Vec<String> {
        let numbers = [self.rank1, self.rank5, self.rank10, self.map, self.minp];
        let mut row = vec![name.to_owned()];
        row.extend(numbers.map(|number| format!("{:.2}", number * 100.0)));
        row
    }
}

impl Report {
    fn text(&self) -> Vec<String> {
        let header = ["%", "rank-1", "rank-5", "rank-10", "mAP", "mINP"];
        let mut rows = vec![
            header.map(str::to_owned).to_vec(),
            self.scores.row("cosine"),
        ];
        rows.extend(self.reranked.as_ref().map(|scores| scores.row("re-ranked")));
        let mut lines = cli::table(&rows);
        lines.push(format!(
            "{} ({} without a correct match), {} in the gallery",
            cli::count(self.queries, "query").replace("querys", "queries"),
            self.skipped,
            cli::count(self.gallery, "image"),
        ));
        if let Some(open_set) = &self.open_set {
            lines.push(String::new());
            lines.extend(open_set_text(open_set));
        }
        lines
    }
}

fn open_set_text(open_set: &OpenSet) -> Vec<String> {
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let row = |name: String, at: OperatingPoint| {
        let threshold = format!("{:.3}", at.threshold);
        [name, threshold, percent(at.fpir), percent(at.fnir)]
    };
    let mut rows = vec![["operating point", "threshold", "FPIR", "FNIR"].map(str::to_owned)];
    for at in &open_set.operating {
        rows.push(row(
            format!("FPIR at most {} %", at.target * 100.0),
            at.point,
        ));
    }
    rows.push(row("FPIR equal to FNIR".to_owned(), open_set.equal_error));
    let mut lines = cli::table(&rows);
    lines.push(format!(
        "{} searches for enrolled persons, {} for unknown persons",
        open_set.mate_searches, open_set.non_mate_searches
    ));
    lines
}
