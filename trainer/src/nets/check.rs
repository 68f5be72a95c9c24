//! Checks which networks a [`Spec`] may describe.

use super::backbone::Architecture;
use super::{Neck, Spec, StemPool};
use crate::{Error, Result};

/// Smallest height and width: every backbone halves them five times.
const SMALLEST: usize = 32;

impl Spec {
    /// Whether there is such a network.
    ///
    /// # Errors
    /// [`Error::Argument`] with the key, what it is and what it may be.
    pub fn check(&self) -> Result<()> {
        let net = self.backbone;
        let family = net.family();
        let ([height, width], stride) = (self.size, self.last_stride);
        let resnet = match family {
            Architecture::ResNet(resnet) => Some(resnet),
            Architecture::OsNet(_) | Architecture::MobileNetV2 | Architecture::RepVggA0 => None,
        };
        let plain = resnet.filter(|resnet| !resnet.block.has_gate());
        ensure(height >= SMALLEST && width >= SMALLEST, || {
            format!("size is {height} x {width}, wanted at least {SMALLEST} x {SMALLEST}")
        })?;
        ensure(matches!(stride, 1 | 2), || {
            format!("last_stride is {stride}, wanted 1 or 2")
        })?;
        ensure(
            stride == 1 || !matches!(family, Architecture::OsNet(_)),
            || {
                format!(
                    "last_stride is 2, but the last stage of {net} has step 1 and no other form"
                )
            },
        )?;
        ensure(self.stem_relu || plain.is_some(), || {
            format!("stem_relu is false, but {net} has no such form: the ResNets without SE have")
        })?;
        ensure(
            self.stem_pool == StemPool::Padded || resnet.is_some(),
            || format!("stem_pool is ceil, but {net} has no such form: the ResNets have"),
        )?;
        let blocks = plain.and_then(super::resnet::ResNet::non_local);
        ensure(!self.non_local || blocks.is_some(), || {
            format!(
                "non_local is true, but {net} has no such form: resnet50, resnet101 and their \
                 IBN-a forms have"
            )
        })?;
        ensure(self.parts >= 1, || {
            "parts is 0, wanted at least 1".to_owned()
        })?;
        ensure(self.parts == 1 || self.neck != Neck::Fc, || {
            let parts = self.parts;
            format!(
                "parts is {parts}, but the neck fc is one for the whole image: wanted bnneck or none"
            )
        })?;
        ensure(self.dim > 0 || self.neck != Neck::Fc, || {
            "dim is 0, but the neck fc computes dim numbers: torchreid's has 512".to_owned()
        })
    }

    /// Whether the map that the backbone computes can be cut into stripes.
    pub(super) fn check_parts(&self, height: usize) -> Result<()> {
        let parts = self.parts;
        ensure(height.is_multiple_of(parts), || {
            let possible: Vec<String> = (1..=height)
                .filter(|&parts| height.is_multiple_of(parts))
                .map(|parts| parts.to_string())
                .collect();
            format!(
                "parts is {parts}, but the last stage of {} has {height} rows for an image of \
                 {}: wanted one of {}",
                self.backbone,
                self.size[0],
                possible.join(", ")
            )
        })
    }
}

fn ensure(holds: bool, reason: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::Argument(format!("model: {}", reason())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Backbone, Pooling, blank};
    use super::*;

    #[test]
    fn impossible_nets_say_what_is_possible() {
        let spec = Spec {
            size: [64, 32],
            ..Spec::default()
        };
        let osnet = Spec {
            backbone: Backbone::OsNetX0_25,
            ..spec.clone()
        };
        let on = |backbone| Spec {
            backbone,
            ..spec.clone()
        };
        let cases = [
            (
                "small",
                Spec {
                    size: [64, 31],
                    ..spec.clone()
                },
                "64 x 31, wanted at least 32 x 32",
            ),
            (
                "step 0",
                Spec {
                    last_stride: 0,
                    ..spec.clone()
                },
                "last_stride is 0, wanted 1 or 2",
            ),
            (
                "step of OSNet",
                Spec {
                    last_stride: 2,
                    ..osnet.clone()
                },
                "osnet_x0_25 has step 1",
            ),
            (
                "stem of OSNet",
                Spec {
                    stem_relu: false,
                    ..osnet.clone()
                },
                "without SE have",
            ),
            (
                "stem of SE",
                Spec {
                    stem_relu: false,
                    ..on(Backbone::SeResNet50)
                },
                "without SE",
            ),
            (
                "pool of OSNet",
                Spec {
                    stem_pool: StemPool::Ceil,
                    ..osnet
                },
                "the ResNets have",
            ),
            (
                "non-local 18",
                Spec {
                    non_local: true,
                    ..on(Backbone::ResNet18)
                },
                "resnet18 has no",
            ),
            (
                "non-local SE",
                Spec {
                    non_local: true,
                    ..on(Backbone::SeResNet50)
                },
                "resnet50, resn",
            ),
            (
                "no parts",
                Spec {
                    parts: 0,
                    ..spec.clone()
                },
                "parts is 0, wanted at least 1",
            ),
            (
                "fc parts",
                Spec {
                    parts: 2,
                    neck: Neck::Fc,
                    dim: 8,
                    ..spec.clone()
                },
                "bnneck or none",
            ),
            (
                "fc without dim",
                Spec {
                    neck: Neck::Fc,
                    ..spec.clone()
                },
                "torchreid's has 512",
            ),
            (
                "3 of 4 rows",
                Spec {
                    parts: 3,
                    ..spec.clone()
                },
                "4 rows for an image of 64: wanted one of 1, 2, 4",
            ),
        ];
        for (name, spec, wanted) in cases {
            let error = blank(&spec, 2).map(drop).unwrap_err().to_string();
            assert!(error.contains(wanted), "{name}: {error}");
        }
        assert!(
            blank(&spec, 0)
                .unwrap_err()
                .to_string()
                .contains("at least 1")
        );
        blank(&spec, 1).unwrap();
    }

    #[test]
    fn whatever_passes_the_check_can_be_built() {
        // Stripes beside: they depend on the rows of the last stage.
        for backbone in Backbone::ALL {
            for bits in 0..32 {
                let spec = Spec {
                    backbone,
                    size: [33, 47],
                    last_stride: 1 + bits % 2,
                    pooling: if bits & 2 > 0 {
                        Pooling::Gem
                    } else {
                        Pooling::Avg
                    },
                    neck: if bits & 4 > 0 {
                        Neck::None
                    } else {
                        Neck::Bnneck
                    },
                    dim: 8 * (bits & 4),
                    stem_pool: if bits & 8 > 0 {
                        StemPool::Ceil
                    } else {
                        StemPool::Padded
                    },
                    non_local: bits & 16 > 0,
                    ..Spec::default()
                };
                let (checked, built) = (spec.check(), blank(&spec, 2));
                assert_eq!(checked.is_ok(), built.is_ok(), "{spec:?}");
            }
        }
    }
}
