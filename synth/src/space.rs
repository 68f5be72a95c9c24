//! Vectors of three numbers for points, directions and linear colours; noise as a function of position.

use std::ops::{Add, AddAssign, Mul, Neg, Sub};

/// Metres (x to the right, y up, z away from the camera) or a linear colour (red, green, blue).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct V3 {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

pub(super) const fn v3(x: f32, y: f32, z: f32) -> V3 {
    V3 { x, y, z }
}

impl V3 {
    pub(super) const UP: Self = v3(0.0, 1.0, 0.0);

    pub(super) const fn grey(value: f32) -> Self {
        v3(value, value, value)
    }

    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(super) fn cross(self, other: Self) -> Self {
        v3(
            self.y * other.z - self.z * other.y,
            self.z * other.x - self.x * other.z,
            self.x * other.y - self.y * other.x,
        )
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Of length 1; what has no length stays 0.
    pub(super) fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-9))
    }

    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        self + (other - self) * share
    }

    /// Number by number.
    pub(super) fn times(self, other: Self) -> Self {
        v3(self.x * other.x, self.y * other.y, self.z * other.z)
    }

    /// Around the vertical: what looks along z looks along (sin, 0, cos).
    pub(super) fn turned(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        v3(
            self.x * cos + self.z * sin,
            self.y,
            self.z * cos - self.x * sin,
        )
    }

    pub(super) fn luma(self) -> f32 {
        0.2126 * self.x + 0.7152 * self.y + 0.0722 * self.z
    }
}

impl Add for V3 {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        v3(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl AddAssign for V3 {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for V3 {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        v3(self.x - other.x, self.y - other.y, self.z - other.z)
    }
}

impl Mul<f32> for V3 {
    type Output = Self;
    fn mul(self, by: f32) -> Self {
        v3(self.x * by, self.y * by, self.z * by)
    }
}

impl Neg for V3 {
    type Output = Self;
    fn neg(self) -> Self {
        self * -1.0
    }
}

/// The linear colour of `0xRRGGBB` in sRGB.
pub(super) fn srgb(hex: u32) -> V3 {
    let linear = |shift: u32| {
        let value = ((hex >> shift) & 255) as f32 / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    v3(linear(16), linear(8), linear(0))
}

/// 0 below `from`, 1 above `to`, smooth between them.
pub(super) fn step(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// `0.0..1.0` for each cell of a grid.
pub(super) fn cell(x: i32, y: i32, seed: u32) -> f32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    ((h ^ (h >> 15)) >> 8) as f32 / (1u32 << 24) as f32
}

/// Smooth between cells of side 1, `0.0..1.0`.
pub(super) fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (fx, fy) = (x.floor(), y.floor());
    let (ix, iy) = (fx as i32, fy as i32);
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (tx, ty) = (smooth(x - fx), smooth(y - fy));
    let row = |y: i32| {
        let left = cell(ix, y, seed);
        left + (cell(ix.wrapping_add(1), y, seed) - left) * tx
    };
    let above = row(iy);
    above + (row(iy.wrapping_add(1)) - above) * ty
}

/// One channel in sRGB, `0.0..=1.0`.
pub(super) fn gamma(linear: f32) -> f32 {
    if linear <= 0.003_130_8 {
        linear.max(0.0) * 12.92
    } else {
        1.055 * linear.min(1.0).powf(1.0 / 2.4) - 0.055
    }
}

/// The nearest colour of sRGB, each channel 0..=255; what [`srgb`] was given.
pub(super) fn encode(colour: V3) -> [u32; 3] {
    [colour.x, colour.y, colour.z].map(|linear| (gamma(linear) * 255.0).round() as u32)
}
