//! Puts libtorch under `.libtorch`, from wheels of PyPI: what the trainer's feature `torch` links.
//!
//! In: `python3 -m pip`, which checks what it downloads. Out: `.libtorch/cpu`, 0.5 GB, which
//! `.cargo/config.toml` points to, or with `--cuda` also `.libtorch/cuda`, which a program built on
//! the first loads instead when it is asked for a GPU. Of the wheels only headers and libraries are
//! kept; no Python code runs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

/// The version that the crate `tch` 0.24 is made for.
const TORCH: &str = "torch==2.11.0";

/// What a program without CUDA needs besides torch: `libtorch_cpu.so` names them both.
const CPU_WHEELS: [&str; 3] = [
    TORCH,
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cupti==13.0.85",
];

/// Libraries kept without CUDA.
const CPU_LIBRARIES: [&str; 6] = [
    "torch/lib/libtorch.so",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
    "torch/lib/libgomp.so.1",
    "nvidia/cu13/lib/libcudart.so.13",
    "nvidia/cu13/lib/libcupti.so.13",
];

/// Fetch libtorch from PyPI: 0.6 GB to download, 0.5 GB kept
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: cargo xtask libtorch && cargo run --release -p trainer -- --help")]
pub(crate) struct Libtorch {
    /// Also the libraries for NVIDIA GPUs: about 3 GB to download
    #[arg(long)]
    cuda: bool,
}

impl Libtorch {
    /// Fetches what is not there yet.
    pub(crate) fn run(&self) -> Result<()> {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            bail!("{ELSEWHERE}");
        }
        fetch(Set::Cpu)?;
        if self.cuda {
            fetch(Set::Cuda)?;
        }
        Ok(())
    }
}

/// Which libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Cpu,
    Cuda,
}

const ELSEWHERE: &str = "libtorch is fetched for x86-64 Linux only: set LIBTORCH to a libtorch 2.11, or build the trainer with --no-default-features";

/// Makes sure that the feature `torch` can be built and run, by fetching libtorch where `LIBTORCH`
/// does not name one. Whether it can.
pub(crate) fn ensure() -> Result<bool> {
    if std::env::var_os("LIBTORCH").is_some_and(|named| Path::new(&named) != default_folder()) {
        return Ok(true);
    }
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        fetch(Set::Cpu)?;
        return Ok(true);
    }
    if crate::required("torch") {
        bail!("REID_REQUIRE wants torch; {ELSEWHERE}");
    }
    eprintln!("skipped: the trainer's feature torch; {ELSEWHERE}");
    Ok(false)
}

/// Where `.cargo/config.toml` says that libtorch is.
fn default_folder() -> PathBuf {
    crate::root().join(".libtorch/cpu/torch")
}

fn fetch(set: Set) -> Result<()> {
    let home = crate::root().join(".libtorch");
    let folder = home.join(match set {
        Set::Cpu => "cpu",
        Set::Cuda => "cuda",
    });
    // Written last: a fetch that was cut off starts again.
    if folder.join("torch/build-version").exists() {
        return Ok(());
    }
    fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    let work = tempfile::tempdir_in(&home)?;
    eprintln!("fetching {TORCH} into {}", folder.display());
    download(work.path(), set)?;
    let unpacked = work.path().join("unpacked");
    for entry in fs::read_dir(work.path())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "whl") {
            unpack(&path, &unpacked, set).with_context(|| path.display().to_string())?;
        }
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    // The build script of `torch-sys` compares this file with the version that it wants.
    let (_, version) = TORCH.split_once("==").expect("a version is given");
    fs::write(unpacked.join("torch/build-version"), format!("{version}\n"))?;
    fs::rename(&unpacked, &folder).with_context(|| folder.display().to_string())
}

/// Lets pip bring the wheels of CPython 3.11, whichever Python is here: nothing in them is
/// imported.
fn download(folder: &Path, set: Set) -> Result<()> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-cache-dir"]);
    pip.args(["--only-binary=:all:", "--implementation", "cp"]);
    pip.args([
        "--python-version",
        "3.11",
        "--abi",
        "cp311",
        "--abi",
        "none",
    ]);
    // pip takes each tag for itself alone, and every vendor builds for another one.
    pip.args(["--platform", "manylinux2014_x86_64"]);
    for minor in 5..=28 {
        pip.args(["--platform", &format!("manylinux_2_{minor}_x86_64")]);
    }
    pip.arg("--dest").arg(folder);
    match set {
        Set::Cpu => pip.arg("--no-deps").args(CPU_WHEELS),
        Set::Cuda => pip.arg(TORCH),
    };
    let status = pip
        .status()
        .context("python3 -m pip brings libtorch: install Python 3 with pip")?;
    if !status.success() {
        bail!("pip could not bring libtorch: {status}");
    }
    Ok(())
}

/// Takes headers, libraries and licences out of a wheel.
fn unpack(wheel: &Path, folder: &Path, set: Set) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let name = file
            .enclosed_name()
            .context("an entry leads out of the folder")?;
        if !file.is_file() || !keep(&name, set) {
            continue;
        }
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder"))?;
        let mut out = File::create(&path)?;
        io::copy(&mut file, &mut out).with_context(|| path.display().to_string())?;
        out.flush()?;
    }
    Ok(())
}

fn keep(name: &Path, set: Set) -> bool {
    let text = name.to_string_lossy();
    let licence = text.contains(".dist-info/") && text.to_lowercase().contains("licen");
    let library = match set {
        Set::Cpu => CPU_LIBRARIES.contains(&text.as_ref()),
        Set::Cuda => {
            let theirs = text.starts_with("torch/lib/") || text.starts_with("nvidia/");
            theirs && text.contains(".so") && !text.contains("_python")
        }
    };
    licence || library || (set == Set::Cpu && text.starts_with("torch/include/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_libraries_and_licences_are_kept() {
        let cases = [
            ("torch/include/ATen/ATen.h", true, false),
            ("torch/lib/libtorch_cpu.so", true, true),
            ("torch/lib/libtorch_cuda.so", false, true),
            ("torch/lib/libtorch_python.so", false, false),
            ("nvidia/cudnn/lib/libcudnn.so.9", false, true),
            ("nvidia/cu13/lib/libcudart.so.13", true, true),
            ("torch-2.11.0.dist-info/licenses/LICENSE", true, true),
            ("torch/__init__.py", false, false),
            ("triton/_C/libtriton.so", false, false),
        ];
        for (name, cpu, cuda) in cases {
            assert_eq!(keep(Path::new(name), Set::Cpu), cpu, "{name}");
            assert_eq!(keep(Path::new(name), Set::Cuda), cuda, "{name}");
        }
    }
}
