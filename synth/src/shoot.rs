//! One picture of somebody: where they walk, what is around them, and the box that a detector would
//! draw.

use std::f32::consts::PI;
use std::f64::consts::TAU;

use super::Street;
use super::body::Pose;
use super::palette::Side;
use super::person::Person;
use super::place::{Place, Prop};
use super::plan::{Subject, Take};
use super::raster::Window;
use super::scene::Scene;
use super::space::{V3, v3};
use crate::Result;
use crate::random::Draw;

/// Pixels rendered for one of the picture, each way.
const FINER: f32 = 1.5;

/// A walk past a camera, drawn once for all of its pictures.
struct Walk {
    at: V3,
    heading: f32,
    pose: Pose,
    draw: Draw,
}

impl Walk {
    fn draw(place: &Place, mut draw: Draw) -> Self {
        let d = &mut draw;
        let at = v3(
            d.between(-1.9, 1.9) as f32,
            0.0,
            d.between(f64::from(place.near), f64::from(place.far)) as f32,
        );
        let back = if d.chance(0.5) { PI } else { 0.0 };
        let heading = place.flow + back + 0.45 * d.normal() as f32;
        let stands = d.chance(0.18);
        let elbow = |d: &mut Draw| {
            if d.chance(0.14) {
                d.between(0.7, 1.7) as f32
            } else {
                0.0
            }
        };
        let pose = Pose {
            phase: d.between(0.0, TAU) as f32,
            walk: if stands {
                d.between(0.0, 0.15) as f32
            } else {
                d.between(0.7, 1.05) as f32
            },
            elbows: [elbow(d), elbow(d)],
            gaze: 0.3 * d.normal() as f32,
        };
        Self {
            at,
            heading,
            pose,
            draw,
        }
    }

    /// Where one is at the picture `shot` of it.
    fn moment(&self, shot: u64) -> (V3, f32, Pose) {
        let way = 0.45 * shot as f32 * self.pose.walk;
        let heading = self.heading + 0.12 * shot as f32;
        let at = self.at + v3(0.0, 0.0, way).turned(heading);
        let pose = Pose {
            phase: self.pose.phase + 1.9 * shot as f32 * self.pose.walk,
            ..self.pose
        };
        (at, heading, pose)
    }
}

impl Street {
    fn person(&self, side: Side, index: usize) -> &Person {
        match side {
            Side::Learned => &self.learned[index % self.learned.len()],
            Side::Tested => &self.tested[index % self.tested.len()],
        }
    }

    /// A JPEG of what `take` wants.
    pub(super) fn shoot(&self, take: &Take) -> Result<Vec<u8>> {
        let place = &self.places[take.camera];
        let (kind, side, index) = match take.subject {
            Subject::Person(side, index) => (0, side, index),
            Subject::Junk(index) => (1, Side::Tested, index),
            Subject::Nobody => (2, Side::Tested, 0),
        };
        let purpose = format!("street picture {}", self.options.domain);
        let who = [
            kind,
            side as u64,
            index as u64,
            take.camera as u64,
            take.track,
        ];
        let named = |parts: &[u64]| Draw::new(self.options.seed, &purpose, &[&who, parts].concat());
        let mut walk = Walk::draw(place, named(&[]));
        let light = place.light(&mut walk.draw);
        let mut draw = named(&[take.shot]);
        let (at, heading, pose) = walk.moment(take.shot);
        let mut scene = Scene::new(place);
        let bounds = match take.subject {
            Subject::Nobody => None,
            _ => scene.add(self.person(side, index), &pose, at, heading),
        };
        let bounds = bounds.unwrap_or_else(|| {
            // A box where somebody could have been.
            let [x, foot, inverse] = place.eye.project(at);
            let tall = 1.75 * place.eye.focal * inverse;
            [x - 0.22 * tall, foot - tall, x + 0.22 * tall, foot]
        });
        self.surround(&mut scene, at, side, &mut draw);
        let framed = match take.subject {
            Subject::Junk(_) => missed(bounds, &mut draw),
            _ => framed(bounds, &mut draw),
        };
        let [height, width] = self.options.size;
        let window = Window {
            corner: [framed[0], framed[1]],
            scale: [
                width as f32 * FINER / (framed[2] - framed[0]),
                height as f32 * FINER / (framed[3] - framed[1]),
            ],
            width: (width as f32 * FINER) as usize,
            height: (height as f32 * FINER) as usize,
        };
        let image = scene.light(&light, &window, &scene.shadow(light.to, at, 1.7, 112));
        // Who is farther away has fewer pixels.
        let middle = 0.5 * (place.near + place.far);
        let share = place.film.sharpness * (middle / at.z.max(1.0)).clamp(0.7, 1.15);
        let sensor = [width, height].map(|side| {
            let pixels = side as f32 * share;
            if pixels > side as f32 * 0.97 {
                side
            } else {
                pixels.max(20.0) as usize
            }
        });
        let moment = place.film.moment(&mut draw);
        let sizes = [[window.width, window.height], sensor, [width, height]];
        place.film.expose(&image, sizes, moment, &mut draw)
    }

    /// Other people and things around somebody at `at`.
    fn surround(&self, scene: &mut Scene<'_>, at: V3, side: Side, draw: &mut Draw) {
        let count = match draw.unit() {
            x if x < 0.72 => 0,
            x if x < 0.94 => 1,
            _ => 2,
        };
        for _ in 0..count {
            let other = self.person(side, draw.below(1 << 20));
            let aside = draw.between(0.38, 1.0) as f32 * if draw.chance(0.5) { 1.0 } else { -1.0 };
            let ahead = draw.between(-0.5, 1.8) as f32;
            let pose = Pose {
                phase: draw.between(0.0, TAU) as f32,
                walk: draw.unit() as f32,
                elbows: [0.0; 2],
                gaze: 0.0,
            };
            let heading = draw.between(0.0, TAU) as f32;
            scene.add(other, &pose, at + v3(aside, 0.0, ahead), heading);
        }
        if draw.chance(0.1) {
            let prop = Prop::obstacle(draw, self.options.domain);
            let aside = draw.between(-0.4, 0.4) as f32;
            let aside = match prop {
                // Never right in front of the middle.
                Prop::Pole(_) | Prop::Plant(_) | Prop::Sign(_) => aside + 0.25_f32.copysign(aside),
                Prop::Car(_) => aside * 4.0,
                _ => aside,
            };
            let near = if matches!(prop, Prop::Car(_)) {
                1.9
            } else {
                draw.between(0.6, 1.1) as f32
            };
            prop.build(
                v3(
                    at.x * (1.0 - near / at.z.max(2.0)) + aside,
                    0.0,
                    at.z - near,
                ),
                &mut scene.mesh,
                &mut scene.cloths,
            );
        }
    }
}

/// The box that a detector draws around somebody at `bounds`: left, top, right, bottom. A little
/// off, at times without feet or head, at least a third as wide as high.
pub(super) fn framed([left, top, right, bottom]: [f32; 4], draw: &mut Draw) -> [f32; 4] {
    let tall = bottom - top;
    let mut off = |deviation: f32| deviation * tall * (draw.normal() as f32).clamp(-2.5, 2.5);
    let (x, y) = (0.5 * (left + right) + off(0.022), off(0.018));
    let high = tall * (0.02 + off(0.03) / tall).exp();
    let middle = 0.5 * (top + bottom) + y;
    let (mut top, mut bottom) = (middle - 0.5 * high, middle + 0.5 * high);
    match draw.unit() {
        u if u < 0.08 => bottom -= tall * draw.between(0.08, 0.25) as f32,
        u if u < 0.12 => top += tall * draw.between(0.04, 0.1) as f32,
        _ => {}
    }
    let wide = ((right - left) * draw.between(0.95, 1.12) as f32)
        .max(tall * draw.between(0.34, 0.44) as f32);
    [x - 0.5 * wide, top, x + 0.5 * wide, bottom]
}

/// A box that misses somebody at `bounds`.
fn missed([left, top, right, bottom]: [f32; 4], draw: &mut Draw) -> [f32; 4] {
    let (wide, tall) = ((right - left).max(0.35 * (bottom - top)), bottom - top);
    let side = if draw.chance(0.5) { 1.0 } else { -1.0 };
    let x = 0.5 * (left + right) + side * wide * draw.between(0.6, 1.0) as f32;
    let y = 0.5 * (top + bottom) + tall * draw.between(-0.35, 0.35) as f32;
    let size = draw.between(0.4, 0.8) as f32;
    [
        x - wide * size * 0.6,
        y - tall * size * 0.5,
        x + wide * size * 0.6,
        y + tall * size * 0.5,
    ]
}
