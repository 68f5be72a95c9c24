//! Boxes and names, painted into a frame in place: nothing is allocated, and nothing that reaches
//! beyond the frame can hurt.
//!
//! A box has the colour of its identity. On it stands a plate with the name on that colour, and
//! beside it what the observation means: the similarity on green for a known person, `new`
//! on blue, `?` on grey (and a dashed box) while it is not decided.

use std::fmt::Write;

use super::{Result, check, colour, font};
use crate::event::State;

/// The most letters of a name that are painted, the two dots behind a cut one included.
const MAX_LETTERS: usize = 32;

/// Plates that others keep clear of; those of more people than that may cover each other.
const MAX_PLATES: usize = crate::people::MAX_PEOPLE;

const SEEN: [u8; 3] = [21, 101, 52];
const NEW: [u8; 3] = [29, 78, 216];
const PENDING: [u8; 3] = [82, 82, 91];
const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];

/// What is to be said of one person in the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label<'a> {
    /// Left, top, width and height in pixels of the frame; it may reach beyond it.
    pub bbox: [f32; 4],
    /// Name of the identity; none while it is not decided.
    pub identity: Option<&'a str>,
    /// Similarity to that identity, if it is known.
    pub similarity: Option<f32>,
    /// What the observation means for the gallery; it does not matter without an identity.
    pub state: State,
}

/// A frame that is painted on. One for each frame: it knows where its plates are.
#[derive(Debug)]
pub struct Canvas<'a> {
    rgb: &'a mut [u8],
    width: i32,
    height: i32,
    /// Pixels of the frame in one pixel of a letter.
    scale: i32,
    plates: heapless::Vec<Area, MAX_PLATES>,
}

/// Pixels from `left`, `top` up to but not including `right`, `bottom`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Area {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Area {
    fn overlaps(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn grown(self, by: i32) -> Self {
        Self {
            left: self.left.saturating_sub(by),
            top: self.top.saturating_sub(by),
            right: self.right.saturating_add(by),
            bottom: self.bottom.saturating_add(by),
        }
    }
}

impl<'a> Canvas<'a> {
    /// A canvas over `rgb`, `[height, width, 3]` u8.
    ///
    /// # Errors
    /// [`super::Error::Argument`] if the sizes do not fit together or are beyond 65,535.
    pub fn new(rgb: &'a mut [u8], width: usize, height: usize) -> Result<Self> {
        check(rgb, [width, height])?;
        Ok(Self {
            rgb,
            width: width as i32,
            height: height as i32,
            // Letters of 16 pixels up to 800 rows, 24 at 1080, 48 at 2160.
            scale: height.div_ceil(400) as i32,
            plates: heapless::Vec::new(),
        })
    }

    /// Paints one person. A box that is empty, has no numbers or lies outside paints nothing.
    pub fn person(&mut self, label: &Label<'_>) {
        let Some(area) = self.area(label.bbox) else {
            return;
        };
        let mut number = heapless::String::<8>::new();
        let (state, text) = match (label.identity, label.state) {
            (None, _) => (PENDING, "?"),
            (Some(_), State::New) => (NEW, "new"),
            (Some(_), _) => match label.similarity {
                // Eight letters hold whatever is a similarity; of anything else, part is shown.
                Some(similarity) => {
                    let _ = write!(number, "{similarity:.2}");
                    (SEEN, number.as_str())
                }
                None => (SEEN, "seen"),
            },
        };
        let paint = label.identity.map_or(PENDING, colour);
        self.outline(area, paint, label.identity.is_none());
        self.plate(area, label.identity.unwrap_or(""), paint, text, state);
    }

    /// Paints a line of text into the lower left corner: which source, which time.
    pub fn caption(&mut self, text: &str) {
        let room = (self.width - self.scale) / self.advance();
        let letters = Text::fit(text, room);
        let top = self.height - self.line();
        let right = letters.len() as i32 * self.advance() + 2 * self.scale;
        self.fill(
            Area {
                left: 0,
                top,
                right,
                bottom: self.height,
            },
            BLACK,
        );
        self.text(letters, self.scale, top + self.scale, WHITE);
    }

    /// The whole pixels of a box, at most one frame beyond each border, so that sums stay small.
    fn area(&self, [x, y, w, h]: [f32; 4]) -> Option<Area> {
        if ![x, y, w, h].iter().all(|value| value.is_finite()) {
            return None;
        }
        let edge =
            |value: f32, side: i32| value.round().clamp(-side as f32, 2.0 * side as f32) as i32;
        let area = Area {
            left: edge(x, self.width),
            top: edge(y, self.height),
            right: edge(x + w, self.width),
            bottom: edge(y + h, self.height),
        };
        let frame = Area {
            left: 0,
            top: 0,
            right: self.width,
            bottom: self.height,
        };
        let exists = area.left < area.right && area.top < area.bottom;
        (exists && area.overlaps(frame)).then_some(area)
    }

    /// A frame around `area`: the colour, and a dark line on both sides of it for bright ground.
    fn outline(&mut self, area: Area, paint: [u8; 3], dashed: bool) {
        let thick = self.scale;
        self.ring(area.grown(thick + 1), thick + 2, BLACK, 0);
        let dash = if dashed { 8 * self.scale } else { 0 };
        self.ring(area.grown(thick), thick, paint, dash);
    }

    /// The border of `area`, `thick` pixels inwards, in dashes if `dash` is more than 0.
    fn ring(&mut self, area: Area, thick: i32, paint: [u8; 3], dash: i32) {
        let Area {
            left,
            top,
            right,
            bottom,
        } = area;
        let step = if dash > 0 { 2 * dash } else { i32::MAX };
        let length = if dash > 0 { dash } else { i32::MAX };
        let mut at = left;
        while at < right {
            let end = at.saturating_add(length).min(right);
            for (top, bottom) in [(top, top + thick), (bottom - thick, bottom)] {
                self.fill(
                    Area {
                        left: at,
                        top,
                        right: end,
                        bottom,
                    },
                    paint,
                );
            }
            at = at.saturating_add(step);
        }
        let mut at = top;
        while at < bottom {
            let end = at.saturating_add(length).min(bottom);
            for (left, right) in [(left, left + thick), (right - thick, right)] {
                self.fill(
                    Area {
                        left,
                        top: at,
                        right,
                        bottom: end,
                    },
                    paint,
                );
            }
            at = at.saturating_add(step);
        }
    }

    /// The name and what the observation means, above the box if there is room, else inside or
    /// below, and always inside the frame.
    fn plate(&mut self, area: Area, name: &str, paint: [u8; 3], text: &str, state: [u8; 3]) {
        let (advance, scale) = (self.advance(), self.scale);
        let text = Text::fit(text, i32::MAX);
        let tail = text.len() as i32 * advance + 3 * scale;
        let name = Text::fit(name, (self.width - tail - 3 * scale) / advance);
        let head = match name.len() as i32 {
            0 => 0,
            letters => letters * advance + 3 * scale,
        };
        let border = scale + 1;
        let left = (area.left - border).min(self.width - head - tail).max(0);
        let line = self.line();
        let at = |top: i32| {
            let top = top.min(self.height - line).max(0);
            Area {
                left,
                top,
                right: left + head + tail,
                bottom: top + line,
            }
        };
        let above = at(area.top - border - line);
        let place = [
            above,
            at(area.top),
            at(area.bottom - line),
            at(area.bottom + border),
        ]
        .into_iter()
        .find(|place| !self.plates.iter().any(|other| other.overlaps(*place)))
        .unwrap_or(above);
        // Beyond the plates that are remembered, others may cover this one.
        let _ = self.plates.push(place);

        let split = place.left + head;
        self.fill(
            Area {
                right: split,
                ..place
            },
            paint,
        );
        self.fill(
            Area {
                left: split,
                ..place
            },
            state,
        );
        let row = place.top + scale;
        self.text(name, place.left + 2 * scale, row, ink(paint));
        self.text(text, split + 2 * scale, row, WHITE);
    }

    fn text(&mut self, text: Text<'_>, left: i32, top: i32, paint: [u8; 3]) {
        for (at, letter) in text.letters().enumerate() {
            let left = left + at as i32 * self.advance();
            for (row, bits) in font::glyph(letter).into_iter().enumerate() {
                for column in 0..font::WIDTH {
                    if bits & 1 << (font::WIDTH - 1 - column) == 0 {
                        continue;
                    }
                    let left = left + column * self.scale;
                    let top = top + row as i32 * self.scale;
                    let pixel = Area {
                        left,
                        top,
                        right: left + self.scale,
                        bottom: top + self.scale,
                    };
                    self.fill(pixel, paint);
                }
            }
        }
    }

    /// Fills what of `area` lies in the frame.
    fn fill(&mut self, area: Area, paint: [u8; 3]) {
        let left = area.left.clamp(0, self.width) as usize;
        let right = area.right.clamp(0, self.width) as usize;
        let (top, bottom) = (
            area.top.clamp(0, self.height),
            area.bottom.clamp(0, self.height),
        );
        if left >= right || top >= bottom {
            return;
        }
        let stride = self.width as usize * 3;
        let rows = &mut self.rgb[top as usize * stride..bottom as usize * stride];
        for row in rows.chunks_exact_mut(stride) {
            row[left * 3..right * 3].as_chunks_mut().0.fill(paint);
        }
    }

    /// From one letter to the next.
    fn advance(&self) -> i32 {
        (font::WIDTH + 1) * self.scale
    }

    /// Height of a plate: a letter and a pixel above and below.
    fn line(&self) -> i32 {
        (font::HEIGHT + 2) * self.scale
    }
}

/// Text that was cut to the room there is.
#[derive(Debug, Clone, Copy)]
struct Text<'a> {
    text: &'a str,
    /// Letters of `text` that are painted.
    kept: usize,
    /// What is painted behind them.
    dots: &'static str,
}

impl<'a> Text<'a> {
    /// At most `room` letters of `text`, the last two of them dots if it had to be cut.
    fn fit(text: &'a str, room: i32) -> Self {
        let room = usize::try_from(room).unwrap_or(0).min(MAX_LETTERS);
        // Not more than needed of a name that has no end.
        let letters = text.chars().take(room + 1).count();
        let (kept, dots) = match (letters > room, room) {
            (false, _) => (letters, ""),
            (true, 0..3) => (room, ""),
            (true, _) => (room - 2, ".."),
        };
        Self { text, kept, dots }
    }

    fn len(self) -> usize {
        self.kept + self.dots.len()
    }

    fn letters(self) -> impl Iterator<Item = char> + use<'a> {
        self.text.chars().take(self.kept).chain(self.dots.chars())
    }
}

/// Black or white, whichever stands out more from `ground`: about 4.5 to 1 or more, as WCAG 2.2
/// computes contrast, because the two contrasts multiply to 21.
fn ink(ground: [u8; 3]) -> [u8; 3] {
    // Relative luminance, with sRGB's curve taken for a power of 2.2.
    let [red, green, blue] = ground.map(|value| (f32::from(value) / 255.0).powf(2.2));
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    // (1 + 0.05) / (l + 0.05) = (l + 0.05) / 0.05 at l = 0.179.
    if luminance > 0.179 { BLACK } else { WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUND: [u8; 3] = [200, 190, 180];

    fn frame(width: usize, height: usize) -> Vec<u8> {
        GROUND.repeat(width * height)
    }

    fn known(bbox: [f32; 4], name: &str) -> Label<'_> {
        Label {
            bbox,
            identity: Some(name),
            similarity: Some(0.87),
            state: State::Seen,
        }
    }

    /// Letters for what is there: `#` for the identity, `S`, `N`, `P` for the states, `o` for white,
    /// `x` for black, a dot for the ground.
    fn picture(rgb: &[u8], width: usize, name: &str) -> String {
        let mut text = String::new();
        for row in rgb.chunks_exact(width * 3) {
            for pixel in row.as_chunks().0 {
                text.push(match *pixel {
                    GROUND => '.',
                    SEEN => 'S',
                    NEW => 'N',
                    PENDING => 'P',
                    WHITE => 'o',
                    BLACK => 'x',
                    other if other == colour(name) => '#',
                    other => panic!("colour {other:?}"),
                });
            }
            text.push('\n');
        }
        text
    }

    #[test]
    fn a_box_and_its_plate() {
        let mut rgb = frame(34, 24);
        let mut canvas = Canvas::new(&mut rgb, 34, 24).unwrap();
        canvas.person(&Label {
            state: State::New,
            ..known([4.0, 14.0, 20.0, 6.0], "p")
        });
        let wanted = "\
..................................
..................................
..#########NNNNNNNNNNNNNNNNNNNNN..
..#########NNNNNNNNNNNNNNNNNNNNN..
..#########NNNNNNNNNNNNNNNNNNNNN..
..##xxxx###NNooooNNNoooNNoNNNoNN..
..##x###x##NNoNNNoNoNNNoNoNNNoNN..
..##x###x##NNoNNNoNoooooNoNoNoNN..
..##xxxx###NNoNNNoNoNNNNNoNoNoNN..
..##x######NNoNNNoNNoooNNNoNoNNN..
..##x######NNNNNNNNNNNNNNNNNNNNN..
..#########NNNNNNNNNNNNNNNNNNNNN..
..xxxxxxxxxxxxxxxxxxxxxxxx........
..x######################x........
..x#xxxxxxxxxxxxxxxxxxxx#x........
..x#x..................x#x........
..x#x..................x#x........
..x#x..................x#x........
..x#x..................x#x........
..x#xxxxxxxxxxxxxxxxxxxx#x........
..x######################x........
..xxxxxxxxxxxxxxxxxxxxxxxx........
..................................
..................................
";
        let found = picture(&rgb, 34, "p");
        assert_eq!(found, wanted, "\n{found}");
    }

    #[test]
    fn somebody_undecided_is_grey_and_dashed() {
        let mut rgb = frame(60, 40);
        let mut canvas = Canvas::new(&mut rgb, 60, 40).unwrap();
        canvas.person(&Label {
            identity: None,
            similarity: None,
            ..known([4.0, 14.0, 50.0, 20.0], "")
        });
        let found = picture(&rgb, 60, "");
        let row = |row: usize| found.lines().nth(row).unwrap();
        // The upper line of the box: eight pixels of colour, eight of the dark line below it.
        assert!(
            row(13)[3..].starts_with("PPPPPPPPxxxxxxxxPPPP"),
            "\n{found}"
        );
        assert!(row(3)[..20].contains("Pooo"), "\n{found}");
        assert!(!found.contains('#'));
    }

    #[test]
    fn plates_stay_in_the_frame_and_clear_of_each_other() {
        let (width, height) = (240, 100);
        // The box, and where the name's colour has to be found and where not.
        type Point = [usize; 2];
        let cases: [(&str, [f32; 4], Point, Point); 6] = [
            ("above", [50.0, 30.0, 40.0, 40.0], [50, 19], [70, 50]),
            ("no room above", [50.0, 4.0, 40.0, 40.0], [50, 1], [50, 60]),
            ("at the left", [-20.0, 30.0, 40.0, 40.0], [0, 19], [60, 19]),
            (
                "at the right",
                [220.0, 30.0, 40.0, 40.0],
                [200, 19],
                [150, 19],
            ),
            (
                "higher than the frame",
                [50.0, -50.0, 40.0, 500.0],
                [50, 1],
                [70, 50],
            ),
            (
                "larger than a number",
                [50.0, 30.0, 3e38, 3e38],
                [50, 19],
                [100, 50],
            ),
        ];
        for (case, bbox, inside, outside) in cases {
            let mut rgb = frame(width, height);
            let mut canvas = Canvas::new(&mut rgb, width, height).unwrap();
            canvas.person(&known(bbox, "ab"));
            let at = |[x, y]: Point| &rgb[(y * width + x) * 3..][..3];
            assert_eq!(at(inside), colour("ab"), "{case}");
            assert_eq!(at(outside), GROUND, "{case}");
        }
        // The same box three times: above, inside, at its lower end.
        let mut rgb = frame(width, height);
        let mut canvas = Canvas::new(&mut rgb, width, height).unwrap();
        for _ in 0..3 {
            canvas.person(&known([50.0, 30.0, 60.0, 40.0], "ab"));
        }
        let tops: Vec<_> = canvas.plates.iter().map(|plate| plate.top).collect();
        assert_eq!(tops, [18, 30, 60]);
    }

    #[test]
    fn nothing_is_painted_of_a_box_that_is_not_there() {
        let clean = frame(40, 40);
        let cases = [
            [5.0, 5.0, 0.0, 10.0],
            [5.0, 5.0, 10.0, -10.0],
            [f32::NAN, 5.0, 10.0, 10.0],
            [5.0, 5.0, f32::INFINITY, 10.0],
            [-50.0, 5.0, 40.0, 10.0],
            [5.0, 1e30, 10.0, 10.0],
            [f32::MIN, f32::MIN, 1.0, 1.0],
        ];
        for bbox in cases {
            let mut rgb = clean.clone();
            Canvas::new(&mut rgb, 40, 40)
                .unwrap()
                .person(&known(bbox, "p"));
            assert!(rgb == clean, "{bbox:?}");
        }
    }

    #[test]
    fn names_of_any_kind_fit_frames_of_any_size() {
        let endless = "x".repeat(100_000);
        let names = [
            "",
            "p",
            "person-000001",
            "\u{4e2d}\u{6587}\u{202e}\0\n",
            &endless,
        ];
        let sizes = [(1, 1), (1, 500), (500, 1), (7, 9), (64, 48), (3000, 20)];
        for (width, height) in sizes {
            for name in names {
                let mut rgb = frame(width, height);
                let mut canvas = Canvas::new(&mut rgb, width, height).unwrap();
                for similarity in [None, Some(0.5), Some(f32::NAN), Some(f32::MIN)] {
                    canvas.person(&Label {
                        similarity,
                        ..known([-1.0, -1.0, 1e4, 1e4], name)
                    });
                    canvas.caption(name);
                }
            }
        }
        // More people than plates are remembered.
        let mut rgb = frame(64, 48);
        let mut canvas = Canvas::new(&mut rgb, 64, 48).unwrap();
        for _ in 0..2 * MAX_PLATES {
            canvas.person(&known([1.0, 1.0, 30.0, 40.0], "p"));
        }
        assert!(Canvas::new(&mut rgb, 64, 47).is_err());
        assert!(Canvas::new(&mut [], 0, 0).is_err());
    }

    #[test]
    fn letters_stand_out_from_every_colour() {
        let luminance = |colour: [u8; 3]| {
            // WCAG 2.2, relative luminance.
            let [red, green, blue] = colour.map(|value| {
                let value = f64::from(value) / 255.0;
                if value <= 0.040_45 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            });
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let contrast = |a: [u8; 3], b: [u8; 3]| {
            let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
            (a / b).max(b / a)
        };
        for number in 0..500 {
            let ground = colour(&format!("person-{number:06}"));
            assert!(contrast(ground, ink(ground)) >= 4.4, "{ground:?}");
        }
        for ground in [SEEN, NEW, PENDING] {
            assert!(contrast(ground, WHITE) >= 4.5, "{ground:?}");
        }
    }
}
