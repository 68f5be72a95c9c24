//! Sheets of crops: an augmented batch, what queries found, or who is in a data set.

use std::collections::BTreeMap;
use std::path::Path;

use cli::page::Escaped;
use retrieval::Labelled;
use retrieval::metrics::first_answers;

use super::{Anchor, Crop, GREY, INK, Svg};
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

/// Crops in rows of `columns`, under a title.
///
/// # Errors
/// [`Error::Argument`] if there are no columns, no crops, or more than 1024.
pub fn contact_sheet(title: &str, tiles: &[Tile], columns: usize) -> Result<String> {
    if columns == 0 || !(1..=MAX_TILES).contains(&tiles.len()) {
        return Err(Error::Argument(format!(
            "{} crops in {columns} columns, wanted 1 to {MAX_TILES} crops in at least one",
            tiles.len()
        )));
    }
    let shown = |tile: &Tile| WIDTH * tile.crop.height as f64 / tile.crop.width as f64;
    let rows: Vec<(&[Tile], f64)> = tiles
        .chunks(columns)
        .map(|row| (row, row.iter().map(shown).fold(0.0, f64::max)))
        .collect();
    let lines = tiles.iter().map(|tile| tile.lines.len()).max().unwrap_or(0) as f64;
    let below = lines * LINE + if lines > 0.0 { 4.0 } else { 0.0 };
    let step = WIDTH + 2.0 * BORDER + GAP;
    let heights: f64 = rows.iter().map(|(_, height)| height).sum();
    let mut svg = Svg::new(
        // Wide enough for the title, whose letters take about nine pixels.
        (GAP + step * columns.min(tiles.len()) as f64)
            .max(2.0 * GAP + 9.0 * title.chars().count() as f64),
        HEAD + heights + rows.len() as f64 * (2.0 * BORDER + below + GAP),
    );
    svg.text([GAP, 23.0], Anchor::Start, 16.0, INK, title);
    let mut top = HEAD;
    for (row, row_height) in rows {
        for (column, tile) in row.iter().enumerate() {
            let left = GAP + step * column as f64;
            let height = shown(tile);
            if let Some(colour) = &tile.border {
                let (width, height) = (WIDTH + 2.0 * BORDER, height + 2.0 * BORDER);
                svg.push(format_args!(
                    r#"<rect x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" fill="{}"/>"#,
                    Escaped(colour)
                ));
            }
            let (x, y, data) = (left + BORDER, top + BORDER, tile.crop.data()?);
            // The older name of the address, which every viewer knows.
            svg.push(format_args!(
                r#"<image x="{x:.1}" y="{y:.1}" width="{WIDTH}" height="{height:.1}" preserveAspectRatio="none" xlink:href="{data}"/>"#
            ));
            for (number, line) in (1..).zip(&tile.lines) {
                let at = [
                    left + BORDER + WIDTH / 2.0,
                    top + 2.0 * BORDER + row_height + LINE * f64::from(number),
                ];
                svg.text(at, Anchor::Middle, 11.0, GREY, line);
            }
        }
        top += row_height + 2.0 * BORDER + below + GAP;
    }
    Ok(svg.finish())
}

/// A row for each of some queries, named by row: the query, then its first `count` answers, right
/// ones in green, wrong ones in red, with their distances. `open` brings the crop of an image by its
/// name.
///
/// # Errors
/// [`Error::Argument`] as [`crate::evaluate::evaluate`], if a query does not exist, or there are too
/// many for a sheet; what `open` says.
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
    let mut tiles = Vec::new();
    for (&row, answers) in queries.iter().zip(found) {
        let label = set.query.labels()[row];
        tiles.push(Tile {
            crop: open(&set.query.names()[row])?,
            border: None,
            lines: vec![format!("query: {}", label.person), camera(label.camera)],
        });
        let missing = count - answers.len();
        for answer in answers {
            let label = set.gallery.labels()[answer.image];
            let distance = match metric {
                Metric::Euclid => answer.distance.sqrt(),
                Metric::Cosine => answer.distance,
            };
            tiles.push(Tile {
                crop: open(&set.gallery.names()[answer.image])?,
                border: Some(if answer.right { HIT } else { MISS }.to_owned()),
                lines: vec![
                    format!("{}: {distance:.3}", label.person),
                    camera(label.camera),
                ],
            });
        }
        // A small gallery: the next query begins a row all the same.
        for _ in 0..missing {
            tiles.push(Tile::blank()?);
        }
    }
    let by = match metric {
        Metric::Euclid => "Euclidean distance",
        Metric::Cosine => "1 - cosine",
    };
    let title = format!(
        "{}: queries and what they found (person: {by}; green is right)",
        set.name
    );
    contact_sheet(&title, &tiles, count + 1)
}

/// A row for each of some persons, `columns` images of each, spread over all that there are and
/// ordered by camera: would somebody call them one, and the rows different? The persons are those to
/// test, or those to learn where there is no test, spread over all of them.
///
/// # Errors
/// [`Error::Argument`] if there is nobody, or too many for a sheet; what `open` says.
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
    let mut tiles = Vec::new();
    for mut images in spread(&all, rows).cloned() {
        images.sort_by_key(|image| (image.label.camera, &image.path));
        let person = images[0].label.person;
        let mut row = 0;
        for image in spread(&images, columns) {
            tiles.push(Tile {
                crop: open(&image.path)?,
                border: None,
                lines: vec![person.to_string(), camera(image.label.camera)],
            });
            row += 1;
        }
        // Few images: the next person begins a row all the same.
        for _ in row..columns {
            tiles.push(Tile::blank()?);
        }
    }
    let title = format!("{}: a person a row, by camera", set.name);
    contact_sheet(&title, &tiles, columns)
}

/// `count` items from all over a list, or all of a shorter one.
fn spread<T>(items: &[T], count: usize) -> impl Iterator<Item = &T> {
    let count = count.min(items.len());
    (0..count).map(move |i| &items[i * items.len() / count])
}

impl Tile {
    /// Nothing, where a row is shorter than the others.
    fn blank() -> Result<Self> {
        Ok(Self {
            crop: Crop::new(1, 2, vec![255; 6])?,
            border: None,
            lines: Vec::new(),
        })
    }
}

fn camera(number: u32) -> String {
    format!("camera {number}")
}
