//! Coefficients of a block to its 8 x 8 samples, by the same integers as libjpeg's `jidctint.c`
//! ("islow"): Loeffler, Ligtenberg and Moschytz, 1989, with 13 bits of fraction, and 2 bits kept
//! between columns and rows.

/// Bits of fraction of the constants below.
const FRACTION: u32 = 13;

/// Bits of fraction that the columns keep for the rows.
const KEPT: u32 = 2;

const F0_298: i32 = 2446;
const F0_390: i32 = 3196;
const F0_541: i32 = 4433;
const F0_765: i32 = 6270;
const F0_899: i32 = 7373;
const F1_175: i32 = 9633;
const F1_501: i32 = 12_299;
const F1_847: i32 = 15_137;
const F1_961: i32 = 16_069;
const F2_053: i32 = 16_819;
const F2_562: i32 = 20_995;
const F3_072: i32 = 25_172;

/// A number of each of eight transforms, `[number][transform]`.
type Eights = [[i32; 8]; 8];

/// Eight transforms of eight numbers, which rounds `bits` of fraction off. A loop over plain arrays, which
/// the compiler vectorises. Wraps on overflow, which only invalid coefficients cause.
#[inline(always)]
fn transform(input: &Eights, out: &mut Eights, bits: u32) {
    let plus = i32::wrapping_add;
    let minus = i32::wrapping_sub;
    let times = i32::wrapping_mul;
    let round = 1 << (bits - 1);
    for i in 0..8 {
        let [r0, r1, r2, r3] = [input[0][i], input[1][i], input[2][i], input[3][i]];
        let [r4, r5, r6, r7] = [input[4][i], input[5][i], input[6][i], input[7][i]];
        // Even part.
        let z1 = times(plus(r2, r6), F0_541);
        let low = plus(z1, times(r6, -F1_847));
        let high = plus(z1, times(r2, F0_765));
        let sum = plus(r0, r4) << FRACTION;
        let difference = minus(r0, r4) << FRACTION;
        let even = [
            plus(sum, high),
            plus(difference, low),
            minus(difference, low),
            minus(sum, high),
        ];
        // Odd part.
        let z3 = plus(r7, r3);
        let z4 = plus(r5, r1);
        let z5 = times(plus(z3, z4), F1_175);
        let z1 = times(plus(r7, r1), -F0_899);
        let z2 = times(plus(r5, r3), -F2_562);
        let z3 = plus(times(z3, -F1_961), z5);
        let z4 = plus(times(z4, -F0_390), z5);
        let odd = [
            plus(plus(times(r1, F1_501), z1), z4),
            plus(plus(times(r3, F3_072), z2), z3),
            plus(plus(times(r5, F2_053), z2), z4),
            plus(plus(times(r7, F0_298), z1), z3),
        ];
        for k in 0..4 {
            out[k][i] = plus(plus(even[k], odd[k]), round) >> bits;
            out[7 - k][i] = plus(minus(even[k], odd[k]), round) >> bits;
        }
    }
}

#[inline(always)]
fn transpose(rows: &Eights) -> Eights {
    let mut out = [[0; 8]; 8];
    for (y, row) in rows.iter().enumerate() {
        for (x, out) in out.iter_mut().enumerate() {
            out[y] = row[x];
        }
    }
    out
}

/// Writes the block of these coefficients, rows from the top, to `samples`, whose rows are `stride`
/// apart. `quant` are their quantisation steps.
#[inline(always)]
pub(super) fn block(
    coefficients: &[i16; 64],
    quant: &[i16; 64],
    samples: &mut [u8],
    stride: usize,
) {
    let (mut a, mut b) = ([[0; 8]; 8], [[0; 8]; 8]);
    for (y, row) in a.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            let at = y * 8 + x;
            *value = i32::from(coefficients[at].wrapping_mul(quant[at]));
        }
    }
    transform(&a, &mut b, FRACTION - KEPT);
    transform(&transpose(&b), &mut a, FRACTION + KEPT + 3);
    for row in &mut a {
        for value in row {
            *value = value.wrapping_add(128).clamp(0, 255);
        }
    }
    for (row, out) in transpose(&a).iter().zip(samples.chunks_mut(stride)) {
        out[..8].copy_from_slice(&row.map(|value| value as u8));
    }
}

/// As [`block`] where all coefficients but the first are 0.
#[inline(always)]
pub(super) fn flat_block(coefficient: i16, quant: i16, samples: &mut [u8], stride: usize) {
    let level = i32::from(coefficient.wrapping_mul(quant));
    let sample = (((level + 4) >> 3) + 128).clamp(0, 255) as u8;
    for out in samples.chunks_mut(stride).take(8) {
        out[..8].fill(sample);
    }
}
