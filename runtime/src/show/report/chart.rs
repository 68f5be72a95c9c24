//! Numbers that add up to a picture: how similar, and when. Both are drawn as SVG.

use std::io::{self, Write};
use std::time::Duration;

/// Bars from similarity 0 to 1.
const BARS: usize = 50;

/// How often each similarity was found; below 0 counts as 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Histogram {
    bars: [u64; BARS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bars: [0; BARS] }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, similarity: f32) {
        if similarity.is_finite() {
            let bar = (similarity.max(0.0) * BARS as f32) as usize;
            self.bars[bar.min(BARS - 1)] += 1;
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.bars.iter().sum()
    }

    /// Bars of class `class` that fill `width` x `height`, the highest being `most` high.
    fn bars(
        &self,
        out: &mut impl Write,
        class: &str,
        [width, height]: [f64; 2],
        most: u64,
    ) -> io::Result<()> {
        let step = width / BARS as f64;
        for (at, &count) in self
            .bars
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            // A single one among thousands can still be seen.
            let tall = (height * count as f64 / most.max(1) as f64).max(1.5);
            write!(
                out,
                r#"<rect class="{class}" x="{:.1}" y="{:.1}" width="{:.1}" height="{tall:.1}"/>"#,
                at as f64 * step,
                height - tall,
                step - 0.6,
            )?;
        }
        Ok(())
    }

    fn most(&self) -> u64 {
        self.bars.iter().copied().max().unwrap_or(0)
    }
}

/// Draws the similarities of one identity, with the threshold as a line.
pub(super) fn small(out: &mut impl Write, own: &Histogram, threshold: f32) -> io::Result<()> {
    let [width, height] = [150.0, 36.0];
    write!(
        out,
        r#"<svg class="small" viewBox="0 0 {width} {height}" role="img" aria-label="Similarities from 0 to 1">"#
    )?;
    own.bars(out, "own", [width, height], own.most())?;
    limit(out, threshold, [width, height])?;
    write!(out, r#"<path class="axis" d="M0 {height}H{width}"/></svg>"#)
}

/// Draws the similarities of a whole run: those to oneself, and those to the runner-up.
pub(super) fn large(
    out: &mut impl Write,
    own: &Histogram,
    rival: &Histogram,
    threshold: f32,
) -> io::Result<()> {
    let [width, height] = [960.0, 140.0];
    write!(
        out,
        r#"<svg class="large" viewBox="-14 -18 {} {}" role="img" aria-label="Similarities of the run, from 0 to 1">"#,
        width + 28.0,
        height + 40.0
    )?;
    // Each to its own scale: strangers are compared as often as friends, but spread wider.
    rival.bars(out, "rival", [width, height], rival.most())?;
    own.bars(out, "own", [width, height], own.most())?;
    limit(out, threshold, [width, height])?;
    let x = place(threshold) * width;
    write!(
        out,
        r#"<text x="{x:.1}" y="-4">threshold {threshold:.2}</text><path class="axis" d="M0 {height}H{width}"/>"#
    )?;
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        write!(
            out,
            r#"<text x="{:.0}" y="{:.0}">{share:.2}</text>"#,
            share * width,
            height + 16.0
        )?;
    }
    write!(out, "</svg>")
}

fn limit(out: &mut impl Write, threshold: f32, [width, height]: [f64; 2]) -> io::Result<()> {
    let x = place(threshold) * width;
    write!(out, r#"<path class="limit" d="M{x:.1} 0V{height}"/>"#)
}

/// Where a similarity is between 0 and 1.
fn place(similarity: f32) -> f64 {
    f64::from(similarity).clamp(0.0, 1.0)
}

/// Stretches of a timeline.
const STRETCHES: usize = 160;

/// When somebody was there, in stretches that double when they do not reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    /// Length of one stretch.
    stretch: Duration,
    there: [bool; STRETCHES],
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            stretch: Duration::from_millis(100),
            there: [false; STRETCHES],
        }
    }
}

impl Timeline {
    pub(super) fn add(&mut self, time: Duration) {
        loop {
            let at = time.as_nanos() / self.stretch.as_nanos();
            if let Some(there) = usize::try_from(at)
                .ok()
                .and_then(|at| self.there.get_mut(at))
            {
                *there = true;
                return;
            }
            self.coarsen();
        }
    }

    /// Makes each stretch twice as long.
    fn coarsen(&mut self) {
        for at in 0..STRETCHES {
            let pair = self.there.get(2 * at..2 * at + 2);
            self.there[at] = pair.is_some_and(|pair| pair[0] || pair[1]);
        }
        self.stretch = self.stretch.saturating_mul(2);
    }

    /// When the last stretch with somebody in it ends.
    pub(super) fn end(&self) -> Duration {
        let last = self.there.iter().rposition(|there| *there);
        let stretches = last.map_or(0, |last| last as u32 + 1);
        self.stretch.saturating_mul(stretches)
    }

    /// Draws it on an axis that is `whole` long.
    pub(super) fn draw(mut self, out: &mut impl Write, whole: Duration) -> io::Result<()> {
        const WIDTH: f64 = 1000.0;
        write!(
            out,
            r#"<svg class="time" viewBox="0 0 {WIDTH} 10" preserveAspectRatio="none" role="img" aria-label="When it was seen"><rect class="ground" width="{WIDTH}" height="10"/>"#
        )?;
        // Somebody seen once a second is one line, not dots that nobody can tell apart.
        while self.stretch.saturating_mul(STRETCHES as u32) < whole {
            self.coarsen();
        }
        let scale = WIDTH / whole.as_secs_f64().max(1e-3);
        let stretch = self.stretch.as_secs_f64() * scale;
        let mut at = 0;
        while at < STRETCHES {
            let run = self.there[at..].iter().take_while(|there| **there).count();
            if run > 0 {
                let left = (at as f64 * stretch).min(WIDTH - 3.0);
                let wide = (run as f64 * stretch).clamp(3.0, WIDTH - left);
                write!(
                    out,
                    r#"<rect class="own" x="{left:.1}" width="{wide:.1}" height="10"/>"#
                )?;
            }
            at += run + 1;
        }
        write!(out, "</svg>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(draw: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        draw(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_similarity_has_a_bar() {
        let mut histogram = Histogram::default();
        let cases = [
            (-1.0, 0),
            (0.0, 0),
            (0.019, 0),
            (0.5, 25),
            (0.999, 49),
            (1.0, 49),
            (7.0, 49),
        ];
        for (similarity, bar) in cases {
            let before = histogram.bars[bar];
            histogram.add(similarity);
            assert_eq!(histogram.bars[bar], before + 1, "{similarity}");
        }
        for no_similarity in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            histogram.add(no_similarity);
        }
        assert_eq!(histogram.total(), cases.len() as u64);
        let svg = drawn(|out| small(out, &histogram, 0.5));
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(svg.contains(r#"class="limit" d="M75.0 0V36""#), "{svg}");
    }

    #[test]
    fn a_timeline_reaches_as_far_as_it_must() {
        let mut timeline = Timeline::default();
        let cases = [
            // Time in milliseconds, end of the line behind it.
            (0, 100),
            (15_999, 16_000),
            (16_000, 16_200),
            (31_000, 31_200),
            // Weeks: 160 stretches of 2^16 * 0.1 s.
            (1_000_000_000, 1_002_700_800),
        ];
        for (time, end) in cases {
            timeline.add(Duration::from_millis(time));
            assert_eq!(timeline.end(), Duration::from_millis(end), "{time}");
        }
        assert!(timeline.there[0] && timeline.there.iter().filter(|there| **there).count() == 2);
        let svg = drawn(|out| timeline.draw(out, timeline.end()));
        assert_eq!(svg.matches(r#"class="own""#).count(), 2);
        timeline.add(Duration::MAX);
        assert!(timeline.end() > Duration::MAX / 2);
    }
}
