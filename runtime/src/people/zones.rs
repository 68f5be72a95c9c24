//! Where in the picture persons count: polygons that a person has to stand in, and polygons that are
//! ignored.
//!
//! A person stands at the foot point, the middle of the lower edge of the box: the box of a person in
//! front of a shop window covers the window, the feet do not.

use network::preprocess::BBox;

use super::Persons;

/// Maximum number of corners of a polygon.
pub const MAX_CORNERS: usize = 64;

/// The largest coordinate in pixels: as wide as the widest frame.
const MAX_COORDINATE: f32 = media::MAX_SIDE as f32;

/// An area of the picture, closed from its last corner to its first. The even-odd rule decides what is
/// inside of a polygon that crosses itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon {
    corners: Vec<[f32; 2]>,
    /// Whether the corners are shares of the frame's width and height instead of pixels.
    shares: bool,
}

/// Where persons count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Zones {
    /// A person has to stand in one of these; empty for everywhere.
    pub count: Vec<Polygon>,
    /// A person must not stand in any of these; motion there is ignored.
    pub ignore: Vec<Polygon>,
}

impl Polygon {
    /// Reads `x,y x,y x,y`, 3 to [`MAX_CORNERS`] corners. They are shares of the frame's width and
    /// height if none is above 1 (`0,0.5 1,0.5 1,1 0,1` is the lower half), else pixels.
    ///
    /// # Errors
    /// The corner found and the form wanted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut corners: Vec<[f32; 2]> = Vec::new();
        for corner in text.split_whitespace() {
            if corners.len() == MAX_CORNERS {
                return Err(format!("more than {MAX_CORNERS} corners"));
            }
            let wanted =
                || format!("corner `{corner}` is not `x,y` with numbers of 0 to {MAX_COORDINATE}");
            let number = |text: &str| {
                let value: f32 = text.parse().ok()?;
                (0.0..=MAX_COORDINATE).contains(&value).then_some(value)
            };
            let (x, y) = corner.split_once(',').ok_or_else(wanted)?;
            corners.push([number(x).ok_or_else(wanted)?, number(y).ok_or_else(wanted)?]);
        }
        if corners.len() < 3 {
            return Err(format!(
                "`{text}` has {} corners, wanted `x,y x,y x,y` or more",
                corners.len()
            ));
        }
        let shares = corners.as_flattened().iter().all(|&v| v <= 1.0);
        let is_share = |v: &&f32| **v > 0.0 && **v < 1.0;
        if !shares && let Some(share) = corners.as_flattened().iter().find(is_share) {
            return Err(format!(
                "`{text}` mixes pixels with {share}, a share: wanted either"
            ));
        }
        if area(&corners) == 0.0 {
            return Err(format!("`{text}` has no area: its corners are on a line"));
        }
        Ok(Self { corners, shares })
    }

    /// Whether the point `x`, `y`, in pixels of a frame of `width` x `height`, is inside. Points on an
    /// edge that two polygons share are inside of one of them.
    #[must_use]
    pub fn contains(&self, [x, y]: [f32; 2], [width, height]: [usize; 2]) -> bool {
        let [x, y] = match self.shares {
            true => [x / width as f32, y / height as f32],
            false => [x, y],
        };
        // A ray to the right crosses the outline an odd number of times (Shimrat 1962).
        let mut inside = false;
        let mut before = self.corners[self.corners.len() - 1];
        for &corner in &self.corners {
            let [[x0, y0], [x1, y1]] = [before, corner];
            if (y0 > y) != (y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0 {
                inside = !inside;
            }
            before = corner;
        }
        inside
    }
}

/// Twice the area of the triangles between the first corner and each edge, all counted as positive:
/// 0 if the corners are on a line. (Exactly 0 only as long as they are whole numbers.)
fn area(corners: &[[f32; 2]]) -> f64 {
    let [ox, oy] = corners[0].map(f64::from);
    let next = corners.iter().cycle().skip(1);
    let cross = corners.iter().zip(next).map(|(a, b)| {
        let ([ax, ay], [bx, by]) = (a.map(f64::from), b.map(f64::from));
        ((ax - ox) * (by - oy) - (bx - ox) * (ay - oy)).abs()
    });
    cross.sum()
}

/// Where a person stands in a frame of `width` x `height`: the middle of the lower edge of the
/// part of the box that is in the frame, half a pixel above it.
fn foot(bbox: BBox, [width, height]: [usize; 2]) -> [f32; 2] {
    let left = bbox.x.max(0.0);
    let right = (bbox.x + bbox.w).min(width as f32);
    let bottom = (bbox.y + bbox.h).min(height as f32);
    [(left + right) / 2.0, bottom - 0.5]
}

impl Zones {
    /// Whether a person in `bbox` of a frame of `size`, width and height, counts.
    #[must_use]
    pub fn counts(&self, bbox: BBox, size: [usize; 2]) -> bool {
        let foot = foot(bbox, size);
        let stands_in = |polygon: &Polygon| polygon.contains(foot, size);
        (self.count.is_empty() || self.count.iter().any(stands_in))
            && !self.ignore.iter().any(stands_in)
    }

    /// Removes persons who do not count and returns their number.
    pub fn retain(&self, size: [usize; 2], persons: &mut Persons) -> usize {
        let before = persons.len();
        persons.retain(|person| self.counts(person.bbox, size));
        before - persons.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::Person;

    const SIZE: [usize; 2] = [200, 100];

    #[test]
    fn points_are_told_apart() {
        let cases = [
            ("square", "10,10 20,10 20,20 10,20", [15.0, 15.0], true),
            ("left of it", "10,10 20,10 20,20 10,20", [9.0, 15.0], false),
            ("below it", "10,10 20,10 20,20 10,20", [15.0, 21.0], false),
            (
                "other way round",
                "10,20 20,20 20,10 10,10",
                [15.0, 15.0],
                true,
            ),
            ("shares", "0,0.5 1,0.5 1,1 0,1", [150.0, 75.0], true),
            ("upper half", "0,0.5 1,0.5 1,1 0,1", [150.0, 25.0], false),
            (
                "notch of a U",
                "0,0 30,0 30,30 20,30 20,10 10,10 10,30 0,30",
                [15.0, 20.0],
                false,
            ),
            (
                "arm of a U",
                "0,0 30,0 30,30 20,30 20,10 10,10 10,30 0,30",
                [25.0, 20.0],
                true,
            ),
            (
                "ray through a corner",
                "0,10 10,0 20,10 10,20",
                [5.0, 10.0],
                true,
            ),
            (
                "beside that corner",
                "0,10 10,0 20,10 10,20",
                [-5.0, 10.0],
                false,
            ),
        ];
        for (name, text, point, wanted) in cases {
            let polygon = Polygon::parse(text).expect(name);
            assert_eq!(polygon.contains(point, SIZE), wanted, "{name}");
        }
    }

    #[test]
    fn a_shared_edge_belongs_to_one_side() {
        let left = Polygon::parse("0,0 10,0 10,10 0,10").unwrap();
        let right = Polygon::parse("10,0 20,0 20,10 10,10").unwrap();
        for y in [0.0, 3.0, 9.5] {
            let point = [10.0, y];
            assert_ne!(left.contains(point, SIZE), right.contains(point, SIZE));
        }
    }

    #[test]
    fn mistakes_are_named() {
        let many = "1,2 ".repeat(MAX_CORNERS + 1);
        let cases = [
            ("", "has 0 corners"),
            ("1,2 3,4", "has 2 corners"),
            ("1,2 3;4 5,6", "corner `3;4` is not `x,y`"),
            ("1,2 3,x 5,6", "corner `3,x` is not"),
            ("1,2 3,NaN 5,6", "corner `3,NaN` is not"),
            ("1,2 3,inf 5,6", "corner `3,inf` is not"),
            ("1,2 -3,4 5,6", "corner `-3,4` is not"),
            ("1,2 3,99999 5,6", "of 0 to 16384"),
            ("1,2,3 4,5 6,7", "corner `1,2,3` is not"),
            ("0,0.5 640,0 640,480", "mixes pixels with 0.5, a share"),
            ("1,1 2,2 3,3", "has no area"),
            (many.as_str(), "more than 64 corners"),
        ];
        for (text, wanted) in cases {
            let error = Polygon::parse(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn people_count_by_their_feet() {
        let floor = Polygon::parse("0,50 200,50 200,100 0,100").unwrap();
        let door = Polygon::parse("0.9,0 1,0 1,1 0.9,1").unwrap();
        let zones = Zones {
            count: vec![floor],
            ignore: vec![door],
        };
        let anywhere = Zones::default();
        let cases = [
            ("on the floor", [50.0, 10.0, 20.0, 60.0], true),
            ("head below, feet above", [50.0, 0.0, 20.0, 40.0], false),
            ("in the door", [185.0, 10.0, 14.0, 60.0], false),
            ("cut by the lower border", [50.0, 60.0, 20.0, 80.0], true),
            // The middle of the box lies outside of the frame, the middle of what is seen does not.
            ("cut by the left border", [-30.0, 20.0, 40.0, 60.0], true),
        ];
        let mut persons = Persons::new();
        for (name, bbox, wanted) in cases {
            assert_eq!(zones.counts(bbox.into(), SIZE), wanted, "{name}");
            assert!(anywhere.counts(bbox.into(), SIZE), "{name}");
            persons.push(Person::at(bbox.into())).unwrap();
        }
        assert_eq!(zones.retain(SIZE, &mut persons), 2);
        assert_eq!(persons.len(), 3);
    }
}
