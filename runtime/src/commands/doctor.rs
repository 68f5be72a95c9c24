//! `reid doctor`: what this device has, and what `reid` would use.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use cli::Replacement;
use media::camera::{CameraInfo, Offer, list};
use retrieval::scan;
use runtime::embed::HAS_TRACT;
use serde::Serialize;

use super::Outcome;

/// Report what this device has, what reid would use and why. Attach it to a bug report.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid doctor --bundle report.json")]
pub(super) struct Doctor {
    /// Also write the report to a file, as JSON
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    version: &'static str,
    target: String,
    cpu: Option<String>,
    cores: usize,
    memory_mb: Option<u64>,
    scan: &'static str,
    devices: Vec<Device>,
    cameras: Vec<Camera>,
    video: &'static str,
}

/// Something that could compute.
#[derive(Serialize)]
struct Device {
    name: &'static str,
    usable: bool,
    chosen: bool,
    why: &'static str,
}

/// A device file of the system's cameras.
#[derive(Serialize)]
struct Camera {
    path: PathBuf,
    name: String,
    formats: Vec<String>,
    problem: Option<String>,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let report = Report::of_this_device();
        if let Some(path) = &self.bundle {
            cli::replace_file(path, Replacement::Private, |file| {
                serde_json::to_writer_pretty(file, &report).map_err(Into::into)
            })
            .with_context(|| path.display().to_string())?;
        }
        cli::report(self.json, &report, Report::text)?;
        Ok(Outcome::Done)
    }
}

impl Report {
    fn of_this_device() -> Self {
        Self {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            cpu: line_of("/proc/cpuinfo", "model name")
                .or_else(|| std::fs::read_to_string("/proc/device-tree/model").ok())
                .map(|name| name.trim_matches(['\0', ' ']).to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mb: line_of("/proc/meminfo", "MemTotal").and_then(|line| {
                let kib: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
                Some(kib * 1024 / 1_000_000)
            }),
            scan: scan::instruction_set(),
            devices: vec![
                Device {
                    name: "gpu",
                    usable: false,
                    chosen: false,
                    why: "this build has no GPU backend",
                },
                Device {
                    name: "cpu (kernels int8)",
                    usable: true,
                    chosen: !HAS_TRACT,
                    why: "used for quantised networks, computed in integers",
                },
                Device {
                    name: "cpu (tract)",
                    usable: HAS_TRACT,
                    chosen: HAS_TRACT,
                    why: match HAS_TRACT {
                        true => "computes float networks",
                        false => "this build has no tract",
                    },
                },
            ],
            cameras: cameras(),
            video: "cameras, Motion-JPEG files, images, and Motion-JPEG or y4m on standard input",
        }
    }

    fn text(&self) -> Vec<String> {
        let known = |text: Option<String>| text.unwrap_or("unknown".to_owned());
        let cpu = known(self.cpu.clone());
        let cores = cli::count(self.cores, "core");
        let row = |key: &str, value: String| [key.to_owned(), value];
        let mut rows = vec![
            row("reid", format!("{} on {}", self.version, self.target)),
            row("CPU", format!("{cpu}, {cores}")),
            row("memory", known(self.memory_mb.map(|mb| format!("{mb} MB")))),
            row("gallery scan", self.scan.to_owned()),
            row("video", self.video.to_owned()),
        ];
        rows.extend(self.devices.iter().map(|device| {
            let state = match device {
                Device { chosen: true, .. } => "chosen by --device auto",
                Device { usable: true, .. } => "usable",
                _ => "not usable",
            };
            row(device.name, format!("{state}: {}", device.why))
        }));
        rows.extend(self.cameras.iter().map(|camera| {
            let formats = || camera.formats.join(", ");
            let state = camera.problem.clone().unwrap_or_else(formats);
            let path = camera.path.display().to_string();
            [path, format!("{}: {state}", camera.name)]
        }));
        if self.cameras.is_empty() {
            rows.push(row("cameras", "none found".to_owned()));
        }
        cli::table(&rows)
    }
}

/// The cameras of this machine, with what they offer or what is wrong with them.
fn cameras() -> Vec<Camera> {
    let formats = |offers: Vec<Offer>| {
        let format = |offer: Offer| {
            let sizes: Vec<String> = offer
                .sizes
                .iter()
                .map(|(width, height)| format!("{width}x{height}"))
                .collect();
            format!("{} {}", offer.fourcc, sizes.join(" "))
        };
        offers.into_iter().map(format).collect()
    };
    let camera = |info: CameraInfo| Camera {
        path: info.path,
        name: info.name,
        formats: formats(info.formats),
        problem: info.problem.map(|problem| problem.to_string()),
    };
    list().into_iter().map(camera).collect()
}

/// The value of the first line `key: value` in a file of /proc.
fn line_of(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_device_has_something_to_compute_on() {
        let report = Report::of_this_device();
        assert_eq!(
            report.devices.iter().filter(|device| device.chosen).count(),
            1
        );
        assert!(report.cores >= 1);
    }
}
