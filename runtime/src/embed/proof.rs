//! Whether a backend computes what the model's exporter did.
//!
//! A model that carries a [receipt](kernels::receipt) is put to the test before anything is embedded
//! with it: its golden crops go through the backend as any crops do. Nothing that comes out
//! differently is used.
//!
//! A test takes as long as embedding its few crops, which a program that starts often should not
//! pay each time. So a pass is kept in the user's cache, for the same file, backend, batch, version
//! of this program and processor. A failure is not kept: it is found again, and told again. Without
//! a place to keep it, or with a broken one, the test is simply made again.

use std::path::{Path, PathBuf};

use kernels::model::Model;
use kernels::receipt::{Checksum, Passed};
use serde::{Deserialize, Serialize};

use super::Embedder;
use crate::Result;

/// A receipt that was reproduced.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Proof {
    /// How well.
    #[serde(flatten)]
    pub passed: Passed,
    /// Whether that was found out by an earlier run, and kept.
    pub cached: bool,
}

/// What is kept of a pass.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    schema: u32,
    /// Everything that the pass depends on. The name of the file is a digest of it.
    of: String,
    passed: Passed,
}

/// The version of [`Kept`].
const SCHEMA: u32 = 1;

/// The most bytes that a kept pass has.
const MAX_BYTES: u64 = 1 << 16;

/// Where passes are kept.
#[derive(Debug, Clone)]
pub(super) struct Passes(Option<PathBuf>);

/// Puts `embedder` to the test that `model` carries.
///
/// # Errors
/// [`kernels::Error::NotReproduced`] with the crop and the step that differ;
/// [`Error::Embed`](crate::Error::Embed) if the network does not run.
///
/// # Panics
/// If the model carries no receipt.
pub(super) fn replay(embedder: &mut dyn Embedder, model: &Model) -> Result<Passed> {
    let receipt = model.contract.receipt.as_ref().expect("it carries one");
    let [_, height, width] = model.graph.input_size();
    receipt.replay([height, width], |crops| embedder.replay(crops, receipt))
}

/// As [`replay`], unless `passes` has a pass; none without a receipt.
///
/// # Errors
/// As [`replay`].
pub(super) fn prove(
    embedder: &mut dyn Embedder,
    model: &Model,
    passes: &Passes,
) -> Result<Option<Proof>> {
    let (Some(_), Some(seal)) = (&model.contract.receipt, &model.seal) else {
        return Ok(None);
    };
    let chosen = embedder.chosen();
    let of = format!(
        "file {seal}, backend {}, batch {}, reid {}, {}",
        chosen.backend,
        chosen.batch,
        env!("CARGO_PKG_VERSION"),
        processor()
    );
    if let Some(passed) = passes.find(&of) {
        return Ok(Some(Proof {
            passed,
            cached: true,
        }));
    }
    let passed = replay(embedder, model)?;
    passes.keep(of, passed);
    Ok(Some(Proof {
        passed,
        cached: false,
    }))
}

impl Passes {
    /// `reid/receipts` in `$XDG_CACHE_HOME`, else in `~/.cache`; nowhere if neither is known.
    pub(super) fn of_user() -> Self {
        let folder = |name: &str| {
            let path = PathBuf::from(std::env::var_os(name)?);
            path.is_absolute().then_some(path)
        };
        let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
        Self(cache.map(|cache| cache.join("reid").join("receipts")))
    }

    fn place(folder: &Path, of: &str) -> PathBuf {
        folder.join(format!("{}.json", Checksum::of(of.as_bytes())))
    }

    fn find(&self, of: &str) -> Option<Passed> {
        let path = Self::place(self.0.as_deref()?, of);
        let found = std::fs::metadata(&path).ok()?;
        if !found.is_file() || found.len() > MAX_BYTES {
            return None;
        }
        let kept: Kept = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        (kept.schema == SCHEMA && kept.of == of).then_some(kept.passed)
    }

    /// Keeps a pass, if that can be done: the next start is slower otherwise, and nothing else.
    fn keep(&self, of: String, passed: Passed) {
        let Some(folder) = self.0.as_deref() else {
            return;
        };
        let path = Self::place(folder, &of);
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let kept = Kept {
            schema: SCHEMA,
            of,
            passed,
        };
        let written = serde_json::to_vec(&kept).map_err(std::io::Error::from);
        let written = written.and_then(|bytes| {
            std::fs::create_dir_all(folder)?;
            std::fs::write(&partial, bytes)?;
            std::fs::rename(&partial, &path)
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
    }
}

/// The instructions that this processor has and that executors choose by.
fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let found = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
    ];
    #[cfg(target_arch = "aarch64")]
    let found = [
        (
            "dotprod",
            std::arch::is_aarch64_feature_detected!("dotprod"),
        ),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        ("sve", std::arch::is_aarch64_feature_detected!("sve")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = [("", false)];
    let names = found
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name));
    let names: Vec<&str> = std::iter::once(std::env::consts::ARCH)
        .chain(names)
        .collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::receipt::Level;

    const PASSED: Passed = Passed {
        level: Level::Exact,
        crops: 4,
        steps: 16,
        cosine: 0.999_999_9,
        wanted: 0.999_999,
    };

    #[test]
    fn a_pass_is_found_again_by_what_it_is_of_alone() {
        let folder = tempfile::tempdir().unwrap();
        let passes = Passes(Some(folder.path().join("deep/below")));
        assert_eq!(passes.find("a"), None);
        passes.keep("a".to_owned(), PASSED);
        assert_eq!(passes.find("a"), Some(PASSED));
        assert_eq!(passes.find("b"), None);
        // Another that has come under this name, by whatever accident.
        let path = |of: &str| Passes::place(passes.0.as_deref().unwrap(), of);
        std::fs::copy(path("a"), path("b")).unwrap();
        assert_eq!(passes.find("b"), None);
        let left: Vec<_> = std::fs::read_dir(folder.path().join("deep/below"))
            .unwrap()
            .collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_broken_or_missing_cache_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let passes = Passes(Some(folder.path().to_owned()));
        let path = Passes::place(folder.path(), "a");
        for bytes in [&b"{"[..], b"", &[0xff; 100_000], br#"{"schema":1}"#] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(passes.find("a"), None);
        }
        passes.keep("a".to_owned(), PASSED);
        assert_eq!(passes.find("a"), Some(PASSED));

        // A file where the folder should be.
        let nowhere = Passes(Some(path));
        nowhere.keep("a".to_owned(), PASSED);
        assert_eq!(nowhere.find("a"), None);
        Passes(None).keep("a".to_owned(), PASSED);
        assert_eq!(Passes(None).find("a"), None);
    }
}
