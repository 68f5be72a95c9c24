//! How fast each network trains: images per second of whole steps, losses and optimiser included.
//!
//! ```text
//! cargo test -p trainer --test speed -- --ignored --nocapture
//! ```
//!
//! libtorch does the work, so the profile does not matter. `NETS=resnet18,osnet_x0_25` measures only
//! those. On the CPU, with 1 and with 2 threads; the best of three steps after a first one.
#![cfg(feature = "torch")]

use std::time::Instant;

use tch::{Device, Kind, Tensor};
use trainer::nets::{Backbone, Spec, build};
use trainer::recipe::Recipe;
use trainer::torch::{Learner, Precision};

const BATCH: i64 = 16;
/// Of each network and precision, in turns, so that what else the machine does meets all of them.
const ROUNDS: usize = 3;

struct Runner {
    name: String,
    learner: Learner,
    images: Tensor,
    labels: Tensor,
    best: f64,
}

#[test]
#[ignore = "measures, and takes minutes"]
fn training_speed() {
    let asked = std::env::var("NETS").unwrap_or_default();
    for threads in [1, 2] {
        tch::set_num_threads(threads);
        for backbone in Backbone::ALL {
            if !asked.is_empty() && !asked.split(',').any(|name| name == backbone.name()) {
                continue;
            }
            let mut runners = [Precision::F32, Precision::Bf16].map(|it| runner(backbone, it));
            for round in 0..=ROUNDS {
                for runner in &mut runners {
                    let start = Instant::now();
                    (runner.learner)
                        .step(&runner.images, &runner.labels, 1.0)
                        .unwrap();
                    let rate = BATCH as f64 / start.elapsed().as_secs_f64();
                    // The first step chooses kernels.
                    if round > 0 {
                        runner.best = runner.best.max(rate);
                    }
                }
            }
            for Runner { name, best, .. } in &runners {
                println!("{name} threads {threads}: {best:.1} img/s");
            }
        }
    }
}

fn runner(backbone: Backbone, precision: Precision) -> Runner {
    let recipe = Recipe {
        model: Spec {
            backbone,
            ..Spec::default()
        },
        ..Recipe::default()
    };
    let [height, width] = recipe.model.size.map(|n| i64::try_from(n).unwrap());
    let net = build(&recipe.model, 751, 1).unwrap();
    Runner {
        name: format!("{} {height}x{width} {precision:?}", backbone.name()),
        learner: Learner::new(&net, 751, &recipe, None, Device::Cpu, precision).unwrap(),
        images: Tensor::randn([BATCH, 3, height, width], (Kind::Float, Device::Cpu)),
        labels: Tensor::arange(BATCH, (Kind::Int64, Device::Cpu)).floor_divide_scalar(4),
        best: 0.0,
    }
}
