//! `reid doctor`: what this device has, and what would be used.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use kernels::retrieval::scan;
use serde::Serialize;

use super::{Outcome, images, output};

/// Say what this device has, what would be used and why: the first thing to send with a question.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid doctor --bundle report.json")]
pub(super) struct Doctor {
    /// Write the report as JSON into a file as well
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
    name: Option<String>,
    readable: bool,
    problem: Option<String>,
}

impl Doctor {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let report = Report::of_this_device();
        if let Some(path) = &self.bundle {
            images::replace(path, |file| {
                serde_json::to_writer_pretty(file, &report).map_err(Into::into)
            })
            .with_context(|| path.display().to_string())?;
        }
        if self.json {
            output::json(&report)?;
        } else {
            output::lines(report.text())?;
        }
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
                    name: "cpu (tract)",
                    usable: true,
                    chosen: true,
                    why: "the only backend in this build",
                },
            ],
            cameras: cameras(),
            video: "this build reads Motion-JPEG files and images, no cameras yet",
        }
    }

    fn text(&self) -> Vec<String> {
        let known = |text: Option<String>| text.unwrap_or("unknown".to_owned());
        let rows = [
            ("reid", format!("{} on {}", self.version, self.target)),
            (
                "CPU",
                format!(
                    "{}, {}",
                    known(self.cpu.clone()),
                    output::count(self.cores, "core")
                ),
            ),
            ("memory", known(self.memory_mb.map(|mb| format!("{mb} MB")))),
            ("gallery scan", self.scan.to_owned()),
            ("video", self.video.to_owned()),
        ];
        let mut rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(key, value)| vec![key.to_owned(), value])
            .collect();
        for device in &self.devices {
            let state = match device {
                Device { chosen: true, .. } => "chosen by --device auto",
                Device { usable: true, .. } => "usable",
                _ => "not usable",
            };
            rows.push(vec![
                device.name.to_owned(),
                format!("{state}: {}", device.why),
            ]);
        }
        for camera in &self.cameras {
            let name = camera.name.as_deref().unwrap_or("unnamed");
            let state = camera.problem.as_deref().unwrap_or("readable");
            rows.push(vec![
                camera.path.display().to_string(),
                format!("{name}: {state}"),
            ]);
        }
        if self.cameras.is_empty() {
            rows.push(vec![
                "cameras".to_owned(),
                "none: there is no /dev/video*".to_owned(),
            ]);
        }
        output::table(&rows)
    }
}

/// The cameras that the system knows, by path.
fn cameras() -> Vec<Camera> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_video(path))
        .collect();
    paths.sort();
    paths.into_iter().map(Camera::at).collect()
}

fn is_video(path: &Path) -> bool {
    let number = path
        .file_name()
        .and_then(|name| name.to_str()?.strip_prefix("video"));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

impl Camera {
    fn at(path: PathBuf) -> Self {
        let node = path
            .file_name()
            .map(|name| Path::new("/sys/class/video4linux").join(name));
        let name = node.and_then(|node| std::fs::read_to_string(node.join("name")).ok());
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path);
        let problem = opened.err().map(|error| match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                format!("{error}; the group `video` may read cameras")
            }
            _ => error.to_string(),
        });
        let name = name.map(|name| name.trim().to_owned());
        Self {
            path,
            name,
            readable: problem.is_none(),
            problem,
        }
    }
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
    fn only_numbered_video_nodes_are_cameras() {
        for (path, wanted) in [
            ("/dev/video0", true),
            ("/dev/video12", true),
            ("/dev/video", false),
            ("/dev/videox", false),
        ] {
            assert_eq!(is_video(Path::new(path)), wanted, "{path}");
        }
    }

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
