//! Opens the CPU or an NVIDIA GPU.
//!
//! The program is linked with libtorch for CPUs. The CUDA libraries register their kernels only if
//! they are loaded before libtorch looks for a GPU, so for `cuda` the program restarts itself with
//! these libraries preloaded (`restart_with_cuda`).

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tch::{Cuda, Device};

use crate::{Error, Result};

/// Set for the restarted program, which must not start itself again.
const RESTARTED: &str = "TRAINER_RESTARTED_WITH_CUDA";

/// The library with the kernels for GPUs.
const LIBRARY: &str = "libtorch_cuda.so";

/// The value of `--device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum DeviceChoice {
    /// The CPU.
    #[default]
    Cpu,
    /// The first NVIDIA GPU.
    Cuda,
}

/// The device that `choice` names. For a GPU the program may start itself anew: call this before
/// anything is computed or written.
///
/// # Errors
/// [`Error::Argument`] if there is no GPU, or its libraries are in none of the listed folders.
pub fn open(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda if env::var_os(RESTARTED).is_some() => {
            if Cuda::is_available() {
                // Shapes stay the same from step to step: the time to try algorithms is well spent.
                Cuda::cudnn_set_benchmark(true);
                return Ok(Device::Cuda(0));
            }
            Err(Error::Argument(
                "libtorch for NVIDIA GPUs is loaded, but finds no GPU: check the GPU and its driver with nvidia-smi"
                    .to_owned(),
            ))
        }
        DeviceChoice::Cuda => Err(restart_with_cuda()),
    }
}

/// Replaces this process with the same program, the libraries for GPUs loaded. Returns only if it
/// cannot.
fn restart_with_cuda() -> Error {
    let folders = candidates(env::var_os("LIBTORCH_CUDA"), env::current_exe().ok());
    let Some(torch) = folders.iter().find(|torch| torch.join(LIBRARY).is_file()) else {
        let looked: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Error::Argument(format!(
            "--device cuda needs {LIBRARY}, which is in none of {}: `cargo xtask libtorch --cuda` fetches it, or LIBTORCH_CUDA names the folder `torch/lib` of an installed torch 2.11",
            looked.join(", ")
        ));
    };
    let exe = match env::current_exe() {
        Ok(exe) => exe,
        Err(source) => {
            return Error::Io {
                path: PathBuf::from("/proc/self/exe"),
                source,
            };
        }
    };
    let mut search = OsString::from(torch);
    for folder in vendor_folders(torch) {
        search.push(":");
        search.push(folder);
    }
    if let Some(before) = env::var_os("LD_LIBRARY_PATH") {
        search.push(":");
        search.push(before);
    }
    let source = Command::new(&exe)
        .args(env::args_os().skip(1))
        .env(RESTARTED, "1")
        .env("LD_PRELOAD", torch.join(LIBRARY))
        .env("LD_LIBRARY_PATH", search)
        .exec();
    Error::Io { path: exe, source }
}

/// Where libtorch for GPUs may be: `LIBTORCH_CUDA`, or `.libtorch` in a folder above the program.
fn candidates(named: Option<OsString>, exe: Option<PathBuf>) -> Vec<PathBuf> {
    let above = exe.into_iter().flat_map(|exe| {
        (exe.ancestors().skip(1))
            .map(|folder| folder.join(".libtorch/cuda/torch/lib"))
            .filter(|folder| folder.is_dir())
            .collect::<Vec<_>>()
    });
    named.map(PathBuf::from).into_iter().chain(above).collect()
}

/// Folders `nvidia/*/lib` beside `torch`, as wheels unpack.
fn vendor_folders(torch: &Path) -> Vec<PathBuf> {
    let Some(site) = torch.ancestors().nth(2) else {
        return Vec::new();
    };
    let Ok(packages) = site.join("nvidia").read_dir() else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = (packages.flatten())
        .map(|package| package.path().join("lib"))
        .filter(|lib| lib.is_dir())
        .collect();
    folders.sort();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn libraries_are_looked_for_where_they_are_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let torch = folder.path().join(".libtorch/cuda/torch/lib");
        fs::create_dir_all(&torch).unwrap();
        for package in ["cudnn", "cu13"] {
            let lib = folder.path().join(".libtorch/cuda/nvidia").join(package);
            fs::create_dir_all(lib.join("lib")).unwrap();
        }
        let exe = folder.path().join("target/debug/trainer");
        assert_eq!(
            candidates(Some("/opt/torch/lib".into()), Some(exe)),
            [Path::new("/opt/torch/lib"), &torch]
        );
        let found = vendor_folders(&torch);
        assert_eq!(found.len(), 2);
        assert!(found[0].ends_with("nvidia/cu13/lib"), "{found:?}");
    }
}
