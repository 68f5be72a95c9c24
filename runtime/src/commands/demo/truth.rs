//! Who is where in the clip: lines of `truth.csv` come in, whose visit a box belongs to goes out.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

/// The least overlap (intersection over union) of a box with a person of the truth.
/// Boxes found by motion have a shadow or lack a foot.
const OVERLAP: f32 = 0.3;

/// The header of `truth.csv`, as `trainer synth-clip` writes it.
const HEADER: &str = "frame,person,visit,x,y,w,h";

/// A person comes, walks about and leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// Who, from 1.
    pub(super) person: u32,
    /// The frames they are in.
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Who is where.
#[derive(Debug)]
pub(super) struct Truth {
    /// In the order in which they begin.
    pub(super) visits: Vec<Visit>,
    /// Of each frame: positions in `visits`, and left, top, width and height.
    frames: BTreeMap<u64, Vec<(usize, [f32; 4])>>,
}

impl Truth {
    /// Reads `truth.csv`.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        ensure!(
            header == HEADER,
            "its first line is `{header}`, wanted `{HEADER}`"
        );
        let mut numbers = BTreeMap::<u64, Visit>::new();
        let mut rows = Vec::new();
        for (at, line) in lines.enumerate() {
            let row = row(line).with_context(|| {
                format!("line {} is `{line}`, wanted seven whole numbers", at + 2)
            })?;
            let [frame, person, number, ..] = row;
            let visit = numbers.entry(number).or_insert(Visit {
                person: u32::try_from(person)?,
                first: frame,
                last: frame,
            });
            ensure!(
                u64::from(visit.person) == person,
                "line {}: visit {number} is of person {person}, and was of {}",
                at + 2,
                visit.person
            );
            visit.first = visit.first.min(frame);
            visit.last = visit.last.max(frame);
            rows.push(row);
        }
        let mut order: Vec<(u64, Visit)> = numbers.into_iter().collect();
        order.sort_by_key(|(number, visit)| (visit.first, *number));
        let place: BTreeMap<u64, usize> = (order.iter().enumerate())
            .map(|(at, (number, _))| (*number, at))
            .collect();
        let mut frames = BTreeMap::<u64, Vec<(usize, [f32; 4])>>::new();
        for [frame, _, number, bbox @ ..] in rows {
            let bbox = bbox.map(|side| side as f32);
            frames
                .entry(frame)
                .or_default()
                .push((place[&number], bbox));
        }
        Ok(Self {
            visits: order.into_iter().map(|(_, visit)| visit).collect(),
            frames,
        })
    }

    /// Position in [`Truth::visits`] of whom a box (left, top, width, height) in a frame is of;
    /// none if it covers no person.
    pub(super) fn at(&self, frame: u64, bbox: [f32; 4]) -> Option<usize> {
        let here = self.frames.get(&frame)?.iter();
        here.map(|&(visit, there)| (overlap(bbox, there), visit))
            .filter(|(overlap, _)| *overlap >= OVERLAP)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, visit)| visit)
    }
}

fn row(line: &str) -> Option<[u64; 7]> {
    let cells: Option<Vec<u64>> = line.split(',').map(|cell| cell.parse().ok()).collect();
    cells?.try_into().ok()
}

/// Intersection over union.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let along = |at: usize| {
        let end = (a[at] + a[at + 2]).min(b[at] + b[at + 2]);
        (end - a[at].max(b[at])).max(0.0)
    };
    let both = along(0) * along(1);
    both / (a[2] * a[3] + b[2] * b[3] - both).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_belongs_to_whom_it_covers_most() {
        let text =
            "frame,person,visit,x,y,w,h\n4,2,7,0,0,10,20\n4,1,3,8,0,10,20\n5,1,3,9,0,10,20\n";
        let truth = Truth::parse(text).unwrap();
        let visit = |person, first, last| Visit {
            person,
            first,
            last,
        };
        // Both begin in frame 4; the smaller number first.
        assert_eq!(truth.visits, [visit(1, 4, 5), visit(2, 4, 4)]);
        let cases = [
            ("the left one", 4, [1.0, 0.0, 10.0, 20.0], Some(1)),
            ("the right one", 4, [8.0, 1.0, 9.0, 20.0], Some(0)),
            ("between them", 4, [5.0, 0.0, 10.0, 20.0], Some(0)),
            ("too little of any person", 4, [16.0, 0.0, 10.0, 20.0], None),
            ("another frame", 6, [9.0, 0.0, 10.0, 20.0], None),
            ("an empty box", 5, [9.0, 0.0, 0.0, 0.0], None),
        ];
        for (name, frame, bbox, wanted) in cases {
            assert_eq!(truth.at(frame, bbox), wanted, "{name}");
        }
    }

    #[test]
    fn what_is_no_truth_is_refused() {
        let cases = [
            ("frame,x\n", "wanted `frame,person"),
            ("frame,person,visit,x,y,w,h\n1,2,3\n", "line 2"),
            ("frame,person,visit,x,y,w,h\n1,2,3,4,5,6,-7\n", "line 2"),
            (
                "frame,person,visit,x,y,w,h\n1,2,3,4,5,6,7\n2,1,3,4,5,6,7\n",
                "line 3: visit 3 is of person 1, and was of 2",
            ),
        ];
        for (text, wanted) in cases {
            let error = format!("{:#}", Truth::parse(text).unwrap_err());
            assert!(error.contains(wanted), "{error}");
        }
    }
}
