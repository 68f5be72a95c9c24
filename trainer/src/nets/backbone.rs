//! Names of the backbones and how each is built.

use std::fmt;
use std::str::FromStr;

use super::Backbone;
use super::osnet::OsNet;
use super::resnet::{Block, ResNet};
use crate::Error;

/// How a backbone is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    ResNet(ResNet),
    OsNet(OsNet),
    MobileNetV2,
    RepVggA0,
}

/// Names of the backbones.
const NAMES: [(Backbone, &str); 18] = [
    (Backbone::ResNet18, "resnet18"),
    (Backbone::ResNet34, "resnet34"),
    (Backbone::ResNet50, "resnet50"),
    (Backbone::ResNet101, "resnet101"),
    (Backbone::ResNet152, "resnet152"),
    (Backbone::ResNet18IbnA, "resnet18_ibn_a"),
    (Backbone::ResNet34IbnA, "resnet34_ibn_a"),
    (Backbone::ResNet50IbnA, "resnet50_ibn_a"),
    (Backbone::ResNet101IbnA, "resnet101_ibn_a"),
    (Backbone::SeResNet50, "se_resnet50"),
    (Backbone::SeResNeXt50, "se_resnext50"),
    (Backbone::OsNetX1_0, "osnet_x1_0"),
    (Backbone::OsNetX0_75, "osnet_x0_75"),
    (Backbone::OsNetX0_5, "osnet_x0_5"),
    (Backbone::OsNetX0_25, "osnet_x0_25"),
    (Backbone::OsNetIbnX1_0, "osnet_ibn_x1_0"),
    (Backbone::MobileNetV2, "mobilenet_v2"),
    (Backbone::RepVggA0, "repvgg_a0"),
];

impl Backbone {
    /// Every backbone.
    pub const ALL: [Self; NAMES.len()] = {
        let mut all = [Self::ResNet18; NAMES.len()];
        let mut at = 0;
        while at < NAMES.len() {
            all[at] = NAMES[at].0;
            at += 1;
        }
        all
    };

    /// Its name in recipes and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = NAMES.iter().find(|(backbone, _)| *backbone == self);
        named.expect("every backbone has a name").1
    }

    pub(super) fn family(self) -> Architecture {
        let resnet_of = |block, depths, ibn| Architecture::ResNet(ResNet { block, depths, ibn });
        let resnet = |block, depths| resnet_of(block, depths, false);
        let ibn = |block, depths| resnet_of(block, depths, true);
        let osnet = |channels, instance_norm| {
            Architecture::OsNet(OsNet {
                channels,
                instance_norm,
            })
        };
        match self {
            Self::ResNet18 => resnet(Block::Basic, [2, 2, 2, 2]),
            Self::ResNet34 => resnet(Block::Basic, [3, 4, 6, 3]),
            Self::ResNet50 => resnet(Block::Bottleneck, [3, 4, 6, 3]),
            Self::ResNet101 => resnet(Block::Bottleneck, [3, 4, 23, 3]),
            Self::ResNet152 => resnet(Block::Bottleneck, [3, 8, 36, 3]),
            Self::ResNet18IbnA => ibn(Block::Basic, [2, 2, 2, 2]),
            Self::ResNet34IbnA => ibn(Block::Basic, [3, 4, 6, 3]),
            Self::ResNet50IbnA => ibn(Block::Bottleneck, [3, 4, 6, 3]),
            Self::ResNet101IbnA => ibn(Block::Bottleneck, [3, 4, 23, 3]),
            Self::SeResNet50 => resnet(Block::Se, [3, 4, 6, 3]),
            Self::SeResNeXt50 => resnet(Block::SeNeXt, [3, 4, 6, 3]),
            Self::OsNetX1_0 => osnet([64, 256, 384, 512], false),
            Self::OsNetX0_75 => osnet([48, 192, 288, 384], false),
            Self::OsNetX0_5 => osnet([32, 128, 192, 256], false),
            Self::OsNetX0_25 => osnet([16, 64, 96, 128], false),
            Self::OsNetIbnX1_0 => osnet([64, 256, 384, 512], true),
            Self::MobileNetV2 => Architecture::MobileNetV2,
            Self::RepVggA0 => Architecture::RepVggA0,
        }
    }
}

impl fmt::Display for Backbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<Backbone> for &str {
    fn from(backbone: Backbone) -> Self {
        backbone.name()
    }
}

impl TryFrom<String> for Backbone {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl FromStr for Backbone {
    type Err = Error;

    /// # Errors
    /// [`Error::Argument`] with the nearest name, and all of them.
    fn from_str(text: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|net| net.name() == text);
        found.ok_or_else(|| {
            let near = |net: &Self| strsim::osa_distance(net.name(), text);
            let nearest = Self::ALL.into_iter().min_by_key(near);
            let nearest = nearest.map_or("", Self::name);
            let all = Self::ALL.map(Self::name).join(", ");
            Error::Argument(format!(
                "no network is called `{text}`; the nearest is `{nearest}`, all are {all}"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_and_the_command_line_use_one_name() {
        for net in Backbone::ALL {
            let recipe = serde_json::to_string(&net).unwrap();
            assert_eq!(recipe, format!("\"{net}\""));
            assert_eq!(net.name().parse::<Backbone>().unwrap(), net);
        }
        let names: std::collections::BTreeSet<_> = Backbone::ALL.map(Backbone::name).into();
        assert_eq!(names.len(), Backbone::ALL.len());
        let error = "resnet-50".parse::<Backbone>().unwrap_err().to_string();
        assert!(
            error.contains("nearest is `resnet50`, all are resnet18, "),
            "{error}"
        );
    }
}
