//! OSNet of Zhou et al. 2019, and its form with instance normalisation (Zhou et al. 2021, "Learning
//! Generalisable Omni-Scale Representations").
//!
//! Source: `torchreid/models/osnet.py` of `KaiyangZhou/deep-person-reid`, without its head: `fc` is
//! [`Neck::Fc`](super::Neck::Fc).

use network::graph::{Op, Pool, ValueId};

use super::builder::{Builder, Filter};
use crate::Result;

/// One of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OsNet {
    /// Of the stem and of the three stages.
    pub(super) channels: [usize; 4],
    /// Whether the stem and the first stage normalise by image.
    pub(super) instance_norm: bool,
}

/// A block's inner channels, for each of its outer ones.
const NARROW: usize = 4;
/// What the gate's squeeze divides the inner channels by.
const REDUCTION: usize = 16;

impl OsNet {
    /// The feature map.
    pub(super) fn build(self, b: &mut Builder) -> Result<ValueId> {
        let image = b.input();
        let x = b.conv(
            "conv1.conv",
            image,
            Filter::new(self.channels[0], 7).stride(2),
        )?;
        let x = if self.instance_norm {
            b.instance_norm("conv1.bn", x)?
        } else {
            b.batch_norm("conv1.bn", x)?
        };
        let x = b.relu("conv1.relu", x)?;
        let pool = Pool {
            kernel: [3; 2],
            strides: [2; 2],
            pads: [1; 4],
            ceil_mode: false,
        };
        let mut x = b.max_pool("maxpool", x, pool)?;
        for (i, &out) in (2..).zip(&self.channels[1..]) {
            let normed = self.instance_norm && i == 2;
            for j in 0..2 {
                x = block(b, &format!("conv{i}.{j}"), x, out, normed)?;
            }
            if i < 4 {
                x = conv(b, &format!("conv{i}.2.0"), x, out)?;
                let halve = Op::AveragePool {
                    pool: Pool {
                        kernel: [2; 2],
                        strides: [2; 2],
                        pads: [0; 4],
                        ceil_mode: false,
                    },
                    count_include_pad: true,
                };
                x = b.push(&format!("conv{i}.2.1"), halve, &[x.into()])?;
            }
        }
        conv(b, "conv5", x, self.channels[3])
    }
}

/// 1 x 1 convolution, `BatchNorm`.
fn linear(b: &mut Builder, name: &str, x: ValueId, out: usize) -> Result<ValueId> {
    let x = b.conv(&format!("{name}.conv"), x, Filter::new(out, 1))?;
    b.batch_norm(&format!("{name}.bn"), x)
}

/// 1 x 1 convolution, `BatchNorm`, ReLU.
fn conv(b: &mut Builder, name: &str, x: ValueId, out: usize) -> Result<ValueId> {
    let x = linear(b, name, x, out)?;
    b.relu(&format!("{name}.relu"), x)
}

/// 1 x 1 convolution, 3 x 3 depthwise convolution, `BatchNorm`, ReLU.
fn light(b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
    let channels = b.channels(x);
    let x = b.conv(&format!("{name}.conv1"), x, Filter::new(channels, 1))?;
    let depthwise = Filter::new(channels, 3).groups(channels);
    let x = b.conv(&format!("{name}.conv2"), x, depthwise)?;
    let x = b.batch_norm(&format!("{name}.bn"), x)?;
    b.relu(&format!("{name}.relu"), x)
}

/// Four streams of one to four light convolutions, each weighed by the one gate they share, added
/// to x.
fn block(
    b: &mut Builder,
    name: &str,
    x: ValueId,
    out: usize,
    instance_norm: bool,
) -> Result<ValueId> {
    let named = |layer: &str| format!("{name}.{layer}");
    let inner = out / NARROW;
    let narrow = conv(b, &named("conv1"), x, inner)?;
    let mut sum = None;
    for (stream, depth) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        let mut y = narrow;
        for i in 0..depth {
            // The single layer of the first stream has no index.
            let layer = match depth {
                1 => named("conv2a"),
                _ => named(&format!("conv2{stream}.{i}")),
            };
            y = light(b, &layer, y)?;
        }
        let gate = named(&format!("gate.{stream}"));
        y = b.gate(&gate, &named("gate"), y, inner / REDUCTION)?;
        sum = Some(match sum {
            None => y,
            Some(sum) => b.add(&named(&format!("sum.{stream}")), sum, y)?,
        });
    }
    let y = linear(b, &named("conv3"), sum.unwrap_or(narrow), out)?;
    let same = if b.channels(x) == out {
        x
    } else {
        linear(b, &named("downsample"), x, out)?
    };
    let mut y = b.add(&named("add"), y, same)?;
    if instance_norm {
        y = b.instance_norm(&named("IN"), y)?;
    }
    b.relu(&named("relu"), y)
}
