//! Meshes of tubes, and a rasteriser with a depth buffer.
//!
//! Everything solid is a tube: rings, each an ellipse or a rounded rectangle, joined into triangles. A
//! body, a skirt, a bag and a car differ in their rings only. Triangles are a few pixels large, so
//! attributes are interpolated linearly on the screen.

use super::cloth::{Cloth, Surface};
use super::space::{V3, v3};

/// One cross-section of a tube.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    pub(super) centre: V3,
    /// From the centre to the side (u = 0.75), metres.
    pub(super) side: V3,
    /// From the centre to the front (u = 0.5), metres.
    pub(super) front: V3,
    /// Position along the tube, metres.
    pub(super) v: f32,
}

/// A corner of triangles.
#[derive(Debug, Clone, Copy)]
struct Vertex {
    at: V3,
    normal: V3,
    /// Around the tube, 0..1, the seam behind.
    u: f32,
    /// Along the tube, metres.
    v: f32,
}

/// Triangles, each with the number of its surface.
#[derive(Debug, Default)]
pub(super) struct Mesh {
    vertices: Vec<Vertex>,
    triangles: Vec<([u32; 3], u16)>,
    surfaces: Vec<Surface>,
}

impl Ring {
    /// A level ring of half width `wide` and half depth `deep`.
    pub(super) fn level(centre: V3, wide: f32, deep: f32, v: f32) -> Self {
        Self {
            centre,
            side: v3(wide, 0.0, 0.0),
            front: v3(0.0, 0.0, deep),
            v,
        }
    }
}

impl Mesh {
    /// Adds a surface; returns its number.
    pub(super) fn surface(&mut self, surface: Surface) -> u16 {
        self.surfaces.push(surface);
        (self.surfaces.len() - 1) as u16
    }

    /// Adds a surface of cloth, closed all around.
    pub(super) fn cloth(&mut self, cloth: Cloth) -> u16 {
        self.surface(Surface::Closed(cloth))
    }

    /// Adds a surface of one colour.
    pub(super) fn plain(&mut self, colour: V3) -> u16 {
        self.cloth(Cloth::plain(colour))
    }

    /// The surface of this number.
    pub(super) fn surface_of(&self, material: u16) -> &Surface {
        &self.surfaces[usize::from(material)]
    }

    /// Joins `rings`. `round` is 1 for ellipses and below for rounded rectangles.
    pub(super) fn tube(&mut self, rings: &[Ring], segments: usize, round: f32, material: u16) {
        if rings.len() < 2 {
            return;
        }
        let first = self.vertices.len();
        let around: Vec<(f32, f32, f32)> = (0..=segments)
            .map(|i| {
                let u = i as f32 / segments as f32;
                let (sin, cos) = ((u - 0.5) * std::f32::consts::TAU).sin_cos();
                let bend = |x: f32| match round == 1.0 {
                    true => x,
                    false => x.abs().powf(round).copysign(x),
                };
                (u, bend(sin), bend(cos))
            })
            .collect();
        let place = |ring: &Ring, i: usize| {
            let (_, sin, cos) = around[i];
            ring.centre + ring.side * sin + ring.front * cos
        };
        for (r, ring) in rings.iter().enumerate() {
            let before = &rings[r.saturating_sub(1)];
            let after = &rings[(r + 1).min(rings.len() - 1)];
            for (i, &(u, ..)) in around.iter().enumerate() {
                let at = place(ring, i);
                let next = if i == segments { 1 } else { i + 1 };
                let last = if i == 0 { segments - 1 } else { i - 1 };
                // A ring of size 0 has the directions of its neighbour.
                let wide = [ring, before, after]
                    .into_iter()
                    .find(|ring| ring.side.length() > 1e-4)
                    .unwrap_or(ring);
                let across = place(wide, next) - place(wide, last);
                let along = place(after, i) - place(before, i);
                let mut normal = across.cross(along);
                let out = at - ring.centre;
                let out = if out.length() > 1e-4 {
                    out
                } else {
                    ring.centre - (before.centre + after.centre) * 0.5
                };
                if normal.length() < 1e-12 {
                    normal = out;
                }
                if normal.dot(out) < 0.0 {
                    normal = -normal;
                }
                let normal = normal.unit();
                let v = ring.v;
                self.vertices.push(Vertex { at, normal, u, v });
            }
        }
        let stride = segments + 1;
        for r in 0..rings.len() - 1 {
            for i in 0..segments {
                let corner = (first + r * stride + i) as u32;
                let [a, b, c, d] = [
                    corner,
                    corner + 1,
                    corner + stride as u32,
                    corner + stride as u32 + 1,
                ];
                self.triangle([a, b, c], material);
                self.triangle([b, d, c], material);
            }
        }
    }

    /// Adds a triangle, its corners in the order that faces outwards.
    fn triangle(&mut self, corners: [u32; 3], material: u16) {
        let [a, b, c] = corners.map(|i| self.vertices[i as usize]);
        let face = (b.at - a.at).cross(c.at - a.at);
        let size = face.length();
        if size < 1e-9 {
            return;
        }
        let outside = a.normal + b.normal + c.normal;
        let [i, j, k] = corners;
        let corners = if face.dot(outside) < 0.0 {
            [i, k, j]
        } else {
            [i, j, k]
        };
        self.triangles.push((corners, material));
    }

    /// An upright box with rounded edges: `half` its extents, turned by `heading`.
    pub(super) fn block(&mut self, centre: V3, half: V3, heading: f32, round: f32, material: u16) {
        let side = v3(half.x, 0.0, 0.0).turned(heading);
        let front = v3(0.0, 0.0, half.z).turned(heading);
        let ring = |y: f32, scale: f32| Ring {
            centre: centre + V3::UP * (y * half.y),
            side: side * scale,
            front: front * scale,
            v: (1.0 - y) * half.y,
        };
        let rings = [
            ring(1.0, 0.0),
            ring(0.999, 0.94),
            ring(0.9, 1.0),
            ring(-0.9, 1.0),
            ring(-0.999, 0.94),
            ring(-1.0, 0.0),
        ];
        self.tube(&rings, 16, round, material);
    }

    /// The number of corners: a mark for [`Mesh::place`].
    pub(super) fn mark(&self) -> usize {
        self.vertices.len()
    }

    /// Turns and then moves everything added since `mark`.
    pub(super) fn place(&mut self, mark: usize, heading: f32, at: V3) {
        for vertex in &mut self.vertices[mark..] {
            vertex.at = vertex.at.turned(heading) + at;
            vertex.normal = vertex.normal.turned(heading);
        }
    }

    /// Left, top, right and bottom of the corners from `from` to `to`, in pixels of the camera's
    /// picture; `None` if some are behind the camera.
    pub(super) fn bounds(&self, view: &Viewpoint, from: usize, to: usize) -> Option<[f32; 4]> {
        let mut bounds = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for vertex in &self.vertices[from..to] {
            let [x, y, inverse] = view.project(vertex.at);
            if inverse <= 0.0 {
                return None;
            }
            bounds[0] = bounds[0].min(x);
            bounds[1] = bounds[1].min(y);
            bounds[2] = bounds[2].max(x);
            bounds[3] = bounds[3].max(y);
        }
        (from < to).then_some(bounds)
    }
}

/// A pinhole camera: pixels are `focal * x / z` from the centre of the image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Viewpoint {
    pub(super) at: V3,
    right: V3,
    up: V3,
    forward: V3,
    /// Pixels.
    pub(super) focal: f32,
    /// Of the axis in the image, pixels.
    pub(super) centre: [f32; 2],
}

impl Viewpoint {
    /// At `at`, looking down by `tilt` and aside by `pan`, rolled by `roll`; radians.
    pub(super) fn new(at: V3, tilt: f32, pan: f32, roll: f32, focal: f32) -> Self {
        let forward = v3(0.0, -tilt.sin(), tilt.cos()).turned(pan);
        let right = V3::UP.cross(forward).unit();
        let up = forward.cross(right);
        let (sin, cos) = roll.sin_cos();
        Self {
            at,
            right: right * cos + up * sin,
            up: up * cos - right * sin,
            forward,
            focal,
            centre: [0.0; 2],
        }
    }

    /// x and y in pixels, and 1 / depth (0 behind the camera).
    pub(super) fn project(&self, point: V3) -> [f32; 3] {
        let from = point - self.at;
        let depth = from.dot(self.forward);
        if depth < 0.05 {
            return [0.0; 3];
        }
        let inverse = 1.0 / depth;
        [
            self.centre[0] + self.focal * from.dot(self.right) * inverse,
            self.centre[1] - self.focal * from.dot(self.up) * inverse,
            inverse,
        ]
    }

    /// The direction of a pixel; its part along the axis is 1.
    pub(super) fn ray(&self, x: f32, y: f32) -> V3 {
        let scale = 1.0 / self.focal;
        self.forward
            + self.right * ((x - self.centre[0]) * scale)
            + self.up * ((self.centre[1] - y) * scale)
    }
}

/// The surface that a pixel shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    /// 1 / depth; 0 for nothing.
    pub(super) inverse: f32,
    pub(super) normal: V3,
    pub(super) u: f32,
    pub(super) v: f32,
    pub(super) material: u16,
}

const NOTHING: Fragment = Fragment {
    inverse: 0.0,
    normal: v3(0.0, 0.0, 0.0),
    u: 0.0,
    v: 0.0,
    material: 0,
};

/// A part of the camera's picture at another resolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Left and top in pixels of the camera's picture.
    pub(super) corner: [f32; 2],
    /// Pixels of the window for one pixel of the picture, across and down.
    pub(super) scale: [f32; 2],
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The nearest surface of each pixel of `window`. `open` decides whether a material has a hole at (u,
/// v).
pub(super) fn rasterise(
    mesh: &Mesh,
    view: &Viewpoint,
    window: &Window,
    open: impl Fn(u16, f32, f32) -> bool,
) -> Vec<Fragment> {
    let mut fragments = vec![NOTHING; window.width * window.height];
    let corners: Vec<[f32; 3]> = mesh
        .vertices
        .iter()
        .map(|vertex| {
            let [x, y, inverse] = view.project(vertex.at);
            [
                (x - window.corner[0]) * window.scale[0],
                (y - window.corner[1]) * window.scale[1],
                inverse,
            ]
        })
        .collect();
    for (indices, material) in &mesh.triangles {
        let [a, b, c] = indices.map(|i| corners[i as usize]);
        if a[2] <= 0.0 || b[2] <= 0.0 || c[2] <= 0.0 {
            continue;
        }
        let Some(pixels) = Coverage::of([a, b, c], window.width, window.height) else {
            continue;
        };
        let [p, q, r] = indices.map(|i| &mesh.vertices[i as usize]);
        pixels.each(|at, [i, j, k]| {
            let inverse = a[2] * i + b[2] * j + c[2] * k;
            let fragment = &mut fragments[at];
            if inverse <= fragment.inverse {
                return;
            }
            let (u, v) = (p.u * i + q.u * j + r.u * k, p.v * i + q.v * j + r.v * k);
            if open(*material, u, v) {
                return;
            }
            *fragment = Fragment {
                inverse,
                normal: p.normal * i + q.normal * j + r.normal * k,
                u,
                v,
                material: *material,
            };
        });
    }
    fragments
}

/// The pixels of a triangle that faces the viewer.
struct Coverage {
    left: usize,
    right: usize,
    top: usize,
    bottom: usize,
    width: usize,
    corners: [[f32; 3]; 3],
    area: f32,
}

impl Coverage {
    fn of(corners: [[f32; 3]; 3], width: usize, height: usize) -> Option<Self> {
        let [a, b, c] = corners;
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        // y goes down: what faces the viewer goes around clockwise here.
        if area <= 1e-6 {
            return None;
        }
        let low = |axis: usize| a[axis].min(b[axis]).min(c[axis]);
        let high = |axis: usize| a[axis].max(b[axis]).max(c[axis]);
        if high(0) < 0.0 || high(1) < 0.0 || low(0) > width as f32 || low(1) > height as f32 {
            return None;
        }
        // Pixel centres at halves.
        let first = |x: f32| (x - 0.5).ceil().max(0.0) as usize;
        let end = |x: f32, limit: usize| ((x + 0.5).floor().max(0.0) as usize).min(limit);
        Some(Self {
            left: first(low(0)),
            right: end(high(0), width),
            top: first(low(1)),
            bottom: end(high(1), height),
            width,
            corners,
            area,
        })
    }

    /// Calls `paint` with the pixel's index and the weights of the corners.
    fn each(&self, mut paint: impl FnMut(usize, [f32; 3])) {
        let [a, b, c] = self.corners;
        let scale = 1.0 / self.area;
        let edge = |p: [f32; 3], q: [f32; 3], x: f32, y: f32| {
            ((q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])) * scale
        };
        for row in self.top..self.bottom {
            let y = row as f32 + 0.5;
            for column in self.left..self.right {
                let x = column as f32 + 0.5;
                let (i, j) = (edge(b, c, x, y), edge(c, a, x, y));
                let k = 1.0 - i - j;
                if i >= 0.0 && j >= 0.0 && k >= 0.0 {
                    paint(row * self.width + column, [i, j, k]);
                }
            }
        }
    }
}

/// A shadow map: depths seen from a distant light.
#[derive(Debug)]
pub(super) struct Shadow {
    /// Nearest to the light; larger is nearer.
    depths: Vec<f32>,
    side: V3,
    up: V3,
    light: V3,
    centre: V3,
    scale: f32,
    /// Pixels.
    pixels: usize,
}

impl Shadow {
    /// The map within `reach` metres of `centre`, of `pixels` x `pixels`; `light` points to the light.
    pub(super) fn cast(mesh: &Mesh, light: V3, centre: V3, reach: f32, pixels: usize) -> Self {
        let side = V3::UP.cross(light + v3(1e-3, 0.0, 0.0)).unit();
        let mut shadow = Self {
            depths: vec![f32::MIN; pixels * pixels],
            side,
            up: light.cross(side),
            light,
            centre,
            scale: pixels as f32 * 0.5 / reach,
            pixels,
        };
        let corners: Vec<[f32; 3]> = mesh.vertices.iter().map(|v| shadow.seen(v.at)).collect();
        for (indices, _) in &mesh.triangles {
            let corners = indices.map(|i| corners[i as usize]);
            let Some(coverage) = Coverage::of(corners, pixels, pixels) else {
                continue;
            };
            let [a, b, c] = corners;
            let depths = &mut shadow.depths;
            coverage.each(|at, [i, j, k]| {
                depths[at] = depths[at].max(a[2] * i + b[2] * j + c[2] * k);
            });
        }
        shadow
    }

    fn seen(&self, point: V3) -> [f32; 3] {
        let from = point - self.centre;
        let half = self.pixels as f32 * 0.5;
        [
            half + from.dot(self.side) * self.scale,
            half - from.dot(self.up) * self.scale,
            from.dot(self.light),
        ]
    }

    /// Share of the light that reaches `point`: 0, or up to 1.
    pub(super) fn light_at(&self, point: V3, normal: V3) -> f32 {
        let [x, y, depth] = self.seen(point + normal * 0.02);
        let inside = 1.0..self.pixels as f32 - 2.0;
        if !inside.contains(&x) || !inside.contains(&y) {
            return 1.0;
        }
        let lit = |x: usize, y: usize| {
            let nearest = self.depths[y * self.pixels + x];
            if nearest > depth + 0.03 { 0.0 } else { 1.0 }
        };
        let (x, y) = (x - 0.5, y - 0.5);
        let (tx, ty) = (x.fract(), y.fract());
        let (x, y) = (x as usize, y as usize);
        let above = lit(x, y) * (1.0 - tx) + lit(x + 1, y) * tx;
        let below = lit(x, y + 1) * (1.0 - tx) + lit(x + 1, y + 1) * tx;
        above * (1.0 - ty) + below * ty
    }
}
