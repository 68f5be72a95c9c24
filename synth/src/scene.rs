//! A site with persons, and the light of each pixel of the camera.

use super::body::{self, Pose};
use super::cloth::Surface;
use super::person::{Person, lips};
use super::raster::{Fragment, Mesh, Shadow, Window, rasterise};
use super::site::{CameraSite, Light};
use super::space::{V3, v3};

/// Everything in front of a camera in one picture.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    site: &'a CameraSite,
    pub(super) mesh: Mesh,
    /// Positions of the persons.
    feet: Vec<V3>,
}

impl<'a> Scene<'a> {
    /// The site with its objects.
    pub(super) fn new(site: &'a CameraSite) -> Self {
        let mut scene = Self {
            site,
            mesh: Mesh::default(),
            feet: Vec::new(),
        };
        site.furnish(&mut scene.mesh);
        scene
    }

    /// Adds a person at `at`, facing `heading`; returns left, top, right and bottom in the camera's
    /// picture, `None` if a part is behind the camera.
    pub(super) fn add(
        &mut self,
        person: &Person,
        pose: &Pose,
        at: V3,
        heading: f32,
    ) -> Option<[f32; 4]> {
        let mark = self.mesh.mark();
        body::build(person, pose, &mut self.mesh);
        self.mesh.place(mark, heading, at);
        self.feet.push(at);
        self.mesh.bounds(&self.site.view, mark, self.mesh.mark())
    }

    /// The shadow map within `reach` metres of `around`, of `side` x `side` pixels.
    pub(super) fn shadow(&self, to: V3, around: V3, reach: f32, side: usize) -> Shadow {
        Shadow::cast(&self.mesh, to, around + V3::UP * 0.8, reach, side)
    }

    /// The light of each pixel of `window`.
    pub(super) fn light(&self, light: &Light, window: &Window, shadow: &Shadow) -> Vec<V3> {
        let view = &self.site.view;
        let open = |material: u16, u: f32, v: f32| match self.mesh.surface_of(material) {
            Surface::Open(_, half) => (u - 0.5).abs() < half * (0.5 + v.min(0.5)),
            Surface::Hair(_, half, from, to) => {
                (*from..*to).contains(&v)
                    && (u - 0.5).abs() < half * super::space::step(*from - 0.05, *from + 0.12, v)
            }
            _ => false,
        };
        let fragments = rasterise(&self.mesh, view, window, open);
        let (width, height) = (window.width, window.height);
        let reach = (width / 40).max(2);
        let mut image = Vec::with_capacity(fragments.len());
        for (at, fragment) in fragments.iter().enumerate() {
            let (column, row) = (at % width, at / width);
            let ray = view.ray(
                window.corner[0] + (column as f32 + 0.5) / window.scale[0],
                window.corner[1] + (row as f32 + 0.5) / window.scale[1],
            );
            if fragment.inverse <= 0.0 {
                image.push(self.background(ray, light, shadow));
                continue;
            }
            let point = view.at + ray * (1.0 / fragment.inverse);
            let normal = fragment.normal.unit();
            let openness = openness(&fragments, [width, height], [column, row], reach);
            let (colour, shine) = colour(self.mesh.surface_of(fragment.material), fragment, normal);
            let lit = lit(light, normal, || shadow.light_at(point, normal), openness);
            let mut out = colour.times(lit);
            if shine > 0.0 {
                let half = (light.to - ray.unit()).unit();
                out += light.sun * (shine * normal.dot(half).max(0.0).powi(24));
            }
            image.push(out);
        }
        image
    }

    fn background(&self, ray: V3, light: &Light, shadow: &Shadow) -> V3 {
        let (surface, sky) = self.site.backdrop(ray);
        let Some((point, normal, colour)) = surface else {
            return sky;
        };
        let mut openness = 1.0;
        if normal.y > 0.5 {
            for feet in &self.feet {
                let off = point - *feet;
                openness *= 1.0 - 0.55 * (-(off.x * off.x + off.z * off.z) * 9.0).exp();
            }
        }
        let shadow = || shadow.light_at(point, normal);
        colour.times(lit(light, normal, shadow, openness))
    }
}

/// The light on a surface; `shadow` is the share of the sun's light that reaches it, `openness` that of
/// the sky's.
fn lit(light: &Light, normal: V3, shadow: impl Fn() -> f32, openness: f32) -> V3 {
    let above = 0.5 + 0.5 * normal.y;
    let sky = (light.sky * (0.35 + 0.65 * above) + light.ground * (1.0 - above)) * openness;
    let facing = normal.dot(light.to);
    if facing <= 0.0 {
        return sky;
    }
    sky + light.sun * (facing * shadow() * (0.5 + 0.5 * openness))
}

/// Ambient occlusion as the open share of the sky: less where something a little nearer is beside it.
fn openness(
    fragments: &[Fragment],
    [width, height]: [usize; 2],
    [column, row]: [usize; 2],
    reach: usize,
) -> f32 {
    let inverse = fragments[row * width + column].inverse;
    let depth = 1.0 / inverse;
    let mut shut = 0.0;
    let left = |by: usize| column.saturating_sub(by);
    let right = |by: usize| (column + by).min(width - 1);
    let above = row.saturating_sub(reach);
    let beside = [
        (left(reach), row),
        (right(reach), row),
        (column, above),
        (column, (row + reach).min(height - 1)),
        (left(reach / 2), above),
        (right(reach / 2), above),
    ];
    for (column, row) in beside {
        let other = fragments[row * width + column].inverse;
        if other > inverse * 1.002 {
            let nearer = depth - 1.0 / other;
            if nearer < 0.4 {
                shut += (nearer * 14.0).min(1.0) * (1.0 - nearer / 0.4);
            }
        }
    }
    1.0 - 0.13 * shut
}

/// The colour of a surface and its specular share.
fn colour(surface: &Surface, fragment: &Fragment, normal: V3) -> (V3, f32) {
    let (u, v) = (fragment.u, fragment.v);
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
