//! Shares work among threads, and checks the folder for its results.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::{Error, Result};

/// The number of threads: one a core for 0.
///
/// # Errors
/// [`Error::Argument`] for more than 256.
pub fn count(wanted: usize) -> Result<usize> {
    match wanted {
        0 => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        1..=256 => Ok(wanted),
        _ => Err(Error::Argument(format!(
            "{wanted} threads, wanted 0 to 256"
        ))),
    }
}

/// Calls `work` with every item in `threads` threads; returns the results in the order of the items.
/// Stops at an error.
///
/// # Errors
/// The first one of `work`.
pub fn each<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let worker = || {
        let mut done = Vec::new();
        while !failed.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            match work(item) {
                Ok(result) => done.push((at, result)),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(done)
    };
    let mut all = Vec::with_capacity(items.len());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.append(&mut done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<(), E>(())
    })?;
    all.sort_by_key(|&(at, _)| at);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

/// Checks that the folder `out` is empty, so that nothing is overwritten; creates it if it is missing.
///
/// # Errors
/// [`Error::NotEmpty`]; [`Error::Io`] if it cannot be read or made.
pub fn empty_folder(out: &Path) -> Result<()> {
    match fs::read_dir(out) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::NotEmpty {
                path: out.to_owned(),
            }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(out).map_err(Error::io(out))
        }
        Err(error) => Err(Error::io(out)(error)),
    }
}
