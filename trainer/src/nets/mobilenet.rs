//! `MobileNetV2` of Sandler et al. 2018, width 1.
//!
//! Source: `torchvision/models/mobilenetv2.py`, its `features`.

use network::graph::{Unary, ValueId};

use super::builder::{Builder, Filter};
use crate::Result;

/// Factor of the inner channels, outer channels, blocks and first step of each stage; table 2 of
/// the paper.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// The one whose step is [`Spec::last_stride`](super::Spec::last_stride).
const LAST: usize = 5;

/// The feature map.
pub(super) fn build(b: &mut Builder, last_stride: usize) -> Result<ValueId> {
    let image = b.input();
    let mut x = conv(b, "features.0", image, Filter::new(32, 3).stride(2))?;
    let mut index = 1;
    for (stage, (factor, out, blocks, first)) in STAGES.into_iter().enumerate() {
        let first = if stage == LAST { last_stride } else { first };
        for i in 0..blocks {
            let stride = if i == 0 { first } else { 1 };
            x = block(b, &format!("features.{index}"), x, factor, out, stride)?;
            index += 1;
        }
    }
    conv(b, &format!("features.{index}"), x, Filter::new(1280, 1))
}

/// Convolution, `BatchNorm`, ReLU up to 6.
fn conv(b: &mut Builder, name: &str, x: ValueId, filter: Filter) -> Result<ValueId> {
    let x = b.conv(&format!("{name}.0"), x, filter)?;
    let x = b.batch_norm(&format!("{name}.1"), x)?;
    let relu6 = Unary::Clip { min: 0.0, max: 6.0 };
    b.unary(&format!("{name}.2"), relu6, x)
}

/// Widened, filtered by channel, narrowed without ReLU, and added to x if it has x's shape.
fn block(
    b: &mut Builder,
    name: &str,
    x: ValueId,
    factor: usize,
    out: usize,
    stride: usize,
) -> Result<ValueId> {
    let inputs = b.channels(x);
    let inner = inputs * factor;
    let mut layers = (0..).map(|i| format!("{name}.conv.{i}"));
    let mut layer = || layers.next().expect("the range has no end");
    let mut y = x;
    if factor != 1 {
        y = conv(b, &layer(), y, Filter::new(inner, 1))?;
    }
    let depthwise = Filter::new(inner, 3).stride(stride).groups(inner);
    y = conv(b, &layer(), y, depthwise)?;
    y = b.conv(&layer(), y, Filter::new(out, 1))?;
    y = b.batch_norm(&layer(), y)?;
    if stride == 1 && inputs == out {
        y = b.add(&format!("{name}.add"), x, y)?;
    }
    Ok(y)
}
