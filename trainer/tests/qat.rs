//! Training in integers: what a step of training computes with is what a device computes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use image::{Rgb, RgbImage};
use kernels::cpu::{Executor, StepOutput};
use kernels::plan::Plan;
use network::graph::fold::fold;
use network::graph::{Graph, Op, Operand};
use network::metadata::Preprocessing;
use network::onnx::{self, ReadOptions};
use network::preprocess::Normaliser;
use network::tensor::{Data, Tensor};
use synth::random::Draw;
use trainer::export::int8::trainable;
use trainer::export::quantise::{Progress, QuantiseOptions, Rounding};
use trainer::nets::{self, Backbone, Spec};
use trainer::qat::QatNetwork;
use trainer::recipe::Recipe;
use trainer::torch::{Learner, Mode, Module, Precision, to_tch};

const SIZE: [usize; 2] = [64, 32];
const PERSONS: usize = 4;

/// Of each.
const SHOTS: usize = 2;

/// Blobs of a person's colours, on noise.
fn picture(person: usize, shot: u64) -> RgbImage {
    let mut clothes = Draw::new(person as u64, "clothes", &[]);
    let colours: [[f64; 3]; 4] =
        std::array::from_fn(|_| std::array::from_fn(|_| clothes.between(10.0, 245.0)));
    let mut light = Draw::new(person as u64, "light", &[shot]);
    RgbImage::from_fn(32, 64, |x, y| {
        let colour = colours[y as usize / 16];
        let edge = if (8..24).contains(&x) { 1.0 } else { 0.4 };
        Rgb(colour.map(|v| (v * edge + light.between(-20.0, 20.0)).clamp(0.0, 255.0) as u8))
    })
}

struct Bench {
    _folder: tempfile::TempDir,
    images: Vec<PathBuf>,
    preprocessing: Preprocessing,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = (0..PERSONS * SHOTS)
            .map(|i| {
                let path = folder.path().join(format!("{i:02}.png"));
                picture(i / SHOTS, (i % SHOTS) as u64).save(&path).unwrap();
                path
            })
            .collect();
        Self {
            _folder: folder,
            images,
            preprocessing: Preprocessing {
                height: SIZE[0],
                width: SIZE[1],
                ..Preprocessing::default()
            },
        }
    }

    /// All pictures as bytes, and as the network reads them.
    fn pixels(&self) -> (Vec<u8>, tch::Tensor) {
        let normaliser = Normaliser::new(&self.preprocessing).unwrap();
        let bytes: Vec<Vec<u8>> = (self.images.iter())
            .map(|path| image::open(path).unwrap().to_rgb8().into_raw())
            .collect();
        let mut planes = Vec::new();
        for crop in &bytes {
            let mut own = vec![0.0; crop.len()];
            normaliser.fill(crop, &mut own).unwrap();
            planes.extend(own);
        }
        let shape = [self.images.len(), 3, SIZE[0], SIZE[1]];
        let planes = Tensor::f32(shape, planes).unwrap();
        (bytes.concat(), to_tch(&planes).unwrap())
    }

    /// A network trained in float for a few steps, then quantisation-aware for a few more.
    fn trained(&self, backbone: Backbone) -> (QatNetwork, Module) {
        tch::set_num_threads(1);
        let spec = Spec {
            backbone,
            size: SIZE,
            ..Spec::default()
        };
        let recipe = Recipe::default();
        let (_, pixels) = self.pixels();
        let labels: Vec<i64> = (0..PERSONS * SHOTS).map(|i| (i / SHOTS) as i64).collect();
        let labels = tch::Tensor::from_slice(&labels);
        let device = tch::Device::Cpu;
        let net = nets::build(&spec, PERSONS, 1).unwrap();
        let learner = |net, frozen: bool, rate: f64| {
            let mut learner =
                Learner::new(net, PERSONS, &recipe, None, device, Precision::F32).unwrap();
            if frozen {
                learner.freeze_norms();
            }
            for _ in 0..6 {
                learner.step(&pixels, &labels, rate).unwrap();
            }
            learner
        };
        let float = learner(&net, false, 1.0).evaluated().net().unwrap();
        // Tuning would be trained over.
        let quickly = QuantiseOptions {
            bias_correction: false,
            rounding: Rounding::Nearest,
            ..QuantiseOptions::default()
        };
        let trainable = trainable(
            &self.images,
            &float,
            &self.preprocessing,
            &quickly,
            &mut Progress(None),
        )
        .unwrap();
        let trained = learner(trainable.net(), true, 0.3)
            .evaluated()
            .net()
            .unwrap();
        let module = Module::new(&trained, device, Precision::F32).unwrap();
        (trainable, module)
    }
}

/// Compares each step of the training with the integer executor, for the same quantised input: for each
/// value the number of elements, of differences, and the greatest difference.
fn apart(
    module: &Module,
    pixels: &tch::Tensor,
    device: &BTreeMap<String, Vec<u8>>,
) -> Vec<(String, usize, usize, i64)> {
    let graph = module.graph();
    let mut apart = Vec::new();
    let see = |id, tensor: tch::Tensor| {
        let node = &graph.nodes()[graph.producer(id).expect("a node wrote it")];
        let (
            Op::QuantizeLinear { .. },
            &[
                Operand::Value(x),
                Operand::Param(scale),
                Operand::Param(zero),
            ],
        ) = (&node.op, node.inputs.as_slice())
        else {
            return Ok(tensor);
        };
        let name = &graph.value(x).name;
        let Some(quantised) = device.get(name) else {
            return Ok(tensor);
        };
        let scale = f64::from(graph.tensor(scale).as_f32().unwrap()[0]);
        let Data::U8(zero) = graph.tensor(zero).data() else {
            panic!("activations are u8");
        };
        let zero = f64::from(zero[0]);
        // A device has the channels of a pixel beside each other.
        let size = tensor.size();
        let quantised = tch::Tensor::from_slice(quantised).to_kind(tch::Kind::Double);
        let quantised = match size.as_slice() {
            &[n, c, h, w] => quantised.reshape([n, h, w, c]).permute([0, 3, 1, 2]),
            _ => quantised.reshape(&size),
        };
        let own = (tensor.to_kind(tch::Kind::Double) / scale).round() + zero;
        let off = (own - &quantised).abs();
        let others = off.gt(0.5).sum(tch::Kind::Int64).int64_value(&[]);
        let most = off.max().double_value(&[]).round() as i64;
        apart.push((name.clone(), tensor.numel(), others as usize, most));
        Ok(((quantised - zero) * scale).to_kind(tch::Kind::Float))
    };
    tch::no_grad(|| module.forward_with(pixels, Mode::Eval, see)).unwrap();
    apart
}

/// The quantised values of the executor by name, `[N, height, width, channels]`.
fn seen_on_device(
    graph: &Graph,
    preprocessing: &Preprocessing,
    pixels: &[u8],
) -> BTreeMap<String, Vec<u8>> {
    let bytes = onnx::write_bytes(graph, &BTreeMap::new()).unwrap();
    let read = onnx::read_bytes(&bytes, &ReadOptions::default()).unwrap();
    let plan = Plan::new(&fold(&read.graph).unwrap(), preprocessing).unwrap();
    let mut executor = Executor::new(&plan, 1).unwrap();
    let mut out = vec![0.0; pixels.len() / (3 * SIZE[0] * SIZE[1]) * executor.dim()];
    let mut seen = BTreeMap::new();
    executor
        .run_with(pixels, &mut out, |step, written| {
            if let StepOutput::Quantised(quantised) = written {
                for id in &plan.steps()[step].outputs {
                    seen.insert(plan.tensor(*id).name.clone(), quantised.to_vec());
                }
            }
        })
        .unwrap();
    seen
}

#[test]
fn a_device_computes_what_training_saw() {
    let bench = Bench::new();
    let (bytes, pixels) = bench.pixels();
    for backbone in [
        Backbone::OsNetX0_25,
        Backbone::ResNet18,
        Backbone::ResNet18IbnA,
        Backbone::MobileNetV2,
    ] {
        let (trainable, module) = bench.trained(backbone);
        let trained = module.net().unwrap();
        let to_quantised = trainable.to_quantised(&trained).unwrap();
        assert_ne!(to_quantised, *trainable.quantised(), "nothing was trained");
        let to_quantised = to_quantised.with_output("f_i").unwrap();
        let device = seen_on_device(&to_quantised, &bench.preprocessing, &bytes);
        let apart = apart(&module, &pixels, &device);
        let (mut quantised, mut others, mut most) = (0, 0, 0);
        for (name, count, differ, by) in &apart {
            if *by > 1 {
                println!("{backbone:?} {name}: {differ} of {count}, by {by}");
            }
            (quantised, others, most) = (quantised + count, others + differ, most.max(*by));
        }
        println!(
            "{backbone:?}: {} values, {others} of {quantised} quantised values differ, by at most {most}",
            apart.len()
        );
        assert!(apart.len() > 15, "{backbone:?}: {}", apart.len());
        assert!(
            others * 200 < quantised,
            "{backbone:?}: {others} of {quantised}"
        );
        assert!(most <= 1, "{backbone:?}: {most}");
    }
}
