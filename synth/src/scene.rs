//! A place with people in it, and the light that comes from each point of it to the camera.

use super::body::{self, Cloths, Pose, Surface};
use super::person::{Person, lips};
use super::place::{Light, Place};
use super::raster::{Mesh, Shadow, Texel, Window, rasterise};
use super::space::{V3, v3};

/// Everything in front of a camera at one moment.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    place: &'a Place,
    pub(super) mesh: Mesh,
    pub(super) cloths: Cloths,
    /// Where people stand.
    feet: Vec<V3>,
}

impl<'a> Scene<'a> {
    /// The place and what always stands there.
    pub(super) fn new(place: &'a Place) -> Self {
        let mut scene = Self {
            place,
            mesh: Mesh::default(),
            cloths: Vec::new(),
            feet: Vec::new(),
        };
        place.furnish(&mut scene.mesh, &mut scene.cloths);
        scene
    }

    /// Adds a person who stands at `at` and looks along `heading`: left, top, right and bottom in
    /// the camera's picture; `None` if they are not all in front of the camera.
    pub(super) fn add(
        &mut self,
        person: &Person,
        pose: &Pose,
        at: V3,
        heading: f32,
    ) -> Option<[f32; 4]> {
        let mark = self.mesh.mark();
        body::build(person, pose, &mut self.mesh, &mut self.cloths);
        self.mesh.place(mark, heading, at);
        self.feet.push(at);
        self.mesh.bounds(&self.place.eye, mark, self.mesh.mark())
    }

    /// Shadows within `reach` metres of `around`, seen with `side` x `side` pixels.
    pub(super) fn shadow(&self, to: V3, around: V3, reach: f32, side: usize) -> Shadow {
        Shadow::cast(&self.mesh, to, around + V3::UP * 0.8, reach, side)
    }

    /// The light that each pixel of `window` gets.
    pub(super) fn light(&self, light: &Light, window: &Window, shadow: &Shadow) -> Vec<V3> {
        let eye = &self.place.eye;
        let open = |material: u16, u: f32, v: f32| match &self.cloths[usize::from(material)] {
            Surface::Open(_, half) => (u - 0.5).abs() < half * (0.5 + v.min(0.5)),
            Surface::Hair(_, half, from, to) => {
                (*from..*to).contains(&v)
                    && (u - 0.5).abs() < half * super::space::step(*from - 0.05, *from + 0.12, v)
            }
            _ => false,
        };
        let texels = rasterise(&self.mesh, eye, window, open);
        let (width, height) = (window.width, window.height);
        let reach = (width / 40).max(2);
        let mut image = Vec::with_capacity(texels.len());
        for (at, texel) in texels.iter().enumerate() {
            let (column, row) = (at % width, at / width);
            let ray = eye.ray(
                window.corner[0] + (column as f32 + 0.5) / window.scale[0],
                window.corner[1] + (row as f32 + 0.5) / window.scale[1],
            );
            if texel.inverse <= 0.0 {
                image.push(self.behind(ray, light, shadow));
                continue;
            }
            let point = eye.at + ray * (1.0 / texel.inverse);
            let normal = texel.normal.unit();
            let nook = nook(&texels, width, height, column, row, reach);
            let (colour, shine) = colour(&self.cloths[usize::from(texel.material)], texel, normal);
            let lit = lit(light, normal, || shadow.light_at(point, normal), nook);
            let mut out = colour.times(lit);
            if shine > 0.0 {
                let half = (light.to - ray.unit()).unit();
                out += light.sun * (shine * normal.dot(half).max(0.0).powi(24));
            }
            image.push(out);
        }
        image
    }

    fn behind(&self, ray: V3, light: &Light, shadow: &Shadow) -> V3 {
        let (surface, sky) = self.place.backdrop(ray);
        let Some((point, normal, colour)) = surface else {
            return sky;
        };
        let mut nook = 1.0;
        if normal.y > 0.5 {
            for feet in &self.feet {
                let off = point - *feet;
                nook *= 1.0 - 0.55 * (-(off.x * off.x + off.z * off.z) * 9.0).exp();
            }
        }
        let shadow = || shadow.light_at(point, normal);
        colour.times(lit(light, normal, shadow, nook))
    }
}

/// The light on a surface; `shadow` and `nook` say how much of the sun's and of the sky's gets there.
fn lit(light: &Light, normal: V3, shadow: impl Fn() -> f32, nook: f32) -> V3 {
    let above = 0.5 + 0.5 * normal.y;
    let sky = (light.sky * (0.35 + 0.65 * above) + light.ground * (1.0 - above)) * nook;
    let facing = normal.dot(light.to);
    if facing <= 0.0 {
        return sky;
    }
    sky + light.sun * (facing * shadow() * (0.5 + 0.5 * nook))
}

/// How open a place is to the sky: less where something a little nearer is beside it.
fn nook(
    texels: &[Texel],
    width: usize,
    height: usize,
    column: usize,
    row: usize,
    reach: usize,
) -> f32 {
    let inverse = texels[row * width + column].inverse;
    let depth = 1.0 / inverse;
    let mut shut = 0.0;
    let beside = [
        (column.saturating_sub(reach), row),
        ((column + reach).min(width - 1), row),
        (column, row.saturating_sub(reach)),
        (column, (row + reach).min(height - 1)),
        (column.saturating_sub(reach / 2), row.saturating_sub(reach)),
        (
            (column + reach / 2).min(width - 1),
            row.saturating_sub(reach),
        ),
    ];
    for (column, row) in beside {
        let other = texels[row * width + column].inverse;
        if other > inverse * 1.002 {
            let nearer = depth - 1.0 / other;
            if nearer < 0.4 {
                shut += (nearer * 14.0).min(1.0) * (1.0 - nearer / 0.4);
            }
        }
    }
    1.0 - 0.13 * shut
}

/// The colour of a surface and how much it shines.
fn colour(surface: &Surface, texel: &Texel, normal: V3) -> (V3, f32) {
    let (u, v) = (texel.u, texel.v);
    match surface {
        Surface::Closed(cloth) | Surface::Open(cloth, _) => (cloth.colour(u, v), 0.02),
        Surface::Hair(cloth, ..) => (cloth.colour(u, v), 0.08),
        Surface::Face {
            skin,
            hair,
            beard,
            glasses,
        } => (face(*skin, *hair, *beard, *glasses, u, v), 0.05),
        Surface::Shoe(upper, sole) => {
            let below = (u - 0.5).abs() < 0.2;
            (if below { *sole } else { *upper }, 0.08)
        }
        Surface::Glazed(paint, from, to) => {
            if (*from..*to).contains(&v) && normal.y < 0.6 {
                (V3::grey(0.04), 0.5)
            } else {
                (*paint, 0.3)
            }
        }
    }
}

/// A face at `u` around and `v` down from the crown (0) to the chin (1).
fn face(skin: V3, hair: V3, beard: bool, glasses: bool, u: f32, v: f32) -> V3 {
    let x = (u - 0.5).abs();
    let within = |x: f32, from: f32, to: f32| (from..to).contains(&x);
    if within(v, 0.5, 0.56) && within(x, 0.035, 0.085) {
        return V3::grey(0.03);
    }
    if glasses && within(v, 0.47, 0.6) && x < 0.25 {
        let rim = !within(v, 0.49, 0.58) || x < 0.02 || within(x, 0.11, 0.13) || x > 0.14;
        if rim && (x < 0.13 || within(v, 0.49, 0.54)) {
            return V3::grey(0.02);
        }
    }
    if within(v, 0.43, 0.47) && within(x, 0.025, 0.1) {
        return hair.mix(skin, 0.25);
    }
    if within(v, 0.79, 0.83) && x < 0.055 {
        return lips(skin);
    }
    if beard && v > 0.7 && x < 0.24 {
        return hair.mix(skin, 0.3);
    }
    // Cheeks.
    let blush = (1.0 - ((v - 0.66) / 0.1).abs()).max(0.0) * 0.12;
    skin.times(v3(1.0, 1.0 - blush, 1.0 - blush))
}
