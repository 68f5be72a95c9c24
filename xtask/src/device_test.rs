//! `reid` against a camera driver of the kernel, in an emulated machine: everything that a scripted
//! camera of the unit tests only claims about drivers.
//!
//! Debian's packages of qemu, of its kernel and of busybox are unpacked below `target/device-test`,
//! nothing is installed and nobody need be root. The machine has no disk: a kernel, the program with
//! its libraries, a small model, and [`checks.sh`](device_test/checks.sh) in a file system in memory.
//! Its camera is `vivid`, the test driver of the kernel, which can be unplugged, made to fail and
//! made silent. Minutes long, so it is no part of `cargo xtask test`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{cargo, required, root, run, said};

/// Packages that are used even if the machine has them installed: files are taken out of them.
const PACKAGES: [&str; 6] = [
    "qemu-system-x86",
    "qemu-system-data",
    "qemu-system-common",
    "seabios",
    "busybox-static",
    "v4l-utils",
];

/// The package that names the newest kernel.
const KERNEL: &str = "linux-image-amd64";

/// The camera.
const DRIVER: &str = "vivid";

/// Seconds that the machine may run; it takes two minutes on two cores.
const LIMIT: &str = "900";

/// Folders of shared libraries in Debian's packages.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

/// Runs the checks, or says why they cannot be run here.
pub(crate) fn run_all() -> Result<()> {
    let work = root().join("target/device-test");
    let packages = match packages() {
        Ok(packages) => packages,
        Err(reason) if required("device-test") => return Err(reason),
        Err(reason) => {
            eprintln!("skipped: device-test, because {reason:#}");
            return Ok(());
        }
    };
    let system = System::unpack(&work, &packages)?;
    run(cargo(["build", "--locked", "--package", "runtime"]).args(["--bin", "reid"]))?;
    let example = work.join("example");
    run(cargo(["run", "--locked", "--quiet", "--package", "fixtures", "--"]).arg(&example))?;
    let program = target().join("debug/reid");
    let image = system.image(&work, &program, &example.join("figures.onnx"))?;
    system.boot(&image)
}

/// Names of all packages that are needed, or why there are none.
fn packages() -> Result<BTreeSet<String>> {
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "it needs x86-64 Linux"
    );
    let depends = said(Command::new("apt-cache").args(["depends", KERNEL]))
        .context("it takes Debian's packages")?;
    let kernel = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
        .with_context(|| format!("apt knows no package {KERNEL}; `apt-get update`?"))?;
    // What is missing here of all that the packages depend on; a simulation installs nothing.
    let simulated = said(
        Command::new("apt-get")
            .args(["install", "--simulate", "--no-install-recommends"])
            .args(PACKAGES),
    )?;
    let missing = simulated
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let named = PACKAGES.into_iter().chain(missing).map(str::to_owned);
    Ok(named.chain([format!("linux-image-{kernel}")]).collect())
}

/// What was unpacked.
struct System {
    root: PathBuf,
}

impl System {
    /// Downloads and unpacks `packages`, unless that was done before.
    fn unpack(work: &Path, packages: &BTreeSet<String>) -> Result<Self> {
        let list: String = packages.iter().map(|name| format!("{name}\n")).collect();
        let (root, done) = (work.join("root"), work.join("packages"));
        if fs::read_to_string(&done).is_ok_and(|before| before == list) {
            return Ok(Self { root });
        }
        let downloads = work.join("downloads");
        for folder in [&root, &downloads] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
            fs::create_dir_all(folder)?;
        }
        run(Command::new("apt-get")
            .args(["download", "--quiet"])
            .args(packages)
            .current_dir(&downloads))?;
        for package in fs::read_dir(&downloads)? {
            let package = package?.path();
            run(Command::new("dpkg-deb")
                .arg("--extract")
                .arg(package)
                .arg(&root))?;
        }
        fs::remove_dir_all(&downloads)?;
        fs::write(done, list)?;
        Ok(Self { root })
    }

    /// Where the unpacked libraries are, for `LD_LIBRARY_PATH`.
    fn libraries(&self) -> String {
        LIBRARIES
            .map(|folder| self.root.join(folder).display().to_string())
            .join(":")
    }

    /// Packs the file system of the machine.
    fn image(&self, work: &Path, program: &Path, model: &Path) -> Result<PathBuf> {
        let stage = work.join("stage");
        if stage.exists() {
            fs::remove_dir_all(&stage)?;
        }
        for folder in [
            "bin", "data", "dev", "lib", "lib64", "modules", "proc", "sys", "tmp",
        ] {
            fs::create_dir_all(stage.join(folder))?;
        }
        let busybox = self.root.join("bin/busybox");
        fs::copy(&busybox, stage.join("bin/busybox"))?;
        for file in [program, &self.root.join("usr/bin/v4l2-ctl")] {
            self.add_program(file, &stage)?;
        }
        self.add_modules(&stage.join("modules"))?;
        fs::copy(model, stage.join("data/figures.onnx"))?;
        let here = root().join("xtask/src/device_test");
        fs::copy(here.join("checks.sh"), stage.join("data/checks.sh"))?;
        fs::copy(here.join("init"), stage.join("init"))?;
        run(Command::new("chmod").arg("755").arg(stage.join("init")))?;

        let image = work.join("image.cpio");
        let pack = format!(
            "set -e; cd '{}'; find . | '{}' cpio -o -H newc > '{}' 2> /dev/null",
            stage.display(),
            busybox.display(),
            image.display()
        );
        run(Command::new("sh").args(["-c", &pack]))?;
        Ok(image)
    }

    /// Copies a program and the libraries that it is linked to.
    fn add_program(&self, program: &Path, stage: &Path) -> Result<()> {
        let name = program.file_name().context("a program has a name")?;
        fs::copy(program, stage.join("bin").join(name))
            .with_context(|| program.display().to_string())?;
        let linked = said(
            Command::new("ldd")
                .arg(program)
                .env("LD_LIBRARY_PATH", self.libraries()),
        )?;
        for word in linked
            .split_whitespace()
            .filter(|word| word.starts_with('/'))
        {
            let library = Path::new(word);
            let file = library.file_name().context("a library has a name")?;
            let folder = if word.contains("ld-linux") {
                "lib64"
            } else {
                "lib"
            };
            fs::copy(library, stage.join(folder).join(file))?;
        }
        Ok(())
    }

    /// Copies the driver and the modules that it needs, and lists them in the order of loading.
    fn add_modules(&self, to: &Path) -> Result<()> {
        let all = said(
            Command::new("find")
                .arg(self.root.join("lib/modules"))
                .args(["-name", "*.ko*"]),
        )?;
        let (mut order, mut todo) = (Vec::new(), vec![(DRIVER.to_owned(), false)]);
        while let Some((name, ready)) = todo.pop() {
            let file = format!("{name}.ko");
            if order.contains(&file) {
                continue;
            }
            if ready {
                order.push(file);
                continue;
            }
            let path = all.lines().find(|path| module(path) == name);
            let path = path.with_context(|| format!("the kernel has no module `{name}`"))?;
            let bytes = if path.ends_with(".xz") {
                let unpacked = Command::new("xz").args(["-dc", path]).output()?;
                ensure!(unpacked.status.success(), "xz cannot unpack {path}");
                unpacked.stdout
            } else {
                fs::read(path)?
            };
            todo.push((name, true));
            todo.extend(needs(&bytes).into_iter().map(|needed| (needed, false)));
            fs::write(to.join(file), bytes)?;
        }
        fs::write(to.join("order"), order.join("\n") + "\n")?;
        Ok(())
    }

    /// Runs the machine to its end; shows what the checks say.
    fn boot(&self, image: &Path) -> Result<()> {
        let kernel = fs::read_dir(self.root.join("boot"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| {
                path.file_name()
                    .is_some_and(|name| starts(name, "vmlinuz-"))
            })
            .context("the kernel's package has no vmlinuz")?;
        let mut machine = Command::new("timeout");
        machine
            .arg(LIMIT)
            .arg(self.root.join("usr/bin/qemu-system-x86_64"))
            .env("LD_LIBRARY_PATH", self.libraries());
        for folder in ["usr/share/seabios", "usr/share/qemu"] {
            machine.arg("-L").arg(self.root.join(folder));
        }
        machine
            .args("-accel tcg,thread=multi -cpu max -smp 2 -m 1024".split(' '))
            .args("-nographic -nodefaults -no-reboot -serial stdio".split(' '))
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off"])
            .arg("-kernel")
            .arg(kernel)
            .arg("-initrd")
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = machine.spawn().context("timeout")?;
        let (mut passed, mut last) = (0, None);
        let output = child.stdout.take().context("it was asked for")?;
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned();
            println!("{line}");
            passed += u32::from(line.contains("ok ") && !line.contains("FAILED"));
            if let Some((_, failed)) = line.split_once("checks: ") {
                last = Some(failed.to_owned());
            }
        }
        child.wait()?;
        match last.as_deref() {
            Some("0 failed") => println!("device-test: {passed} checks passed"),
            Some(failed) => bail!("device-test: {failed}"),
            None => bail!("device-test: the machine ended before its checks did"),
        }
        Ok(())
    }
}

/// The name of the module in a file: they write it with both lines.
fn module(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.split(".ko").next().unwrap_or(file);
    name.replace('-', "_")
}

/// Names of the modules that a module says it depends on.
fn needs(bytes: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = bytes.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let rest = &bytes[at + KEY.len()..];
    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(0);
    let list = String::from_utf8_lossy(&rest[..end]);
    let names = list.split(',').filter(|name| !name.is_empty());
    names.map(|name| name.replace('-', "_")).collect()
}

fn starts(name: &OsStr, with: &str) -> bool {
    name.as_encoded_bytes().starts_with(with.as_bytes())
}

/// Where cargo builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_say_what_they_need() {
        for (bytes, wanted) in [
            (&b"x\0depends=mc,cec\0y"[..], &["mc", "cec"][..]),
            (b"x\0depends=v4l2-tpg\0", &["v4l2_tpg"]),
            (b"x\0depends=\0y", &[]),
            (b"x\0softdepends=mc\0", &[]),
            (b"", &[]),
        ] {
            assert_eq!(needs(bytes), wanted, "{}", bytes.escape_ascii());
        }
        assert_eq!(module("/lib/a.b/videobuf2-v4l2.ko.xz"), "videobuf2_v4l2");
    }
}
