//! Meshes of trousers and skirts, shirts and coats, shoes, bags.

use super::{
    BagKind, Cloth, LEFT_RIGHT, Mesh, Person, Ring, Skeleton, Top, along, arm_radius, ball, girth,
    leg_radius, limb,
};
use crate::cloth::Surface;
use crate::person::Bag;
use crate::space::{V3, v3};

/// A ring of the trunk, `wider` metres larger than the body.
fn trunk(person: &Person, bones: &Skeleton, t: f32, wider: f32, v: f32) -> Ring {
    let [a, b, ahead] = girth(person, t);
    let [wide, deep] = [a, b].map(|half| half * bones.tall + wider);
    Ring::level(bones.torso(t, v3(0.0, 0.0, ahead)), wide, deep, v)
}

/// A ring around both legs, `below` metres under the crotch.
fn around_legs(person: &Person, bones: &Skeleton, below: f32, wider: f32, v: f32) -> Ring {
    let s = below / (0.245 * bones.tall);
    let [left, right] = bones.legs.map(|leg| along(leg, s.clamp(0.0, 2.0)));
    let radius = leg_radius(person, s) * bones.tall;
    let [hips, depth, _] = girth(person, 0.05);
    let middle = left.mix(right, 0.5);
    let apart = (left.z - right.z).abs() * 0.5;
    let aside = (left.x - right.x).abs() * 0.5;
    let wide = (aside + radius).max(hips * bones.tall * 0.85) + wider;
    let deep = (apart + radius).max(depth * bones.tall * 0.8) + wider;
    let centre = v3(middle.x, bones.base - below, middle.z * 0.8);
    Ring::level(centre, wide, deep, v)
}

/// Everything below the belt, shoes included.
pub(super) fn legs(person: &Person, bones: &Skeleton, mesh: &mut Mesh, skin: u16) {
    let tall = bones.tall;
    let bottom = &person.bottom;
    let below = match bottom.tights {
        Some(colour) => mesh.plain(colour),
        None => skin,
    };
    let waist = 0.42;
    if bottom.skirt {
        let material = mesh.cloth(bottom.cloth.around(0.95));
        let long = bottom.length * 0.245 * tall;
        let wide = |share: f32| 0.01 + (0.01 + 0.09 * bottom.width) * share;
        let mut rings = vec![trunk(person, bones, waist, 0.004, 0.0)];
        rings
            .extend([0.3, 0.16].map(|t| trunk(person, bones, t, 0.01, (waist - t) * 0.375 * tall)));
        for i in 0..4 {
            let share = i as f32 / 3.0;
            let down = long * share;
            let v = waist * 0.375 * tall + down;
            rings.push(around_legs(person, bones, down, wide(share), v));
        }
        mesh.tube(&rings, 18, 0.95, material);
    } else {
        let cloth = bottom.cloth.around(0.5);
        let hips = mesh.cloth(bottom.cloth.bare().around(0.95));
        let rings = [waist, 0.3, 0.16, 0.0, -0.03]
            .map(|t| trunk(person, bones, t.max(0.0), 0.006, (waist - t) * 0.375 * tall));
        mesh.tube(&rings, 16, 0.95, hips);
        let material = mesh.cloth(cloth);
        let loose = 0.004 + 0.012 * bottom.width;
        for leg in bones.legs {
            let radius = |s: f32| {
                let body = leg_radius(person, s) * tall + loose;
                let straight = (0.028 + 0.026 * bottom.width) * tall * bottom.width;
                body.max(straight)
            };
            limb(mesh, leg, [-0.05, bottom.length], radius, material);
        }
    }
    let shoe = mesh.surface(Surface::Shoe(person.shoes, person.soles));
    for (i, leg) in bones.legs.into_iter().enumerate() {
        if bottom.skirt || bottom.length < 1.8 {
            let radius = |s: f32| leg_radius(person, s) * tall;
            limb(mesh, leg, [0.1, 2.0], radius, below);
        }
        if person.boots > 0.0 {
            let radius = |s: f32| leg_radius(person, s) * tall + 0.011;
            let boot = mesh.plain(person.shoes);
            limb(mesh, leg, [2.0 - person.boots, 2.02], radius, boot);
        }
        foot(leg, bones.feet[i], LEFT_RIGHT[i], tall, mesh, shoe);
    }
}

fn foot(leg: [V3; 3], lean: f32, side: f32, tall: f32, mesh: &mut Mesh, material: u16) {
    let ankle = leg[2];
    // Shins that lean back lift the heel.
    let (sin, cos) = (lean.min(0.0) * 0.8 + lean.max(0.0) * 0.3).sin_cos();
    let toes = v3(side * 0.12, sin, cos).unit();
    let up = v3(0.0, cos, -sin);
    let across = up.cross(toes).unit();
    let sole = ankle - up * (0.038 * tall);
    let ring = |z: f32, half: f32, high: f32| Ring {
        centre: sole + toes * (z * tall) + up * (high * 0.5 * tall),
        side: across * (half * tall),
        // The tube runs ahead: its front is the sole, so that u = 0.5 is below.
        front: up * (-high * 0.5 * tall),
        v: z * tall,
    };
    let rings = [
        ring(-0.035, 0.0, 0.02),
        ring(-0.034, 0.016, 0.045),
        ring(-0.005, 0.021, 0.058),
        ring(0.03, 0.023, 0.052),
        ring(0.075, 0.027, 0.034),
        ring(0.108, 0.02, 0.026),
        ring(0.117, 0.0, 0.015),
    ];
    mesh.tube(&rings, 10, 0.8, material);
}

/// A shirt or a coat with its sleeves.
pub(super) fn top(person: &Person, bones: &Skeleton, top: &Top, mesh: &mut Mesh) {
    let tall = bones.tall;
    let [chest, ..] = girth(person, 0.74);
    let cloth = top.cloth.around(chest * tall * 5.4);
    let surface = match top.open > 0.0 {
        true => Surface::Open(cloth, top.open),
        false => Surface::Closed(cloth),
    };
    let material = mesh.surface(surface);
    let trunk_long = 0.375 * tall;
    let mut rings = vec![];
    for t in [
        1.02, 0.97, 0.945, 0.91, 0.86, 0.8, 0.7, 0.6, 0.5, 0.4, 0.28, 0.16, 0.06,
    ] {
        if (1.0 - t) * trunk_long > trunk_long + top.hem - 0.03 {
            break;
        }
        let loose = if t > 0.9 { 0.5 * top.fit } else { top.fit } + 0.006;
        // Cloth hangs from the widest place.
        let hang = match t < 0.7 {
            true => 0.25 * top.fit.min(0.03),
            false => 0.0,
        };
        let v = (1.0 - t) * trunk_long;
        rings.push(trunk(person, bones, t, loose + hang, v));
    }
    let hem = if top.hem <= 0.0 {
        trunk(
            person,
            bones,
            (-top.hem / trunk_long).max(0.0),
            top.fit + 0.012,
            trunk_long + top.hem,
        )
    } else {
        let mut down = 0.08;
        while down < top.hem - 0.04 {
            let wider = top.fit + 0.012 + 0.05 * down;
            rings.push(around_legs(person, bones, down, wider, trunk_long + down));
            down += 0.12;
        }
        around_legs(
            person,
            bones,
            top.hem,
            top.fit + 0.014 + 0.06 * top.hem,
            trunk_long + top.hem,
        )
    };
    rings.push(hem);
    // Closed below.
    rings.push(Ring {
        side: V3::default(),
        front: V3::default(),
        centre: hem.centre + V3::UP * 0.02,
        ..hem
    });
    mesh.tube(&rings, 20, 0.93, material);

    let sleeve = match top.sleeves {
        Some(colour) => Cloth {
            main: colour,
            pattern: crate::cloth::Pattern::Plain,
            ..top.cloth.bare()
        },
        None => top.cloth.bare(),
    };
    let sleeve = mesh.cloth(sleeve.around(0.3));
    for arm in bones.arms {
        let radius = |s: f32| arm_radius(person, s) * tall + 0.004 + top.fit * 0.45;
        ball(mesh, arm[0], V3::grey(radius(0.0)), sleeve);
        if top.sleeve > 0.1 {
            limb(mesh, arm, [-0.02, top.sleeve.min(1.96)], radius, sleeve);
        }
    }
    if top.hood {
        let hood = mesh.cloth(Cloth {
            folds: 0.4,
            ..Cloth::plain(top.cloth.main * 0.92)
        });
        let centre = bones.torso(0.97, v3(0.0, 0.012, -0.045));
        ball(mesh, centre, v3(0.062, 0.04, 0.036) * tall, hood);
    }
}

/// A strap through points.
fn strap(mesh: &mut Mesh, points: &[V3], half: f32, material: u16) {
    let ring = |i: usize| {
        let before = points[i.saturating_sub(1)];
        let after = points[(i + 1).min(points.len() - 1)];
        let tangent = (after - before).unit();
        let side = tangent.cross(v3(0.3, 0.1, 0.9)).unit();
        Ring {
            centre: points[i],
            side: side * half,
            front: side.cross(tangent) * half,
            v: i as f32 * 0.1,
        }
    };
    let rings: Vec<Ring> = (0..points.len()).map(ring).collect();
    mesh.tube(&rings, 6, 1.0, material);
}

pub(super) fn bag(person: &Person, bones: &Skeleton, bag: &Bag, mesh: &mut Mesh) {
    let tall = bones.tall;
    let worn = person
        .over
        .as_ref()
        .map_or(person.top.fit, |over| over.fit.max(person.top.fit))
        + 0.012;
    let material = mesh.cloth(bag.cloth.around(0.9));
    let leather = mesh.plain(bag.cloth.main * 0.7);
    // A point on the trunk's surface: `angle` from the front towards the left.
    let on = |t: f32, angle: f32, away: f32| {
        let [a, b, ahead] = girth(person, t);
        let (sin, cos) = angle.sin_cos();
        let at = bones.torso(t, v3(0.0, 0.0, ahead));
        at + v3(
            (a * tall + worn + away) * sin,
            0.0,
            (b * tall + worn + away) * cos,
        )
    };
    match bag.kind {
        BagKind::Backpack => {
            let half = v3(0.15, 0.22, 0.085) * bag.size;
            let behind = on(0.7, std::f32::consts::PI, half.z);
            let mark = mesh.mark();
            mesh.block(V3::default(), half, 0.0, 0.55, material);
            mesh.block(
                v3(0.0, -0.25 * half.y, -half.z),
                v3(half.x * 0.75, half.y * 0.5, 0.04),
                0.0,
                0.55,
                leather,
            );
            mesh.place(mark, 0.0, behind);
            for side in LEFT_RIGHT {
                let points = [
                    on(0.9, 2.6 * side, 0.02),
                    on(0.955, 1.6 * side, 0.012),
                    on(0.9, 0.55 * side, 0.004),
                    on(0.78, 0.5 * side, 0.004),
                    on(0.66, 0.75 * side, 0.004),
                    on(0.58, 1.4 * side, 0.004),
                ];
                strap(mesh, &points, 0.02, leather);
            }
        }
        BagKind::Shoulder => {
            let half = v3(0.06, 0.12, 0.15) * bag.size;
            let at = on(0.12, 1.6 * bag.side, half.x) - V3::UP * 0.02;
            mesh.block(at, half, 0.0, 0.5, material);
            let from = if bag.across { -bag.side } else { bag.side };
            for back in [0.0, 1.0] {
                let turn = |angle: f32| match back > 0.0 {
                    true => std::f32::consts::PI - angle,
                    false => angle,
                };
                let points = [
                    on(0.96, 1.57 * from, 0.006),
                    on(0.88, turn(0.6) * from, 0.005),
                    on(0.7, turn(if bag.across { 0.05 } else { 0.7 }) * from, 0.005),
                    on(
                        0.45,
                        turn(if bag.across { -0.7 } else { 0.9 }) * from,
                        0.005,
                    ),
                    on(0.25, turn(1.2) * bag.side, 0.02),
                ];
                strap(mesh, &points, 0.016, leather);
            }
        }
        BagKind::Hand => {
            let arm = usize::from(bag.side < 0.0);
            let hand = bones.arms[arm][2] - V3::UP * (0.05 * tall);
            let half = v3(0.06, 0.15, 0.17) * bag.size;
            mesh.block(hand - V3::UP * (half.y + 0.11), half, 0.0, 0.45, material);
            for z in [-0.09, 0.09] {
                let low = hand + v3(0.0, -0.12, z);
                strap(mesh, &[low, hand.mix(low, 0.4), hand], 0.009, leather);
            }
        }
    }
}
