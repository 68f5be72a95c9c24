//! Materials: the linear colour of each point on a tube.

use super::space::{V3, cell, noise, step};

/// Layout of colours on cloth. Lengths are metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pattern {
    /// One colour.
    Plain,
    /// Stripes around the body: their period and the second colour's share of it.
    Rings(f32, f32),
    /// Stripes along the body, this many around it.
    Columns(f32),
    /// Squares of this side.
    Checks(f32),
    /// Thin lines both ways over the first colour, this far apart: tartan.
    Tartan(f32),
    /// Dots this far apart.
    Dots(f32),
    /// One colour above, another below this place along the tube.
    Halves(f32),
    /// A band of this height from this place on.
    Band(f32, f32),
    /// Patches of this size in three colours.
    Patches(f32),
    /// From one colour to the other along this length.
    Fade(f32),
    /// Zigzag bands of this period.
    Zigzag(f32),
    /// A third of the cloth on the wearer's left in the second colour.
    Side,
    /// A stripe along both sides: sports trousers.
    Seam,
}

/// A printed shape on the chest or on the back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Print {
    /// 0 disc, 1 square, 2 lines of text, 3 triangle, 4 ring, 5 cross.
    pub(super) shape: u8,
    /// Half its side, metres.
    pub(super) size: f32,
    /// Its place along the tube, metres.
    pub(super) at: f32,
    pub(super) colour: V3,
    /// Whether it is on the back as well.
    pub(super) back: bool,
}

/// Cloth, skin, leather, metal: an opaque surface.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cloth {
    pub(super) main: V3,
    pub(super) second: V3,
    pub(super) third: V3,
    pub(super) pattern: Pattern,
    pub(super) print: Option<Print>,
    /// Metres around the tube, for patterns of given size.
    pub(super) around: f32,
    /// How strongly folds darken it, 0..1.
    pub(super) folds: f32,
    /// How coarse its weave shows, 0..1.
    pub(super) weave: f32,
    /// Seed of folds and patches.
    pub(super) seed: u32,
    /// Line of buttons or a zip in front.
    pub(super) placket: bool,
}

impl Cloth {
    /// Of one colour, without folds.
    pub(super) fn plain(colour: V3) -> Self {
        Self {
            main: colour,
            second: colour,
            third: colour,
            pattern: Pattern::Plain,
            print: None,
            around: 1.0,
            folds: 0.0,
            weave: 0.0,
            seed: 0,
            placket: false,
        }
    }

    /// The same cloth on a tube of another circumference.
    pub(super) fn around(&self, metres: f32) -> Self {
        Self {
            around: metres,
            ..self.clone()
        }
    }

    /// Without its print and buttons: sleeves.
    pub(super) fn bare(&self) -> Self {
        Self {
            print: None,
            placket: false,
            ..self.clone()
        }
    }

    /// The colour at `u` around and `v` along.
    pub(super) fn colour(&self, u: f32, v: f32) -> V3 {
        let mut colour = self.patterned(u, v);
        if let Some(print) = &self.print
            && let Some(ink) = self.printed(print, u, v)
        {
            colour = ink;
        }
        if self.placket && ((u - 0.5) * self.around).abs() < 0.009 {
            colour = colour * 0.45;
        }
        if self.weave > 0.0 {
            let s = u * self.around;
            let grain = noise(s * 90.0, v * 70.0, self.seed) - 0.5;
            let knit = noise(s * 25.0, v * 160.0, self.seed ^ 5) - 0.5;
            colour = colour * (1.0 + self.weave * (grain + knit));
        }
        if self.folds > 0.0 {
            let s = u * self.around;
            let long = noise(s * 9.0 + v * 5.0, v * 3.5, self.seed ^ 9);
            let cross = noise(s * 5.0, v * 14.0 - s * 6.0, self.seed ^ 17);
            colour = colour * (1.0 + self.folds * (0.6 * long + 0.6 * cross - 0.65));
        }
        colour
    }

    fn patterned(&self, u: f32, v: f32) -> V3 {
        let s = u * self.around;
        // Whole repeats, so that no seam shows behind.
        let repeats = |side: f32| (self.around / side).round().max(2.0);
        let second = match self.pattern {
            Pattern::Plain => false,
            Pattern::Rings(period, share) => (v / period).rem_euclid(1.0) < share,
            Pattern::Columns(n) => (u * n).rem_euclid(1.0) < 0.4,
            Pattern::Checks(side) => {
                let across = (u * repeats(side * 2.0) * 2.0).floor() as i32;
                let down = (v / side).floor() as i32;
                (across + down) % 2 != 0
            }
            Pattern::Tartan(side) => {
                let across = (u * repeats(side)).rem_euclid(1.0);
                let down = (v / side).rem_euclid(1.0);
                let lines = u8::from(across < 0.3) + u8::from(down < 0.3);
                return match lines {
                    0 => self.main,
                    1 => self.main.mix(self.second, 0.65),
                    _ => self.third,
                };
            }
            Pattern::Dots(side) => {
                let row = (v / side).floor();
                let across = (u * repeats(side) + 0.5 * row.rem_euclid(2.0)).rem_euclid(1.0) - 0.5;
                let down = (v / side).rem_euclid(1.0) - 0.5;
                across * across + down * down < 0.085
            }
            Pattern::Halves(at) => v < at,
            Pattern::Band(from, height) => (from..from + height).contains(&v),
            Pattern::Patches(size) => {
                return match noise(s / size, v / size, self.seed) {
                    p if p < 0.4 => self.second,
                    p if p > 0.62 => self.third,
                    _ => self.main,
                };
            }
            Pattern::Fade(length) => return self.main.mix(self.second, step(0.05, length, v)),
            Pattern::Zigzag(period) => {
                let wave = ((u * repeats(period)).rem_euclid(1.0) - 0.5).abs() * 0.8;
                (v / period + wave).rem_euclid(1.0) < 0.45
            }
            Pattern::Seam => (u - 0.25).abs().min((u - 0.75).abs()) < 0.05,
            Pattern::Side => (0.5..0.86).contains(&u),
        };
        if second { self.second } else { self.main }
    }

    fn printed(&self, print: &Print, u: f32, v: f32) -> Option<V3> {
        let behind = !(0.25..0.75).contains(&u);
        if behind && !print.back {
            return None;
        }
        let middle = if behind { u.round() } else { 0.5 };
        let x = (u - middle) * self.around / print.size;
        let y = (v - print.at) / print.size;
        if x.abs() > 1.0 || y.abs() > 1.0 {
            return None;
        }
        let distance = x * x + y * y;
        let inside = match print.shape {
            0 => distance < 1.0,
            1 => true,
            2 => {
                let line = (y * 2.0).floor() as i32;
                (y * 2.0).rem_euclid(1.0) < 0.6
                    && cell((x * 5.0).floor() as i32, line, self.seed) < 0.75
            }
            3 => x.abs() < (y + 1.0) * 0.5,
            4 => (0.4..1.0).contains(&distance),
            _ => x.abs() < 0.32 || y.abs() < 0.32,
        };
        inside.then_some(print.colour)
    }
}

/// The surface of a tube.
#[derive(Debug, Clone)]
pub(super) enum Surface {
    /// Cloth, closed all around.
    Closed(Cloth),
    /// Cloth with an opening in front: half its share of the way around.
    Open(Cloth, f32),
    /// Hair around a face: the hair's colour, half the face's share of the way around, and the
    /// places along the head from where and to where it is open.
    Hair(Cloth, f32, f32, f32),
    /// A face: skin, hair, lips; whether it has a beard and glasses.
    Face {
        skin: V3,
        hair: V3,
        beard: bool,
        glasses: bool,
    },
    /// A shoe and its sole.
    Shoe(V3, V3),
    /// The side of a car with windows: paint and where glass begins and ends, metres from the top.
    Glazed(V3, f32, f32),
}
