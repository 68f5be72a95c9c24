//! RepVGG-A0 (Ding et al. 2021) in its training form: each layer is the sum of a 3 x 3 convolution, a
//! 1 x 1 convolution and the identity, each with a `BatchNorm`. [`reparam`](super::reparam) merges them.
//!
//! Source: `repvgg.py` of DingXiaoH/RepVGG.

use network::graph::ValueId;

use super::builder::{Builder, Filter};
use crate::Result;

/// The feature map.
pub(super) fn build(b: &mut Builder, last_stride: usize) -> Result<ValueId> {
    let image = b.input();
    let mut x = layer(b, "stage0", image, 48, 2)?;
    let stages = [(48, 2, 2), (96, 4, 2), (192, 14, 2), (1280, 1, last_stride)];
    for (stage, (out, layers, first)) in (1..).zip(stages) {
        for i in 0..layers {
            let stride = if i == 0 { first } else { 1 };
            x = layer(b, &format!("stage{stage}.{i}"), x, out, stride)?;
        }
    }
    Ok(x)
}

/// The sum has the name of the convolution that replaces it.
fn layer(b: &mut Builder, name: &str, x: ValueId, out: usize, stride: usize) -> Result<ValueId> {
    let mut branch = |branch: &str, kernel| {
        let filter = Filter::new(out, kernel).stride(stride);
        let y = b.conv(&format!("{name}.{branch}.conv"), x, filter)?;
        b.batch_norm(&format!("{name}.{branch}.bn"), y)
    };
    let (dense, one) = (branch("rbr_dense", 3)?, branch("rbr_1x1", 1)?);
    let merged = format!("{name}.rbr_reparam");
    let sum = if stride == 1 && b.channels(x) == out {
        let sum = b.add(&format!("{name}.sum"), dense, one)?;
        let same = b.batch_norm(&format!("{name}.rbr_identity"), x)?;
        b.add(&merged, sum, same)?
    } else {
        b.add(&merged, dense, one)?
    };
    b.relu(&format!("{name}.nonlinearity"), sum)
}
