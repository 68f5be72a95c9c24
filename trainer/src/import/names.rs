//! What others call the parameters of our networks.
//!
//! | family | backbone | neck and classifier |
//! |---|---|---|
//! | torchvision, Cadene's SE forms, RepVGG | as ours | ImageNet's classifier, left away |
//! | `michuanhaohao/reid-strong-baseline`, the paper's code | `base.` | as ours |
//! | `JDAI-CV/fast-reid` | `backbone.` | `heads.` |
//! | `KaiyangZhou/deep-person-reid` (torchreid) | as ours | as ours |
//!
//! All of it may stand behind `module.` and the like, which wrappers of PyTorch add.

use serde::Serialize;

use crate::checkpoint;
use crate::weights::Weights;

/// Whose names a file uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Those of this project.
    Own,
    /// torchvision, and those who name like it: Cadene's SE forms, RepVGG.
    Torchvision,
    /// The paper's code.
    StrongBaseline,
    /// fast-reid.
    FastReid,
    /// torchreid.
    Torchreid,
}

/// Where a tensor of theirs goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Our name.
    Ours(String),
    /// Why it goes nowhere.
    Ignored(&'static str),
}

/// What wrappers of PyTorch put before all names.
const WRAPPERS: [&str; 4] = ["module.", "_orig_mod.", "model.", "net."];

/// What all names of `weights` begin with that no network has.
pub(super) fn wrapper(weights: &Weights) -> &str {
    let Some(first) = weights.tensors.keys().next() else {
        return "";
    };
    let mut length = 0;
    while let Some(more) = WRAPPERS.iter().find(|w| first[length..].starts_with(**w)) {
        let longer = &first[..length + more.len()];
        if !weights.tensors.keys().all(|name| name.starts_with(longer)) {
            break;
        }
        length = longer.len();
    }
    &first[..length]
}

/// Whose names `weights` use; none if nobody's that is known.
#[must_use]
pub fn recognise(weights: &Weights) -> Option<Family> {
    if checkpoint::is_ours(weights) {
        return Some(Family::Own);
    }
    let wrapper = wrapper(weights);
    let has = |name: &str| weights.tensors.contains_key(&format!("{wrapper}{name}"));
    let any = |prefix: &str| {
        let mut names = weights.tensors.keys();
        names.any(|name| name[wrapper.len()..].starts_with(prefix))
    };
    let known = ["conv1.weight", "layer0.conv1.weight", "features.0.0.weight"];
    if any("backbone.") {
        Some(Family::FastReid)
    } else if any("base.") {
        Some(Family::StrongBaseline)
    } else if has("conv1.conv.weight") {
        Some(Family::Torchreid)
    } else if known.into_iter().any(has) || has("stage0.rbr_dense.conv.weight") {
        // torchvision's MobileNetV2 has a classifier too, one layer deeper.
        let torchreid = has("classifier.weight") || has("fc.0.weight");
        Some(if torchreid {
            Family::Torchreid
        } else {
            Family::Torchvision
        })
    } else {
        None
    }
}

impl Family {
    /// What it is called, for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "reid",
            Self::Torchvision => "torchvision",
            Self::StrongBaseline => "strong-baseline",
            Self::FastReid => "fast-reid",
            Self::Torchreid => "torchreid",
        }
    }

    /// Where `name`, without the wrapper, goes. `embeds` says whether fast-reid's head has an
    /// embedding before its neck.
    pub(super) fn place(self, name: &str, embeds: bool) -> Place {
        let under = |prefix: &str| name.strip_prefix(prefix);
        if name.ends_with("num_batches_tracked") {
            return Place::Ignored("counts batches, which nothing reads");
        }
        let ours = match self {
            Self::Own | Self::Torchreid => name.to_owned(),
            Self::Torchvision => {
                let heads = ["fc.", "last_linear.", "linear.", "classifier."];
                if heads.iter().any(|head| name.starts_with(head)) {
                    return Place::Ignored("classifies ImageNet");
                }
                name.to_owned()
            }
            Self::StrongBaseline => match (under("base."), name) {
                (Some(inner), _)
                    if inner.starts_with("fc.") || inner.starts_with("last_linear.") =>
                {
                    return Place::Ignored("classifies ImageNet");
                }
                (Some(inner), _) => inner.to_owned(),
                (None, "gap.p" | "global_pool.p") => "pool.p".to_owned(),
                (None, other) => other.to_owned(),
            },
            Self::FastReid => {
                let neck = under("heads.bnneck.").or(under("heads.bottleneck.1."));
                match (under("backbone."), under("heads.bottleneck.0."), neck, name) {
                    (.., "pixel_mean" | "pixel_std") => {
                        return Place::Ignored("pre-processing, kept as metadata");
                    }
                    (.., "heads.pool_layer.p") => "pool.p".to_owned(),
                    (.., "heads.weight" | "heads.classifier.weight") => {
                        "classifier.weight".to_owned()
                    }
                    (Some(inner), ..) => inner.to_owned(),
                    (_, Some(inner), ..) if embeds => format!("embedding.{inner}"),
                    (_, Some(inner), ..) | (_, _, Some(inner), _) => format!("bottleneck.{inner}"),
                    _ => name.to_owned(),
                }
            }
        };
        Place::Ours(ours)
    }

    /// The name of the classifier's weight.
    pub(super) fn classifier(self) -> &'static [&'static str] {
        match self {
            Self::Torchvision => &[],
            Self::FastReid => &["heads.weight", "heads.classifier.weight"],
            _ => &["classifier.weight"],
        }
    }

    /// What stands before the names of the backbone.
    pub(super) fn backbone(self) -> &'static str {
        match self {
            Self::StrongBaseline => "base.",
            Self::FastReid => "backbone.",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use kernels::tensor::Tensor;

    use super::*;

    fn weights(names: &[&str]) -> Weights {
        let tensors = names.iter();
        Weights {
            tensors: tensors
                .map(|name| ((*name).to_owned(), Tensor::scalar(1.0)))
                .collect(),
            ..Weights::default()
        }
    }

    #[test]
    fn families_are_known_by_their_names() {
        use Family::{FastReid, StrongBaseline, Torchreid, Torchvision};
        for (names, wanted, prefix) in [
            (&["conv1.weight", "fc.weight"][..], Some(Torchvision), ""),
            (
                &["layer0.conv1.weight", "last_linear.bias"],
                Some(Torchvision),
                "",
            ),
            (
                &["features.0.0.weight", "classifier.1.weight"],
                Some(Torchvision),
                "",
            ),
            (&["stage0.rbr_dense.conv.weight"], Some(Torchvision), ""),
            (
                &["base.conv1.weight", "bottleneck.weight"],
                Some(StrongBaseline),
                "",
            ),
            (
                &["module.base.conv1.weight"],
                Some(StrongBaseline),
                "module.",
            ),
            (
                &["backbone.conv1.weight", "heads.weight"],
                Some(FastReid),
                "",
            ),
            (
                &["model.backbone.conv1.weight", "model.pixel_mean"],
                Some(FastReid),
                "model.",
            ),
            (
                &["module.model.conv1.conv.weight"],
                Some(Torchreid),
                "module.model.",
            ),
            (&["conv1.weight", "classifier.weight"], Some(Torchreid), ""),
            (&["conv1.weight", "fc.0.weight"], Some(Torchreid), ""),
            (&["module.conv1.weight", "other"], None, ""),
            (&["patch_embed.proj.weight"], None, ""),
            (&[], None, ""),
        ] {
            let weights = weights(names);
            assert_eq!(recognise(&weights), wanted, "{names:?}");
            assert_eq!(wrapper(&weights), prefix, "{names:?}");
        }
    }

    #[test]
    fn every_tensor_has_its_place() {
        use Family::{FastReid, StrongBaseline, Torchreid, Torchvision};
        let ours = |name: &str| Place::Ours(name.to_owned());
        for (family, theirs, embeds, wanted) in [
            (
                Torchvision,
                "layer1.0.bn1.running_var",
                false,
                ours("layer1.0.bn1.running_var"),
            ),
            (
                Torchvision,
                "fc.weight",
                false,
                Place::Ignored("classifies ImageNet"),
            ),
            (
                Torchvision,
                "bn1.num_batches_tracked",
                false,
                Place::Ignored("counts batches, which nothing reads"),
            ),
            (
                StrongBaseline,
                "base.layer4.2.conv3.weight",
                false,
                ours("layer4.2.conv3.weight"),
            ),
            (
                StrongBaseline,
                "bottleneck.bias",
                false,
                ours("bottleneck.bias"),
            ),
            (
                StrongBaseline,
                "base.last_linear.bias",
                false,
                Place::Ignored("classifies ImageNet"),
            ),
            (
                FastReid,
                "backbone.NL_2.0.W.1.weight",
                false,
                ours("NL_2.0.W.1.weight"),
            ),
            (
                FastReid,
                "heads.bottleneck.0.running_mean",
                false,
                ours("bottleneck.running_mean"),
            ),
            (
                FastReid,
                "heads.bottleneck.0.weight",
                true,
                ours("embedding.weight"),
            ),
            (
                FastReid,
                "heads.bottleneck.1.bias",
                true,
                ours("bottleneck.bias"),
            ),
            (
                FastReid,
                "heads.bnneck.bias",
                false,
                ours("bottleneck.bias"),
            ),
            (FastReid, "heads.weight", false, ours("classifier.weight")),
            (
                FastReid,
                "heads.classifier.weight",
                false,
                ours("classifier.weight"),
            ),
            (FastReid, "heads.pool_layer.p", false, ours("pool.p")),
            (
                FastReid,
                "pixel_std",
                false,
                Place::Ignored("pre-processing, kept as metadata"),
            ),
            (
                Torchreid,
                "fc.1.running_mean",
                false,
                ours("fc.1.running_mean"),
            ),
        ] {
            assert_eq!(family.place(theirs, embeds), wanted, "{theirs}");
        }
    }
}
