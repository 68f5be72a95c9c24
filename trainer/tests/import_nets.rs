//! Published names into our networks: every tensor has its place, and what does not fit is said.

use std::collections::BTreeMap;
use std::path::PathBuf;

use network::tensor::{Data, Tensor};
use trainer::import::{
    self, Deduced, Naming, NamingFamily, Overrides, assign, recognise, spec_for,
};
use trainer::nets::{self, Backbone, Neck, Net, Pooling, Spec, StemPool};
use trainer::weights::WeightFile;

const CLASSES: usize = 5;

fn params(net: &Net) -> BTreeMap<String, Tensor> {
    let params = net.graph().params().iter();
    params.map(|p| (p.name.clone(), p.tensor.clone())).collect()
}

/// `net`'s parameters as somebody else would have called them, with the counts that every
/// BatchNorm of PyTorch has.
fn published(net: &Net, name: impl Fn(&str) -> Option<String>) -> WeightFile {
    let mut tensors = BTreeMap::new();
    for (ours, tensor) in params(net) {
        let Some(theirs) = name(&ours) else { continue };
        if let Some(layer) = theirs.strip_suffix("running_mean") {
            let count = Tensor::new([], Data::I64(vec![9])).unwrap();
            tensors.insert(format!("{layer}num_batches_tracked"), count);
        }
        tensors.insert(theirs, tensor);
    }
    WeightFile {
        tensors,
        ..WeightFile::default()
    }
}

fn is_head(name: &str) -> bool {
    ["bottleneck.", "classifier.", "fc.", "embedding.", "pool."]
        .iter()
        .any(|head| name.starts_with(head))
}

fn deduce(weights: &WeightFile) -> (Naming, Deduced) {
    let naming = recognise(weights, None).expect("a network");
    let deduced = spec_for(&naming, weights, &Overrides::default()).unwrap();
    (naming, deduced)
}

struct Case {
    name: &'static str,
    spec: Spec,
    theirs: fn(&str) -> Option<String>,
    family: NamingFamily,
    /// How many parameters are not in the file.
    fresh: usize,
}

fn fast_reid(ours: &str) -> Option<String> {
    Some(match ours {
        "pool.p" => "heads.pool_layer.p".to_owned(),
        "classifier.weight" => "heads.weight".to_owned(),
        _ => match ours.strip_prefix("bottleneck.") {
            Some(inner) => format!("heads.bottleneck.0.{inner}"),
            None => format!("backbone.{ours}"),
        },
    })
}

#[test]
fn every_family_is_imported_whole() {
    let spec = |backbone| Spec {
        backbone,
        ..Spec::default()
    };
    let resnet18 = spec(Backbone::ResNet18);
    let cases = [
        Case {
            name: "torchvision",
            spec: resnet18.clone(),
            theirs: |ours| (!is_head(ours)).then(|| ours.to_owned()),
            family: NamingFamily::Torchvision,
            // BNNeck: 4, classifier: 1.
            fresh: 5,
        },
        Case {
            name: "the paper's code",
            spec: Spec {
                stem_relu: false,
                ..resnet18.clone()
            },
            theirs: |ours| {
                Some(if is_head(ours) {
                    ours.to_owned()
                } else {
                    format!("base.{ours}")
                })
            },
            family: NamingFamily::StrongBaseline,
            fresh: 0,
        },
        Case {
            name: "the paper's code, IBN-a, data-parallel",
            spec: spec(Backbone::ResNet18IbnA),
            theirs: |ours| {
                Some(if is_head(ours) {
                    format!("module.{ours}")
                } else {
                    format!("module.base.{ours}")
                })
            },
            family: NamingFamily::StrongBaseline,
            fresh: 0,
        },
        Case {
            name: "fast-reid, bag of tricks",
            spec: Spec {
                stem_pool: StemPool::Ceil,
                ..resnet18.clone()
            },
            theirs: fast_reid,
            family: NamingFamily::FastReid,
            fresh: 0,
        },
        Case {
            name: "fast-reid, SBS",
            spec: Spec {
                stem_pool: StemPool::Ceil,
                pooling: Pooling::Gem,
                non_local: true,
                ..spec(Backbone::ResNet50IbnA)
            },
            theirs: fast_reid,
            family: NamingFamily::FastReid,
            fresh: 0,
        },
        Case {
            name: "torchreid, OSNet",
            spec: Spec {
                neck: Neck::Fc,
                dim: 512,
                ..spec(Backbone::OsNetIbnX1_0)
            },
            theirs: |ours| Some(ours.to_owned()),
            family: NamingFamily::Torchreid,
            fresh: 0,
        },
        Case {
            name: "torchreid, ResNet",
            spec: Spec {
                neck: Neck::None,
                last_stride: 2,
                ..resnet18
            },
            theirs: |ours| Some(ours.to_owned()),
            family: NamingFamily::Torchreid,
            fresh: 0,
        },
    ];
    for case in cases {
        let name = case.name;
        let source = nets::build(&case.spec, CLASSES, 1).unwrap();
        let mut weights = published(&source, case.theirs);
        if case.family == NamingFamily::Torchvision {
            let fc = Tensor::zeros([1000, 512]).unwrap();
            weights.tensors.insert("fc.weight".to_owned(), fc);
        }
        let (naming, deduced) = deduce(&weights);
        assert_eq!(naming.family, case.family, "{name}");
        assert_eq!(deduced.spec, case.spec, "{name}");
        if case.fresh == 0 {
            assert_eq!(deduced.classes, CLASSES, "{name}");
        }
        let mut net = nets::build(&deduced.spec, deduced.classes, 2).unwrap();
        let account = assign(&mut net, &naming, &weights).unwrap();
        assert_eq!(
            account.fresh.len(),
            case.fresh,
            "{name}: {:?}",
            account.fresh
        );
        let told = account.used.len() + account.ignored.len();
        assert_eq!(told, weights.tensors.len(), "{name}");
        assert_eq!(account.dropped, [], "{name}");
        for ignored in &account.ignored {
            let known = ["a batch count", "the classifier of ImageNet"];
            let known = known.iter().any(|known| ignored.reason.contains(known));
            assert!(known, "{name}: {ignored:?}");
        }
        let (wanted, found) = (params(&source), params(&net));
        for used in &account.used {
            assert!(wanted[&used.ours] == found[&used.ours], "{name}: {used:?}");
        }
        assert_eq!(account.used.len() + case.fresh, found.len(), "{name}");
    }
}

#[test]
fn every_backbone_is_known_by_its_shapes() {
    for backbone in Backbone::ALL {
        let osnet = backbone.name().starts_with("osnet");
        let spec = Spec {
            backbone,
            neck: if osnet { Neck::Fc } else { Neck::Bnneck },
            dim: if osnet { 512 } else { 0 },
            ..Spec::default()
        };
        let net = nets::blank(&spec, 1).unwrap();
        let weights = published(&net, |ours| {
            (osnet || !is_head(ours)).then(|| ours.to_owned())
        });
        let (_, deduced) = deduce(&weights);
        assert_eq!(deduced.spec, spec, "{backbone}");
    }
}

/// What code around a network puts before its names.
const PREFIXES: [&str; 9] = [
    "base.",
    "backbone.",
    "model.",
    "encoder.",
    "module.",
    "module.model.",
    "model.base.",
    "module.encoder.backbone.",
    "feature_extractor.0.",
];

/// Each backbone, with torchreid's embedding or its classifier alone, behind each prefix: the same
/// network, and nothing trained is lost without a word.
#[test]
fn a_network_is_found_behind_any_prefix_and_what_it_lacks_is_named() {
    for (index, backbone) in Backbone::ALL.into_iter().enumerate() {
        let small = ["resnet18", "osnet_x0_25", "mobilenet_v2"].contains(&backbone.name());
        let spec = |neck, dim| Spec {
            backbone,
            neck,
            dim,
            ..Spec::default()
        };
        for (spec, heads) in [
            (spec(Neck::Fc, 24), "fc"),
            (spec(Neck::None, 0), "classifier"),
            (spec(Neck::Bnneck, 0), "bottleneck"),
        ] {
            let net = nets::blank(&spec, CLASSES).unwrap();
            let plain = published(&net, |ours| Some(ours.to_owned()));
            let wanted = deduce(&plain).1.spec;
            assert_eq!(
                (wanted.neck, wanted.dim),
                (spec.neck, spec.dim),
                "{backbone}"
            );
            let prefixes = match small {
                true => &PREFIXES[..],
                false => &PREFIXES[index % PREFIXES.len()..][..1],
            };
            for prefix in prefixes {
                let name = format!("{backbone} with {heads} behind {prefix}");
                let mut weights = WeightFile::default();
                for (ours, tensor) in &plain.tensors {
                    let theirs = format!("{prefix}{ours}");
                    weights.tensors.insert(theirs, tensor.clone());
                }
                let zeros = |shape: &[usize]| Tensor::zeros(shape).unwrap();
                for (beside, tensor) in [
                    ("criterion.centers", zeros(&[CLASSES, 24])),
                    ("projector.0.weight", zeros(&[24, 24])),
                ] {
                    weights.tensors.insert(beside.to_owned(), tensor);
                }
                let (naming, deduced) = deduce(&weights);
                assert_eq!(deduced.spec, wanted, "{name}");
                assert_eq!(deduced.classes, CLASSES, "{name}");
                let mut net = nets::blank(&deduced.spec, CLASSES).unwrap();
                let account = assign(&mut net, &naming, &weights).unwrap();
                let dropped: Vec<&str> = account.dropped.iter().map(|d| &d.name[..]).collect();
                assert_eq!(dropped, ["projector.0.weight"], "{name}");
                let left = account.ignored.iter();
                let left: Vec<&str> = left
                    .filter(|left| !left.name.ends_with("num_batches_tracked"))
                    .map(|left| &left.name[..])
                    .collect();
                assert_eq!(left, ["criterion.centers"], "{name}");
                assert_eq!(account.fresh, [], "{name}");
                assert_eq!(account.used.len(), params(&net).len(), "{name}");
            }
        }
    }
}

/// In every family: a second layer behind the neck, which no network of ours has, is no quiet loss.
#[test]
fn a_trained_layer_that_no_network_of_ours_has_is_named_in_every_family() {
    let spec = Spec {
        backbone: Backbone::ResNet18,
        ..Spec::default()
    };
    let net = nets::blank(&spec, CLASSES).unwrap();
    type Theirs = fn(&str) -> Option<String>;
    let torchvision: Theirs = |ours| (!is_head(ours)).then(|| ours.to_owned());
    let paper: Theirs = |ours| {
        let prefix = if is_head(ours) { "" } else { "base." };
        Some(format!("{prefix}{ours}"))
    };
    let torchreid: Theirs = |ours| (!ours.starts_with("bottleneck.")).then(|| ours.to_owned());
    for (theirs, family, extra) in [
        (torchvision, NamingFamily::Torchvision, "fc.weight"),
        (paper, NamingFamily::StrongBaseline, "base.fc.weight"),
        (paper, NamingFamily::StrongBaseline, "embedding.weight"),
        (fast_reid, NamingFamily::FastReid, "heads.embedding.weight"),
        (fast_reid, NamingFamily::FastReid, "backbone.fc.0.weight"),
        (torchreid, NamingFamily::Torchreid, "fc.3.weight"),
        (torchreid, NamingFamily::Torchreid, "attention.weight"),
    ] {
        let mut weights = published(&net, theirs);
        let layer = Tensor::zeros([128, 512]).unwrap();
        weights.tensors.insert(extra.to_owned(), layer);
        let (naming, deduced) = deduce(&weights);
        assert_eq!(naming.family, family, "{extra}");
        let mut net = nets::blank(&deduced.spec, CLASSES).unwrap();
        let account = assign(&mut net, &naming, &weights).unwrap();
        let dropped: Vec<&str> = account.dropped.iter().map(|d| &d.name[..]).collect();
        assert_eq!(dropped, [extra], "{family:?}");
    }
}

#[test]
fn an_embedding_that_is_a_convolution_becomes_linear() {
    let spec = Spec {
        backbone: Backbone::ResNet18,
        stem_pool: StemPool::Ceil,
        dim: 16,
        ..Spec::default()
    };
    let source = nets::build(&spec, CLASSES, 1).unwrap();
    let mut weights = published(&source, |ours| match ours {
        "embedding.weight" => Some("heads.bottleneck.0.weight".to_owned()),
        "embedding.bias" => None,
        _ => match ours.strip_prefix("bottleneck.") {
            Some(inner) => Some(format!("heads.bottleneck.1.{inner}")),
            None => fast_reid(ours),
        },
    });
    let filter = weights
        .tensors
        .get_mut("heads.bottleneck.0.weight")
        .unwrap();
    *filter = filter.clone().reshaped([16, 512, 1, 1]).unwrap();
    let pixel = |values: [f32; 3]| Tensor::f32([3, 1, 1], values).unwrap();
    for (name, values) in [("pixel_mean", [255.0, 0.0, 51.0]), ("pixel_std", [51.0; 3])] {
        weights.tensors.insert(name.to_owned(), pixel(values));
    }
    assert_eq!(import::pixels(&weights), Some([[1.0, 0.0, 0.2], [0.2; 3]]));
    let (naming, deduced) = deduce(&weights);
    assert_eq!(deduced.spec, spec);
    let mut net = nets::build(&spec, CLASSES, 2).unwrap();
    let account = assign(&mut net, &naming, &weights).unwrap();
    // The bias that theirs has not is 0.
    assert_eq!(account.fresh[0].ours, "embedding.bias");
    assert_eq!(account.fresh.len(), 1);
    assert!(params(&net) == params(&source));
}

#[test]
fn what_does_not_fit_is_named() {
    let spec = Spec {
        backbone: Backbone::ResNet18,
        ..Spec::default()
    };
    let source = nets::blank(&spec, CLASSES).unwrap();
    let whole = || {
        published(&source, |ours| {
            let prefix = if is_head(ours) { "" } else { "base." };
            Some(format!("{prefix}{ours}"))
        })
    };
    let with = |name: &str, tensor: Option<Tensor>| {
        let mut weights = whole();
        match tensor {
            Some(tensor) => weights.tensors.insert(name.to_owned(), tensor),
            None => weights.tensors.remove(name),
        };
        weights
    };
    let zeros = |shape: &[usize]| Some(Tensor::zeros(shape).unwrap());
    for (name, weights, wanted) in [
        (
            "another shape",
            with("base.layer4.1.conv2.weight", zeros(&[512, 512, 1, 1])),
            "`layer4.1.conv2.weight`: [512, 512, 3, 3], the file's \
             `base.layer4.1.conv2.weight` [512, 512, 1, 1]",
        ),
        (
            "missing",
            with("base.bn1.running_var", None),
            "`bn1.running_var`: [64], the file has none",
        ),
        (
            "another type",
            with("base.bn1.bias", Some(Tensor::i64s(vec![0; 64]))),
            "`bn1.bias`: [64], the file's `base.bn1.bias` I64 [64]",
        ),
    ] {
        let mut net = nets::build(&spec, CLASSES, 1).unwrap();
        let before = params(&net);
        let naming = recognise(&weights, None).unwrap();
        let error = assign(&mut net, &naming, &weights).unwrap_err();
        assert!(error.to_string().contains(wanted), "{name}: {error}");
        assert!(params(&net) == before, "{name}: the network has changed");
    }
    // A classifier of other people is left with a reason, and a part that we lack is no quiet loss.
    let weights = with("base.attention.weight", zeros(&[2]));
    let naming = recognise(&weights, None).unwrap();
    let mut net = nets::build(&spec, CLASSES + 1, 1).unwrap();
    let account = assign(&mut net, &naming, &weights).unwrap();
    let left = account
        .ignored
        .iter()
        .find(|i| i.name == "classifier.weight");
    let reason = &left.unwrap().reason;
    assert!(
        reason.contains("[5, 512], the network's is [6, 512]"),
        "{reason}"
    );
    assert_eq!(account.fresh[0].ours, "classifier.weight");
    let [dropped] = &account.dropped[..] else {
        panic!("{:?}", account.dropped)
    };
    assert_eq!(dropped.name, "base.attention.weight");
    assert_eq!(dropped.reason, "[2], the network has no such part");
}

#[test]
fn nets_of_others_are_refused_with_what_was_found() {
    let shapes = |named: &[(&str, &[usize])]| WeightFile {
        tensors: named
            .iter()
            .map(|(name, shape)| ((*name).to_owned(), Tensor::zeros(*shape).unwrap()))
            .collect(),
        ..WeightFile::default()
    };
    for (name, weights, wanted) in [
        (
            "ResNeXt",
            shapes(&[
                ("conv1.weight", &[64, 3, 7, 7]),
                ("layer1.0.conv2.weight", &[128, 4, 3, 3]),
            ]),
            "a ResNet of [1, 0, 0, 0] blocks, first [128, 4, 3, 3]",
        ),
        (
            "OSNet-AIN",
            shapes(&[("conv1.conv.weight", &[64, 3, 7, 7])]),
            "an OSNet of another form",
        ),
        (
            "RepVGG-B0",
            shapes(&[("stage0.rbr_dense.conv.weight", &[64, 3, 3, 3])]),
            "not A0",
        ),
        (
            "ViT of a fork",
            shapes(&[("base.patch_embed.proj.weight", &[768, 3, 16, 16])]),
            "neither ResNet, OSNet, MobileNetV2 nor RepVGG",
        ),
    ] {
        let error = recognise(&weights, None)
            .and_then(|naming| spec_for(&naming, &weights, &Overrides::default()))
            .unwrap_err();
        assert!(error.to_string().contains(wanted), "{name}: {error}");
    }
}

/// OSNet x0.25 of torchreid against the ONNX export of the same weights, on real crops.
///
/// ```sh
/// REID_PTH=osnet_x0_25_market1501.pth REID_ONNX=osnet_x0_25_market1501.onnx REID_CROPS=query \
///     cargo test -p trainer --no-default-features --test import_nets -- --ignored
/// ```
#[test]
#[ignore = "needs published weights and crops, which are not ours to ship"]
fn published_weights_compute_what_their_export_computes() {
    use network::metadata::Preprocessing;
    use network::preprocess::{Cropper, Normaliser, View};

    let file = |key: &str| PathBuf::from(std::env::var_os(key).expect(key));
    let weights = import::open(&file("REID_PTH")).unwrap().weights().unwrap();
    let (naming, deduced) = deduce(&weights);
    let mut net = nets::build(&deduced.spec, deduced.classes, 0).unwrap();
    let account = assign(&mut net, &naming, &weights).unwrap();
    assert_eq!(account.fresh, []);
    let outputs = net.graph().outputs();
    let f_i = outputs
        .iter()
        .position(|output| output.name == "f_i")
        .unwrap();
    let export = trainer::load::open(&file("REID_ONNX"), &Overrides::default()).unwrap();

    let preprocessing = Preprocessing::default();
    let mut cropper = Cropper::new(&preprocessing).unwrap();
    let normaliser = Normaliser::new(&preprocessing).unwrap();
    let crops = std::fs::read_dir(file("REID_CROPS")).unwrap();
    let mut crops: Vec<PathBuf> = crops.map(|entry| entry.unwrap().path()).collect();
    crops.sort_unstable();
    for path in crops.iter().step_by(crops.len().div_ceil(5)) {
        let image = image::open(path).unwrap().to_rgb8();
        let (width, height) = (image.width() as usize, image.height() as usize);
        let view = View::new(image.as_raw(), width, height).unwrap();
        let mut bytes = vec![0; 256 * 128 * 3];
        cropper.whole(view, &mut bytes).unwrap();
        let mut planes = vec![0.0; bytes.len()];
        normaliser.fill(&bytes, &mut planes).unwrap();
        let input = Tensor::f32([1, 3, 256, 128], planes).unwrap();
        let ours = &network::reference::run(net.graph(), &input).unwrap()[f_i];
        let theirs = &network::reference::run(export.net.graph(), &input).unwrap()[0];
        let (ours, theirs) = (ours.as_f32().unwrap(), theirs.as_f32().unwrap());
        assert_eq!(ours.len(), theirs.len());
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(a, b)| f64::from(*a) * f64::from(*b))
                .sum()
        };
        let cosine = dot(ours, theirs) / (dot(ours, ours) * dot(theirs, theirs)).sqrt();
        println!("{} {cosine:.9}", path.display());
        assert!(cosine > 0.99999, "{}: {cosine}", path.display());
    }
}
