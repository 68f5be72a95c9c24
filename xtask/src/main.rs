//! Everything a person runs on this repository: `cargo xtask --help`.

mod ablation;
mod default_model;
mod demo_files;
mod device_test;
mod fuzz;
mod layout;
mod libtorch;
mod links;
mod pages_check;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, Subcommand};

/// Everything a person runs on this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every test
    Test {
        /// Passed on to `cargo test`, for example a test's name
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Write the golden files of the tests anew: look at the difference before a commit
    UpdateGolden,
    /// Layout, links, formatting, clippy, documentation and licences, each without a warning
    Check,
    Libtorch(libtorch::Libtorch),
    Ablation(ablation::Ablation),
    DefaultModel(default_model::DefaultModel),
    DemoFiles(demo_files::DemoFiles),
    PagesCheck(pages_check::PagesCheck),
    /// Run `reid` against a camera driver of the kernel, in an emulated machine: minutes
    DeviceTest,
    /// Run the fuzz targets
    Fuzz(fuzz::Fuzz),
}

fn main() -> Result<()> {
    env::set_current_dir(root())?;
    match Cli::parse().task {
        Task::Test { rest } => test(&rest),
        Task::UpdateGolden => update_golden(),
        Task::Check => check(),
        Task::Libtorch(libtorch) => libtorch.run(),
        Task::Ablation(ablation) => ablation.run(),
        Task::DefaultModel(model) => model.run(),
        Task::DemoFiles(files) => files.run(),
        Task::PagesCheck(pages) => pages.run(),
        Task::DeviceTest => device_test::run_all(),
        Task::Fuzz(fuzz) => fuzz.run(),
    }
}

/// The trainer for those who do not train.
const WITHOUT_TORCH: [&str; 3] = ["--package", "trainer", "--no-default-features"];

/// `reid` for those whose networks are quantised.
const WITHOUT_TRACT: [&str; 5] = [
    "--package",
    "runtime",
    "--no-default-features",
    "--features",
    "camera",
];

fn test(rest: &[String]) -> Result<()> {
    let torch = libtorch::ensure()?;
    let packages = ["test", "--locked", "--workspace", "--exclude", "fuzz"];
    if torch {
        run(cargo(packages).args(rest))?;
    } else {
        run(cargo(packages).args(["--exclude", "trainer"]).args(rest))?;
        run(cargo(["test", "--locked"]).args(WITHOUT_TORCH).args(rest))?;
    }
    // `reid` as `cargo demo` builds it.
    let demo = ["--test", "reid"];
    run(cargo(["test", "--locked"])
        .args(WITHOUT_TRACT)
        .args(demo)
        .args(rest))
}

/// Writes the help texts of both programs to `tests/help`. The whole workspace, as in [`test()`]: with
/// the features of one package alone tract would be compiled again.
fn update_golden() -> Result<()> {
    let torch = libtorch::ensure()?;
    let update = |test: &str| {
        let mut command = cargo(["test", "--locked", "--workspace", "--exclude", "fuzz"]);
        if !torch {
            command.args(["--exclude", "trainer"]);
        }
        run(command
            .args(["--test", test, "help_texts_are_those_reviewed"])
            .env("REID_TEST_UPDATE", "1"))
    };
    update("reid")?;
    if torch {
        update("help")?;
    }
    Ok(())
}

fn check() -> Result<()> {
    let torch = libtorch::ensure()?;
    let trainer: &[&str] = if torch {
        &[]
    } else {
        &["--exclude", "trainer"]
    };
    layout::check(&root())?;
    links::check(&root())?;
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    let strict = ["--all-targets", "--locked", "--", "--deny", "warnings"];
    run(cargo(["clippy", "--workspace"]).args(trainer).args(strict))?;
    // The border with libtorch: everything else of the trainer builds without it.
    run(cargo(["clippy"]).args(WITHOUT_TORCH).args(strict))?;
    run(cargo(["clippy"]).args(WITHOUT_TRACT).args(strict))?;
    let documentation = ["--no-deps", "--locked", "--document-private-items"];
    run(cargo(["doc", "--workspace"])
        .args(trainer)
        .args(documentation)
        .env("RUSTDOCFLAGS", "--deny warnings"))?;
    licences()
}

/// Licences, sources and duplicate crates. Advisories need a database from outside, so they are
/// checked only where `cargo deny check` can fetch it.
fn licences() -> Result<()> {
    let installed = cargo(["deny", "--version"]).output()?.status.success();
    if !installed {
        if required("deny") {
            bail!(
                "cargo-deny is missing and REID_REQUIRE wants it: cargo install --locked cargo-deny"
            );
        }
        eprintln!(
            "skipped: cargo deny, because it is not installed (cargo install --locked cargo-deny)"
        );
        return Ok(());
    }
    run(&mut cargo([
        "deny", "--locked", "check", "bans", "licenses", "sources",
    ]))
}

/// The program `trainer`, built in release unless there is one already.
fn built_trainer(built: Option<&Path>) -> Result<PathBuf> {
    if let Some(built) = built {
        return Ok(built.to_owned());
    }
    libtorch::ensure()?;
    run(&mut cargo([
        "build",
        "--release",
        "--locked",
        "--package",
        "trainer",
    ]))?;
    Ok(root().join("target/release/trainer"))
}

/// Whether `REID_REQUIRE`, a list with commas, says that something must be there.
fn required(what: &str) -> bool {
    env::var("REID_REQUIRE").is_ok_and(|list| list.split(',').any(|item| item.trim() == what))
}

fn cargo<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(args);
    cargo
}

/// Runs a command to its end and fails if it does.
fn run(command: &mut Command) -> Result<()> {
    let name = format!("{command:?}");
    let status = command.status().with_context(|| name.clone())?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// What a command writes to stdout.
fn said(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command
        .env("LC_ALL", "C")
        .output()
        .with_context(|| name.clone())?;
    ensure!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("xtask lies in the repository")
        .to_owned()
}
