//! Finds the network that a file of weights belongs to, from the names and shapes of its tensors.
//!
//! Properties without a trace in the file (input size, last stride, a missing ReLU) are taken from the
//! naming family and listed in the notes.

use serde::Serialize;

use super::names::{Naming, NamingFamily};
use crate::checkpoint::NetInfo;
use crate::nets::{Backbone, Neck, Pooling, Spec, StemPool};
use crate::weights::WeightFile;
use crate::{Error, Result};

/// Settings of the user that override the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Which network, where shapes leave it open.
    pub backbone: Option<Backbone>,
    /// Height and width of the input.
    pub size: Option<[usize; 2]>,
    /// Step of the last stage.
    pub last_stride: Option<usize>,
    /// Whether a ReLU follows the first BatchNorm.
    pub stem_relu: Option<bool>,
    /// Prefix of the network's names, if the file holds several networks.
    pub prefix: Option<String>,
    /// Whether trained tensors without a parameter in the network are left out.
    pub drop_unused: bool,
}

/// A network that weights belong to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Deduced {
    /// The network.
    pub spec: Spec,
    /// Rows of its classifier; 1 if the file has no classifier.
    pub classes: usize,
    /// Assumptions, as text.
    pub notes: Vec<String>,
}

/// The tensors of a file by their names without what stands before them.
struct Names<'a> {
    weights: &'a WeightFile,
    naming: &'a Naming,
}

impl Names<'_> {
    /// The shape of a tensor of the head.
    fn head(&self, name: &str) -> Option<&[usize]> {
        let tensors = &self.weights.tensors;
        Some(tensors.get(&format!("{}{name}", self.naming.root))?.shape())
    }

    /// The shape of a tensor of the backbone.
    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.head(&format!("{}{name}", self.naming.backbone))
    }

    /// How many blocks `prefix` has: `prefix0.`, `prefix1.` ...
    fn blocks(&self, prefix: &str) -> usize {
        let prefix = format!("{}{}{prefix}", self.naming.root, self.naming.backbone);
        let names = self.weights.tensors.keys();
        let index = |name: &String| {
            let (index, _) = name.strip_prefix(&prefix)?.split_once('.')?;
            index.parse::<usize>().ok()
        };
        names.filter_map(index).max().map_or(0, |last| last + 1)
    }
}

/// The network of `weights`, by `naming`.
///
/// # Errors
/// [`Error::Argument`] with what was found if no network of ours has such weights and
/// `overrides` name none, or if there is no such network as they ask for.
pub fn spec_for(naming: &Naming, weights: &WeightFile, overrides: &Overrides) -> Result<Deduced> {
    let mut deduced = match naming.family {
        NamingFamily::Own => own(weights)?,
        _ => from_shapes(naming, weights, overrides.backbone)?,
    };
    let spec = &mut deduced.spec;
    spec.backbone = overrides.backbone.unwrap_or(spec.backbone);
    spec.size = overrides.size.unwrap_or(spec.size);
    spec.last_stride = overrides.last_stride.unwrap_or(spec.last_stride);
    spec.stem_relu = overrides.stem_relu.unwrap_or(spec.stem_relu);
    spec.check()?;
    Ok(deduced)
}

/// From our own metadata.
fn own(weights: &WeightFile) -> Result<Deduced> {
    let info = NetInfo::of(weights)?;
    let said = info.and_then(|info| Some((info.spec?, info.classes)));
    let (spec, classes) = said.ok_or_else(|| {
        Error::Argument(
            "these weights were trained on a network from an ONNX file, which they do not name: \
             the net.onnx of their run has it"
                .to_owned(),
        )
    })?;
    Ok(Deduced {
        spec,
        classes,
        notes: Vec::new(),
    })
}

fn from_shapes(naming: &Naming, weights: &WeightFile, known: Option<Backbone>) -> Result<Deduced> {
    let names = Names { weights, naming };
    let family = naming.family;
    let backbone = match known {
        Some(backbone) => backbone,
        None => backbone(&names).map_err(|found| {
            Error::Argument(format!(
                "no network of ours has the weights of this file ({}): {found}",
                family.name()
            ))
        })?,
    };
    let mut spec = Spec {
        backbone,
        ..Spec::default()
    };
    let mut notes = Vec::new();
    let resnet = names.shape("layer1.0.conv1.weight").is_some();
    let gated = names.shape("layer1.0.se_module.fc1.weight").is_some();
    spec.non_local = names.blocks("NL_2.") > 0;
    match family {
        NamingFamily::Own | NamingFamily::Torchvision => {}
        NamingFamily::StrongBaseline => {
            if names.head("bottleneck.weight").is_none() {
                spec.neck = Neck::None;
            }
            if names
                .head("gap.p")
                .or(names.head("global_pool.p"))
                .is_some()
            {
                spec.pooling = Pooling::Gem;
            }
            if resnet && !gated && names.shape("layer1.0.bn1.IN.weight").is_none() {
                // Only the paper's code has this prefix, and it has no ReLU.
                spec.stem_relu = !naming.backbone.ends_with("base.");
                notes.push(
                    match spec.stem_relu {
                        false => {
                            "no ReLU after the first BatchNorm, as in the paper's code (--stem-relu \
                             true if these weights were trained with one)"
                        }
                        true => {
                            "a ReLU after the first BatchNorm, as in torchvision (--stem-relu false \
                             if these weights were trained without it)"
                        }
                    }
                    .to_owned(),
                );
            }
        }
        NamingFamily::FastReid => {
            let first = names.head("heads.bottleneck.0.weight");
            if embeds(naming, weights) {
                spec.dim = first.map_or(0, |shape| shape[0]);
            }
            let second = (names.head("heads.bottleneck.1.weight")).filter(|_| spec.dim > 0);
            let first = first.filter(|_| spec.dim == 0);
            if (first.or(second).or(names.head("heads.bnneck.weight"))).is_none() {
                spec.neck = Neck::None;
            }
            if names.head("heads.pool_layer.p").is_some() {
                spec.pooling = Pooling::Gem;
            } else {
                notes.push(
                    "pooling is the mean: a GeM without trained p leaves no trace".to_owned(),
                );
            }
            if resnet {
                spec.stem_pool = StemPool::Ceil;
            }
            notes.push(
                "the classifier is taken for a plain linear one; circle and cosine losses \
                 normalise it"
                    .to_owned(),
            );
        }
        NamingFamily::Torchreid => match names.head("fc.0.weight") {
            Some(&[dim, _]) => {
                spec.neck = Neck::Fc;
                spec.dim = dim;
            }
            _ => {
                spec.neck = Neck::None;
                if resnet {
                    spec.last_stride = 2;
                    notes.push("last stride 2, as torchreid's resnet50 has".to_owned());
                }
            }
        },
    }
    if !(naming.root.is_empty() && naming.backbone.is_empty()) {
        let (root, backbone) = (&naming.root, &naming.backbone);
        notes.push(format!(
            "the network lies behind `{root}`, its backbone behind `{root}{backbone}`"
        ));
    }
    if family != NamingFamily::Torchvision {
        let [height, width] = spec.size;
        notes.push(format!(
            "input of {height} x {width}{}",
            if family == NamingFamily::FastReid {
                "; SBS has --size 384x128"
            } else {
                ""
            }
        ));
    }
    let classifier = family.classifier().iter().find_map(|name| names.head(name));
    let classes = classifier.and_then(|shape| shape.first().copied());
    Ok(Deduced {
        spec,
        classes: classes.unwrap_or(1),
        notes,
    })
}

/// Whether this is fast-reid's head, with a 1 x 1 convolution before its neck.
pub(super) fn embeds(naming: &Naming, weights: &WeightFile) -> bool {
    let name = format!("{}heads.bottleneck.0.weight", naming.root);
    let weight = weights.tensors.get(&name);
    naming.family == NamingFamily::FastReid
        && weight.is_some_and(|weight| weight.shape().len() == 4)
}

/// The backbone, or what was found instead.
fn backbone(names: &Names<'_>) -> Result<Backbone, String> {
    if let Some(&[channels, _, 7, 7]) = names.shape("conv1.conv.weight") {
        let instance = names.shape("conv1.bn.running_mean").is_none();
        return match (channels, instance) {
            _ if names.blocks("conv2.") == 0
                || names.shape("conv2.0.conv2a.conv1.weight").is_none() =>
            {
                Err("an OSNet of another form, perhaps osnet_ain".to_owned())
            }
            (64, false) => Ok(Backbone::OsNetX1_0),
            (48, false) => Ok(Backbone::OsNetX0_75),
            (32, false) => Ok(Backbone::OsNetX0_5),
            (16, false) => Ok(Backbone::OsNetX0_25),
            (64, true) => Ok(Backbone::OsNetIbnX1_0),
            (channels, _) => Err(format!("an OSNet of {channels} channels")),
        };
    }
    if let Some(shape) = names.shape("stage0.rbr_dense.conv.weight") {
        let last = names.shape("stage4.0.rbr_dense.conv.weight");
        let widths = (shape.first(), last.and_then(|shape| shape.first()));
        return match widths {
            (Some(48), Some(1280)) => Ok(Backbone::RepVggA0),
            widths => Err(format!("a RepVGG of widths {widths:?}, not A0")),
        };
    }
    if names.shape("features.0.0.weight").is_some() {
        return match names.shape("features.18.0.weight") {
            Some(&[1280, 320, 1, 1]) => Ok(Backbone::MobileNetV2),
            found => Err(format!("a MobileNet whose last filter is {found:?}")),
        };
    }
    let Some(first) = names.shape("layer1.0.conv2.weight") else {
        return Err("neither ResNet, OSNet, MobileNetV2 nor RepVGG".to_owned());
    };
    let blocks = [1, 2, 3, 4].map(|stage| names.blocks(&format!("layer{stage}.")));
    let bottleneck = names.shape("layer1.0.conv3.weight").is_some();
    let gated = names.shape("layer1.0.se_module.fc1.weight").is_some();
    let ibn = names.shape("layer1.0.bn1.IN.weight").is_some();
    let image = names.shape("bn1.weight").is_some() && names.shape("bn1.running_mean").is_none();
    let found = match (first, blocks, bottleneck, gated, ibn) {
        _ if image => None,
        ([64, 64, 3, 3], [2, 2, 2, 2], false, false, false) => Some(Backbone::ResNet18),
        ([64, 64, 3, 3], [2, 2, 2, 2], false, false, true) => Some(Backbone::ResNet18IbnA),
        ([64, 64, 3, 3], [3, 4, 6, 3], false, false, false) => Some(Backbone::ResNet34),
        ([64, 64, 3, 3], [3, 4, 6, 3], false, false, true) => Some(Backbone::ResNet34IbnA),
        ([64, 64, 3, 3], [3, 4, 6, 3], true, false, false) => Some(Backbone::ResNet50),
        ([64, 64, 3, 3], [3, 4, 6, 3], true, false, true) => Some(Backbone::ResNet50IbnA),
        ([64, 64, 3, 3], [3, 4, 23, 3], true, false, false) => Some(Backbone::ResNet101),
        ([64, 64, 3, 3], [3, 4, 23, 3], true, false, true) => Some(Backbone::ResNet101IbnA),
        ([64, 64, 3, 3], [3, 8, 36, 3], true, false, false) => Some(Backbone::ResNet152),
        ([64, 64, 3, 3], [3, 4, 6, 3], true, true, false) => Some(Backbone::SeResNet50),
        ([128, 4, 3, 3], [3, 4, 6, 3], true, true, false) => Some(Backbone::SeResNeXt50),
        _ => None,
    };
    found.ok_or_else(|| {
        let forms = [
            (bottleneck, "bottlenecks"),
            (gated, "SE"),
            (ibn, "IBN-a"),
            (image, "IBN-b"),
        ];
        let forms = forms.iter().filter(|(has, _)| *has).map(|(_, form)| *form);
        let forms: Vec<&str> = forms.collect();
        format!(
            "a ResNet of {blocks:?} blocks, first {first:?} ({})",
            forms.join(", ")
        )
    })
}
