//! A camera's site: its position, light, ground, walls and objects.
//!
//! A site is drawn from its [`Domain`]: a street has sun, asphalt, bricks and parked cars, a mall has
//! lamps, tiles, shop windows and plants. Seed, domain and number of a camera give the same site; only
//! clouds change its light.

use std::f64::consts::PI;

use super::camera::CameraModel;
use super::cloth::{Cloth, Pattern, Surface};
use super::person::Domain;
use super::raster::{Mesh, Ring, Viewpoint};
use super::space::{V3, cell, noise, srgb, step, v3};
use crate::random::Draw;

/// Width and height of a camera's picture, pixels.
pub(super) const FRAME: [f32; 2] = [1280.0, 720.0];

/// The light of a scene.
#[derive(Debug, Clone, Copy)]
pub(super) struct Light {
    /// To the sun, or to the nearest lamp.
    pub(super) to: V3,
    pub(super) sun: V3,
    /// From above.
    pub(super) sky: V3,
    /// From below.
    pub(super) ground: V3,
}

/// A camera and its surroundings.
#[derive(Debug, Clone)]
pub(super) struct CameraSite {
    pub(super) view: Viewpoint,
    pub(super) camera: CameraModel,
    light: Light,
    /// Share of the sun's light that clouds can take, 0..1.
    clouds: f32,
    /// The main direction of walking, radians; half of the persons walk the other way.
    pub(super) flow: f32,
    /// Nearest and farthest walks, metres from below the camera.
    pub(super) near: f32,
    pub(super) far: f32,
    /// Distance and height of the wall.
    wall: f32,
    wall_height: f32,
    /// Width of a piece of wall.
    piece: f32,
    ground: u8,
    tones: [V3; 4],
    beyond: V3,
    seed: u32,
    domain: Domain,
    /// Objects with their left and front edges.
    props: Vec<(f32, f32, Prop)>,
}

/// An object on the ground.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Prop {
    Pole(f32),
    Bench,
    Car(V3),
    Plant(f32),
    Bin(V3),
    Sign(V3),
}

impl CameraSite {
    /// Camera `number` (from 0) of a domain.
    pub(super) fn draw(seed: u64, domain: Domain, number: u32) -> Self {
        let purpose = format!("street camera {domain}");
        let mut draw = Draw::new(seed, &purpose, &[u64::from(number)]);
        let outdoors = domain == Domain::Street;
        let by_scene = |street: [f64; 2], mall: [f64; 2]| if outdoors { street } else { mall };
        let mut range = |[low, high]: [f64; 2]| draw.between(low, high) as f32;
        let high = range(by_scene([2.2, 4.8], [2.4, 3.6]));
        let near = range([3.4, 5.0]) + 0.35 * (high - 2.2);
        let far = near + range([2.5, 4.0]);
        let tilt = ((high - 0.9) / (0.5 * (near + far))).atan() + range([-0.05, 0.05]);
        let focal = range([760.0, 1150.0]);
        let mut view = Viewpoint::new(v3(0.0, high, 0.0), tilt, 0.0, range([-0.03, 0.03]), focal);
        view.centre = FRAME.map(|side| side * 0.5);
        let azimuth = range([-PI, PI]);
        let climb = range(by_scene([0.4, 1.1], [1.0, 1.5]));
        let to = v3(
            azimuth.sin() * climb.cos(),
            climb.sin(),
            azimuth.cos() * climb.cos(),
        );
        // Warm sun and blue sky; lamps from warm to cold white.
        let warm = range([-0.12, 0.16]);
        let tint = v3(1.0 + warm, 1.0 + 0.1 * warm, 1.0 - 1.2 * warm);
        let (sun, sky) = if outdoors {
            (
                range([0.9, 1.9]),
                v3(0.86, 0.96, 1.12) * range([0.42, 0.62]),
            )
        } else {
            (range([0.35, 0.7]), tint * range([0.6, 0.85]))
        };
        let clouds = if outdoors { range([0.1, 0.9]) } else { 0.1 };
        let ground = range([0.0, 5.999]) as u8;
        let greys = [0x8a8a88, 0xa39a8c, 0x6f7072, 0xb8b2a6, 0x7d7468, 0x9aa0a4];
        let walls = [
            0x9c6a54, 0xc9bfa8, 0x7d8288, 0xd6d4ce, 0xa8947a, 0x5f6a72, 0xb9a58f, 0x4d5550,
        ];
        let mut tone = |of: &[u32]| {
            let at = (range([0.0, 0.9999]) * of.len() as f32) as usize;
            srgb(of[at]) * range([0.6, 1.25])
        };
        let tones = [tone(&greys), tone(&greys), tone(&walls), tone(&walls)];
        let wall = far + range([0.8, 5.0]);
        let wall_height = range(by_scene([3.0, 7.0], [3.0, 4.2]));
        let piece = range([1.8, 4.0]);
        let beyond = if outdoors {
            v3(0.75, 0.85, 1.0) * range([0.7, 1.3])
        } else {
            V3::grey(range([0.5, 0.9]))
        };
        let flow = range([-PI, PI]);
        let camera = CameraModel::draw(&mut draw, 0.75 * sky.luma() + 0.35 * sun);
        let count = 2 + draw.below(2);
        let props = (0..count)
            .map(|i| {
                // Split by side, so that no car stands in another.
                let room = 9.0 / count as f64;
                let x = (room * (i as f64 + draw.between(0.3, 0.7)) - 4.5) as f32;
                let z = far + draw.between(0.4, f64::from((wall - far).max(0.6))) as f32;
                (x, z, Prop::draw(&mut draw, domain))
            })
            .collect();
        Self {
            view,
            camera,
            light: Light {
                to,
                sun: tint * sun,
                sky,
                ground: tones[0] * 0.35,
            },
            clouds,
            flow,
            near,
            far,
            wall,
            wall_height,
            piece,
            ground,
            tones,
            beyond,
            seed: draw.below(1 << 24) as u32,
            domain,
            props,
        }
    }

    /// The light of one picture.
    pub(super) fn light(&self, draw: &mut Draw) -> Light {
        let cloud = (1.0 - self.clouds * draw.unit() as f32).max(0.08);
        let turn = 0.25 * draw.normal() as f32;
        let all = (0.18 * draw.normal() as f32).exp();
        let Light {
            to,
            sun,
            sky,
            ground,
        } = self.light;
        let dull = 1.0 + 0.5 * (1.0 - cloud);
        Light {
            to: to.turned(turn),
            sun: sun * (cloud * all),
            sky: sky * (all * dull),
            ground: ground * (all * (0.4 + 0.6 * cloud)),
        }
    }

    /// Adds the objects of the site.
    pub(super) fn furnish(&self, mesh: &mut Mesh) {
        for &(x, z, prop) in &self.props {
            prop.build(v3(x, 0.0, z), mesh);
        }
    }

    /// Position, normal and colour of the background along `ray`; `None` for the sky, whose light is
    /// the second value.
    pub(super) fn backdrop(&self, ray: V3) -> (Option<(V3, V3, V3)>, V3) {
        let from = self.view.at;
        let to_wall = match ray.z > 1e-3 {
            true => (self.wall - from.z) / ray.z,
            false => f32::MAX,
        };
        let to_ground = match ray.y < -1e-3 {
            true => -from.y / ray.y,
            false => f32::MAX,
        };
        if to_ground < to_wall {
            let at = from + ray * to_ground;
            return (Some((at, V3::UP, self.floor(at))), V3::default());
        }
        let at = from + ray * to_wall.min(100.0);
        if to_wall == f32::MAX || at.y > self.wall_height {
            let shade = 1.0 + 0.15 * noise(at.x * 0.3, at.y * 0.3, self.seed);
            return (None, self.beyond * shade);
        }
        let wall = (at, v3(0.0, 0.0, -1.0), self.facade(at));
        (Some(wall), V3::default())
    }

    fn floor(&self, at: V3) -> V3 {
        let [a, b, ..] = self.tones;
        let (x, z) = (at.x, at.z);
        let dirt = 0.8
            + 0.25 * noise(x * 1.3, z * 1.3, self.seed)
            + 0.15 * noise(x * 9.0, z * 9.0, self.seed ^ 1);
        let line = |x: f32, period: f32, half: f32| {
            let off = (x / period).rem_euclid(1.0);
            step(0.0, half, off.min(1.0 - off) * period)
        };
        let (ix, iz) = ((x / 0.6).floor() as i32, (z / 0.6).floor() as i32);
        let outdoors = self.domain == Domain::Street;
        let base = match (self.ground, outdoors) {
            (0, true) => {
                let grain = noise(x * 60.0, z * 60.0, self.seed ^ 3);
                a.mix(b, 0.3) * (0.6 + 0.3 * grain)
            }
            (1, true) => {
                let zebra = (x / 0.9).rem_euclid(1.0) < 0.5
                    && (self.near + 0.8..self.near + 3.2).contains(&z);
                if zebra { V3::grey(0.55) } else { a * 0.55 }
            }
            (2, true) => {
                let green = srgb(0x55693a);
                green * (0.6 + 0.7 * noise(x * 14.0, z * 22.0, self.seed ^ 4))
            }
            (0, false) => {
                let board = (z / 0.14).floor() as i32;
                let along = (x / 1.6 + cell(board, 0, 5)).floor() as i32;
                let tone = 0.7 + 0.4 * cell(board, along, self.seed);
                srgb(0x9a6f48) * tone * (0.85 + 0.15 * line(z, 0.14, 0.02))
            }
            (1, false) if (ix + iz) % 2 == 0 => a * 1.1,
            (1, false) => b * 0.7,
            (2, false) => {
                let weave = noise(x * 25.0, z * 25.0, self.seed ^ 6);
                self.tones[3] * (0.5 + 0.4 * weave)
            }
            (3, _) => {
                let tone = 0.8 + 0.35 * cell(ix, iz, self.seed);
                a * tone * (0.65 + 0.35 * line(x, 0.6, 0.03) * line(z, 0.6, 0.03))
            }
            (4, _) => {
                let row = (z / 0.12).floor() as i32;
                let x = x + 0.1 * (row % 2) as f32;
                let tone = 0.7 + 0.5 * cell((x / 0.22).floor() as i32, row, self.seed);
                a.mix(b, cell(row, ix, 9))
                    * tone
                    * (0.6 + 0.4 * line(x, 0.22, 0.02) * line(z, 0.12, 0.02))
            }
            _ => {
                let (x, z) = (x * 0.7 + z * 0.7, z * 0.7 - x * 0.7);
                b * (0.6 + 0.4 * line(x, 1.2, 0.03) * line(z, 1.2, 0.03))
            }
        };
        base * dirt
    }

    fn facade(&self, at: V3) -> V3 {
        let (x, y) = (at.x, at.y);
        let piece = (x / self.piece).floor() as i32;
        let within = (x / self.piece).rem_euclid(1.0) * self.piece;
        let [_, _, a, b] = self.tones;
        let kinds: &[u8] = match self.domain {
            Domain::Street => &[0, 0, 1, 2, 3, 4, 5, 6],
            Domain::Mall => &[1, 2, 2, 2, 3, 6, 7, 7],
        };
        let kind = kinds[(cell(piece, 3, self.seed) * kinds.len() as f32) as usize % kinds.len()];
        let dirt = 0.85 + 0.3 * noise(x * 0.9, y * 0.9, self.seed ^ 11);
        let paint = a.mix(b, cell(piece, 7, self.seed));
        let base = match kind {
            0 => {
                let row = (y / 0.1).floor() as i32;
                let along = x + 0.13 * (row % 2) as f32;
                let brick =
                    (along / 0.26).rem_euclid(1.0) > 0.07 && (y / 0.1).rem_euclid(1.0) > 0.15;
                if brick {
                    a * (0.7 + 0.5 * cell((along / 0.26).floor() as i32, row, self.seed))
                } else {
                    b * 0.8
                }
            }
            1 => paint * (0.9 + 0.2 * noise(x * 4.0, y * 4.0, self.seed)),
            2 => {
                // A shop window: frame, glass, things behind it.
                let frame = within < 0.1
                    || y < 0.35
                    || (2.4..2.6).contains(&y)
                    || (within - self.piece * 0.5).abs() < 0.04;
                if frame {
                    paint * 0.5
                } else if y > 2.6 {
                    let letter =
                        cell((x * 4.0) as i32, 2, self.seed) > 0.5 && (2.8..3.1).contains(&y);
                    match letter {
                        true => V3::grey(0.8),
                        false => paint.mix(b, 0.5),
                    }
                } else {
                    let (i, j) = ((x * 2.3).floor() as i32, (y * 1.4).floor() as i32);
                    let goods = v3(cell(i, j, 21), cell(i, j, 22), cell(i, j, 23));
                    let grey = V3::grey(goods.luma());
                    let shine = step(0.45, 0.7, noise(x * 0.8 + y * 0.9, y * 0.3, self.seed ^ 13));
                    (grey.mix(goods, 0.5) * 0.35).mix(V3::grey(0.7), 0.5 * shine)
                }
            }
            3 => {
                let tile = (x / 0.4).rem_euclid(1.0) > 0.04 && (y / 0.4).rem_euclid(1.0) > 0.04;
                let (i, j) = ((x / 0.4).floor() as i32, (y / 0.4).floor() as i32);
                let tone = cell(i, j, self.seed);
                paint * if tile { 0.85 + 0.25 * tone } else { 0.5 }
            }
            4 => {
                srgb(0x3f5a30)
                    * (0.3
                        + 1.2
                            * noise(x * 12.0, y * 12.0, self.seed)
                            * noise(x * 31.0, y * 29.0, self.seed ^ 2))
            }
            5 => paint * (0.55 + 0.45 * ((y / 0.12).rem_euclid(1.0))),
            6 => {
                // A door in plaster.
                let middle = (within - self.piece * 0.5).abs();
                if middle < 0.5 && y < 2.1 {
                    let panel = middle < 0.36 && (y / 0.7).rem_euclid(1.0) > 0.15;
                    b * if panel { 0.75 } else { 0.5 }
                } else if middle < 0.58 && y < 2.18 {
                    V3::grey(0.35)
                } else {
                    a
                }
            }
            _ => {
                // Posters on a bright wall.
                let (i, j) = ((within / 1.0).floor() as i32, (y / 1.5).floor() as i32);
                let (px, py) = ((within / 1.0).rem_euclid(1.0), (y / 1.5).rem_euclid(1.0));
                if (0.15..0.85).contains(&px) && (0.2..0.85).contains(&py) {
                    let cell = |at: i32, seed: u32| cell(piece, at, seed);
                    let tone = v3(cell(i, 31), cell(j, 32), cell(i + j, 33));
                    let blot = noise(px * 4.0, py * 6.0, self.seed ^ (piece + i) as u32);
                    tone.mix(V3::grey(0.7), blot) * 0.7
                } else {
                    paint.mix(V3::grey(0.6), 0.5)
                }
            }
        };
        // Walls are darker at the bottom.
        base * (dirt * (0.75 + 0.25 * step(0.0, 0.5, y)))
    }
}

impl Prop {
    pub(super) fn draw(draw: &mut Draw, domain: Domain) -> Self {
        let paints = [0x8e1f1f, 0xd8d8d8, 0x22262c, 0x3a5a86, 0x8a8d90, 0x9a9a60];
        let paint = srgb(paints[draw.below(paints.len())]);
        match (draw.below(6), domain) {
            (0, _) => Self::Pole(draw.between(0.04, 0.12) as f32),
            (1, _) => Self::Bench,
            (2 | 3, Domain::Street) => Self::Car(paint),
            (2 | 3, Domain::Mall) | (4, _) => Self::Plant(draw.between(0.5, 1.1) as f32),
            _ if draw.chance(0.5) => Self::Bin(paint * 0.6),
            _ => Self::Sign(paint),
        }
    }

    /// An object that hides a part of a person.
    pub(super) fn obstacle(draw: &mut Draw, domain: Domain) -> Self {
        match draw.below(4) {
            0 => Self::Pole(draw.between(0.04, 0.11) as f32),
            1 => Self::Bench,
            2 if domain == Domain::Street => Self::Car(srgb(0x5a6068)),
            2 => Self::Sign(srgb(0xb0a890)),
            _ => Self::Plant(draw.between(0.35, 0.7) as f32),
        }
    }

    /// Adds it, standing at `at`.
    pub(super) fn build(self, at: V3, mesh: &mut Mesh) {
        match self {
            Self::Pole(radius) => {
                let metal = mesh.plain(V3::grey(0.12));
                let ring = |y: f32| Ring::level(at + V3::UP * y, radius, radius, y);
                mesh.tube(&[ring(4.5), ring(0.3), ring(0.0)], 10, 1.0, metal);
            }
            Self::Bench => {
                let wood = mesh.plain(srgb(0x7a5636));
                let metal = mesh.plain(V3::grey(0.08));
                for (y, z) in [(0.45, 0.0), (0.45, 0.16), (0.45, 0.32)] {
                    mesh.block(at + v3(0.0, y, z), v3(0.8, 0.025, 0.06), 0.0, 0.3, wood);
                }
                for y in [0.65, 0.82] {
                    mesh.block(at + v3(0.0, y, 0.4), v3(0.8, 0.06, 0.02), 0.0, 0.3, wood);
                }
                for x in [-0.6, 0.6] {
                    mesh.block(at + v3(x, 0.22, 0.18), v3(0.03, 0.22, 0.2), 0.0, 0.3, metal);
                }
            }
            Self::Car(paint) => {
                let rubber = mesh.plain(V3::grey(0.02));
                let body = mesh.plain(paint);
                let cabin = mesh.surface(Surface::Glazed(paint, 0.08, 0.42));
                mesh.block(at + v3(0.0, 0.55, 0.0), v3(2.1, 0.3, 0.85), 0.0, 0.35, body);
                let above = at + v3(-0.2, 1.08, 0.0);
                mesh.block(above, v3(1.2, 0.3, 0.72), 0.0, 0.5, cabin);
                for x in [-1.3, 1.3] {
                    for z in [-0.7, 0.7] {
                        let ring = |z: f32, radius: f32| Ring {
                            centre: at + v3(x, 0.31, z),
                            side: v3(radius, 0.0, 0.0),
                            front: v3(0.0, radius, 0.0),
                            v: z,
                        };
                        let rings = [(-0.17, 0.0), (-0.16, 0.31), (0.16, 0.31)];
                        let rings = rings.map(|(ahead, radius)| ring(z + ahead, radius));
                        mesh.tube(&rings, 14, 1.0, rubber);
                    }
                }
            }
            Self::Plant(size) => {
                let pot = mesh.plain(srgb(0x8a5a40));
                let leaves = Cloth {
                    second: srgb(0x1f3318),
                    third: srgb(0x6a8848),
                    pattern: Pattern::Patches(0.07),
                    around: 2.0 * size,
                    ..Cloth::plain(srgb(0x3f5f2c))
                };
                let leaves = mesh.cloth(leaves);
                mesh.block(at + V3::UP * 0.2, v3(0.2, 0.2, 0.2) * size, 0.0, 1.0, pot);
                for i in 0..4 {
                    let spread = v3(
                        cell(i, 0, 40) - 0.5,
                        0.5 + 0.4 * cell(i, 1, 40),
                        cell(i, 2, 40) - 0.5,
                    );
                    let half = v3(0.32, 0.36, 0.32) * size;
                    let at = at + spread * size + V3::UP * 0.3;
                    mesh.block(at, half, cell(i, 3, 40), 1.0, leaves);
                }
            }
            Self::Bin(colour) => {
                let paint = mesh.plain(colour);
                mesh.block(at + V3::UP * 0.5, v3(0.27, 0.5, 0.27), 0.0, 0.6, paint);
            }
            Self::Sign(colour) => {
                let paint = Cloth {
                    second: V3::grey(0.7),
                    pattern: Pattern::Band(0.2, 0.3),
                    ..Cloth::plain(colour)
                };
                let paint = mesh.cloth(paint);
                mesh.block(at + V3::UP * 0.5, v3(0.3, 0.5, 0.05), 0.2, 0.3, paint);
            }
        }
    }
}
