//! Colours of cloth, skin and hair, and which split may use a shade of them.

/// Whether a person is to train or to test with. The splits share no person and no colour of cloth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Split {
    Train,
    Test,
}

/// Colours of cloth in sRGB and how often they are worn.
pub(super) type Palette = &'static [(u32, u8)];

pub(super) const STREET_TOPS: Palette = &[
    (0x1b1b1e, 10),
    (0x33353b, 7),
    (0x1f2a44, 7),
    (0x77797d, 5),
    (0x3c4030, 4),
    (0x4e3a2c, 3),
    (0x6a1f2a, 2),
    (0xa98a62, 3),
    (0xc9c7c0, 3),
    (0x3f5a7d, 3),
    (0x9c2a25, 1),
    (0x2c4a3e, 2),
];
pub(super) const STREET_BOTTOMS: Palette = &[
    (0x1a1a1d, 10),
    (0x25304a, 9),
    (0x3d4f6e, 6),
    (0x3a3a3e, 6),
    (0x5a4c3c, 3),
    (0x8a7a60, 2),
    (0x707277, 2),
];
pub(super) const MALL_TOPS: Palette = &[
    (0xdedcd6, 10),
    (0xb4b5b8, 6),
    (0x202226, 7),
    (0xc7b08c, 4),
    (0x86a5c4, 5),
    (0xc98a85, 3),
    (0x2f4a80, 4),
    (0xc9b45a, 2),
    (0x88b09a, 2),
    (0xb05048, 2),
    (0x8e86ac, 2),
    (0x3b7a78, 2),
];
pub(super) const MALL_BOTTOMS: Palette = &[
    (0x4a648c, 9),
    (0x202226, 7),
    (0xb7a582, 6),
    (0xd2cfc6, 4),
    (0x6c7c94, 4),
    (0x55584a, 3),
    (0x8c8e92, 2),
];
pub(super) const ACCENTS: Palette = &[
    (0xe6e3dc, 6),
    (0x18181a, 5),
    (0xc0392b, 2),
    (0x2d5aa0, 2),
    (0xd8a838, 2),
    (0x3d7a4a, 2),
    (0x8d8f93, 3),
    (0xd58a9a, 1),
    (0x7a4a80, 1),
];
pub(super) const SKINS: &[u32] = &[
    0xf0cdb4, 0xe6b996, 0xd9a47c, 0xc08a5e, 0xa06c44, 0x7c5034, 0x5c3a26, 0x42291c,
];
pub(super) const HAIRS: &[u32] = &[
    0x14110f, 0x2a1d15, 0x4a3020, 0x6b4a2c, 0x9a7444, 0xc9a766, 0x8e8a86, 0xd8d4cc, 0x7a3420,
];

/// The split of a colour (three numbers of 0 to 255): cells of 24, alternating like a chessboard.
pub(super) fn split_of(values: [u32; 3]) -> Split {
    let cells: u32 = values.iter().map(|value| value / 24).sum();
    match cells % 2 {
        0 => Split::Train,
        _ => Split::Test,
    }
}
