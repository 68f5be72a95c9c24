//! Head, face, hair, hats and scarves.

use super::{Cloth, HairStyle, Mesh, Person, Ring, Skeleton, ball};
use crate::cloth::Surface;
use crate::person::Hat;
use crate::space::{V3, v3};

pub(super) fn build(person: &Person, bones: &Skeleton, gaze: f32, mesh: &mut Mesh, skin: u16) {
    let tall = bones.tall;
    let size = tall * person.head;
    let neck = bones.torso(1.0, V3::default());
    let centre = bones.torso(1.0, v3(0.0, 0.085, 0.016 + person.lean * 0.1));
    let ring = Ring::level;
    let throat = [
        ring(
            neck - V3::UP * (0.03 * tall),
            0.04 * tall,
            0.036 * tall,
            0.0,
        ),
        ring(neck.mix(centre, 0.2), 0.031 * tall, 0.033 * tall, 0.05),
        ring(neck.mix(centre, 0.75), 0.03 * tall, 0.033 * tall, 0.1),
    ];
    mesh.tube(&throat, 10, 1.0, skin);
    if let Some(scarf) = person.scarf {
        let wool = mesh.cloth(Cloth {
            weave: 0.5,
            folds: 0.4,
            ..Cloth::plain(scarf)
        });
        let low = neck - V3::UP * (0.025 * tall);
        let rings = [
            ring(low, 0.05 * tall, 0.05 * tall, 0.0),
            ring(neck.mix(centre, 0.05), 0.062 * tall, 0.06 * tall, 0.05),
            ring(neck.mix(centre, 0.35), 0.052 * tall, 0.052 * tall, 0.1),
            ring(neck.mix(centre, 0.45), 0.02 * tall, 0.02 * tall, 0.12),
        ];
        mesh.tube(&rings, 12, 1.0, wool);
    }

    // Everything from here on turns with the gaze.
    let mark = mesh.mark();
    let skull = |y: f32, wide: f32, deep: f32, ahead: f32| {
        // y from -1 (chin) to 1 (crown).
        ring(
            v3(0.0, y * 0.066 * size, ahead * size),
            wide * size,
            deep * size,
            (1.0 - y) * 0.5,
        )
    };
    let face = mesh.surface(Surface::Face {
        skin: person.skin,
        hair: person.hair,
        beard: person.beard,
        glasses: person.glasses,
    });
    let shape = [
        skull(1.0, 0.0, 0.0, -0.004),
        skull(0.93, 0.022, 0.027, -0.004),
        skull(0.7, 0.036, 0.046, -0.004),
        skull(0.3, 0.043, 0.053, -0.003),
        skull(-0.1, 0.043, 0.052, -0.001),
        skull(-0.5, 0.039, 0.046, 0.002),
        skull(-0.85, 0.028, 0.033, 0.008),
        skull(-1.0, 0.012, 0.014, 0.012),
        skull(-1.02, 0.0, 0.0, 0.012),
    ];
    mesh.tube(&shape, 14, 1.0, face);
    // Nose and ears, which make a profile.
    ball(
        mesh,
        v3(0.0, -0.012, 0.054) * size,
        v3(0.007, 0.012, 0.01) * size,
        skin,
    );
    for x in [0.043, -0.043] {
        ball(
            mesh,
            v3(x, -0.006, -0.004) * size,
            v3(0.006, 0.015, 0.01) * size,
            skin,
        );
    }
    hair(person, size, mesh, &skull);
    if let Some((kind, colour)) = person.hat {
        hat(kind, colour, mesh, &skull);
    }
    mesh.place(mark, gaze, centre);
}

fn hair(person: &Person, size: f32, mesh: &mut Mesh, skull: &impl Fn(f32, f32, f32, f32) -> Ring) {
    let strands = Cloth {
        folds: 0.55,
        weave: 0.5,
        around: 0.5,
        seed: person.top.cloth.seed,
        ..Cloth::plain(person.hair)
    };
    // Half the share of the way around that the face takes, and where its forehead begins.
    let (puff, low, face, brow) = match person.style {
        HairStyle::Bald => return,
        HairStyle::Crop => (1.04, -0.15, 0.2, 0.26),
        HairStyle::Short => (1.13, -0.35, 0.2, 0.28),
        HairStyle::Bob => (1.2, -0.95, 0.18, 0.26),
        HairStyle::Long => (1.16, -1.0, 0.17, 0.25),
        HairStyle::Tail | HairStyle::Bun => (1.07, -0.4, 0.21, 0.22),
        HairStyle::Cloud => (1.55, -0.6, 0.17, 0.36),
    };
    let material = mesh.surface(Surface::Hair(strands.clone(), face, brow, 2.0));
    let back = -0.006;
    let cap = [
        skull(0.98 + 0.3 * (puff - 1.0) * 2.0, 0.0, 0.0, back),
        skull(
            0.95 + 0.3 * (puff - 1.0) * 2.0,
            0.024 * puff,
            0.029 * puff,
            back,
        ),
        skull(0.7, 0.038 * puff, 0.048 * puff, back),
        skull(0.3, 0.045 * puff, 0.055 * puff, back),
        skull(-0.1_f32.max(low), 0.045 * puff, 0.054 * puff, back),
        skull(low.min(-0.12), 0.041 * puff, 0.047 * puff, back),
        skull(low.min(-0.12) - 0.08, 0.0, 0.0, back),
    ];
    mesh.tube(&cap, 14, 1.0, material);
    let solid = mesh.cloth(strands);
    let fall = |[y, wide, deep, z]: [f32; 4]| {
        Ring::level(v3(0.0, y, z) * size, wide * size, deep * size, -y * size)
    };
    match person.style {
        HairStyle::Long => {
            let rings = [
                [0.0, 0.046, 0.03, -0.032],
                [-0.06, 0.054, 0.026, -0.036],
                [-0.12, 0.062, 0.022, -0.05],
                [-0.19, 0.052, 0.018, -0.062],
                [-0.22, 0.0, 0.0, -0.06],
            ];
            mesh.tube(&rings.map(fall), 12, 0.8, solid);
        }
        HairStyle::Tail => {
            let rings = [
                [0.04, 0.0, 0.0, -0.055],
                [0.035, 0.016, 0.014, -0.062],
                [0.0, 0.02, 0.018, -0.078],
                [-0.08, 0.021, 0.015, -0.076],
                [-0.15, 0.008, 0.008, -0.072],
                [-0.16, 0.0, 0.0, -0.072],
            ];
            mesh.tube(&rings.map(fall), 10, 1.0, solid);
        }
        HairStyle::Bun => {
            let half = v3(0.028, 0.026, 0.026) * size;
            ball(mesh, v3(0.0, 0.055, -0.045) * size, half, solid);
        }
        _ => {}
    }
}

fn hat(kind: Hat, colour: V3, mesh: &mut Mesh, skull: &impl Fn(f32, f32, f32, f32) -> Ring) {
    let felt = Cloth {
        weave: if kind == Hat::Beanie { 0.7 } else { 0.1 },
        around: 0.55,
        ..Cloth::plain(colour)
    };
    let material = mesh.cloth(felt);
    let top = if kind == Hat::Beanie { 1.35 } else { 1.2 };
    let crown = [
        skull(top, 0.0, 0.0, -0.006),
        skull(top - 0.06, 0.03, 0.035, -0.006),
        skull(0.85, 0.046, 0.056, -0.006),
        skull(0.3, 0.052, 0.062, -0.006),
        skull(0.2, 0.0, 0.0, -0.006),
    ];
    mesh.tube(&crown, 14, 1.0, material);
    match kind {
        Hat::Beanie => {}
        Hat::Cap => {
            let brim = [
                skull(0.42, 0.0, 0.0, 0.06),
                skull(0.4, 0.036, 0.04, 0.064),
                skull(0.3, 0.0, 0.0, 0.064),
            ];
            mesh.tube(&brim, 12, 1.0, material);
        }
        Hat::Brim => {
            let brim = [
                skull(0.46, 0.05, 0.06, -0.004),
                skull(0.38, 0.09, 0.1, -0.004),
                skull(0.3, 0.05, 0.06, -0.004),
            ];
            mesh.tube(&brim, 16, 1.0, material);
        }
    }
}
