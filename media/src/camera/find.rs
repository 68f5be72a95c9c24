//! The kernel's list of video devices.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Offer, Problem};

/// Where the kernel lists the devices of V4L2.
pub(super) const CLASS: &str = "/sys/class/video4linux";

/// A device of V4L2, perhaps a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VideoDevice {
    pub(super) path: PathBuf,
    /// The driver's name for it.
    pub(super) name: String,
}

/// A camera of this machine.
#[derive(Debug)]
pub struct CameraInfo {
    /// Path of the device, such as `/dev/video0`.
    pub path: PathBuf,
    /// The driver's name for it; any part of it selects the camera.
    pub name: String,
    /// The formats that it offers.
    pub formats: Vec<Offer>,
    /// Why it does not work, if it does not.
    pub problem: Option<Problem>,
}

/// The devices listed below `class`, in the order of their numbers.
pub(super) fn devices(class: &Path) -> Vec<VideoDevice> {
    let entries = fs::read_dir(class).into_iter().flatten().flatten();
    let mut devices: Vec<_> = entries
        .filter_map(|entry| {
            let file = entry.file_name();
            let number: u32 = file.to_str()?.strip_prefix("video")?.parse().ok()?;
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            let path = Path::new("/dev").join(file);
            let name = name.trim().to_owned();
            Some((number, VideoDevice { path, name }))
        })
        .collect();
    devices.sort_by_key(|(number, _)| *number);
    devices.into_iter().map(|(_, device)| device).collect()
}

/// The devices that `spec` may mean: one by its path, or all with `spec` in their name.
pub(super) fn devices_of(class: &Path, spec: &str) -> Vec<VideoDevice> {
    if spec.starts_with('/') {
        return vec![VideoDevice {
            path: spec.into(),
            name: String::new(),
        }];
    }
    let part = spec.to_lowercase();
    let mut devices = devices(class);
    devices.retain(|device| device.name.to_lowercase().contains(&part));
    devices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_found_by_path_or_part_of_a_name() {
        let class = tempfile::tempdir().unwrap();
        for (entry, name) in [
            ("video10", "HD Pro Webcam C920\n"),
            ("video2", "HD Pro Webcam C920\n"),
            ("video0", "bcm2835-codec-decode\n"),
            ("v4l-subdev0", "imx219\n"),
            ("video1x", "C920\n"),
        ] {
            fs::create_dir(class.path().join(entry)).unwrap();
            fs::write(class.path().join(entry).join("name"), name).unwrap();
        }
        let all = ["/dev/video0", "/dev/video2", "/dev/video10"];
        for (spec, wanted) in [
            ("c920", &all[1..]),
            ("CODEC", &all[..1]),
            ("", &all[..]),
            ("imx219", &[]),
            ("/dev/v4l/by-id/x", &["/dev/v4l/by-id/x"]),
        ] {
            let devices = devices_of(class.path(), spec);
            let paths: Vec<_> = devices
                .iter()
                .map(|device| device.path.to_str().unwrap())
                .collect();
            assert_eq!(paths, wanted, "{spec}");
        }
        assert_eq!(devices(&class.path().join("nowhere")), []);
    }
}
