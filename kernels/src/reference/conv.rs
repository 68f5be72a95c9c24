//! 2-D convolution.

use std::ops::Range;

use super::call::Call;
use crate::Result;
use crate::graph::Conv;
use crate::tensor::Tensor;

/// `y[n, o, i, j] = bias[o] + sum over c, ky, kx of weight[o, c, ky, kx] * x[n, group(o) + c, i * stride + ky * dilation - pad, ...]`.
pub(super) fn conv(call: &Call<'_>, conv: &Conv) -> Result<Tensor> {
    let [batch, channels, height, width] = call.extents(0, "x")?;
    let [out_channels, group_channels, kh, kw] = call.extents(1, "weight")?;
    let (x, weight) = (call.f32(0, "x")?, call.f32(1, "weight")?);
    let bias = match call.inputs().len() {
        2 => None,
        _ => Some(call.vector(2, "bias", out_channels)?),
    };
    let groups = conv.groups;
    if groups == 0
        || group_channels.checked_mul(groups) != Some(channels)
        || out_channels % groups != 0
    {
        return Err(call.wrong(format!(
            "a weight {:?} in {groups} groups does not fit the {channels} channels of x",
            call.input(1).shape()
        )));
    }
    let [pad_top, pad_left, pad_bottom, pad_right] = conv.pads;
    let rows = Taps {
        kernel: kh,
        stride: conv.strides[0],
        dilation: conv.dilations[0],
        pads: (pad_top, pad_bottom),
        extent: height,
    };
    let columns = Taps {
        kernel: kw,
        stride: conv.strides[1],
        dilation: conv.dilations[1],
        pads: (pad_left, pad_right),
        extent: width,
    };
    let (out_height, out_width) = (rows.positions(call)?, columns.positions(call)?);
    let shape = vec![batch, out_channels, out_height, out_width];
    let len = call.len(&shape)?;
    if len == 0 {
        return Tensor::f32(shape, []);
    }
    let mut y = Vec::with_capacity(len);

    let reach: Vec<Range<usize>> = (0..kw).map(|kx| columns.inside(kx, out_width)).collect();
    // One row of sums in f64, rounded when it is complete.
    let mut sums = vec![0.0; out_width];
    for n in 0..batch {
        for o in 0..out_channels {
            let first_channel = o / (out_channels / groups) * group_channels;
            for oy in 0..out_height {
                sums.fill(bias.map_or(0.0, |bias| f64::from(bias[o])));
                for c in 0..group_channels {
                    let plane = (n * channels + first_channel + c) * height;
                    for ky in 0..kh {
                        let Some(iy) = rows.source(oy, ky) else {
                            continue;
                        };
                        let row = &x[(plane + iy) * width..][..width];
                        let taps = &weight[((o * group_channels + c) * kh + ky) * kw..][..kw];
                        for (kx, (&tap, reach)) in taps.iter().zip(&reach).enumerate() {
                            if let Some(first) = columns.source(reach.start, kx) {
                                let sums = &mut sums[reach.clone()];
                                add_scaled(sums, &row[first..], conv.strides[1], tap);
                            }
                        }
                    }
                }
                y.extend(sums.iter().map(|&sum| sum as f32));
            }
        }
    }
    Tensor::f32(shape, y)
}

/// `sums[i] += row[i * stride] * tap`.
fn add_scaled(sums: &mut [f64], row: &[f32], stride: usize, tap: f32) {
    let tap = f64::from(tap);
    // The same loop twice: `step_by(1)` takes three times as long.
    if stride == 1 {
        for (sum, &x) in sums.iter_mut().zip(row) {
            *sum += tap * f64::from(x);
        }
    } else {
        for (sum, &x) in sums.iter_mut().zip(row.iter().step_by(stride)) {
            *sum += tap * f64::from(x);
        }
    }
}

/// The kernel's positions along one dimension of the image.
struct Taps {
    kernel: usize,
    stride: usize,
    dilation: usize,
    pads: (usize, usize),
    extent: usize,
}

impl Taps {
    /// How often the kernel fits into the padded image. Afterwards the sums in [`Taps::source`] and [`Taps::inside`] cannot overflow.
    fn positions(&self, call: &Call<'_>) -> Result<usize> {
        let padded =
            (self.extent.checked_add(self.pads.0)).and_then(|n| n.checked_add(self.pads.1));
        let span = (self.kernel.checked_sub(1))
            .and_then(|taps| taps.checked_mul(self.dilation))
            .and_then(|span| span.checked_add(1));
        match (padded, span) {
            (Some(padded), Some(span))
                if self.extent > 0 && self.stride > 0 && self.dilation > 0 && span <= padded =>
            {
                Ok((padded - span) / self.stride + 1)
            }
            _ => Err(call.wrong(format!(
                "a kernel of {} with step {} and dilation {} does not fit {} elements with padding {:?}",
                self.kernel, self.stride, self.dilation, self.extent, self.pads
            ))),
        }
    }

    /// The element under a tap at a position, unless that is padding.
    fn source(&self, position: usize, tap: usize) -> Option<usize> {
        (position * self.stride + tap * self.dilation)
            .checked_sub(self.pads.0)
            .filter(|&source| source < self.extent)
    }

    /// The positions, of `count`, at which a tap is not over padding.
    fn inside(&self, tap: usize, count: usize) -> Range<usize> {
        let offset = tap * self.dilation;
        let start = self.pads.0.saturating_sub(offset).div_ceil(self.stride);
        let end = (self.pads.0 + self.extent)
            .saturating_sub(offset)
            .div_ceil(self.stride)
            .min(count);
        start.min(end)..end
    }
}
