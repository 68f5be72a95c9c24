//! Every network against the published implementation: names, shapes and numbers.
//!
//! `pytorch/nets.py` has run the implementations on weights and an image made by a formula, and has
//! written `pytorch/nets/*.json`. Here the same formula fills our graph, which the slow executor
//! runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use network::graph::{Graph, Op, Operand, ValueId, fold};
use network::tensor::Tensor;
use network::{onnx, reference};
use serde::Deserialize;
use trainer::nets::{Backbone, Net, ParamRole, Spec, blank, build, reparam};

#[derive(Deserialize)]
struct Fixture {
    spec: Spec,
    classes: usize,
    parameters: BTreeMap<String, Vec<usize>>,
    outputs: BTreeMap<String, Output>,
}

#[derive(Deserialize)]
struct Output {
    length: usize,
    first: Vec<f64>,
    sum: f64,
    norm: f64,
}

impl Fixture {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/pytorch/nets")
            .join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn names() -> Vec<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch/nets");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    /// Our network with the weights of the formula.
    fn net(&self) -> Net {
        let mut net = blank(&self.spec, self.classes).unwrap();
        let ids: Vec<_> = (net.graph().param_ids())
            .map(|(id, param)| (id, formula(&param.name, param.tensor.shape())))
            .collect();
        for (id, tensor) in ids {
            net.set_tensor(id, tensor).unwrap();
        }
        net
    }

    fn image(&self) -> Tensor {
        let [height, width] = self.spec.size;
        formula("image", &[1, 3, height, width])
    }

    /// Largest difference of `outputs` to what PyTorch computed, relative to the largest number or
    /// the norm.
    fn compare(&self, graph: &Graph, outputs: &[Tensor]) -> f64 {
        let found: Vec<&str> = graph.outputs().iter().map(|o| o.name.as_str()).collect();
        let wanted: BTreeSet<&str> = self.outputs.keys().map(String::as_str).collect();
        assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), wanted);
        let mut worst = 0.0_f64;
        for (name, tensor) in found.iter().zip(outputs) {
            let wanted = &self.outputs[*name];
            let x: Vec<f64> = tensor.as_f32().unwrap().iter().map(|&v| v.into()).collect();
            assert_eq!(tensor.shape(), [1, wanted.length], "{name}");
            let largest = wanted.first.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            for (a, b) in x.iter().zip(&wanted.first) {
                worst = worst.max((a - b).abs() / largest);
            }
            let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
            // A sum of n numbers has up to sqrt(n) times their norm.
            let scale = wanted.norm * (wanted.length as f64).sqrt();
            worst = worst.max((x.iter().sum::<f64>() - wanted.sum).abs() / scale);
            worst = worst.max((norm - wanted.norm).abs() / wanted.norm);
        }
        worst
    }
}

/// The twin of `uniform` and `formula` in `pytorch/nets.py`.
fn formula(name: &str, shape: &[usize]) -> Tensor {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let start = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, fnv);
    let uniform = |i: u64| {
        let mut z = start.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    let fan_in = shape[1..].iter().product::<usize>() as f64;
    let small = if name.starts_with("NL_") { 0.25 } else { 1.0 };
    let value = |u: f64| {
        if name == "image" {
            (u - 0.5) * 4.0
        } else if name.ends_with(".running_var") {
            0.5 + u
        } else if name == "pool.p" {
            2.5 + u
        } else if shape.len() > 1 {
            (u - 0.5) * (24.0 / fan_in).sqrt() * small
        } else if name.ends_with(".weight") {
            0.4 + 0.6 * u
        } else {
            (u - 0.5) * 0.2
        }
    };
    let count: usize = shape.iter().product();
    let elements: Vec<f32> = (0..count as u64)
        .map(|i| value(uniform(i)) as f32)
        .collect();
    Tensor::f32(shape, elements).unwrap()
}

/// What the slow executor makes of every network: several tests compare with it.
static REFERENCE: LazyLock<BTreeMap<String, Vec<Tensor>>> = LazyLock::new(|| {
    let computed = |name: String| {
        let fixture = Fixture::read(&name);
        let outputs = reference::run(fixture.net().graph(), &fixture.image()).unwrap();
        (name, outputs)
    };
    Fixture::names().into_iter().map(computed).collect()
});

/// Parameters by name, with their shapes.
fn parameters(graph: &Graph) -> BTreeMap<String, Vec<usize>> {
    (graph.params().iter())
        .map(|param| (param.name.clone(), param.tensor.shape().to_vec()))
        .collect()
}

#[test]
fn every_net_is_the_published_one() {
    let names = Fixture::names();
    let (mut seen, mut wrong) = (BTreeSet::new(), Vec::new());
    for name in &names {
        let fixture = Fixture::read(name);
        let net = fixture.net();
        assert_eq!(parameters(net.graph()), fixture.parameters, "{name}");
        let worst = fixture.compare(net.graph(), &REFERENCE[name]);
        println!("{name}: {worst:.1e}");
        // PyTorch computed in f64; here every operator rounds to f32 once.
        if worst.is_nan() || worst > 1e-5 {
            wrong.push(format!("{name}: {worst}"));
        }
        seen.insert(fixture.spec.backbone.name());
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        seen,
        Backbone::ALL.map(Backbone::name).into(),
        "a net has no fixture"
    );
}

/// What libtorch makes of the same graphs, in evaluation and in training mode, against the slow
/// executor: every output as a direction.
#[cfg(feature = "torch")]
#[test]
fn libtorch_agrees_with_the_reference_on_every_net() {
    use trainer::torch::{Mode, Module, Precision, from_tch, to_tch};
    let cosine = |a: &[f32], b: &[f32]| {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter()
                .zip(b)
                .map(|(&a, &b)| f64::from(a) * f64::from(b))
                .sum()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    // More only gets in the way of the tests beside this one.
    tch::set_num_threads(1);
    let mut wrong = Vec::new();
    for name in Fixture::names() {
        let fixture = Fixture::read(&name);
        let net = fixture.net();
        let outputs = &REFERENCE[&name];
        let module = |precision| Module::new(&net, tch::Device::Cpu, precision).unwrap();
        let image = to_tch(&fixture.image()).unwrap();
        let exact = module(Precision::F32).forward(&image, Mode::Eval).unwrap();
        let short = module(Precision::Bf16).forward(&image, Mode::Eval).unwrap();
        for (output, wanted) in net.graph().outputs().iter().zip(outputs) {
            let wanted = wanted.as_f32().unwrap();
            for (computed, least) in [(&exact, 0.999_999), (&short, 0.99)] {
                let found = from_tch(computed.get(&output.name).unwrap()).unwrap();
                let found = cosine(found.as_f32().unwrap(), wanted);
                if found.is_nan() || found <= least {
                    wrong.push(format!("{name}, {}: {found}, wanted {least}", output.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn merged_branches_compute_the_same() {
    for name in ["repvgg_a0.json", "repvgg_a0_stride1.json"] {
        let fixture = Fixture::read(name);
        let net = fixture.net();
        let merged = reparam(&net).unwrap();
        let graph = merged.graph();
        // Stage 0 and 21 layers behind it, the classifier, the neck.
        let mut names: BTreeSet<String> = ["classifier", "bottleneck"].map(String::from).into();
        names.extend(
            [(0, 1), (1, 2), (2, 4), (3, 14), (4, 1)]
                .iter()
                .flat_map(|&(stage, n)| {
                    (0..n).map(move |i| match stage {
                        0 => "stage0.rbr_reparam".to_owned(),
                        _ => format!("stage{stage}.{i}.rbr_reparam"),
                    })
                }),
        );
        let found: BTreeSet<String> = (graph.params().iter())
            .map(|param| param.name.rsplit_once('.').unwrap().0.to_owned())
            .collect();
        assert_eq!(found, names, "{name}");
        let roles: Vec<_> = (graph.param_ids())
            .filter(|(id, _)| merged.role(*id) != ParamRole::Trained)
            .map(|(_, param)| param.name.as_str())
            .collect();
        assert_eq!(
            roles,
            [
                "bottleneck.bias",
                "bottleneck.running_mean",
                "bottleneck.running_var"
            ]
        );
        let convs = graph
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::Conv(_)));
        assert_eq!(convs.count(), 22);

        let outputs = reference::run(graph, &fixture.image()).unwrap();
        let worst = fixture.compare(graph, &outputs);
        println!("{name} merged: {worst:.1e}");
        assert!(worst < 1e-5, "{name}: {worst}");
        assert_eq!(
            reparam(&merged).unwrap(),
            merged,
            "nothing is left to merge"
        );

        // Folding first leaves branches of plain convolutions: the same network comes out.
        let folded = fold::merge_branches(&fold::fold(net.graph()).unwrap()).unwrap();
        let outputs = reference::run(&folded, &fixture.image()).unwrap();
        let worst = fixture.compare(&folded, &outputs);
        assert!(worst < 1e-5, "{name} folded before: {worst}");
        let convs = folded
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::Conv(_)));
        // The neck ends as one.
        assert_eq!(convs.count(), 23);
    }
}

#[test]
fn nets_survive_folding_and_a_file() {
    for name in [
        "embedding.json",
        "mobilenet_v2.json",
        "osnet_ibn_x1_0.json",
        "parts_gem_dim.json",
        "repvgg_a0.json",
        "resnet18_ibn_a.json",
        "resnet50_agw.json",
        "se_resnext50.json",
    ] {
        let fixture = Fixture::read(name);
        let merged = reparam(&fixture.net()).unwrap();
        let folded = fold::fold(merged.graph()).unwrap();
        let norms = folded.nodes().iter().map(|node| node.op.onnx_name());
        assert_eq!(
            norms.filter(|op| *op == "BatchNormalization").count(),
            0,
            "{name}"
        );
        let bytes = onnx::write_bytes(&folded, &BTreeMap::new()).unwrap();
        let read = onnx::read_bytes(&bytes, &onnx::ReadOptions::default()).unwrap();
        let outputs = reference::run(&read.graph, &fixture.image()).unwrap();
        let worst = fixture.compare(&read.graph, &outputs);
        println!("{name} folded, written, read: {worst:.1e}");
        assert!(worst < 1e-5, "{name}: {worst}");
    }
}

#[test]
fn other_nets_have_no_branches_to_merge() {
    for backbone in [
        Backbone::ResNet50,
        Backbone::OsNetX0_25,
        Backbone::MobileNetV2,
    ] {
        let spec = Spec {
            backbone,
            size: [64, 32],
            ..Spec::default()
        };
        let net = blank(&spec, 2).unwrap();
        assert_eq!(reparam(&net).unwrap().graph(), net.graph(), "{backbone}");
    }
}

#[test]
fn roles_are_what_the_paper_trains() {
    for backbone in Backbone::ALL {
        let spec = Spec {
            backbone,
            size: [64, 32],
            pooling: trainer::nets::Pooling::Gem,
            ..Spec::default()
        };
        let net = blank(&spec, 2).unwrap();
        for (id, param) in net.graph().param_ids() {
            let name = param.name.as_str();
            let wanted = if name.contains(".running_") {
                ParamRole::Statistic
            } else if name == "bottleneck.bias" {
                ParamRole::Frozen
            } else {
                ParamRole::Trained
            };
            assert_eq!(net.role(id), wanted, "{backbone}: {name}");
        }
    }
}

/// Runs `graph` with each `BatchNorm` normalising by the batch, as while training, and shows what
/// `f_t` is.
fn in_training(graph: &Graph, input: &Tensor) -> Tensor {
    let mut values: BTreeMap<ValueId, Tensor> = BTreeMap::new();
    values.insert(graph.input(), input.clone());
    for node in graph.nodes() {
        let mut inputs: Vec<Tensor> = (node.inputs.iter())
            .map(|operand| match operand {
                Operand::Value(id) => values[id].clone(),
                Operand::Param(id) => graph.tensor(*id).clone(),
            })
            .collect();
        if let Op::BatchNorm { .. } = node.op {
            let shape = inputs[0].shape().to_vec();
            let (channels, pixels) = (shape[1], shape[2..].iter().product::<usize>());
            let x = inputs[0].as_f32().unwrap();
            let count = (x.len() / channels) as f64;
            let mut moments = [vec![0.0_f64; channels], vec![0.0; channels]];
            for (i, plane) in x.chunks_exact(pixels).enumerate() {
                for &v in plane {
                    moments[0][i % channels] += f64::from(v) / count;
                    moments[1][i % channels] += f64::from(v).powi(2) / count;
                }
            }
            let [mean, square] = moments;
            let variance = mean
                .iter()
                .zip(&square)
                .map(|(m, s)| (s - m * m).max(0.0) as f32);
            let variance: Vec<f32> = variance.collect();
            let mean: Vec<f32> = mean.iter().map(|&m| m as f32).collect();
            inputs[3] = Tensor::f32([channels], mean).unwrap();
            inputs[4] = Tensor::f32([channels], variance).unwrap();
        }
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        let outputs = reference::eval(&node.name, &node.op, &inputs).unwrap();
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    let f_t = graph.outputs().iter().find(|output| output.name == "f_t");
    values.remove(&f_t.unwrap().value).unwrap()
}

#[test]
fn fresh_weights_give_features_of_order_one() {
    let nets = [
        Backbone::ResNet18,
        Backbone::ResNet50IbnA,
        Backbone::SeResNeXt50,
        Backbone::OsNetX0_25,
        Backbone::OsNetIbnX1_0,
        Backbone::MobileNetV2,
        Backbone::RepVggA0,
    ];
    for backbone in nets {
        let spec = Spec {
            backbone,
            size: [64, 32],
            ..Spec::default()
        };
        let net = build(&spec, 10, 1).unwrap();
        let f_t = in_training(net.graph(), &formula("image", &[2, 3, 64, 32]));
        let x = f_t.as_f32().unwrap();
        let square = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / x.len() as f64;
        println!("{backbone}: {:.2}", square.sqrt());
        assert!(
            (0.1..10.0).contains(&square.sqrt()),
            "{backbone}: {}",
            square.sqrt()
        );
    }
}

#[test]
fn a_seed_is_a_net() {
    let spec = Spec {
        backbone: Backbone::OsNetX0_25,
        size: [64, 32],
        ..Spec::default()
    };
    let net = build(&spec, 10, 1).unwrap();
    assert_eq!(net, build(&spec, 10, 1).unwrap());
    let other = build(&spec, 10, 2).unwrap();
    // Another head leaves the backbone as it is.
    let head = build(&Spec { dim: 32, ..spec }, 20, 1).unwrap();
    let by_name = |net: &Net, name: &str| {
        let mut params = net.graph().params().iter();
        params
            .find(|param| param.name == name)
            .unwrap()
            .tensor
            .clone()
    };
    let conv = "conv2.0.conv2a.conv1.weight";
    assert_ne!(by_name(&net, conv), by_name(&other, conv));
    assert_eq!(by_name(&net, conv), by_name(&head, conv));
}
