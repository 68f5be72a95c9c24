//! Where a track is and where it is going: boxes and times come in, how well a box fits goes out.

use std::time::Duration;

use network::preprocess::BBox;

/// How far a person moves in a second, in heights of their own: a brisk walk is 1.4 m/s, a person
/// who hurries past the camera is faster.
const HEIGHTS_PER_SECOND: f32 = 1.0;

/// How far a box jumps between two frames of a person who stands, in heights: detections are noisy,
/// and arms and bags come and go.
const JUMP: f32 = 0.25;

/// The furthest that a person is searched for, in heights; beyond it, distance is no evidence.
const FURTHEST: f32 = 3.0;

/// The least ratio of the sizes of two boxes of one person at a distance; a person who walks in from
/// below the picture grows by more than half.
const LEAST_RATIO: f32 = 0.4;

/// Where a track was last seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TrackPosition {
    /// In pixels, finite and not empty.
    pub(super) bbox: BBox,
    /// Of the centre, in pixels a second.
    velocity: [f32; 2],
    /// Stream time.
    pub(super) seen: Duration,
    /// Number of the frame, counted by [`Tracks`](super::Tracks).
    pub(super) frame: u64,
}

impl TrackPosition {
    /// Where a person appears.
    pub(super) fn new(bbox: BBox, seen: Duration, frame: u64) -> Self {
        Self {
            bbox,
            velocity: [0.0; 2],
            seen,
            frame,
        }
    }

    /// Moves to where the person is now. Half of the velocity is what was known, which halves the
    /// noise of boxes that tremble.
    pub(super) fn advance(&mut self, bbox: BBox, at: Duration, frame: u64) {
        let passed = at.saturating_sub(self.seen).as_secs_f32();
        if passed > 0.0 {
            let (from, to) = (centre(self.bbox), centre(bbox));
            for axis in 0..2 {
                let measured = (to[axis] - from[axis]) / passed;
                let velocity = (self.velocity[axis] + measured) / 2.0;
                self.velocity[axis] = if velocity.is_finite() { velocity } else { 0.0 };
            }
        }
        (self.bbox, self.seen, self.frame) = (bbox, at, frame);
    }

    /// Where the person is at a later time if they walk on.
    fn predicted(&self, at: Duration) -> BBox {
        let passed = at.saturating_sub(self.seen).as_secs_f32();
        BBox {
            x: self.bbox.x + self.velocity[0] * passed,
            y: self.bbox.y + self.velocity[1] * passed,
            ..self.bbox
        }
    }

    /// How well a box covers the person, who walked on or stopped: 0 to 1.
    pub(super) fn overlap(&self, bbox: BBox, at: Duration) -> f32 {
        iou(self.predicted(at), bbox).max(iou(self.bbox, bbox))
    }

    /// How near a box is, as far as a person can get in the time: 1 for the same centre, 0 for out
    /// of reach.
    pub(super) fn nearness(&self, bbox: BBox, at: Duration) -> f32 {
        let size = |b: BBox| (b.w * b.h).sqrt();
        let (small, large) = (
            size(self.bbox).min(size(bbox)),
            size(self.bbox).max(size(bbox)),
        );
        if small < large * LEAST_RATIO {
            return 0.0;
        }
        let passed = at.saturating_sub(self.seen).as_secs_f32();
        let heights = (JUMP + HEIGHTS_PER_SECOND * passed).min(FURTHEST);
        let reach = heights * self.bbox.h.max(bbox.h);
        let to = centre(bbox);
        let distance = |from: BBox| {
            let from = centre(from);
            (to[0] - from[0]).hypot(to[1] - from[1])
        };
        let least = distance(self.bbox).min(distance(self.predicted(at)));
        // No number compares as false: out of reach.
        if least < reach {
            1.0 - least / reach
        } else {
            0.0
        }
    }
}

/// Whether a box is valid: finite and not empty.
pub(super) fn is_box(bbox: BBox) -> bool {
    let BBox { x, y, w, h } = bbox;
    [x, y, x + w, y + h, w * h].iter().all(|v| v.is_finite()) && w > 0.0 && h > 0.0
}

fn centre(bbox: BBox) -> [f32; 2] {
    [bbox.x + bbox.w / 2.0, bbox.y + bbox.h / 2.0]
}

/// What two boxes share of what they cover together, 0 to 1; 0 for boxes without an area.
pub(crate) fn iou(a: BBox, b: BBox) -> f32 {
    let shared = intersection(a, b);
    let all = a.w * a.h + b.w * b.h - shared;
    if shared > 0.0 && all > 0.0 {
        shared / all
    } else {
        0.0
    }
}

/// Area that two boxes share; 0 if none, or if one is no box.
pub(crate) fn intersection(a: BBox, b: BBox) -> f32 {
    // The minimum of a number and no number is the number.
    if !(is_box(a) && is_box(b)) {
        return 0.0;
    }
    let width = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x);
    let height = (a.y + a.h).min(b.y + b.h) - a.y.max(b.y);
    if width > 0.0 && height > 0.0 {
        width * height
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bbox(x: f32, y: f32, w: f32, h: f32) -> BBox {
        BBox { x, y, w, h }
    }

    #[test]
    fn iou_of() {
        let cases = [
            (
                "the same",
                bbox(1.0, 2.0, 3.0, 4.0),
                bbox(1.0, 2.0, 3.0, 4.0),
                1.0,
            ),
            (
                "apart",
                bbox(0.0, 0.0, 1.0, 1.0),
                bbox(2.0, 0.0, 1.0, 1.0),
                0.0,
            ),
            (
                "side by side",
                bbox(0.0, 0.0, 1.0, 1.0),
                bbox(1.0, 0.0, 1.0, 1.0),
                0.0,
            ),
            (
                "half",
                bbox(0.0, 0.0, 2.0, 1.0),
                bbox(1.0, 0.0, 2.0, 1.0),
                1.0 / 3.0,
            ),
            (
                "inside",
                bbox(0.0, 0.0, 4.0, 4.0),
                bbox(1.0, 1.0, 2.0, 2.0),
                0.25,
            ),
            (
                "empty",
                bbox(0.0, 0.0, 0.0, 0.0),
                bbox(0.0, 0.0, 0.0, 0.0),
                0.0,
            ),
            (
                "turned over",
                bbox(0.0, 0.0, -2.0, -2.0),
                bbox(-1.0, -1.0, 2.0, 2.0),
                0.0,
            ),
            (
                "no number",
                bbox(f32::NAN, 0.0, 1.0, 1.0),
                bbox(0.0, 0.0, 1.0, 1.0),
                0.0,
            ),
            (
                "endless",
                bbox(0.0, 0.0, f32::INFINITY, 1.0),
                bbox(0.0, 0.0, 1.0, 1.0),
                0.0,
            ),
        ];
        for (name, a, b, wanted) in cases {
            for (a, b) in [(a, b), (b, a)] {
                let found = iou(a, b);
                assert!(
                    (found - wanted).abs() < 1e-6,
                    "{name}: {found}, wanted {wanted}"
                );
            }
        }
    }

    #[test]
    fn a_person_who_walks_on_is_expected_ahead() {
        let second = Duration::from_secs(1);
        let mut position = TrackPosition::new(bbox(0.0, 0.0, 40.0, 100.0), Duration::ZERO, 0);
        for step in 1..8_u64 {
            position.advance(
                bbox(30.0 * step as f32, 0.0, 40.0, 100.0),
                second * step as u32,
                step,
            );
        }
        // 30 a second after seven steps, less the 1/128 that is left of the standstill at first.
        let ahead = position.overlap(bbox(270.0, 0.0, 40.0, 100.0), second * 9);
        assert!(ahead > 0.95, "{ahead}");
        // Or they stopped.
        assert_eq!(position.overlap(position.bbox, second * 9), 1.0);
        // No time passed: nothing is learnt about the velocity, nothing is divided by zero.
        position.advance(bbox(500.0, 0.0, 40.0, 100.0), second * 7, 8);
        assert_eq!(position.predicted(second * 7), position.bbox);
    }

    #[test]
    fn how_far_is_near() {
        let from = TrackPosition::new(bbox(0.0, 0.0, 40.0, 100.0), Duration::ZERO, 0);
        let cases = [
            ("the same, at once", bbox(0.0, 0.0, 40.0, 100.0), 0, 1.0),
            ("a jump of 20 of 25", bbox(20.0, 0.0, 40.0, 100.0), 0, 0.2),
            ("too far for no time", bbox(30.0, 0.0, 40.0, 100.0), 0, 0.0),
            ("a second's walk", bbox(100.0, 0.0, 40.0, 100.0), 1000, 0.2),
            ("never that far", bbox(301.0, 0.0, 40.0, 100.0), 60_000, 0.0),
            (
                "a child is not a grown-up",
                bbox(10.0, 50.0, 14.0, 35.0),
                1000,
                0.0,
            ),
            ("no number", bbox(f32::NAN, 0.0, 40.0, 100.0), 1000, 0.0),
        ];
        for (name, to, millis, wanted) in cases {
            let found = from.nearness(to, Duration::from_millis(millis));
            assert!(
                (found - wanted).abs() < 1e-6,
                "{name}: {found}, wanted {wanted}"
            );
        }
    }
}
