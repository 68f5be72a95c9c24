//! Who is matched with whom when each may be matched once: a table of gains comes in, the matching
//! with the greatest sum of gains goes out.
//!
//! The Hungarian method with potentials, in integers: the same table gives the same matching on
//! every machine, ties included. Taking the best pair first, which is shorter, loses people who
//! pass each other closely: the pair that is left over may not overlap at all.

use super::CAPACITY;
use crate::people::MAX_PEOPLE;

/// What a perfect match gains. The sums of a whole table stay below `i32::MAX`.
pub(super) const ONE: i32 = 1 << 20;

/// A table of gains, kept and reused.
#[derive(Debug)]
pub(super) struct Assignment {
    /// `[MAX_PEOPLE, CAPACITY]`, 0..=[`ONE`]; 0 is no match.
    gains: Box<[i32]>,
    rows: usize,
    columns: usize,
}

impl Assignment {
    pub(super) fn new() -> Self {
        Self {
            gains: vec![0; MAX_PEOPLE * CAPACITY].into_boxed_slice(),
            rows: 0,
            columns: 0,
        }
    }

    /// Begins a table of `rows` <= [`MAX_PEOPLE`] and `columns` <= [`CAPACITY`] with `gain`, 0..=1,
    /// in each place; what is not above 0 is no match.
    pub(super) fn fill(&mut self, rows: usize, columns: usize, gain: impl Fn(usize, usize) -> f32) {
        (self.rows, self.columns) = (rows, columns);
        for row in 0..rows {
            let line = &mut self.gains[row * CAPACITY..][..columns];
            for (column, place) in line.iter_mut().enumerate() {
                *place = (gain(row, column).clamp(0.0, 1.0) * ONE as f32) as i32;
            }
        }
    }

    /// The matched pairs `(row, column)`, in the order of the columns.
    pub(super) fn solve(&self) -> heapless::Vec<(usize, usize), MAX_PEOPLE> {
        // The method wants a column for every row; columns beyond the table gain nothing. Rows and
        // columns count from 1, 0 is the start of a path.
        const SIDE: usize = CAPACITY + 1;
        let columns = self.columns.max(self.rows);
        let cost = |row: usize, column: usize| match column <= self.columns {
            true => -self.gains[(row - 1) * CAPACITY + column - 1],
            false => 0,
        };
        let mut row_potential = [0_i32; MAX_PEOPLE + 1];
        let mut column_potential = [0_i32; SIDE];
        let mut row_of = [0_usize; SIDE];
        for row in 1..=self.rows {
            let mut slack = [i32::MAX; SIDE];
            let mut before = [0_usize; SIDE];
            let mut used = [false; SIDE];
            let mut at = 0;
            row_of[0] = row;
            // Grows a tree of cheapest paths until it meets a column that is free.
            while row_of[at] != 0 {
                used[at] = true;
                let (mut least, mut next) = (i32::MAX, 0);
                for column in (1..=columns).filter(|&column| !used[column]) {
                    let reduced = cost(row_of[at], column)
                        - row_potential[row_of[at]]
                        - column_potential[column];
                    if reduced < slack[column] {
                        (slack[column], before[column]) = (reduced, at);
                    }
                    if slack[column] < least {
                        (least, next) = (slack[column], column);
                    }
                }
                for column in 0..=columns {
                    if used[column] {
                        row_potential[row_of[column]] += least;
                        column_potential[column] -= least;
                    } else if slack[column] != i32::MAX {
                        slack[column] -= least;
                    }
                }
                at = next;
            }
            // Walks the path back and turns it over.
            while at != 0 {
                row_of[at] = row_of[before[at]];
                at = before[at];
            }
        }
        (1..=columns)
            .filter(|&column| row_of[column] != 0 && cost(row_of[column], column) < 0)
            .map(|column| (row_of[column] - 1, column - 1))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(table: &[&[f32]]) -> Vec<(usize, usize)> {
        let mut assignment = Assignment::new();
        let columns = table.first().map_or(0, |row| row.len());
        assignment.fill(table.len(), columns, |row, column| table[row][column]);
        let mut pairs = assignment.solve().to_vec();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn the_greatest_sum_wins() {
        type Case = (
            &'static str,
            &'static [&'static [f32]],
            &'static [(usize, usize)],
        );
        let cases: &[Case] = &[
            ("none", &[], &[]),
            ("no tracks", &[&[], &[]], &[]),
            ("one", &[&[0.5]], &[(0, 0)]),
            ("nothing to gain", &[&[0.0, -1.0]], &[]),
            ("no number", &[&[f32::NAN, 0.2]], &[(0, 1)]),
            (
                "the best pair first would leave the second row alone",
                &[&[0.9, 0.8], &[0.8, 0.0]],
                &[(0, 1), (1, 0)],
            ),
            (
                "more rows than columns",
                &[&[0.4], &[0.6], &[0.5]],
                &[(1, 0)],
            ),
            ("more columns than rows", &[&[0.1, 0.7, 0.3]], &[(0, 1)]),
            (
                "a tie goes to the first",
                &[&[0.5, 0.5], &[0.5, 0.5]],
                &[(0, 0), (1, 1)],
            ),
        ];
        for (name, table, wanted) in cases {
            assert_eq!(solved(table), *wanted, "{name}");
        }
    }

    /// Against every permutation of small tables.
    #[test]
    fn it_is_the_best_of_all() {
        fn best(table: &[Vec<f32>], row: usize, taken: &mut Vec<bool>) -> i32 {
            if row == table.len() {
                return 0;
            }
            let mut most = best(table, row + 1, taken);
            for column in 0..taken.len() {
                if !taken[column] {
                    taken[column] = true;
                    let gain = (table[row][column] * ONE as f32) as i32;
                    most = most.max(gain + best(table, row + 1, taken));
                    taken[column] = false;
                }
            }
            most
        }
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // A third of the table is no match, and the rest has few values: ties are common.
            ((state >> 16) % 9).saturating_sub(2) as f32 / 6.0
        };
        for (rows, columns) in [(1, 4), (3, 3), (4, 2), (5, 5), (5, 6)] {
            for _ in 0..60 {
                let table: Vec<Vec<f32>> = (0..rows)
                    .map(|_| (0..columns).map(|_| random()).collect())
                    .collect();
                let lines: Vec<&[f32]> = table.iter().map(Vec::as_slice).collect();
                let found: i32 = solved(&lines)
                    .iter()
                    .map(|&(row, column)| (table[row][column] * ONE as f32) as i32)
                    .sum();
                let wanted = best(&table, 0, &mut vec![false; columns]);
                assert_eq!(found, wanted, "{table:?}");
            }
        }
    }
}
