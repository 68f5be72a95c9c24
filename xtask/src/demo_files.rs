//! What `reid demo` has inside, made again from the default network and from seeds: the network in
//! int8, a clip with boxes and truth, and what the network reaches on crops of real people.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use super::{WITHOUT_TRACT, cargo, libtorch, root, run, said};

/// Make the files in `models/` that the program carries: int8 network, clip, boxes, truth
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DemoFiles {
    /// Where pictures are kept; the street is not rendered again if it is there
    #[arg(long, value_name = "DIR", default_value = "target/demo-files")]
    out: PathBuf,
    /// A built trainer to run [default: it is built here]
    #[arg(long, value_name = "PROGRAM")]
    trainer: Option<PathBuf>,
    /// Crops of real people in Market-1501's layout, to measure the network on; without them the
    /// figures of the model's card stay as they are
    #[arg(long, value_name = "DIR")]
    real_crops: Option<PathBuf>,
    /// What these crops are, for the model's card
    #[arg(long, value_name = "TEXT", requires = "real_crops")]
    real_crops_are: Option<String>,
    /// The network as it was trained in integers, `final.onnx` of `cargo xtask default-model`
    /// [default: the float network is quantised after training]
    #[arg(long, value_name = "FILE.onnx")]
    int8: Option<PathBuf>,
    /// Leave the clip as it is
    #[arg(long)]
    keep_clip: bool,
}

const AFTER_HELP: &str = "\
Examples:
  cargo xtask demo-files --int8 runs/default-model/int8/final.onnx
  cargo xtask demo-files --real-crops crops --real-crops-are '104 crops of six real people, recoloured three ways,'";

/// The default network and what is made of it.
const MODEL: &str = "models/street-osnet_x0_25";

/// Of the street to calibrate and to find thresholds on. Its persons and cameras were neither learned
/// (101 to 123) nor are they those that the network's figures are measured on (0).
const STREET: &str = "201";

/// How the clip is rendered. 120 seeds of each domain were planned so, and five of the dozen were
/// rendered in which people cover each other least, which is a matter of following boxes and not of
/// recognising people. The card in `models/README.md` has what the network made of all five.
const CLIP: [&str; 16] = [
    "--domain",
    "mall",
    "--seed",
    "21",
    "--identities",
    "8",
    "--visits",
    "14",
    "--size",
    "512x288",
    "--fps",
    "5",
    "--quality",
    "30",
    "--mean-interval",
    "4.2",
];

/// How the real crops are recoloured: seeds.
const RECOLOURED: [&str; 3] = ["1", "2", "3"];

impl DemoFiles {
    pub(crate) fn run(&self) -> Result<()> {
        let trainer = self.trainer()?;
        fs::create_dir_all(&self.out)?;
        self.quantise(&trainer)?;
        if !self.keep_clip {
            self.clip(&trainer)?;
        }
        match &self.real_crops {
            Some(crops) => self.measure(&trainer, crops),
            None => Ok(()),
        }
    }

    /// Exporting and rendering need no libtorch.
    fn trainer(&self) -> Result<PathBuf> {
        if let Some(built) = &self.trainer {
            return Ok(built.clone());
        }
        let mut build = cargo(["build", "--release", "--locked", "--package", "trainer"]);
        if !libtorch::ensure()? {
            build.arg("--no-default-features");
        }
        run(&mut build)?;
        Ok(root().join("target/release/trainer"))
    }

    fn quantise(&self, trainer: &Path) -> Result<()> {
        let street = self.out.join(format!("street-{STREET}"));
        if !street.exists() {
            let unfinished = street.with_extension("unfinished");
            remove(&unfinished)?;
            run(Command::new(trainer)
                .arg("synth")
                .arg(&unfinished)
                .args(["--seed", STREET]))?;
            fs::rename(&unfinished, &street)?;
        }
        let float = format!("{MODEL}.safetensors");
        let mut export = Command::new(trainer);
        export.args(["export", "--json", "--out", &format!("{MODEL}-int8.onnx")]);
        export.arg("--eval").arg(&street);
        export.args(["--datasets", "trainer synth"]);
        export.args(["--licence", "MIT OR Apache-2.0"]);
        match &self.int8 {
            Some(trained) => {
                eprintln!("comparing {} with {float}", trained.display());
                export.arg("--weights").arg(trained);
                export.args(["--against", &float]);
            }
            None => {
                eprintln!("quantising {float}");
                export.args(["--quantize", "--calibration", "best", "--weights", &float]);
                export.arg("--calib").arg(street.join("bounding_box_train"));
                export.arg("--images").arg(street.join("query"));
            }
        }
        let report = answer(&mut export)?;
        let comparison = &report["accuracy"]["comparison"];
        let operating = report["accuracy"]["open_set"]["operating"].as_array();
        let lowest = operating
            .and_then(|all| all.iter().find(|at| at["target"] == 0.01))
            .context("too few searches for a threshold at an FPIR of 1 %")?;
        self.card(
            "street",
            &json!({
                "what": format!("{} queries of a street that was not learned (seed {STREET})", comparison["queries"]),
                "map_float": percent(&comparison["map"]["float"]["value"])?,
                "map_int8": percent(&comparison["map"]["int8"]["value"])?,
                "rank1_float": percent(&comparison["rank1"]["float"]["value"])?,
                "rank1_int8": percent(&comparison["rank1"]["int8"]["value"])?,
                "cosine_mean": comparison["cosine"]["mean"],
                "threshold": lowest["point"]["threshold"],
                "strangers_let_in": percent(&lowest["point"]["fpir"])?,
                "known_missed": percent(&lowest["point"]["fnir"])?,
            }),
        )
    }

    fn clip(&self, trainer: &Path) -> Result<()> {
        let clip = self.out.join("clip");
        remove(&clip)?;
        run(Command::new(trainer)
            .arg("synth-clip")
            .arg(&clip)
            .args(CLIP))?;
        fs::create_dir_all("models/demo")?;
        for name in ["clip.avi", "boxes.csv", "truth.csv"] {
            fs::copy(clip.join(name), Path::new("models/demo").join(name))?;
        }
        Ok(())
    }

    /// Writes the model's card: what the network that the program carries reaches on real crops, and
    /// what colours alone reach on the same.
    fn measure(&self, trainer: &Path, crops: &Path) -> Result<()> {
        run(cargo(["build", "--release", "--locked"]).args(WITHOUT_TRACT))?;
        let (mut map, mut stripes_map) = (Vec::new(), Vec::new());
        for seed in RECOLOURED {
            let recoloured = self.out.join(format!("recoloured-{seed}"));
            remove(&recoloured)?;
            run(Command::new(trainer)
                .args(["data", "recolour"])
                .arg(crops)
                .arg(&recoloured)
                .args(["--seed", seed]))?;
            let scores = answer(
                Command::new(root().join("target/release/reid"))
                    .arg("eval")
                    .arg(&recoloured)
                    .args(["--model", &format!("{MODEL}-int8.onnx"), "--json"]),
            )?;
            map.push(percent(&scores["map"])?);
            let stripes = answer(
                Command::new(trainer)
                    .args(["data", "stripes"])
                    .arg(&recoloured)
                    .arg("--json"),
            )?;
            stripes_map.push(percent(&stripes["rows"][0]["map"])?);
        }
        let mut real = json!({ "map": map, "stripes_map": stripes_map });
        if let Some(text) = &self.real_crops_are {
            real["crops"] = json!(text);
        }
        self.card("real", &real)
    }

    /// Puts figures into a part of the model's card, whose other values stay.
    fn card(&self, part: &str, figures: &Value) -> Result<()> {
        let path = format!("{MODEL}-int8.json");
        let mut card: Value = serde_json::from_slice(&fs::read(&path)?).context(path.clone())?;
        ensure!(card.is_object(), "{path}: no object");
        for (key, value) in figures.as_object().expect("figures have names") {
            card[part][key] = value.clone();
        }
        println!("{path}: {part}: {}", card[part]);
        fs::write(&path, serde_json::to_string_pretty(&card)? + "\n").context(path)
    }
}

/// A share as percent, to a tenth.
fn percent(share: &Value) -> Result<f64> {
    let share = share.as_f64().context("no mAP in the answer")?;
    Ok((share * 1000.0).round() / 10.0)
}

/// The JSON that a command prints.
fn answer(command: &mut Command) -> Result<Value> {
    let name = format!("{command:?}");
    let text = said(command)?;
    serde_json::from_str(&text).with_context(|| format!("{name}: {text}"))
}

fn remove(folder: &Path) -> Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder).with_context(|| folder.display().to_string()),
        false => Ok(()),
    }
}
