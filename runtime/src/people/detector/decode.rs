//! A network's numbers become boxes with scores, and of several boxes of one person the surest
//! stays.

use super::preset::{BoxEncoding, BoxSelection, DetectorOutput, OutputLayout};

/// A box that may be a person, in pixels of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    /// Centre, width and height.
    pub(super) bbox: [f32; 4],
    pub(super) score: f32,
}

/// How to read one output.
#[derive(Debug)]
pub(super) struct Decoder {
    output: DetectorOutput,
    select: BoxSelection,
    /// Number of boxes.
    boxes: usize,
    /// Column, row and stride of the cell of each box; empty for [`BoxEncoding::Pixels`].
    cells: Vec<[f32; 3]>,
    candidates: Vec<Candidate>,
}

impl Decoder {
    /// Reads outputs of `shape` of a network whose input has `size`, width and height.
    pub(super) fn new(
        output: &DetectorOutput,
        select: BoxSelection,
        size: [usize; 2],
        shape: &[usize],
    ) -> Result<Self, String> {
        let values = output.values();
        let cells = match output.boxes {
            BoxEncoding::Grid => cells(&output.strides, size),
            BoxEncoding::Pixels => Vec::new(),
        };
        let wanted = match output.boxes {
            BoxEncoding::Grid => cells.len().to_string(),
            BoxEncoding::Pixels => "any number".to_owned(),
        };
        let (order, found) = match (output.layout, shape) {
            (OutputLayout::BoxesValues, &[1, boxes, found]) => {
                ("boxes, values", Some((boxes, found)))
            }
            (OutputLayout::ValuesBoxes, &[1, found, boxes]) => {
                ("values, boxes", Some((boxes, found)))
            }
            (OutputLayout::BoxesValues, _) => ("boxes, values", None),
            (OutputLayout::ValuesBoxes, _) => ("values, boxes", None),
        };
        match found {
            Some((boxes, found))
                if found == values && boxes > 0 && (cells.is_empty() || cells.len() == boxes) =>
            {
                Ok(Self {
                    output: output.clone(),
                    select,
                    boxes,
                    cells,
                    candidates: Vec::with_capacity(boxes),
                })
            }
            _ => Err(format!(
                "output {} is {shape:?}, wanted [1, {order}] with {wanted} boxes of {values} values",
                output.index
            )),
        }
    }

    /// The boxes of `numbers` that are people, the surest first, without those that overlap a surer
    /// one.
    ///
    /// # Errors
    /// If a number that decides is none, which no sound network gives.
    pub(super) fn people(
        &mut self,
        numbers: &[f32],
    ) -> Result<impl Iterator<Item = &Candidate>, String> {
        self.candidates.clear();
        for index in 0..self.boxes {
            if let Some(candidate) = self.candidate(numbers, index)? {
                self.candidates.push(candidate);
            }
        }
        // Equal scores stay in the order of the network: the same frame always gives the same list.
        self.candidates
            .sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(order(a, b)));
        let kept = suppress(&mut self.candidates, self.select.overlap);
        Ok(self.candidates[..kept].iter())
    }

    fn candidate(&self, numbers: &[f32], index: usize) -> Result<Option<Candidate>, String> {
        let values = self.output.values();
        let at = |value: usize| match self.output.layout {
            OutputLayout::BoxesValues => numbers[index * values + value],
            OutputLayout::ValuesBoxes => numbers[value * self.boxes + index],
        };
        let (objectness, first) = match self.output.objectness {
            true => (at(4), 5),
            false => (1.0, 4),
        };
        let score = objectness * at(first + self.output.person);
        let broken = |what: &str| {
            Err(format!(
                "the network gave {what} for box {index} of {}",
                self.boxes
            ))
        };
        if score.is_nan() {
            return broken("a score that is no number");
        }
        if score < self.select.score {
            return Ok(None);
        }
        let mut bbox = [at(0), at(1), at(2), at(3)];
        if let Some(&[column, row, stride]) = self.cells.get(index) {
            let [x, y, w, h] = bbox;
            bbox = [
                (x + column) * stride,
                (y + row) * stride,
                w.exp() * stride,
                h.exp() * stride,
            ];
        }
        if !bbox.iter().all(|value| value.is_finite()) {
            return broken(&format!("a score of {score} and a box of {bbox:?}"));
        }
        // A box without extent is no person.
        Ok((bbox[2] > 0.0 && bbox[3] > 0.0).then_some(Candidate { bbox, score }))
    }
}

/// Cells of grids, grid by grid and row by row.
fn cells(strides: &[usize], [width, height]: [usize; 2]) -> Vec<[f32; 3]> {
    let grid = |&stride: &usize| {
        let (columns, rows) = (width / stride, height / stride);
        (0..rows).flat_map(move |row| {
            (0..columns).map(move |column| [column as f32, row as f32, stride as f32])
        })
    };
    strides.iter().flat_map(grid).collect()
}

fn order(a: &Candidate, b: &Candidate) -> std::cmp::Ordering {
    let pairs = a.bbox.iter().zip(&b.bbox);
    let mut orders = pairs.map(|(a, b)| a.total_cmp(b));
    orders
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

/// Greedy non-maximum suppression: moves what stays to the front and returns how many it is.
fn suppress(candidates: &mut [Candidate], overlap: f32) -> usize {
    let mut kept = 0;
    for next in 0..candidates.len() {
        let candidate = candidates[next];
        let (surer, _) = candidates.split_at(kept);
        if surer
            .iter()
            .all(|other| iou(other.bbox, candidate.bbox) <= overlap)
        {
            candidates[kept] = candidate;
            kept += 1;
        }
    }
    kept
}

/// Intersection over union of two boxes, given as centre, width and height.
fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let along = |i: usize| {
        let end = (a[i] + a[i + 2] / 2.0).min(b[i] + b[i + 2] / 2.0);
        let start = (a[i] - a[i + 2] / 2.0).max(b[i] - b[i + 2] / 2.0);
        (end - start).max(0.0)
    };
    let both = along(0) * along(1);
    both / (a[2] * a[3] + b[2] * b[3] - both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::detector::preset::Preset;

    /// The output of a preset with two classes.
    fn output(name: &str) -> DetectorOutput {
        let mut built_in = Preset::built_in();
        let (_, preset) = built_in.find(|(known, _)| *known == name).unwrap();
        DetectorOutput {
            classes: 2,
            ..preset.output
        }
    }

    const SELECT: BoxSelection = BoxSelection {
        score: 0.4,
        overlap: 0.45,
    };

    fn people(decoder: &mut Decoder, numbers: &[f32]) -> Vec<Candidate> {
        decoder.people(numbers).unwrap().copied().collect()
    }

    #[test]
    fn grids_are_decoded() {
        // An input of 64 x 32 has 8 x 4, 4 x 2 and 2 x 1 cells.
        let cases = [
            ("first cell", 0, [0.5, 0.25, 0.0, 0.0], [4.0, 2.0, 8.0, 8.0]),
            (
                "end of the first row",
                7,
                [0.0, 0.0, 0.0, 0.0],
                [56.0, 0.0, 8.0, 8.0],
            ),
            (
                "second row",
                8,
                [0.0, 0.0, 2.0f32.ln(), 0.0],
                [0.0, 8.0, 16.0, 8.0],
            ),
            (
                "second grid",
                32,
                [1.0, 1.0, 0.0, 1.5f32.ln()],
                [16.0, 16.0, 16.0, 24.0],
            ),
            (
                "its last cell",
                39,
                [0.0, 0.0, 0.0, 0.0],
                [48.0, 16.0, 16.0, 16.0],
            ),
            (
                "last cell",
                41,
                [-0.5, 0.5, 0.0, 0.0],
                [16.0, 16.0, 32.0, 32.0],
            ),
        ];
        let mut decoder = Decoder::new(&output("yolox"), SELECT, [64, 32], &[1, 42, 7]).unwrap();
        for (name, index, values, wanted) in cases {
            let mut numbers = vec![0.0; 42 * 7];
            numbers[index * 7..][..4].copy_from_slice(&values);
            numbers[index * 7 + 4..][..3].copy_from_slice(&[0.9, 0.8, 0.99]);
            let found = people(&mut decoder, &numbers);
            assert_eq!(found.len(), 1, "{name}");
            assert!((found[0].score - 0.72).abs() < 1e-6, "{name}: {found:?}");
            for (a, b) in found[0].bbox.iter().zip(wanted) {
                assert!((a - b).abs() < 1e-4, "{name}: {found:?}");
            }
        }
    }

    #[test]
    fn columns_of_values_are_decoded() {
        let mut decoder = Decoder::new(&output("yolov8"), SELECT, [64, 32], &[1, 6, 3]).unwrap();
        let numbers = [
            [10.0, 20.0, 30.0], // centre
            [11.0, 12.0, 13.0],
            [4.0, 5.0, 6.0], // size
            [14.0, 15.0, 16.0],
            [0.5, 0.1, 0.9], // person
            [0.1, 0.9, 0.1], // the other class
        ];
        let found = people(&mut decoder, numbers.as_flattened());
        let wanted = [
            Candidate {
                bbox: [30.0, 13.0, 6.0, 16.0],
                score: 0.9,
            },
            Candidate {
                bbox: [10.0, 11.0, 4.0, 14.0],
                score: 0.5,
            },
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn the_surest_of_overlapping_boxes_stays() {
        let at = |x: f32, score: f32| ([x, 50.0, 20.0, 60.0], score);
        // Shifted by d of 20 pixels, the overlap is (20 - d) / (20 + d): 0.45 at 7.6.
        let cases = [
            ("one", vec![at(10.0, 0.5)], vec![10.0]),
            (
                "the same twice",
                vec![at(10.0, 0.5), at(10.0, 0.6)],
                vec![10.0],
            ),
            ("near", vec![at(10.0, 0.5), at(17.0, 0.6)], vec![17.0]),
            (
                "far enough",
                vec![at(10.0, 0.5), at(18.0, 0.6)],
                vec![18.0, 10.0],
            ),
            (
                "a chain breaks in its middle",
                vec![at(10.0, 0.5), at(16.0, 0.9), at(22.0, 0.6)],
                vec![16.0],
            ),
            (
                "its ends are sure",
                vec![at(10.0, 0.8), at(16.0, 0.6), at(22.0, 0.9)],
                vec![22.0, 10.0],
            ),
            (
                "below the score",
                vec![at(10.0, 0.39), at(60.0, 0.4)],
                vec![60.0],
            ),
        ];
        for (name, boxes, wanted) in cases {
            let shape = [1, 6, boxes.len()];
            let mut decoder = Decoder::new(&output("yolov8"), SELECT, [64, 32], &shape).unwrap();
            let row = |value: usize| {
                boxes.iter().map(move |(bbox, score)| match value {
                    0..4 => bbox[value],
                    4 => *score,
                    _ => 0.0,
                })
            };
            let numbers: Vec<f32> = (0..6).flat_map(row).collect();
            let found: Vec<f32> = people(&mut decoder, &numbers)
                .iter()
                .map(|c| c.bbox[0])
                .collect();
            assert_eq!(found, wanted, "{name}");
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let cases = [
            (
                "yolox",
                vec![1, 41, 7],
                "output 0 is [1, 41, 7], wanted [1, boxes, values] with 42 boxes of 7 values",
            ),
            (
                "yolox",
                vec![1, 42, 85],
                "wanted [1, boxes, values] with 42 boxes of 7",
            ),
            ("yolox", vec![2, 42, 7], "output 0 is [2, 42, 7]"),
            ("yolox", vec![42, 7], "output 0 is [42, 7]"),
            ("yolox", vec![1, 7, 42], "output 0 is [1, 7, 42]"),
            (
                "yolov8",
                vec![1, 7, 10],
                "wanted [1, values, boxes] with any number boxes of 6",
            ),
            ("yolov8", vec![1, 6, 0], "output 0 is [1, 6, 0]"),
        ];
        for (name, shape, wanted) in cases {
            let error = Decoder::new(&output(name), SELECT, [64, 32], &shape).unwrap_err();
            assert!(error.contains(wanted), "{shape:?}: {error}");
        }
    }

    #[test]
    fn what_is_no_number_is_an_error_where_it_decides() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let cases = [
            (
                "objectness",
                [0.0, 0.0, 0.0, 0.0, nan, 0.9, 0.0],
                Some("a score that is no number for box 3 of 42"),
            ),
            (
                "class",
                [0.0, 0.0, 0.0, 0.0, 0.9, nan, 0.0],
                Some("a score that is no number"),
            ),
            (
                "centre",
                [nan, 0.0, 0.0, 0.0, 0.9, 0.9, 0.0],
                Some("and a box of [NaN"),
            ),
            (
                "exponential",
                [0.0, 0.0, 99.0, 0.0, 0.9, 0.9, 0.0],
                Some("and a box of"),
            ),
            (
                "infinite",
                [0.0, inf, 0.0, 0.0, 0.9, 0.9, 0.0],
                Some("and a box of"),
            ),
            ("nothing there", [nan, inf, 99.0, 0.0, 0.1, 0.9, 0.0], None),
            ("another class", [0.0, 0.0, 0.0, 0.0, 0.9, 0.1, nan], None),
            ("no extent", [0.0, 0.0, -200.0, 0.0, 0.9, 0.9, 0.0], None),
        ];
        let mut decoder = Decoder::new(&output("yolox"), SELECT, [64, 32], &[1, 42, 7]).unwrap();
        for (name, values, wanted) in cases {
            let mut numbers = vec![0.0; 42 * 7];
            numbers[3 * 7..][..7].copy_from_slice(&values);
            let found = decoder.people(&numbers).map(Iterator::count);
            match wanted {
                None => assert_eq!(found, Ok(0), "{name}"),
                Some(wanted) => assert!(
                    found.as_ref().is_err_and(|e| e.contains(wanted)),
                    "{name}: {found:?}"
                ),
            }
        }
    }
}
