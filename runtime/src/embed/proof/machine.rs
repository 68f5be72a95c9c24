//! Which program runs on which machine: what a kept pass of a self-test is bound to.

use std::collections::BTreeSet;
use std::path::Path;

use network::self_test::Checksum;

/// The version of this program and what identifies its file: a program that was built again is
/// another one, though its version is the same. Hashing the file would take longer than most tests.
pub(super) fn program() -> Option<String> {
    let file = identity(&std::env::current_exe().ok()?)?;
    Some(format!("reid {} ({file})", env!("CARGO_PKG_VERSION")))
}

/// Length and time of the last change of a file.
#[cfg(unix)]
fn identity(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    // The time of the last change of the inode cannot be set by `touch`, `cp -p` or an archive.
    Some(format!(
        "{} bytes, inode {}, written {}.{:09}, changed {}.{:09}",
        found.len(),
        found.ino(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    ))
}

/// Length and time of the last change of a file.
#[cfg(not(unix))]
fn identity(path: &Path) -> Option<String> {
    let found = std::fs::metadata(path).ok()?;
    let written = found.modified().ok()?;
    let written = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(format!("{} bytes, written {written:?}", found.len()))
}

/// A checksum that identifies this machine: its identifier, its name and its processor. All three,
/// because copies of a disk image share the identifier, and machines can share a home directory.
/// `None` if the processor is unknown.
pub(super) fn machine() -> Option<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = cpu(&read("/proc/cpuinfo"));
    let (id, name) = (read("/etc/machine-id"), read("/proc/sys/kernel/hostname"));
    let text = format!("{}\n{}\n{cpu}", id.trim(), name.trim());
    (!cpu.is_empty()).then(|| format!("machine {}", Checksum::of(text.as_bytes())))
}

/// The lines of `/proc/cpuinfo` that stay the same while a machine runs.
fn cpu(info: &str) -> String {
    const KEYS: [&str; 16] = [
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "microcode",
        "CPU architecture",
        "CPU implementer",
        "CPU variant",
        "CPU part",
        "CPU revision",
        "Hardware",
        "Revision",
        "Serial",
        "isa",
        "uarch",
    ];
    let key = |line: &&str| {
        let (key, _) = line.split_once(':').unwrap_or_default();
        KEYS.contains(&key.trim_end())
    };
    let lines: BTreeSet<&str> = info.lines().filter(key).collect();
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// Names of those instruction sets that this processor has.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! detected {
    ($detect:ident: $($name:tt)*) => {
        [$(($name, std::arch::$detect!($name))),*]
            .into_iter()
            .filter_map(|(name, detected)| detected.then_some(name))
    };
}

/// The architecture and the instruction sets by which executors choose their code.
pub(super) fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let names = detected!(is_x86_feature_detected:
        "avx2" "fma" "f16c" "avxvnni" "avx512f" "avx512bw" "avx512vnni");
    #[cfg(target_arch = "aarch64")]
    let names = detected!(is_aarch64_feature_detected: "dotprod" "i8mm" "fp16" "sve");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let names = std::iter::empty();
    let all = std::iter::once(std::env::consts::ARCH).chain(names);
    all.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_built_again_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reid");
        std::fs::write(&path, "one").unwrap();
        let first = identity(&path).unwrap();
        assert_eq!(identity(&path).unwrap(), first);
        let again = folder.path().join("again");
        std::fs::write(&again, "two").unwrap();
        std::fs::rename(&again, &path).unwrap();
        assert_ne!(identity(&path).unwrap(), first);
        assert_eq!(identity(&folder.path().join("none")), None);
        assert!(program().unwrap().contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_processor_is_known_by_what_does_not_change_from_one_second_to_the_next() {
        let info = |mhz: &str, microcode: &str| {
            let core = format!(
                "vendor_id\t: AuthenticAMD\nmodel name\t: EPYC\nmicrocode\t: {microcode}\n\
                 cpu MHz\t\t: {mhz}\nbogomips\t: 1.5\n\n"
            );
            core.repeat(2)
        };
        let found = cpu(&info("2500.1", "0x1"));
        assert_eq!(
            found,
            "microcode\t: 0x1\nmodel name\t: EPYC\nvendor_id\t: AuthenticAMD"
        );
        assert_eq!(cpu(&info("999.9", "0x1")), found);
        assert_ne!(cpu(&info("2500.1", "0x2")), found);
        assert_eq!(cpu("no such lines"), "");
    }

    #[test]
    fn this_machine_is_the_same_each_time_it_is_asked() {
        assert_eq!(machine(), machine());
        assert!(cfg!(not(target_os = "linux")) || machine().is_some());
    }
}
