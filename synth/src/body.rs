//! The mesh of a person in a pose: a skeleton, then body, clothes and bags.
//!
//! Lengths are shares of the person's height, and metres after a product with `tall`. Proportions:
//! crotch at 0.47 of the height, shoulders at 0.82, a head of 0.13.

mod clothes;
mod head;

use std::f32::consts::PI;

use super::cloth::Cloth;
use super::person::{BagKind, HairStyle, Person, Top};
use super::raster::{Mesh, Ring};
use super::space::{V3, v3};

/// A pose of a walk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    /// Of the step, radians.
    pub(super) phase: f32,
    /// How far legs swing: 0 stands, 1 walks.
    pub(super) walk: f32,
    /// Bend of the left and the right elbow in addition to that of the walk, radians.
    pub(super) elbows: [f32; 2],
    /// How far the head is turned, radians.
    pub(super) gaze: f32,
}

/// Positions of the joints, metres, in the frame of the person: x to the left, y up, z ahead.
struct Skeleton {
    tall: f32,
    /// Hip, knee, ankle of the left and the right.
    legs: [[V3; 3]; 2],
    /// Shoulder, elbow, wrist.
    arms: [[V3; 3]; 2],
    /// How far shins lean ahead, radians: feet follow.
    feet: [f32; 2],
    /// Of the crotch.
    base: f32,
    lean: f32,
}

const LEFT_RIGHT: [f32; 2] = [1.0, -1.0];

impl Skeleton {
    fn new(person: &Person, pose: &Pose) -> Self {
        let tall = person.height;
        let thigh = 0.245 * tall * person.legs;
        let swing = 0.42 * person.stride * pose.walk;
        let mut legs = [[V3::default(); 3]; 2];
        let mut feet = [0.0; 2];
        for (i, side) in LEFT_RIGHT.into_iter().enumerate() {
            let phase = pose.phase + if side < 0.0 { PI } else { 0.0 };
            let angle = swing * phase.sin() + 0.04;
            let knee = 0.06 + pose.walk * 0.95 * person.stride * phase.cos().max(0.0).powi(2);
            let hip = v3(side * 0.052 * tall * person.hips, 0.0, 0.0);
            let down = |angle: f32| v3(0.0, -angle.cos(), angle.sin());
            let joint = hip + down(angle) * thigh + v3(side * 0.004, 0.0, 0.0);
            let ankle = joint + down(angle - knee) * thigh - v3(side * 0.012, 0.0, 0.0);
            legs[i] = [hip, joint, ankle];
            feet[i] = angle - knee;
        }
        // The lower foot stands on the ground.
        let lowest = |i: usize| legs[i][2].y - 0.06 * tall * (-feet[i]).max(0.0).sin();
        let ground = lowest(0).min(lowest(1)) - 0.042 * tall;
        for leg in &mut legs {
            for joint in leg {
                joint.y -= ground;
            }
        }
        let base = -ground - 0.02 * tall;
        let mut skeleton = Self {
            tall,
            legs,
            arms: [[V3::default(); 3]; 2],
            feet,
            base,
            lean: person.lean,
        };
        for (i, side) in LEFT_RIGHT.into_iter().enumerate() {
            let phase = pose.phase + if side < 0.0 { 0.0 } else { PI };
            let angle = 0.45 * pose.walk * person.stride * phase.sin() - 0.02;
            let bend = 0.22 + 0.3 * pose.walk * phase.sin().max(0.0) + pose.elbows[i];
            let aside = 0.13 + 0.12 * (person.build - 1.0) + 0.6 * person.belly;
            let shoulder = skeleton.torso(0.865, v3(side * 0.099 * person.shoulders, 0.0, 0.0));
            let along = |angle: f32, aside: f32| {
                v3(side * aside.sin(), -angle.cos() * aside.cos(), angle.sin())
            };
            let upper = along(angle, aside);
            let lower = along(angle + bend, aside * 0.4 - 0.25 * pose.elbows[i].min(1.0));
            let elbow = shoulder + upper * (0.168 * tall);
            skeleton.arms[i] = [shoulder, elbow, elbow + lower * (0.15 * tall)];
        }
        skeleton
    }

    /// A point of the trunk: `t` from 0 (crotch) to 1 (neck), aside by shares of the height.
    fn torso(&self, t: f32, aside: V3) -> V3 {
        let along = t * 0.375 * self.tall;
        let (sin, cos) = self.lean.sin_cos();
        let aside = aside * self.tall;
        v3(
            aside.x,
            self.base + along * cos + aside.y,
            along * sin + aside.z,
        )
    }
}

/// Half width, half depth and how far the middle is ahead at `t` of the trunk, in shares of the
/// height.
fn girth(person: &Person, t: f32) -> [f32; 3] {
    let (hips, build) = (person.hips, person.build);
    let broad = person.shoulders * (0.75 + 0.25 * build);
    let belly = person.belly;
    let hip = 0.3 + 0.7 * build;
    interpolated(
        &[
            (0.0, [0.074 * hips * build, 0.062 * build, -0.004]),
            (0.16, [0.094 * hips * hip, 0.071 * build, -0.010]),
            (
                0.38,
                [0.080 * build, 0.058 * build + 0.7 * belly, 0.5 * belly],
            ),
            (0.52, [0.078 * build, 0.056 * build + belly, 0.7 * belly]),
            (0.74, [0.092 * broad, 0.064 * build, 0.002]),
            (0.86, [0.101 * broad, 0.056, -0.004]),
            (0.92, [0.086 * broad, 0.047, -0.005]),
            (0.97, [0.055 * broad, 0.041, -0.004]),
            (1.0, [0.036, 0.036, 0.0]),
            (1.08, [0.031, 0.033, 0.004]),
        ],
        t,
    )
}

/// Linear interpolation in rows of ascending positions, constant outside.
fn interpolated<const N: usize>(rows: &[(f32, [f32; N])], at: f32) -> [f32; N] {
    let after = rows.iter().position(|row| row.0 > at);
    let after = after.unwrap_or(rows.len() - 1).max(1);
    let ((s0, a), (s1, b)) = (rows[after - 1], rows[after]);
    let share = ((at - s0) / (s1 - s0)).clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// A point along three joints: 0, 1 and 2 are the joints, smooth around 1.
fn along([a, b, c]: [V3; 3], s: f32) -> V3 {
    const SOFT: f32 = 0.18;
    let straight = |s: f32| {
        if s < 1.0 {
            a.mix(b, s)
        } else {
            b.mix(c, s - 1.0)
        }
    };
    if (s - 1.0).abs() < SOFT {
        let t = (s - 1.0 + SOFT) / (2.0 * SOFT);
        let (from, to) = (straight(1.0 - SOFT), straight(1.0 + SOFT));
        from.mix(b, t).mix(b.mix(to, t), t)
    } else {
        straight(s)
    }
}

/// A tube along a limb from `from` to `to`, closed at its end; `radius` of each place.
fn limb(
    mesh: &mut Mesh,
    joints: [V3; 3],
    [from, to]: [f32; 2],
    radius: impl Fn(f32) -> f32,
    material: u16,
) {
    let count = (3.0 + (to - from) * 4.0) as usize;
    let length = (joints[1] - joints[0]).length();
    let ring = |s: f32, radius: f32| {
        let tangent = (along(joints, s + 0.02) - along(joints, s - 0.02)).unit();
        let side = V3::cross(tangent, v3(0.0, 0.0, 1.0));
        // x to the left, whatever way the limb points.
        let side = if side.length() > 0.3 {
            side.unit()
        } else {
            v3(1.0, 0.0, 0.0)
        };
        let side = if side.x < 0.0 { -side } else { side };
        let front = side.cross(tangent).unit();
        let front = if front.z < 0.0 { -front } else { front };
        Ring {
            centre: along(joints, s),
            side: side * radius,
            front: front * radius,
            v: s * length,
        }
    };
    let mut rings = vec![ring(from, 0.0)];
    for i in 0..=count {
        let s = from + (to - from) * i as f32 / count as f32;
        rings.push(ring(s, radius(s)));
    }
    rings.push(ring(to, 0.0));
    mesh.tube(&rings, 10, 1.0, material);
}

/// A ball whose half extents are `half`; its front is ahead.
fn ball(mesh: &mut Mesh, centre: V3, half: V3, material: u16) {
    let rings: Vec<Ring> = (0..=6)
        .map(|i| {
            let (sin, cos) = (PI * i as f32 / 6.0).sin_cos();
            let sin = sin.max(0.0);
            Ring {
                centre: centre + V3::UP * (half.y * cos),
                side: v3(half.x * sin, 0.0, 0.0),
                front: v3(0.0, 0.0, half.z * sin),
                v: half.y * (1.0 - cos),
            }
        })
        .collect();
    mesh.tube(&rings, 12, 1.0, material);
}

/// Radius of a bare leg, shares of the height.
fn leg_radius(person: &Person, s: f32) -> f32 {
    let rows = [
        (0.0, [0.053]),
        (0.5, [0.047]),
        (0.95, [0.032]),
        (1.3, [0.034]),
        (1.6, [0.027]),
        (2.0, [0.021]),
    ];
    interpolated(&rows, s)[0] * (0.25 + 0.75 * person.build)
}

/// Radius of a bare arm, shares of the height.
fn arm_radius(person: &Person, s: f32) -> f32 {
    let rows = [
        (0.0, [0.0265]),
        (0.4, [0.027]),
        (1.0, [0.022]),
        (1.3, [0.022]),
        (2.0, [0.0145]),
    ];
    interpolated(&rows, s)[0] * (0.35 + 0.65 * person.build)
}

/// Adds `person` to the mesh, in their own frame, feet on the ground below the origin.
pub(super) fn build(person: &Person, pose: &Pose, mesh: &mut Mesh) {
    let bones = Skeleton::new(person, pose);
    let skin = mesh.plain(person.skin);
    clothes::legs(person, &bones, mesh, skin);
    clothes::top(person, &bones, &person.top, mesh);
    if let Some(over) = &person.over {
        clothes::top(person, &bones, over, mesh);
    }
    for arm in bones.arms {
        let tall = bones.tall;
        let radius = |s: f32| arm_radius(person, s) * tall;
        limb(mesh, arm, [0.05, 2.0], radius, skin);
        let hand = arm[2] + (arm[2] - arm[1]).unit() * (0.035 * tall);
        ball(mesh, hand, v3(0.016, 0.045, 0.024) * (tall * 0.85), skin);
    }
    head::build(person, &bones, pose.gaze, mesh, skin);
    if let Some(bag) = &person.bag {
        clothes::bag(person, &bones, bag, mesh);
    }
}
