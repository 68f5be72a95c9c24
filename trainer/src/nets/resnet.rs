//! The networks of the ResNet family: torchvision's, IBN-a (Pan et al. 2018), SE (Hu et al. 2018), and the non-local blocks of
//! fast-reid.
//!
//! Sources of names and shapes: `torchvision/models/resnet.py`; `ibnnet/resnet_ibn.py` of
//! XingangPan/IBN-Net; `senet.py` of Cadene's pretrained-models; `fastreid/modeling/backbones/resnet.py`
//! and `fastreid/layers/non_local.py` of JDAI-CV/fast-reid.

use network::graph::{Op, Pool, ValueId};

use super::builder::{Builder, Filter};
use super::init::Init;
use super::{Spec, StemPool};
use crate::Result;

/// One of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResNet {
    pub(super) block: Block,
    /// Blocks in each stage.
    pub(super) depths: [usize; 4],
    /// Whether the first normalisation of a block, in the first three stages, goes by image for
    /// half of the channels.
    pub(super) ibn: bool,
}

/// What a stage is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Two 3 x 3 convolutions.
    Basic,
    /// 1 x 1, 3 x 3 (which has the step), 1 x 1 to four times the channels.
    Bottleneck,
    /// A bottleneck whose first convolution has the step, as in Caffe, and a gate.
    Se,
    /// A bottleneck with 3 x 3 in 32 groups of 4 channels at first, and a gate.
    SeNeXt,
}

impl Block {
    pub(super) fn has_gate(self) -> bool {
        matches!(self, Self::Se | Self::SeNeXt)
    }

    /// Channels of its result for each of its stage's.
    fn expansion(self) -> usize {
        if self == Self::Basic { 1 } else { 4 }
    }
}

/// What the squeeze of an SE block divides the channels by.
const REDUCTION: usize = 16;

impl ResNet {
    /// The feature map of `x`.
    pub(super) fn build(self, b: &mut Builder, spec: &Spec) -> Result<ValueId> {
        let mut x = self.stem(b, spec)?;
        let behind = match spec.non_local {
            true => self
                .non_local()
                .expect("`Spec::check` has refused other forms"),
            false => [0; 4],
        };
        let strides = [1, 2, 2, spec.last_stride];
        for (i, (blocks, stride)) in self.depths.into_iter().zip(strides).enumerate() {
            for j in 0..blocks {
                let at = BlockConfig {
                    name: format!("layer{}.{j}", i + 1),
                    channels: 64 << i,
                    stride: if j == 0 { stride } else { 1 },
                    ibn: self.ibn && i < 3,
                };
                x = self.residual(b, &at, x)?;
                if let Some(k) = (j + behind[i]).checked_sub(blocks) {
                    x = non_local(b, &format!("NL_{}.{k}", i + 1), x)?;
                }
            }
        }
        Ok(x)
    }

    /// Blocks at the end of each stage that fast-reid puts a non-local block behind; none if it
    /// has no such form.
    pub(super) fn non_local(self) -> Option<[usize; 4]> {
        match (self.block, self.depths) {
            (Block::Bottleneck, [3, 4, 6, 3]) => Some([0, 2, 3, 0]),
            (Block::Bottleneck, [3, 4, 23, 3]) => Some([0, 2, 9, 0]),
            _ => None,
        }
    }

    fn stem(self, b: &mut Builder, spec: &Spec) -> Result<ValueId> {
        let (prefix, pool) = if self.block.has_gate() {
            // Caffe's rounding, so that Caffe's weights could be used.
            ("layer0.", StemPool::Ceil)
        } else {
            ("", spec.stem_pool)
        };
        let image = b.input();
        let x = b.conv(
            &format!("{prefix}conv1"),
            image,
            Filter::new(64, 7).stride(2),
        )?;
        let mut x = b.batch_norm(&format!("{prefix}bn1"), x)?;
        if spec.stem_relu {
            x = b.relu(&format!("{prefix}relu"), x)?;
        }
        let pool = Pool {
            kernel: [3; 2],
            strides: [2; 2],
            pads: [usize::from(pool == StemPool::Padded); 4],
            ceil_mode: pool == StemPool::Ceil,
        };
        b.max_pool(&format!("{prefix}maxpool"), x, pool)
    }

    /// A block: `relu(layers(x) + x)`, with a projection of x where the shape changes.
    fn residual(self, b: &mut Builder, at: &BlockConfig, x: ValueId) -> Result<ValueId> {
        let named = |layer: &str| format!("{}.{layer}", at.name);
        let wide = at.channels * self.block.expansion();
        let basic = |out| Filter::new(out, 3);
        let filters = match self.block {
            Block::Basic => vec![basic(wide).stride(at.stride), basic(wide)],
            Block::Bottleneck => vec![
                Filter::new(at.channels, 1),
                basic(at.channels).stride(at.stride),
                Filter::new(wide, 1),
            ],
            Block::Se => vec![
                Filter::new(at.channels, 1).stride(at.stride),
                basic(at.channels),
                Filter::new(wide, 1),
            ],
            Block::SeNeXt => vec![
                Filter::new(2 * at.channels, 1),
                basic(2 * at.channels).stride(at.stride).groups(32),
                Filter::new(wide, 1),
            ],
        };
        let last = filters.len();
        let mut y = x;
        for (i, filter) in (1..).zip(filters) {
            y = b.conv(&named(&format!("conv{i}")), y, filter)?;
            let norm = named(&format!("bn{i}"));
            y = if i == 1 && at.ibn {
                ibn(b, &norm, y)?
            } else {
                b.batch_norm(&norm, y)?
            };
            if i < last {
                y = b.relu(&named(&format!("relu{i}")), y)?;
            }
        }
        if self.block.has_gate() {
            let gate = named("se_module");
            y = b.gate(&gate, &gate, y, wide / REDUCTION)?;
        }
        let mut same = x;
        if at.stride != 1 || b.channels(x) != wide {
            let projection = Filter::new(wide, 1).stride(at.stride);
            same = b.conv(&named("downsample.0"), x, projection)?;
            same = b.batch_norm(&named("downsample.1"), same)?;
        }
        let y = b.add(&named("add"), y, same)?;
        b.relu(&named("relu"), y)
    }
}

/// A block's place in the network.
struct BlockConfig {
    name: String,
    /// Of its stage, before expansion.
    channels: usize,
    stride: usize,
    ibn: bool,
}

/// The first half of the channels normalised by image, the second by batch.
fn ibn(b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
    let channels = b.channels(x);
    let half = channels / 2;
    let mut slice = |part: &str, start, end| {
        let op = Op::Slice {
            axis: 1,
            start,
            end,
            step: 1,
        };
        b.push(&format!("{name}.{part}"), op, &[x.into()])
    };
    let (first, second) = (slice("first", 0, half)?, slice("second", half, channels)?);
    let first = b.instance_norm(&format!("{name}.IN"), first)?;
    let second = b.batch_norm(&format!("{name}.BN"), second)?;
    b.push(name, Op::Concat { axis: 1 }, &[first.into(), second.into()])
}

/// `x + W(y)`, where y is for each pixel the mean over all pixels of `(theta . phi) g`.
///
/// The published block has one channel inside (`reduc_ratio // reduc_ratio`), so its matrix of
/// pixels by pixels is the product of a column and a row: `mean_j(theta_i phi_j g_j)` is `theta_i
/// mean_j(phi_j g_j)`, the same numbers without the matrix.
fn non_local(b: &mut Builder, name: &str, x: ValueId) -> Result<ValueId> {
    let named = |layer: &str| format!("{name}.{layer}");
    let one = Filter::new(1, 1).biased().init(Init::Torch(None));
    let g = b.conv(&named("g"), x, one)?;
    let theta = b.conv(&named("theta"), x, one)?;
    let phi = b.conv(&named("phi"), x, one)?;
    let y = b.mul(&named("phi_g"), phi, g)?;
    let y = b.global_average(&named("mean"), y)?;
    let y = b.mul(&named("y"), theta, y)?;
    let back = Filter::new(b.channels(x), 1)
        .biased()
        .init(Init::Torch(None));
    let y = b.conv(&named("W.0"), y, back)?;
    let y = b.batch_norm_from(&named("W.1"), y, 0.0)?;
    b.add(&named("add"), y, x)
}
