//! Blocks of coefficients in, rows of RGB out; keeps two rows of groups of blocks as samples.
//!
//! The compiler vectorises the plain arithmetic; on x86-64 it is compiled a second time for AVX2, which
//! baseline code may not use.

use super::idct;
use super::rows::{Colours, Rows, SamplePlane};

pub(super) struct Output<'a> {
    rows: Rows,
    rgb: &'a mut [u8],
    height: usize,
    /// Rows of the picture in a row of groups.
    group_height: usize,
    /// Rows of groups that are finished, and rows of the picture that are written.
    groups: usize,
    written: usize,
    /// Rows that must wait for samples below them.
    behind: usize,
    #[cfg(target_arch = "x86_64")]
    avx2: bool,
}

impl<'a> Output<'a> {
    /// For a picture of `width` x `height` pixels, `group_height` rows of which are a row of groups;
    /// `rgb` is as long as it needs.
    pub(super) fn new(
        planes: Vec<SamplePlane>,
        colours: Colours,
        (width, height): (usize, usize),
        group_height: usize,
        rgb: &'a mut [u8],
    ) -> Self {
        let waits = planes.iter().any(|plane| plane.upsample.needs_neighbours());
        Self {
            rows: Rows::new(planes, colours, width),
            rgb,
            height,
            group_height,
            groups: 0,
            written: 0,
            behind: usize::from(waits),
            #[cfg(target_arch = "x86_64")]
            avx2: is_x86_feature_detected!("avx2"),
        }
    }

    /// Takes the block at `(across, down)` of the current row of groups of a component.
    #[inline(always)]
    pub(super) fn block(
        &mut self,
        component: usize,
        (x, y): (usize, usize),
        coefficients: &[i16; 64],
        quant: &[i16; 64],
    ) {
        let plane = &mut self.rows.planes[component];
        let row = self.groups % 2 * (plane.kept / 2) + y * 8;
        let (samples, stride) = (
            &mut plane.samples[row * plane.stride + x * 8..],
            plane.stride,
        );
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: `avx2` is set only where the CPU has it.
            return unsafe { avx2::block(coefficients, quant, samples, stride) };
        }
        idct::block(coefficients, quant, samples, stride);
    }

    /// As [`Output::block`], of a block of which all coefficients but the first are 0.
    #[inline(always)]
    pub(super) fn flat_block(
        &mut self,
        component: usize,
        (x, y): (usize, usize),
        coefficient: i16,
        quant: i16,
    ) {
        let plane = &mut self.rows.planes[component];
        let row = self.groups % 2 * (plane.kept / 2) + y * 8;
        let samples = &mut plane.samples[row * plane.stride + x * 8..];
        idct::flat_block(coefficient, quant, samples, plane.stride);
    }

    /// Ends a row of groups: writes the rows of the picture that can be.
    pub(super) fn finish_groups(&mut self) {
        self.groups += 1;
        let there = self.groups * self.group_height;
        let to = if there >= self.height {
            self.height
        } else {
            there - self.behind
        };
        let from = std::mem::replace(&mut self.written, to);
        #[cfg(target_arch = "x86_64")]
        if self.avx2 {
            // SAFETY: `avx2` is set only where the CPU has it.
            return unsafe { avx2::write(&mut self.rows, from, to, self.rgb) };
        }
        self.rows.write(from, to, self.rgb);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Rows, idct};

    #[target_feature(enable = "avx2")]
    pub(super) fn block(
        coefficients: &[i16; 64],
        quant: &[i16; 64],
        samples: &mut [u8],
        stride: usize,
    ) {
        idct::block(coefficients, quant, samples, stride);
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn write(rows: &mut Rows, from: usize, to: usize, rgb: &mut [u8]) {
        rows.write(from, to, rgb);
    }
}
