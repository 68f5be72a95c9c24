//! Renders one picture: the person on their walk, the surroundings, and the box of a detector.

use std::f32::consts::PI;
use std::f64::consts::TAU;

use super::SyntheticDataset;
use super::body::Pose;
use super::palette::Split;
use super::person::Person;
use super::plan::{PlannedPicture, Subject};
use super::raster::Window;
use super::scene::Scene;
use super::site::{CameraSite, Prop};
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
    fn draw(site: &CameraSite, mut draw: Draw) -> Self {
        let d = &mut draw;
        let at = v3(
            d.between(-1.9, 1.9) as f32,
            0.0,
            d.between(f64::from(site.near), f64::from(site.far)) as f32,
        );
        let back = if d.chance(0.5) { PI } else { 0.0 };
        let heading = site.flow + back + 0.45 * d.normal() as f32;
        let stands = d.chance(0.18);
        let elbow = |d: &mut Draw| d.sometimes(0.14, 0.7, 1.7) as f32;
        let pose = Pose {
            phase: d.between(0.0, TAU) as f32,
            walk: match stands {
                true => d.between(0.0, 0.15),
                false => d.between(0.7, 1.05),
            } as f32,
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

    /// Position, heading and pose in picture `shot` of the walk.
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

impl SyntheticDataset {
    fn person(&self, split: Split, index: usize) -> &Person {
        let persons = match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        };
        &persons[index % persons.len()]
    }

    /// The JPEG of a planned picture.
    pub(super) fn render(&self, picture: &PlannedPicture) -> Result<Vec<u8>> {
        let site = &self.sites[picture.camera];
        let (kind, side, index) = match picture.subject {
            Subject::Person(side, index) => (0, side, index),
            Subject::Junk(index) => (1, Split::Test, index),
            Subject::Background => (2, Split::Test, 0),
        };
        let purpose = format!("street picture {}", self.options.domain);
        let (camera, track) = (picture.camera as u64, picture.track);
        let subject = [kind, side as u64, index as u64, camera, track];
        let named =
            |parts: &[u64]| Draw::new(self.options.seed, &purpose, &[&subject, parts].concat());
        let mut walk = Walk::draw(site, named(&[]));
        let light = site.light(&mut walk.draw);
        let mut draw = named(&[picture.shot]);
        let (at, heading, pose) = walk.moment(picture.shot);
        let mut scene = Scene::new(site);
        let bounds = match picture.subject {
            Subject::Background => None,
            _ => scene.add(self.person(side, index), &pose, at, heading),
        };
        let bounds = bounds.unwrap_or_else(|| {
            // A box where a person could be.
            let [x, foot, inverse] = site.view.project(at);
            let tall = 1.75 * site.view.focal * inverse;
            [x - 0.22 * tall, foot - tall, x + 0.22 * tall, foot]
        });
        self.surround(&mut scene, at, side, &mut draw);
        let framed = match picture.subject {
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
        // A person farther away has fewer pixels.
        let middle = 0.5 * (site.near + site.far);
        let share = site.camera.sharpness * (middle / at.z.max(1.0)).clamp(0.7, 1.15);
        let sensor = [width, height].map(|side| {
            let pixels = side as f32 * share;
            if pixels > side as f32 * 0.97 {
                side
            } else {
                pixels.max(20.0) as usize
            }
        });
        let variation = site.camera.variation(&mut draw);
        let sizes = [[window.width, window.height], sensor, [width, height]];
        site.camera.expose(&image, sizes, variation, &mut draw)
    }

    /// Adds other persons and things around a person at `at`.
    fn surround(&self, scene: &mut Scene<'_>, at: V3, side: Split, draw: &mut Draw) {
        let count = match draw.unit() {
            x if x < 0.72 => 0,
            x if x < 0.94 => 1,
            _ => 2,
        };
        for _ in 0..count {
            let other = self.person(side, draw.below(1 << 20));
            let aside = draw.between(0.38, 1.0) as f32 * draw.sign() as f32;
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
                // Not in front of the middle.
                Prop::Pole(_) | Prop::Plant(_) | Prop::Sign(_) => aside + 0.25_f32.copysign(aside),
                Prop::Car(_) => aside * 4.0,
                _ => aside,
            };
            let near = if matches!(prop, Prop::Car(_)) {
                1.9
            } else {
                draw.between(0.6, 1.1) as f32
            };
            let x = at.x * (1.0 - near / at.z.max(2.0)) + aside;
            let at = v3(x, 0.0, at.z - near);
            prop.build(at, &mut scene.mesh);
        }
    }
}

/// The box of a detector around a person at `bounds`: left, top, right, bottom. It is a little off,
/// sometimes without feet or head, and at least a third as wide as high.
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

/// A box that misses the person at `bounds`.
fn missed([left, top, right, bottom]: [f32; 4], draw: &mut Draw) -> [f32; 4] {
    let (wide, tall) = ((right - left).max(0.35 * (bottom - top)), bottom - top);
    let side = draw.sign() as f32;
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
