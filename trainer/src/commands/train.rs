//! `trainer train`: train a network from a recipe.

mod qat;

use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use network::metadata::Preprocessing;
use trainer::checkpoint::{self, NetInfo};
use trainer::data::dataset::{Dataset, DatasetLayout, DatasetOptions};
use trainer::data::loader::Batch;
use trainer::evaluate::Metric;
use trainer::import::Overrides;
use trainer::load::{self, SavedGraph};
use trainer::nets::Net;
use trainer::picture::sheet::Tile;
use trainer::picture::{self, Crop};
use trainer::recipe::Recipe;
use trainer::run_folder::{FINAL, FINAL_INT8, LAST, LogRecord, RunFolder};
use trainer::torch::extract::{self, ExtractOptions};
use trainer::torch::train::{self, MachineOptions, TrainInput, TrainObserver};
use trainer::torch::{Module, Precision, TrainStep};
use trainer::weights::WeightFile;

use self::qat::{Qat, QatRun};
use super::hardware::Hardware;

/// Train a network with a recipe
///
/// The run folder holds the whole recipe, a log, curves, pictures of the first batch and of answers to
/// queries, the last checkpoint and the trained network.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Train {
    /// The recipe
    #[arg(value_name = "CONFIG.toml")]
    recipe: PathBuf,
    /// Folder of the data set; several are joined
    #[arg(long, required = true, value_name = "DIR", num_args = 1..)]
    data: Vec<PathBuf>,
    /// Layout of the folder [default: recognised by its content]
    #[arg(long, value_enum)]
    layout: Option<DatasetLayout>,
    /// Initial weights: .pth, .safetensors, or a float .onnx, which then defines the network
    #[arg(long, value_name = "W")]
    init: Option<PathBuf>,
    /// Run folder [default: runs/ and the name of the recipe]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in the folder after its last complete epoch
    #[arg(long)]
    resume: bool,
    /// Override a key of the recipe, for example `loss.id.label_smoothing=0`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    qat: Qat,
    #[command(flatten)]
    hardware: Hardware,
    /// Memory for decoded images in MiB: 96 KiB for each image at 256x128
    #[arg(long, value_name = "MB", default_value_t = 2048)]
    cache: usize,
    /// Print the records of the log as JSON lines instead of text
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
Examples:
  trainer train configs/bot-resnet50-official.toml --data Market-1501 --init resnet50.pth
  trainer train configs/bot-resnet18.toml --data shop --set schedule.epochs=60 --device cuda
  trainer train configs/bot-resnet18.toml --data shop --resume
  trainer train configs/qat.toml --data shop --qat --set model.backbone=resnet18
    --init runs/bot-resnet18/final.safetensors
    --set loss.distil.teacher=runs/bot-resnet18/final.safetensors";

/// File of the run folder with the network of an ONNX file.
const ONNX_START: &str = "net.onnx";

/// Crops of the first batch in its picture.
const SHOWN: usize = 64;

/// Queries in the picture of answers, and answers for each.
const QUERIES: usize = 12;
const ANSWERS: usize = 10;

impl Train {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let recipe = Recipe::read(&self.recipe, &self.settings)?;
        let device = self.hardware.open()?;
        let options = DatasetOptions {
            layout: self.layout,
            ..DatasetOptions::default()
        };
        let set = super::noted(Dataset::open_all(&self.data, &options)?);
        anyhow::ensure!(
            !set.train.is_empty(),
            "{} has no images to train with",
            set.name
        );
        let folder = self.folder();
        train::check(&recipe, &set)?;
        let in_integers = self.qat.is_wanted() || self.resume && QatRun::are_kept(&folder);
        anyhow::ensure!(
            !in_integers || self.hardware.precision() == Precision::F32,
            "--precision is bf16, but quantised values are not exact in bf16: use f32 with --qat"
        );
        let (begun, integers) = self.begin(&recipe, &set, &folder)?;
        let (mut run, checkpoint) = if self.resume {
            let (run, checkpoint) = self.go_on(&recipe, &folder)?;
            (run, Some(checkpoint))
        } else {
            (RunFolder::create(&folder, &recipe)?, None)
        };
        match &integers {
            _ if self.resume => {}
            Some(integers) => integers.keep(&begun.info, &run)?,
            None if begun.info.spec.is_none() => {
                let kept = SavedGraph {
                    graph: begun.net.graph().clone(),
                    info: begun.info.clone(),
                    quantisation: None,
                };
                run.write(ONNX_START, &kept.to_bytes()?)?;
            }
            None => {}
        }
        let preprocessing = begun.info.preprocessing;
        let machine = MachineOptions {
            device,
            precision: self.hardware.precision(),
            loader: self.hardware.loader(),
            cache_mb: self.cache,
        };
        let mut watch = ProgressObserver {
            json: self.json,
            epochs: recipe.schedule.epochs,
            preprocessing,
            run: folder.clone(),
            bar: None,
        };
        if !self.json {
            cli::say!(
                "{}: {} images of {} persons; {} epochs, run folder {}",
                set.name,
                set.train.len(),
                set.classes().1,
                recipe.schedule.epochs,
                folder.display()
            );
        }
        let (net, info) = train::train(
            &recipe,
            &set,
            begun,
            checkpoint.as_ref(),
            &mut run,
            machine,
            &mut watch,
        )?;
        watch.done();
        let finished = match &integers {
            Some(integers) => {
                integers.write(&net, preprocessing, &run)?;
                FINAL_INT8
            }
            None => {
                let mut weights = checkpoint::weights(&net);
                info.write_to(&mut weights);
                weights.write(&run.path(FINAL))?;
                FINAL
            }
        };
        run.write(
            "curves.svg",
            picture::curves::of_log(run.path("log.jsonl"))?.as_bytes(),
        )?;
        if !set.query.is_empty() && !set.gallery.is_empty() {
            let module = Module::new(&net, device, machine.precision)?;
            let reading = ExtractOptions {
                preprocessing: &preprocessing,
                batch: recipe.evaluate.batch_size,
                loader: machine.loader,
            };
            let sheet = answers(&module, &set, reading)?;
            run.write("queries.svg", sheet.as_bytes())?;
        }
        if !self.json {
            cli::say!("{}", run.path(finished).display());
        }
        Ok(())
    }

    fn folder(&self) -> PathBuf {
        self.out.clone().unwrap_or_else(|| {
            Path::new("runs").join(self.recipe.file_stem().unwrap_or("run".as_ref()))
        })
    }

    /// The network before its first step, and its quantised form with `--qat`.
    fn begin(
        &self,
        recipe: &Recipe,
        set: &Dataset,
        folder: &Path,
    ) -> anyhow::Result<(TrainInput, Option<QatRun>)> {
        let kept = match self.resume {
            true => QatRun::kept(folder)?,
            false => None,
        };
        if let Some((integers, info)) = kept {
            let start = TrainInput {
                net: integers.net().clone(),
                info,
                teacher: teacher(recipe)?,
                frozen_norms: true,
            };
            return Ok((start, Some(integers)));
        }
        let start = self.begin_in_floats(recipe, set, folder)?;
        if self.resume {
            return Ok((start, None));
        }
        let Some(integers) = self.qat.begin(&start.net, &start.info, set)? else {
            return Ok((start, None));
        };
        let start = TrainInput {
            net: integers.net().clone(),
            // A `Spec` cannot describe a quantised network.
            info: NetInfo {
                spec: None,
                ..start.info
            },
            frozen_norms: true,
            ..start
        };
        Ok((start, Some(integers)))
    }

    fn begin_in_floats(
        &self,
        recipe: &Recipe,
        set: &Dataset,
        folder: &Path,
    ) -> anyhow::Result<TrainInput> {
        let asked = NetInfo {
            spec: Some(recipe.model.clone()),
            classes: set.classes().1,
            preprocessing: recipe.preprocessing(),
            epoch: 0,
        };
        let teacher = teacher(recipe)?;
        let adopted = folder.join(ONNX_START);
        if self.resume && adopted.is_file() {
            let (net, info) = load::resume_onnx(&adopted)?;
            return Ok(TrainInput {
                net,
                info,
                teacher,
                frozen_norms: false,
            });
        }
        // The checkpoint of a resumed run has its weights.
        let Some(init) = self.init.as_ref().filter(|_| !self.resume) else {
            return Ok(TrainInput {
                net: load::fresh(&asked, recipe.seed)?,
                info: asked,
                teacher,
                frozen_norms: false,
            });
        };
        let begun = load::init(init, &asked, recipe.seed)?;
        for note in &begun.notes {
            tracing::warn!("{note}");
        }
        let report = &begun.report;
        for left in report
            .fresh
            .iter()
            .map(|fresh| (&fresh.ours, &fresh.reason))
        {
            tracing::warn!("{} is initialised at random: {}", left.0, left.1);
        }
        for note in report.left_out() {
            tracing::warn!("{note}");
        }
        Ok(TrainInput {
            net: begun.net,
            info: begun.info,
            teacher,
            frozen_norms: false,
        })
    }

    fn go_on(&self, recipe: &Recipe, folder: &Path) -> anyhow::Result<(RunFolder, WeightFile)> {
        let kept = Recipe::read(&folder.join("recipe.toml"), &[])?;
        anyhow::ensure!(
            kept == *recipe,
            "{}: its recipe.toml differs from {} with --set: a run continues with its own recipe",
            folder.display(),
            self.recipe.display()
        );
        let path = folder.join(LAST);
        anyhow::ensure!(
            path.exists(),
            "{}: it has no checkpoint yet: start the run without --resume",
            folder.display()
        );
        let weights = WeightFile::read(&path)?;
        let info = NetInfo::of(&weights)?;
        let epoch = info.map_or(0, |info| info.epoch);
        Ok((RunFolder::resume(folder, epoch)?.0, weights))
    }
}

/// The teacher of the recipe's distillation.
fn teacher(recipe: &Recipe) -> anyhow::Result<Option<Net>> {
    Ok(match recipe.loss.distil.teacher.as_str() {
        "" => None,
        path => Some(load::open(path.as_ref(), &Overrides::default())?.net),
    })
}

/// A picture of queries, spread over the test set, and their answers.
fn answers(module: &Module, set: &Dataset, reading: ExtractOptions<'_>) -> anyhow::Result<String> {
    let test = extract::test_set(module, set, reading, |_| ())?;
    let feature = test.best_feature();
    let step = set.query.len().div_ceil(QUERIES);
    let queries: Vec<usize> = (0..set.query.len()).step_by(step).collect();
    let open = |name: &str| Crop::open(name);
    Ok(picture::sheet::results(
        &test,
        feature,
        Metric::Cosine,
        &queries,
        ANSWERS,
        open,
    )?)
}

/// Prints the progress of a run, as text or JSON.
struct ProgressObserver {
    json: bool,
    epochs: u32,
    preprocessing: Preprocessing,
    run: PathBuf,
    bar: Option<ProgressBar>,
}

impl ProgressObserver {
    fn done(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl TrainObserver for ProgressObserver {
    fn epoch(&mut self, epoch: u32, steps: usize) {
        let epochs = self.epochs;
        let bar = self.bar.get_or_insert_with(|| {
            let template = "{bar:24} {pos}/{len} steps, {eta} left, {msg}";
            let style = ProgressStyle::with_template(template).expect("the template is a constant");
            let left = u64::from(epochs - epoch + 1) * steps as u64;
            let bar = ProgressBar::new(left).with_style(style);
            cli::keep_above(&bar);
            bar
        });
        bar.set_message(format!("epoch {epoch} of {epochs}"));
    }

    fn step(&mut self, step: &TrainStep, images: usize) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
            let rate = bar.per_sec() * images as f64;
            bar.set_message(format!(
                "loss {:.3}, accuracy {:.0} %, {rate:.0} images/s",
                step.loss,
                step.accuracy * 100.0
            ));
        }
    }

    fn batch(&mut self, batch: &Batch) -> trainer::Result<()> {
        let preprocessing = &self.preprocessing;
        let pixels = 3 * preprocessing.height * preprocessing.width;
        let tiles: Vec<Tile> = (batch.pixels.chunks_exact(pixels).zip(&batch.labels))
            .take(SHOWN)
            .map(|(image, label)| {
                Ok(Tile {
                    crop: Crop::of_network(image, preprocessing)?,
                    border: None,
                    lines: vec![format!("person {label}")],
                })
            })
            .collect::<trainer::Result<_>>()?;
        let rows: Vec<Vec<Tile>> = tiles.chunks(16).map(<[Tile]>::to_vec).collect();
        let sheet = picture::sheet::contact_sheet("first batch after augmentation", &rows)?;
        let path = self.run.join("batch.svg");
        cli::private::write(&path, sheet).map_err(trainer::Error::io(&path))
    }

    fn record(&mut self, record: &LogRecord) {
        if self.json {
            // A closed pipe does not end a training.
            let _ = cli::json(record);
            return;
        }
        cli::say_above_bar(&line(record, self.epochs));
    }
}

/// A record as text.
fn line(record: &LogRecord, epochs: u32) -> String {
    match record {
        LogRecord::Epoch(epoch) => {
            let parts: Vec<String> = (epoch.loss.iter())
                .filter(|(name, _)| *name != "total")
                .map(|(name, value)| format!("{name} {value:.3}"))
                .collect();
            format!(
                "epoch {}/{epochs}  lr {:.2e}  loss {:.3} ({})  accuracy {:.1} %  {:.1} images/s, {:.0} % of the time waiting for images",
                epoch.epoch,
                epoch.lr,
                epoch.loss["total"],
                parts.join(", "),
                epoch.accuracy * 100.0,
                epoch.images_per_s,
                epoch.waiting * 100.0,
            )
        }
        LogRecord::Evaluation(evaluation) => format!(
            "epoch {}/{epochs}  rank-1 {:.1} %  mAP {:.1} %",
            evaluation.epoch,
            evaluation.test.rank1 * 100.0,
            evaluation.test.map * 100.0,
        ),
    }
}
