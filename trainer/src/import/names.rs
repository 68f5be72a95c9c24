//! Naming schemes of published weights.
//!
//! | family | backbone | neck and classifier |
//! |---|---|---|
//! | torchvision, Cadene's SE networks, RepVGG | as ours | ImageNet classifier, removed |
//! | `michuanhaohao/reid-strong-baseline`, the paper's code | `base.` | as ours |
//! | `JDAI-CV/fast-reid` | `backbone.` | `heads.` |
//! | `KaiyangZhou/deep-person-reid` (torchreid) | as ours | as ours |
//!
//! Any prefix may precede the names: the first convolution ([`STEMS`]) locates the network, neck and
//! classifier decide the family.

use network::tensor::Tensor;
use serde::Serialize;

use crate::checkpoint;
use crate::weights::WeightFile;
use crate::{Error, Result};

/// A naming scheme of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamingFamily {
    /// This project.
    Own,
    /// torchvision, Cadene's SE networks, RepVGG.
    Torchvision,
    /// The paper's code.
    StrongBaseline,
    /// fast-reid.
    FastReid,
    /// torchreid.
    Torchreid,
}

/// The place of a tensor of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NamePlace {
    /// Our name, whether the network has it or not.
    Ours(String),
    /// Not needed, and why.
    Ignored(&'static str),
    /// Outside of the network.
    None,
}

/// Naming scheme and prefixes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// The scheme.
    pub family: NamingFamily,
    /// Prefix of the whole network, for example `module.`; may be empty.
    pub root: String,
    /// Prefix of the backbone after `root`, for example `base.`; may be empty.
    pub backbone: String,
    /// Prefix chosen by the user among several networks.
    chosen: Option<String>,
}

/// Suffix of the batch count of PyTorch's BatchNorms.
pub(super) const COUNTS: &str = "num_batches_tracked";

/// The first convolution of each kind of network, which is the only one that reads three planes.
/// `layer0.conv1.weight` comes before the shorter name that it ends in.
const STEMS: [&str; 5] = [
    "layer0.conv1.weight",
    "conv1.weight",
    "conv1.conv.weight",
    "features.0.0.weight",
    "stage0.rbr_dense.conv.weight",
];

/// Naming scheme and prefix of `weights`. `chosen` is a prefix, for files with several networks.
///
/// # Errors
/// [`Error::Argument`] if there is no network that is known here, or more than one.
pub fn recognise(weights: &WeightFile, chosen: Option<&str>) -> Result<Naming> {
    let chosen = chosen.map(|prefix| match prefix {
        "" => String::new(),
        prefix => format!("{}.", prefix.trim_end_matches('.')),
    });
    if checkpoint::is_ours(weights) {
        return Ok(Naming {
            family: NamingFamily::Own,
            root: chosen.clone().unwrap_or_default(),
            backbone: String::new(),
            chosen,
        });
    }
    let mut found: Vec<&str> = (weights.tensors.iter())
        .filter(|(_, tensor)| matches!(tensor.shape(), [_, 3, _, _]))
        .filter_map(|(name, _)| STEMS.iter().find_map(|stem| behind(name, stem)))
        .filter(|prefix| prefix.starts_with(chosen.as_deref().unwrap_or_default()))
        .collect();
    found.sort_unstable();
    found.dedup();
    match found[..] {
        [prefix] => Ok(naming(weights, prefix, chosen)),
        [] => {
            let first = weights.tensors.keys().next().map_or("", String::as_str);
            let below = chosen.map_or(String::new(), |prefix| format!(" behind `{prefix}`"));
            Err(Error::Argument(format!(
                "no known network{below}, neither ResNet, OSNet, MobileNetV2 nor RepVGG \
                 (the first tensor is `{first}`); `trainer import --list` shows all"
            )))
        }
        _ => {
            let found: Vec<String> = found.iter().map(|prefix| format!("`{prefix}`")).collect();
            Err(Error::Argument(format!(
                "it holds {} networks, behind the prefixes {}: choose one with --prefix (`trainer \
                 import`, `trainer export`)",
                found.len(),
                found.join(", ")
            )))
        }
    }
}

/// What stands before `end` in `name`, if it is nothing or ends in a dot.
fn behind<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let prefix = name.strip_suffix(end)?;
    (prefix.is_empty() || prefix.ends_with('.')).then_some(prefix)
}

/// The naming of the backbone with this prefix, by the names of neck and classifier.
fn naming(weights: &WeightFile, prefix: &str, chosen: Option<String>) -> Naming {
    let has = |root: &str, name: &str| weights.tensors.contains_key(&format!("{root}{name}"));
    let any = |begin: &str| weights.tensors.keys().any(|name| name.starts_with(begin));
    let of = |family, root: &str| Naming {
        family,
        root: root.to_owned(),
        backbone: prefix[root.len()..].to_owned(),
        chosen: chosen.clone(),
    };
    // Prefixes of the prefix, the longest first; a chosen one is the shortest.
    let least = chosen.as_ref().map_or(0, String::len);
    let cuts = prefix.match_indices('.').map(|(at, _)| at + 1);
    let mut around: Vec<&str> = std::iter::once(0)
        .chain(cuts)
        .filter(|&at| at >= least && at < prefix.len())
        .map(|at| &prefix[..at])
        .collect();
    around.reverse();
    let around = |name: &str| around.iter().copied().find(|root| has(root, name));
    let parent = around_of(prefix, least);

    // fast-reid's own parts, which no other code has.
    let fast_reid = parent
        .filter(|_| prefix.ends_with("backbone."))
        .filter(|root| {
            any(&format!("{root}heads.")) || has(root, "pixel_mean") || any(&format!("{prefix}NL_"))
        });
    if let Some(root) = fast_reid {
        return of(NamingFamily::FastReid, root);
    }
    // torchreid's layer before the embedding is part of the network that stands behind the prefix.
    if has(prefix, "fc.0.weight") {
        return of(NamingFamily::Torchreid, prefix);
    }
    if let Some(root) = around("bottleneck.weight") {
        return of(NamingFamily::StrongBaseline, root);
    }
    if has(prefix, "bottleneck.weight") {
        return of(NamingFamily::StrongBaseline, prefix);
    }
    if has(prefix, "classifier.weight") || has(prefix, "conv1.conv.weight") {
        return of(NamingFamily::Torchreid, prefix);
    }
    let base = parent.filter(|_| prefix.ends_with("base."));
    if let Some(root) = base.or_else(|| around("classifier.weight")) {
        return of(NamingFamily::StrongBaseline, root);
    }
    of(NamingFamily::Torchvision, prefix)
}

/// `prefix` without its last part, if that is not shorter than `least`.
fn around_of(prefix: &str, least: usize) -> Option<&str> {
    let whole = prefix.strip_suffix('.')?;
    let root = &prefix[..whole.rfind('.').map_or(0, |at| at + 1)];
    (root.len() >= least).then_some(root)
}

impl Naming {
    /// The place of the tensor `name`. `embeds`: fast-reid's head has an embedding before its neck.
    pub(super) fn place(&self, name: &str, embeds: bool) -> NamePlace {
        if let Some(chosen) = &self.chosen
            && !name.starts_with(chosen.as_str())
        {
            return NamePlace::Ignored("not below the chosen prefix");
        }
        match name.strip_prefix(self.root.as_str()) {
            Some(name) => self.family.place(name, &self.backbone, embeds),
            None => NamePlace::None,
        }
    }
}

impl NamingFamily {
    /// Its name in messages.
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

    /// The place of `name`, without the root; names of the backbone have the prefix `backbone`.
    fn place(self, name: &str, backbone: &str, embeds: bool) -> NamePlace {
        if name.ends_with(COUNTS) {
            return NamePlace::Ignored("a batch count, which is not used");
        }
        let under = |prefix: &str| name.strip_prefix(prefix);
        let inner = under(backbone);
        if let Some(inner) = inner.filter(|_| !backbone.is_empty()) {
            // Heads of the backbone's own are not those of the network around it.
            return match is_head(inner) {
                true => NamePlace::None,
                false => NamePlace::Ours(inner.to_owned()),
            };
        }
        let ours = match self {
            Self::StrongBaseline if matches!(name, "gap.p" | "global_pool.p") => {
                "pool.p".to_owned()
            }
            Self::Own | Self::Torchreid | Self::Torchvision | Self::StrongBaseline => {
                name.to_owned()
            }
            Self::FastReid => {
                let neck = under("heads.bnneck.").or(under("heads.bottleneck.1."));
                match (under("heads.bottleneck.0."), neck, name) {
                    (.., "pixel_mean" | "pixel_std") => {
                        return NamePlace::Ignored("pre-processing, kept as metadata");
                    }
                    (.., "heads.pool_layer.p") => "pool.p".to_owned(),
                    (.., "heads.weight" | "heads.classifier.weight") => {
                        "classifier.weight".to_owned()
                    }
                    (Some(inner), ..) if embeds => format!("embedding.{inner}"),
                    (Some(inner), ..) | (_, Some(inner), _) => format!("bottleneck.{inner}"),
                    _ => name.to_owned(),
                }
            }
        };
        // Beside a backbone with a prefix there are heads alone.
        match backbone.is_empty() || is_head(&ours) {
            true => NamePlace::Ours(ours),
            false => NamePlace::None,
        }
    }

    /// The name of the classifier's weight.
    pub(super) fn classifier(self) -> &'static [&'static str] {
        match self {
            Self::Torchvision => &[],
            Self::FastReid => &["heads.weight", "heads.classifier.weight"],
            _ => &["classifier.weight"],
        }
    }
}

/// Prefixes of the heads, which a file may lack or have for other persons.
const HEADS: [&str; 6] = [
    "bottleneck.",
    "classifier.",
    "fc.",
    "embedding.",
    "pool.",
    "parts.",
];

/// Whether our name `name` is that of a parameter behind the feature map.
pub(super) fn is_head(name: &str) -> bool {
    HEADS.iter().any(|head| name.starts_with(head))
}

/// Why a tensor without a parameter is not needed; none if it may be part of the trained network.
pub(super) fn harmless(weights: &WeightFile, name: &str, tensor: &Tensor) -> Option<&'static str> {
    if tensor.as_f32().is_none() {
        return Some("integers, which no layer uses");
    }
    if let Some(reason) = of_training(name) {
        return Some(reason);
    }
    let parts: Vec<&str> = name.split('.').collect();
    if let [
        ..,
        "fc" | "last_linear" | "linear" | "classifier",
        "weight" | "bias",
    ] = parts[..]
        && tensor.shape().first() == Some(&1000)
    {
        return Some("the classifier of ImageNet");
    }
    let at = parts.iter().position(|part| part.contains("classifier"))?;
    let group = format!("{}.", parts[..=at].join("."));
    is_classifier(weights, &group).then_some("a classifier, which embeddings do not use")
}

/// Why the object `name` belongs to the training only, if it does.
pub(super) fn of_training(name: &str) -> Option<&'static str> {
    name.split('.').find_map(|part| {
        let part = part.to_ascii_lowercase();
        let has = |text: &str| part.contains(text);
        let begins = |begin: &str| part.starts_with(begin);
        let ends = |end: &str| part.ends_with(end);
        if has("optim") || has("scheduler") {
            Some("state of the training")
        } else if has("criterion") || begins("loss") || ends("loss") || part == "centers" {
            Some("part of a loss, which only the training needs")
        } else {
            None
        }
    })
}

/// Whether the tensors below `group` are parallel linear layers. Consecutive layers may contain the
/// embedding.
fn is_classifier(weights: &WeightFile, group: &str) -> bool {
    let mut inputs = None;
    let behind = weights.tensors.range(group.to_owned()..);
    let mut behind = behind.take_while(|(name, _)| name.starts_with(group));
    behind.all(|(name, tensor)| {
        let parts: Vec<&str> = name[group.len()..].split('.').collect();
        let numbered = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leaf = match parts[..] {
            [leaf] => leaf,
            [number, leaf] if numbered(number) => leaf,
            _ => return false,
        };
        match (leaf, tensor.shape()) {
            ("weight", &[_, extent]) => *inputs.get_or_insert(extent) == extent,
            ("bias", [_]) => true,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests;
