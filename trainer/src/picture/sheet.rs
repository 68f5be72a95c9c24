//! Sheets of crops: an augmented batch, what queries found, or who is in a data set.

use std::collections::BTreeMap;
use std::path::Path;

use maud::html;
use pages::chart::px;
use pages::data_uri;
use retrieval::Labelled;
use retrieval::metrics::first_answers;

use super::Crop;
use crate::data::{Dataset, Image};
use crate::evaluate::{Feature, Metric, TestSet};
use crate::{Error, Result};

/// Width of a crop on the sheet; its height follows from its own sides.
const WIDTH: f64 = 96.0;

const GAP: f64 = 10.0;
const BORDER: f64 = 4.0;
const LINE: f64 = 14.0;
const HEAD: f64 = 34.0;

/// Green that those who confuse it with red still tell apart by its lightness.
const HIT: &str = "#1a9850";
const MISS: &str = "#d73027";

/// Crops of a sheet at the most: 66 crops of a camera make a file of 1.4 MB.
const MAX_TILES: usize = 1024;

/// A crop on a sheet.
#[derive(Debug, Clone)]
pub struct Tile {
    /// What is shown.
    pub crop: Crop,
    /// Colour of its border, as CSS writes it; none for no border.
    pub border: Option<String>,
    /// Lines below it.
    pub lines: Vec<String>,
}

/// Crops in rows, under a title.
///
/// # Errors
/// [`Error::Argument`] if there are no crops, or more than 1024.
pub fn contact_sheet(title: &str, rows: &[Vec<Tile>]) -> Result<String> {
    let (tiles, columns) = (rows.iter().flatten(), rows.iter().map(Vec::len).max());
    let (count, columns) = (tiles.clone().count(), columns.unwrap_or(0));
    if !(1..=MAX_TILES).contains(&count) {
        return Err(Error::Argument(format!(
            "{count} crops on a sheet, wanted 1 to {MAX_TILES}"
        )));
    }
    let shown = |tile: &Tile| WIDTH * tile.crop.height as f64 / tile.crop.width as f64;
    let lines = tiles.map(|tile| tile.lines.len()).max().unwrap_or(0) as f64;
    let below = 2.0 * BORDER + lines * LINE + if lines > 0.0 { 4.0 } else { 0.0 } + GAP;
    let mut bottom = HEAD;
    let rows: Vec<(&Vec<Tile>, [f64; 2])> = rows
        .iter()
        .map(|row| {
            let (top, height) = (bottom, row.iter().map(shown).fold(0.0, f64::max));
            bottom += height + below;
            (row, [top, top + 2.0 * BORDER + height])
        })
        .collect();
    let step = WIDTH + 2.0 * BORDER + GAP;
    let body = html! {
        text.title.ink.start x=(GAP) y="23" { (title) }
        @for (row, [top, text_top]) in rows {
            @for (column, tile) in row.iter().enumerate() {
                @let left = GAP + step * column as f64;
                @let height = px(shown(tile));
                @if let Some(colour) = &tile.border {
                    rect x=(left) y=(px(top)) width=(WIDTH + 2.0 * BORDER) height=(height + 2.0 * BORDER) fill=(colour) {}
                }
                // The older name of the address, which every viewer knows.
                image x=(left + BORDER) y=(px(top + BORDER)) width=(WIDTH) height=(height) preserveAspectRatio="none" xlink:href=(data_uri(&tile.crop.jpeg()?)) {}
                @for (number, line) in (1..).zip(&tile.lines) {
                    text x=(left + BORDER + WIDTH / 2.0) y=(px(text_top + LINE * f64::from(number))) { (line) }
                }
            }
        }
    };
    // Wide enough for the title, whose letters take about nine pixels.
    let title_width = 2.0 * GAP + 9.0 * title.chars().count() as f64;
    let width = (GAP + step * columns as f64).max(title_width);
    Ok(pages::svg(cli::printable, title, [width, bottom], &body))
}

/// A row for each of some queries, named by row: the query, then its first `count` answers, right
/// ones in green, wrong ones in red, with their distances. `open` brings the crop of an image by its
/// name.
///
/// # Errors
/// [`Error::Argument`] as [`crate::evaluate::evaluate`], if a query does not exist, or there are too
/// many for a sheet; errors of `open`.
pub fn results(
    set: &TestSet,
    feature: Feature,
    metric: Metric,
    queries: &[usize],
    count: usize,
    mut open: impl FnMut(&str) -> Result<Crop>,
) -> Result<String> {
    let (query, gallery) = (
        set.query.compared(feature, metric)?,
        set.gallery.compared(feature, metric)?,
    );
    let [query_side, gallery_side] =
        [(&query, &set.query), (&gallery, &set.gallery)].map(|(embeddings, features)| Labelled {
            embeddings,
            labels: features.labels(),
        });
    if queries.is_empty() || queries.len().saturating_mul(count.saturating_add(1)) > MAX_TILES {
        return Err(Error::Argument(format!(
            "{} queries with {count} answers each, wanted at least one and {MAX_TILES} crops at most",
            queries.len()
        )));
    }
    let found = first_answers(&query_side, &gallery_side, metric.into(), queries, count)?;
    let mut rows = Vec::new();
    for (&row, answers) in queries.iter().zip(found) {
        let label = set.query.labels()[row];
        let mut tiles = vec![Tile {
            crop: open(&set.query.names()[row])?,
            border: None,
            lines: vec![format!("query: {}", label.person), camera(label.camera)],
        }];
        for answer in answers {
            let label = set.gallery.labels()[answer.image];
            let distance = match metric {
                Metric::Euclid => answer.distance.sqrt(),
                Metric::Cosine => answer.distance,
            };
            let (mark, border) = if answer.right {
                ("✓", HIT)
            } else {
                ("✗", MISS)
            };
            tiles.push(Tile {
                crop: open(&set.gallery.names()[answer.image])?,
                border: Some(border.to_owned()),
                lines: vec![
                    format!("{mark} {}: {distance:.3}", label.person),
                    camera(label.camera),
                ],
            });
        }
        rows.push(tiles);
    }
    let by = match metric {
        Metric::Euclid => "Euclidean distance",
        Metric::Cosine => "1 - cosine",
    };
    let title = format!(
        "{}: queries and what they found (person: {by}; ✓ is right)",
        set.name
    );
    contact_sheet(&title, &rows)
}

/// A row for each of some persons, `columns` images of each, spread over all that there are and
/// ordered by camera, to check by eye that a row is one person. The persons are those to
/// test, or those to learn where there is no test, spread over all of them.
///
/// # Errors
/// [`Error::Argument`] if there is no person, or too many for a sheet; errors of `open`.
pub fn persons(
    set: &Dataset,
    rows: usize,
    columns: usize,
    mut open: impl FnMut(&Path) -> Result<Crop>,
) -> Result<String> {
    let tested = set.query.iter().chain(&set.gallery);
    let images: Vec<&Image> = match set.query.is_empty() {
        true => set.train.iter().collect(),
        false => tested.collect(),
    };
    let mut by_person: BTreeMap<i32, Vec<&Image>> = BTreeMap::new();
    for image in images.into_iter().filter(|image| image.label.person > 0) {
        by_person.entry(image.label.person).or_default().push(image);
    }
    if rows.saturating_mul(columns) > MAX_TILES {
        return Err(Error::Argument(format!(
            "{rows} persons with {columns} images each, wanted {MAX_TILES} crops at most"
        )));
    }
    let all: Vec<Vec<&Image>> = by_person.into_values().collect();
    let mut sheet = Vec::new();
    for mut images in spread(&all, rows).cloned() {
        images.sort_by_key(|image| (image.label.camera, &image.path));
        let tiles = spread(&images, columns).map(|image| {
            Ok(Tile {
                crop: open(&image.path)?,
                border: None,
                lines: vec![image.label.person.to_string(), camera(image.label.camera)],
            })
        });
        sheet.push(tiles.collect::<Result<_>>()?);
    }
    let title = format!("{}: a person a row, by camera", set.name);
    contact_sheet(&title, &sheet)
}

/// `count` items from all over a list, or all of a shorter one.
fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(items.len());
    (0..count).map(move |i| &items[i * items.len() / count])
}

fn camera(number: u32) -> String {
    format!("camera {number}")
}
