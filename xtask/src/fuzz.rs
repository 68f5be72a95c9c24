//! Coverage-guided fuzzing with libFuzzer on stable Rust.
//!
//! The flags are those that cargo-fuzz gives, without AddressSanitizer, which wants nightly: what
//! is looked for are panics, overflows, hangs and memory without bounds.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::{cargo, root, run};

const TARGETS: [&str; 5] = ["onnx", "avi", "jpeg", "boxes", "pth"];

/// What makes a build tell libFuzzer where it has been.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions \
    -Coverflow-checks";

/// Throw mutated bytes at the readers of files from outside.
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// onnx, avi, jpeg, boxes or pth [default: each of them]
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

impl Fuzz {
    pub(crate) fn run(self) -> Result<()> {
        let targets: Vec<&str> = match &self.target {
            None => TARGETS.to_vec(),
            Some(name) => match TARGETS.iter().find(|target| *target == name) {
                Some(target) => vec![target],
                None => bail!("there is no fuzz target `{name}`; there are {TARGETS:?}"),
            },
        };
        let folder = root().join("target/fuzz");
        // With --target, the flags do not reach build scripts and macros.
        let host = host()?;
        let build = [
            "build",
            "--release",
            "--locked",
            "--package",
            "fuzz",
            "--target",
            &host,
        ];
        let mut build = cargo(build);
        build
            .env("RUSTFLAGS", FLAGS)
            .env("CARGO_TARGET_DIR", &folder);
        run(&mut build)?;
        for target in targets {
            self.fuzz(
                target,
                &folder.join(&host).join("release").join(target),
                &folder,
            )?;
        }
        Ok(())
    }

    fn fuzz(&self, target: &str, program: &PathBuf, folder: &std::path::Path) -> Result<()> {
        let corpus = folder.join("corpus").join(target);
        let findings = folder.join("findings").join(target);
        std::fs::create_dir_all(&corpus)?;
        std::fs::create_dir_all(&findings)?;
        let mut command = std::process::Command::new(program);
        command
            .arg(format!("-max_total_time={}", self.seconds))
            .args([
                "-rss_limit_mb=2048",
                "-timeout=10",
                "-max_len=65536",
                "-print_final_stats=1",
            ])
            .arg(format!("-artifact_prefix={}/", findings.display()))
            .arg(&corpus);
        let seeds = root().join("fuzz/seeds").join(target);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        run(&mut command).with_context(|| format!("target `{target}` has found something"))
    }
}

/// The triple of this machine, as rustc names it.
fn host() -> Result<String> {
    let output = std::process::Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc -vV names no host")
}
