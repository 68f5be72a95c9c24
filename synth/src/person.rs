//! A synthetic person: everything that stays the same from camera to camera.
//!
//! A person is drawn from the fashion of a [`Domain`]. The persons to train and to test with share no
//! cloth: colours lie in cells of a chessboard over the colour cube, one parity for each [`Split`], and
//! the seeds of patterns are even or odd. Any two persons differ in at least
//! [`MIN_DIFFERING_TRAITS`] of [`Person::traits`].

use serde::Serialize;

use super::cloth::{Cloth, Pattern, Print};
use super::palette::{
    ACCENTS, HAIRS, MALL_BOTTOMS, MALL_TOPS, Palette, SKINS, STREET_BOTTOMS, STREET_TOPS, Split,
    split_of,
};
use super::space::{V3, encode, srgb, v3};
use crate::random::Draw;

/// The scene: clothes, camera positions and surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Outdoors in the cold season: coats and long trousers in muted colours, sun and clouds.
    Street,
    /// Indoors in summer: short sleeves, shorts, skirts, light colours, many lamps.
    Mall,
}

impl std::str::FromStr for Domain {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "street" => Ok(Self::Street),
            "mall" => Ok(Self::Mall),
            _ => Err(format!("`{text}` is no domain, wanted street or mall")),
        }
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Street => "street",
            Self::Mall => "mall",
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HairStyle {
    Bald,
    Crop,
    Short,
    Bob,
    Long,
    Tail,
    Bun,
    Cloud,
}

/// Hair styles to draw from; the last one again because men and women have them in another order.
const STYLES: [HairStyle; 9] = {
    use HairStyle::{Bald, Bob, Bun, Cloud, Crop, Long, Short, Tail};
    [Bald, Crop, Short, Bob, Long, Tail, Bun, Cloud, Bun]
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hat {
    Cap,
    Beanie,
    Brim,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum BagKind {
    Backpack,
    /// On one hip, its strap across the chest or from the shoulder on the same side.
    Shoulder,
    Hand,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bag {
    pub(super) kind: BagKind,
    pub(super) cloth: Cloth,
    /// 1 for the wearer's left (u above 0.5), -1 for the right.
    pub(super) side: f32,
    pub(super) size: f32,
    /// Whether a shoulder bag's strap crosses the chest.
    pub(super) across: bool,
}

/// A garment of the upper body. A sleeve ends at 0 (shoulder), 1 (elbow) or 2 (wrist).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Top {
    pub(super) cloth: Cloth,
    pub(super) sleeve: f32,
    /// Sleeves of another cloth.
    pub(super) sleeves: Option<V3>,
    /// Metres below the crotch; negative above it.
    pub(super) hem: f32,
    /// Metres between body and cloth.
    pub(super) fit: f32,
    pub(super) hood: bool,
    /// Half the opening in front as a share of the way around; 0 for closed.
    pub(super) open: f32,
}

/// What legs wear. A leg ends at 0 (hip), 1 (knee), 2 (ankle).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bottom {
    pub(super) cloth: Cloth,
    pub(super) skirt: bool,
    pub(super) length: f32,
    /// 0 as tight as leggings, 1 as wide as it gets; a skirt's flare.
    pub(super) width: f32,
    /// Legs of another colour below a skirt or shorts: tights.
    pub(super) tights: Option<V3>,
}

/// A person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Person {
    pub(super) height: f32,
    pub(super) build: f32,
    pub(super) shoulders: f32,
    pub(super) hips: f32,
    pub(super) belly: f32,
    pub(super) legs: f32,
    pub(super) head: f32,
    pub(super) stride: f32,
    pub(super) lean: f32,
    pub(super) skin: V3,
    pub(super) hair: V3,
    pub(super) style: HairStyle,
    pub(super) beard: bool,
    pub(super) glasses: bool,
    pub(super) hat: Option<(Hat, V3)>,
    pub(super) scarf: Option<V3>,
    pub(super) top: Top,
    pub(super) over: Option<Top>,
    pub(super) bottom: Bottom,
    pub(super) shoes: V3,
    pub(super) soles: V3,
    /// Height of boots in shares of the shin.
    pub(super) boots: f32,
    pub(super) bag: Option<Bag>,
    /// Discrete traits: each number is a kind, a colour of a palette or a step of a size.
    pub(super) traits: [u8; 16],
}

/// Draws one person.
struct PersonSampler<'a> {
    draw: &'a mut Draw,
    side: Split,
}

impl PersonSampler<'_> {
    fn range(&mut self, low: f64, high: f64) -> f32 {
        self.draw.between(low, high) as f32
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.draw.chance(probability)
    }

    /// As [`PersonSampler::range`] with this probability, else 0.
    fn sometimes(&mut self, probability: f64, low: f64, high: f64) -> f32 {
        self.draw.sometimes(probability, low, high) as f32
    }

    /// One of two ranges.
    fn either(&mut self, first: bool, one: [f64; 2], other: [f64; 2]) -> f32 {
        let [low, high] = if first { one } else { other };
        self.range(low, high)
    }

    /// A colour that shows beside `main`.
    fn contrasting(&mut self, main: V3) -> V3 {
        loop {
            let (colour, _) = self.colour(ACCENTS);
            if (colour.luma().sqrt() - main.luma().sqrt()).abs() >= 0.2 {
                return colour;
            }
        }
    }

    fn pick(&mut self, weights: &[u8]) -> usize {
        let sum: usize = weights.iter().map(|&w| usize::from(w)).sum();
        let mut at = self.draw.below(sum);
        for (i, &weight) in weights.iter().enumerate() {
            match at.checked_sub(usize::from(weight)) {
                Some(rest) => at = rest,
                None => return i,
            }
        }
        weights.len() - 1
    }

    /// A shade of a colour of the palette, in the cells of this split; and the colour's number.
    fn colour(&mut self, palette: Palette) -> (V3, u8) {
        let weights: Vec<u8> = palette.iter().map(|&(_, weight)| weight).collect();
        let chosen = self.pick(&weights);
        (self.shade(palette[chosen].0), chosen as u8)
    }

    fn shade(&mut self, hex: u32) -> V3 {
        let base = [16, 8, 0].map(|shift| (hex >> shift) & 255);
        self.varied(base, 0.18, 9.0)
    }

    /// A similar shade of the same colour.
    fn again(&mut self, colour: V3) -> V3 {
        self.varied(encode(colour), 0.08, 5.0)
    }

    fn varied(&mut self, base: [u32; 3], light: f64, tint: f64) -> V3 {
        loop {
            let light = self.range(1.0 - light, 1.0 + light);
            let values = base.map(|value| {
                (value as f32 * light + self.range(-tint, tint)).clamp(6.0, 240.0) as u32
            });
            if split_of(values) == self.side {
                let [r, g, b] = values;
                return srgb(r << 16 | g << 8 | b);
            }
        }
    }

    /// A seed of this split.
    fn seed(&mut self) -> u32 {
        let odd = u32::from(self.side == Split::Test);
        (self.draw.below(1 << 20) as u32) << 1 | odd
    }

    /// Cloth of `main` with a random pattern; and the kind of its pattern.
    fn cloth(&mut self, main: V3, patterned: f64) -> (Cloth, u8) {
        let second = self.contrasting(main);
        let (third, _) = self.colour(ACCENTS);
        let kind = match self.chance(patterned) {
            true => 1 + self.pick(&[5, 4, 3, 4, 3, 4, 4, 3, 3, 3, 2]),
            false => 0,
        };
        let pattern = match kind {
            1 => Pattern::Rings(self.range(0.045, 0.16), self.range(0.25, 0.5)),
            2 => Pattern::Columns(self.range(7.0, 18.0).round()),
            3 => Pattern::Checks(self.range(0.035, 0.08)),
            4 => Pattern::Tartan(self.range(0.07, 0.15)),
            5 => Pattern::Dots(self.range(0.06, 0.12)),
            6 => Pattern::Halves(self.range(0.17, 0.38)),
            7 => Pattern::Band(self.range(0.1, 0.3), self.range(0.07, 0.16)),
            8 => Pattern::Patches(self.range(0.06, 0.15)),
            9 => Pattern::Fade(self.range(0.35, 0.6)),
            10 => Pattern::Zigzag(self.range(0.09, 0.17)),
            11 => Pattern::Side,
            _ => Pattern::Plain,
        };
        let cloth = Cloth {
            main,
            second,
            third,
            pattern,
            folds: self.range(0.15, 0.4),
            weave: if self.chance(0.3) {
                self.range(0.25, 0.7)
            } else {
                0.08
            },
            seed: self.seed(),
            ..Cloth::plain(main)
        };
        (cloth, kind as u8)
    }

    fn print(&mut self, cloth: &Cloth) -> Print {
        let colour = self.contrasting(cloth.main);
        Print {
            shape: self.draw.below(6) as u8,
            size: self.range(0.05, 0.12),
            at: self.range(0.17, 0.27),
            colour,
            back: self.chance(0.5),
        }
    }
}

fn steps(value: f32, low: f32, high: f32, steps: u8) -> u8 {
    (((value - low) / (high - low)).clamp(0.0, 0.999) * f32::from(steps)) as u8
}

impl Person {
    /// Draws a person. With `like` the clothes are similar to those of that person: the same cut and
    /// colours in other shades, on another body.
    pub(super) fn draw(draw: &mut Draw, domain: Domain, side: Split, like: Option<&Self>) -> Self {
        let mut tailor = PersonSampler { draw, side };
        let t = &mut tailor;
        let cold = domain == Domain::Street;
        let (tops, bottoms) = match domain {
            Domain::Street => (STREET_TOPS, STREET_BOTTOMS),
            Domain::Mall => (MALL_TOPS, MALL_BOTTOMS),
        };
        let woman = t.chance(0.5);
        let height =
            (if woman { 1.66 } else { 1.77 } + 0.075 * t.draw.normal() as f32).clamp(1.48, 1.98);
        let build = t.range(0.82, 1.3);
        let shoulders = t.range(0.9, 1.02) + if woman { 0.0 } else { 0.1 };
        let hips = t.range(0.9, 1.06) + if woman { 0.1 } else { 0.0 };
        let belly = t.sometimes(0.3, 0.01, 0.035);
        let skin_kind = t.draw.below(SKINS.len());
        let hair_kind = t.pick(&[6, 5, 4, 3, 2, 2, 2, 1, 1]);
        let style = STYLES[t.pick(match woman {
            true => &[0, 0, 1, 4, 6, 4, 3, 2, 0],
            false => &[2, 5, 7, 2, 0, 0, 0, 2, 1],
        })];
        let hat = t.chance(if cold { 0.2 } else { 0.12 }).then(|| {
            let kind = [Hat::Cap, Hat::Beanie, Hat::Brim]
                [t.pick(if cold { &[3, 5, 1] } else { &[4, 1, 3] })];
            (kind, t.colour(ACCENTS).0)
        });
        let scarf = (cold && t.chance(0.15)).then(|| t.colour(ACCENTS).0);

        let (top_colour, mut top_kind) = t.colour(tops);
        let (mut top_cloth, mut pattern) = t.cloth(top_colour, 0.4);
        let long_sleeves = t.chance(if cold { 0.85 } else { 0.2 });
        let mut sleeve = t.either(long_sleeves, [1.75, 2.0], [0.3, 0.95]);
        let mut dress = woman && t.chance(if cold { 0.1 } else { 0.2 });
        if let Some(like) = like {
            (top_kind, dress) = (like.traits[0], false);
            top_cloth.main = t.again(like.top.cloth.main);
            sleeve = like.top.sleeve;
            if t.chance(0.5) {
                pattern = like.traits[2];
                top_cloth = Cloth {
                    main: top_cloth.main,
                    ..like.top.cloth.clone()
                };
            }
        }
        if t.chance(0.35) && pattern == 0 {
            top_cloth.print = Some(t.print(&top_cloth));
            pattern = 12 + top_cloth.print.map_or(0, |print| print.shape);
        }
        let sleeves = t.chance(0.16).then(|| t.colour(ACCENTS).0);
        let hood = t.chance(if cold { 0.3 } else { 0.08 });
        top_cloth.placket = t.chance(0.25);
        let long = t.chance(0.25);
        let top = Top {
            cloth: top_cloth,
            sleeve,
            sleeves,
            hem: match (dress, long) {
                (true, _) => t.range(0.2, 0.55),
                (false, true) => t.range(0.03, 0.16),
                (false, false) => t.range(-0.1, 0.02),
            },
            fit: t.range(0.004, 0.035),
            hood,
            open: 0.0,
        };

        let mut over_kind = 0;
        let over = match like {
            Some(like) if like.over.is_some() => {
                over_kind = like.traits[8];
                like.over.clone().map(|mut over| {
                    over.hem += t.range(-0.1, 0.1);
                    over.cloth.main = t.again(over.cloth.main);
                    over.open = match t.chance(0.5) {
                        true => 0.0,
                        false => t.range(0.05, 0.12),
                    };
                    over
                })
            }
            Some(_) => None,
            None => t.chance(if cold { 0.55 } else { 0.15 }).then(|| {
                let (colour, kind) = t.colour(tops);
                over_kind = kind + 1;
                let (mut cloth, _) = t.cloth(colour, 0.18);
                cloth.placket = true;
                let coat = cold && t.chance(0.35);
                Top {
                    cloth,
                    sleeve: match t.chance(0.1) {
                        true => 0.02,
                        false => t.range(1.85, 2.0),
                    },
                    sleeves: t.chance(0.1).then(|| t.colour(ACCENTS).0),
                    hem: t.either(coat, [0.15, 0.45], [-0.1, 0.08]),
                    fit: t.range(0.02, 0.05),
                    hood: t.chance(0.35),
                    open: t.sometimes(0.6, 0.05, 0.13),
                }
            }),
        };

        let (mut bottom_colour, mut bottom_kind) = t.colour(bottoms);
        let mut skirt = dress || woman && t.chance(if cold { 0.12 } else { 0.3 });
        let mut length = if skirt {
            t.range(0.55, 1.6)
        } else if t.chance(if cold { 0.06 } else { 0.4 }) {
            t.range(0.45, 1.3)
        } else {
            t.range(1.85, 2.0)
        };
        if let Some(like) = like {
            bottom_kind = like.traits[1];
            bottom_colour = t.again(like.bottom.cloth.main);
            (skirt, length) = (like.bottom.skirt, like.bottom.length);
        }
        let (mut bottom_cloth, bottom_pattern) =
            t.cloth(bottom_colour, if skirt { 0.4 } else { 0.1 });
        if !skirt && bottom_pattern > 2 {
            // Trousers have a stripe along the leg or no pattern.
            bottom_cloth.pattern = Pattern::Seam;
        }
        let bottom = Bottom {
            cloth: bottom_cloth,
            skirt,
            length,
            width: t.range(0.0, 1.0),
            tights: (skirt && t.chance(if cold { 0.7 } else { 0.15 })).then(|| t.shade(0x1c1c20)),
        };
        let (shoes, shoe_kind) = t.colour(ACCENTS);
        let bright_soles = t.chance(0.5);
        let soles = t.shade(if bright_soles { 0xd8d6d0 } else { 0x202022 });
        let boots = t.sometimes(if cold { 0.3 } else { 0.05 }, 0.15, 0.75);
        let mut bag_kind = 0;
        let bag = t.chance(0.55).then(|| {
            let kind = [BagKind::Backpack, BagKind::Shoulder, BagKind::Hand][t.pick(&[4, 4, 2])];
            let (colour, shade) = t.colour(ACCENTS);
            bag_kind = 1 + kind as u8 * 16 + shade;
            let (cloth, _) = t.cloth(colour, 0.35);
            Bag {
                kind,
                cloth,
                side: t.draw.sign() as f32,
                size: t.range(0.75, 1.3),
                across: t.chance(0.5),
            }
        });
        let skin = t.shade(SKINS[skin_kind]);
        let hair = t.shade(HAIRS[hair_kind]);
        let legs = t.range(0.96, 1.05);
        let hair_trait = match style {
            HairStyle::Bald => 0,
            _ => hair_kind as u8,
        };
        let traits = [
            top_kind,
            bottom_kind,
            pattern,
            steps(sleeve, 0.0, 2.0, 3),
            u8::from(skirt) * 8 + steps(length, 0.0, 2.0, 4),
            style as u8,
            hair_trait,
            steps(skin.luma().sqrt(), 0.1, 0.9, 3),
            over_kind,
            over.as_ref().map_or(0, |over| {
                1 + u8::from(over.open > 0.0) + 2 * steps(over.hem, -0.1, 0.5, 2)
            }),
            bag_kind,
            hat.map_or(0, |(hat, _)| 1 + hat as u8),
            steps(height, 1.48, 1.98, 4),
            steps(build, 0.82, 1.3, 3),
            shoe_kind,
            sleeves.map_or(0, |_| 1) + u8::from(hood) * 2,
        ];
        Self {
            height,
            build,
            shoulders,
            hips,
            belly,
            legs,
            head: t.range(0.95, 1.07),
            stride: t.range(0.75, 1.15),
            lean: t.range(-0.02, 0.09),
            skin,
            hair,
            style,
            beard: !woman && t.chance(0.3),
            glasses: t.chance(0.2),
            hat,
            scarf,
            top,
            over,
            bottom,
            shoes,
            soles,
            boots,
            bag,
            traits,
        }
    }

    /// The number of traits that differ.
    pub(super) fn differing_traits(&self, other: &Self) -> usize {
        let pairs = self.traits.iter().zip(&other.traits);
        pairs.filter(|(a, b)| a != b).count()
    }
}

/// The least number of traits in which two persons differ.
pub(super) const MIN_DIFFERING_TRAITS: usize = 3;

/// `count` different persons of one split, a share `lookalikes` of them in the clothes of the one
/// before.
pub(super) fn crowd(
    seed: u64,
    domain: Domain,
    split: Split,
    count: usize,
    lookalikes: f64,
) -> Vec<Person> {
    let mut all: Vec<Person> = Vec::with_capacity(count);
    let purpose = format!("street person {domain}");
    for index in 0..count {
        let mut draw = Draw::new(seed, &purpose, &[split as u64, index as u64]);
        let like = draw.chance(lookalikes);
        let like = if like { all.last() } else { None };
        let person = loop {
            let person = Person::draw(&mut draw, domain, split, like);
            let differs = |other: &Person| person.differing_traits(other) >= MIN_DIFFERING_TRAITS;
            if all.iter().all(differs) {
                break person;
            }
        };
        all.push(person);
    }
    all
}

/// The colour of lips.
pub(super) fn lips(skin: V3) -> V3 {
    skin.times(v3(0.8, 0.5, 0.5))
}
