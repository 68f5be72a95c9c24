//! A mask in, boxes out: connected pixels are joined, and separate parts of one person are stacked.

use super::mask::Mask;

/// Maximum number of parts; smaller ones are dropped.
const MAX_PARTS: usize = 128;

/// Parts are one above the other if so much of the narrower one is above or below the other...
const STACKED: f32 = 0.5;
/// ...and not more than this share of their common height apart.
const GAP: f32 = 0.15;

/// Two parts that each have the shape of a person stay two if their union is thinner than this: no
/// standing person is, while the halves of a person that a belt separates often have that shape.
const STANDING: f32 = 3.5;

/// Shape of a person, sizes in pixels of the mask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Minimum height.
    pub(super) height: f32,
    /// Height divided by width.
    pub(super) aspect: [f32; 2],
    /// Minimum share of the box that moves.
    pub(super) fill: f32,
}

/// A part of the mask: a rectangle, the right and the lower border not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) left: u16,
    pub(super) top: u16,
    pub(super) right: u16,
    pub(super) bottom: u16,
    /// Pixels that are set in it.
    pub(super) area: u32,
}

/// Finds blobs; the buffers are kept.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    /// Label of each pixel of the row above and of this one; 0 is none.
    labels: [Vec<u16>; 2],
    /// Union-find: a label of the same part, itself for the one that stands for all.
    parents: Vec<u16>,
    boxes: Vec<Blob>,
    parts: heapless::Vec<Blob, MAX_PARTS>,
}

impl Blob {
    fn width(&self) -> f32 {
        f32::from(self.right - self.left)
    }

    fn height(&self) -> f32 {
        f32::from(self.bottom - self.top)
    }

    fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
            area: self.area + other.area,
        }
    }

    fn contains(&self, other: &Self) -> bool {
        self.with(*other)
            == Self {
                area: self.area + other.area,
                ..*self
            }
    }
}

impl Shape {
    /// Whether a blob has the shape of a person.
    fn fits(&self, blob: &Blob) -> bool {
        let (width, height) = (blob.width(), blob.height());
        let [low, high] = self.aspect;
        height >= self.height
            && (low..=high).contains(&(height / width))
            && blob.area as f32 >= self.fill * width * height
    }

    /// Pixels below which a part is dropped: an eighth of the smallest person.
    fn speck(&self) -> u32 {
        (self.height * self.height / self.aspect[1] * self.fill / 8.0) as u32
    }

    /// Whether two parts are one person: one is within the other's box, or they are stacked and their
    /// union is not too thin.
    fn joins(&self, a: &Blob, b: &Blob) -> bool {
        if a.contains(b) || b.contains(a) {
            return true;
        }
        let both = a.with(*b);
        let across = f32::from(a.right.min(b.right)) - f32::from(a.left.max(b.left));
        let gap = f32::from(a.top.max(b.top)) - f32::from(a.bottom.min(b.bottom));
        let thinnest = match self.fits(a) && self.fits(b) {
            true => STANDING.min(self.aspect[1]),
            false => self.aspect[1],
        };
        across >= STACKED * a.width().min(b.width())
            && gap <= GAP * both.height()
            && both.height() <= thinnest * both.width()
    }
}

impl Blobs {
    /// Buffers for masks of `width` x `height`, neither above [`super::reduce::SIDE`].
    pub(super) fn new(width: usize, height: usize) -> Self {
        // A new label needs a pixel without set neighbours: at most one in each square of four, and fewer than 2^16 for masks of 320 x 320.
        let labels = width.div_ceil(2) * height.div_ceil(2) + 1;
        Self {
            labels: [vec![0; width], vec![0; width]],
            parents: Vec::with_capacity(labels),
            boxes: Vec::with_capacity(labels),
            parts: heapless::Vec::new(),
        }
    }

    /// The blobs of `mask` with the shape of a person, the largest first, and the number of dropped
    /// parts.
    pub(super) fn find(&mut self, mask: &Mask, shape: &Shape) -> (&[Blob], usize) {
        self.connect(mask);
        let left_out = self.collect(shape.speck());
        self.stack(shape);
        self.parts.retain(|part| shape.fits(part));
        self.parts
            .sort_unstable_by_key(|part| (std::cmp::Reverse(part.area), part.left, part.top));
        (&self.parts, left_out)
    }

    /// Labels the pixels row by row and joins the labels of neighbours, diagonal ones too.
    fn connect(&mut self, mask: &Mask) {
        self.parents.clear();
        self.boxes.clear();
        self.parents.push(0);
        self.boxes.push(Blob {
            left: 0,
            top: 0,
            right: 0,
            bottom: 0,
            area: 0,
        });
        let [above, here] = &mut self.labels;
        above.fill(0);
        for (y, row) in mask.pixels.chunks_exact(mask.width).enumerate() {
            // Most rows of most frames: nothing moves in them.
            if !row.contains(&1) {
                above.fill(0);
                continue;
            }
            let mut left = 0;
            for (x, &set) in row.iter().enumerate() {
                if set == 0 {
                    left = 0;
                    here[x] = 0;
                    continue;
                }
                let pixel = Blob {
                    left: x as u16,
                    top: y as u16,
                    right: x as u16 + 1,
                    bottom: y as u16 + 1,
                    area: 1,
                };
                let corner = above.get(x + 1).copied().unwrap_or(0);
                let before = match x {
                    0 => 0,
                    _ => above[x - 1],
                };
                let label = [left, above[x], before]
                    .into_iter()
                    .find(|&label| label != 0);
                let label = match (label, corner) {
                    (None, 0) => {
                        let label = self.parents.len() as u16;
                        self.parents.push(label);
                        self.boxes.push(pixel);
                        label
                    }
                    (None, label) | (Some(label), 0) => {
                        let blob = &mut self.boxes[usize::from(label)];
                        *blob = blob.with(pixel);
                        label
                    }
                    // The pixel connects what is to its left with what is above to its right; all
                    // other neighbours are neighbours of each other.
                    (Some(label), corner) => {
                        let blob = &mut self.boxes[usize::from(label)];
                        *blob = blob.with(pixel);
                        join(&mut self.parents, label, corner);
                        label
                    }
                };
                here[x] = label;
                left = label;
            }
            std::mem::swap(above, here);
        }
    }

    /// Adds up what is connected, and keeps the largest parts above `speck` pixels.
    fn collect(&mut self, speck: u32) -> usize {
        for label in (1..self.parents.len()).rev() {
            let root = usize::from(root(&mut self.parents, label as u16));
            if root != label {
                self.boxes[root] = self.boxes[root].with(self.boxes[label]);
                self.boxes[label].area = 0;
            }
        }
        self.parts.clear();
        let mut left_out = 0;
        for blob in self.boxes.iter().filter(|blob| blob.area > speck) {
            if let Err(blob) = self.parts.push(*blob) {
                left_out += 1;
                let smallest = self.parts.iter_mut().min_by_key(|part| part.area);
                let smallest = smallest.expect("the list is full");
                if smallest.area < blob.area {
                    *smallest = blob;
                }
            }
        }
        left_out
    }

    /// Joins parts of one person until there are none left to join.
    fn stack(&mut self, shape: &Shape) {
        let mut at = 0;
        while at < self.parts.len() {
            let part = self.parts[at];
            let partner = (at + 1..self.parts.len()).find(|&i| shape.joins(&part, &self.parts[i]));
            match partner {
                Some(partner) => {
                    self.parts[at] = part.with(self.parts[partner]);
                    self.parts.swap_remove(partner);
                    // Grown, it may reach parts that were passed over.
                    at = 0;
                }
                None => at += 1,
            }
        }
    }
}

/// The label that stands for the part of `label`; halves the way there.
fn root(parents: &mut [u16], mut label: u16) -> u16 {
    while parents[usize::from(label)] != label {
        let parent = parents[usize::from(label)];
        parents[usize::from(label)] = parents[usize::from(parent)];
        label = parent;
    }
    label
}

/// Joins two parts; the lower label stands for both, so that parts come in the order of their
/// first pixels.
fn join(parents: &mut [u16], a: u16, b: u16) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[usize::from(a.max(b))] = a.min(b);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        height: 10.0,
        aspect: [1.0, 5.0],
        fill: 0.3,
    };

    /// A mask of 64 x 48 with rectangles `[left, top, width, height]`.
    fn mask(rectangles: &[[usize; 4]]) -> Mask {
        let mut mask = Mask::new(64, 48);
        for &[left, top, width, height] in rectangles {
            for y in top..top + height {
                mask.pixels[y * 64 + left..][..width].fill(1);
            }
        }
        mask
    }

    fn boxes(rectangles: &[[usize; 4]]) -> Vec<[u16; 4]> {
        let mut blobs = Blobs::new(64, 48);
        let (found, left_out) = blobs.find(&mask(rectangles), &SHAPE);
        assert_eq!(left_out, 0);
        let corners = |b: &Blob| [b.left, b.top, b.right - b.left, b.bottom - b.top];
        found.iter().map(corners).collect()
    }

    #[test]
    fn what_is_a_person() {
        type Case<'a> = (&'a str, &'a [[usize; 4]], &'a [[u16; 4]]);
        let cases: [Case<'_>; 12] = [
            ("no person", &[], &[]),
            ("one", &[[5, 5, 10, 30]], &[[5, 5, 10, 30]]),
            (
                "two, the larger first",
                &[[5, 5, 6, 20], [40, 2, 12, 40]],
                &[[40, 2, 12, 40], [5, 5, 6, 20]],
            ),
            (
                "in the corners",
                &[[0, 0, 8, 20], [56, 28, 8, 20]],
                &[[0, 0, 8, 20], [56, 28, 8, 20]],
            ),
            ("too small", &[[5, 5, 4, 9]], &[]),
            ("a car", &[[5, 20, 40, 15]], &[]),
            ("a lamp post", &[[5, 2, 3, 44]], &[]),
            (
                "a wire frame",
                &[[5, 5, 20, 1], [5, 35, 20, 1], [5, 5, 1, 31], [24, 5, 1, 31]],
                &[],
            ),
            (
                "no belt",
                &[[10, 5, 10, 14], [11, 22, 8, 18]],
                &[[10, 5, 10, 35]],
            ),
            (
                "head and far away feet",
                &[[10, 0, 10, 14], [10, 30, 10, 10]],
                &[[10, 0, 10, 14], [10, 30, 10, 10]],
            ),
            (
                "two in a row",
                &[[10, 2, 10, 20], [10, 24, 10, 20]],
                &[[10, 2, 10, 20], [10, 24, 10, 20]],
            ),
            (
                "in three pieces",
                &[[13, 2, 6, 5], [10, 9, 12, 15], [11, 26, 9, 17]],
                &[[10, 2, 12, 41]],
            ),
        ];
        for (name, rectangles, wanted) in cases {
            assert_eq!(boxes(rectangles), wanted, "{name}");
        }
    }

    #[test]
    fn pixels_are_connected_as_a_flood_finds_them() {
        let mut state = 1u32;
        let mut blobs = Blobs::new(64, 48);
        for share in [30, 100, 128, 200, 255] {
            let mut mask = Mask::new(64, 48);
            for pixel in &mut mask.pixels {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *pixel = u8::from(state >> 24 < share);
            }
            blobs.connect(&mask);
            blobs.collect(u32::MAX);
            let mut found: Vec<Blob> = blobs.boxes.iter().filter(|b| b.area > 0).copied().collect();
            let mut wanted = flood(&mask);
            let key = |b: &Blob| (b.left, b.top, b.right, b.bottom, b.area);
            found.sort_by_key(key);
            wanted.sort_by_key(key);
            assert_eq!(found, wanted, "{share}");
        }
    }

    fn flood(mask: &Mask) -> Vec<Blob> {
        let mut pixels = mask.pixels.clone();
        let mut found = Vec::new();
        for start in 0..pixels.len() {
            let mut blob: Option<Blob> = None;
            let mut waiting = vec![start];
            while let Some(at) = waiting.pop() {
                if std::mem::take(&mut pixels[at]) == 0 {
                    continue;
                }
                let (x, y) = ((at % 64) as u16, (at / 64) as u16);
                let pixel = Blob {
                    left: x,
                    top: y,
                    right: x + 1,
                    bottom: y + 1,
                    area: 1,
                };
                blob = Some(blob.map_or(pixel, |blob| blob.with(pixel)));
                for ny in y.saturating_sub(1)..=(y + 1).min(47) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(63) {
                        waiting.push(usize::from(ny) * 64 + usize::from(nx));
                    }
                }
            }
            found.extend(blob);
        }
        found
    }

    #[test]
    fn a_full_list_keeps_the_largest_and_says_so() {
        // 32 x 12 specks of 2 x 4 pixels and one person.
        let shape = Shape {
            height: 3.0,
            fill: 0.1,
            ..SHAPE
        };
        let specks = (0..32).flat_map(|x| (0..8).map(move |y| [x * 2, y * 4, 1, 3]));
        let mut rectangles: Vec<[usize; 4]> = specks.collect();
        rectangles.push([20, 34, 5, 12]);
        let mut blobs = Blobs::new(64, 48);
        let (found, left_out) = blobs.find(&mask(&rectangles), &shape);
        assert_eq!(left_out, 32 * 8 + 1 - MAX_PARTS);
        assert_eq!((found[0].left, found[0].area), (20, 60));
    }
}
