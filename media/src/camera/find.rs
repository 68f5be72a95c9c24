//! Which cameras there are, as the kernel lists them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Offer, Problem};

/// Where the kernel lists the devices of V4L2.
pub(super) const CLASS: &str = "/sys/class/video4linux";

/// A device of V4L2, perhaps a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where programs open it.
    pub path: PathBuf,
    /// What the driver calls it.
    pub name: String,
}

/// A camera, for people.
#[derive(Debug)]
pub struct Info {
    /// Where programs open it.
    pub path: PathBuf,
    /// What the driver calls it; any part of that names it too.
    pub name: String,
    /// What it says that it gives.
    pub formats: Vec<Offer>,
    /// Why it cannot be used; none if it can.
    pub problem: Option<Problem>,
}

/// The devices listed below `class`, in the order of their numbers.
pub(super) fn nodes(class: &Path) -> Vec<Node> {
    let entries = fs::read_dir(class).into_iter().flatten().flatten();
    let mut nodes: Vec<_> = entries
        .filter_map(|entry| {
            let file = entry.file_name();
            let number: u32 = file.to_str()?.strip_prefix("video")?.parse().ok()?;
            let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            let path = Path::new("/dev").join(file);
            let name = name.trim().to_owned();
            Some((number, Node { path, name }))
        })
        .collect();
    nodes.sort_by_key(|(number, _)| *number);
    nodes.into_iter().map(|(_, node)| node).collect()
}

/// What `spec` may mean: a path itself, or the devices with that in their name.
pub(super) fn nodes_of(class: &Path, spec: &str) -> Vec<Node> {
    if spec.starts_with('/') {
        return vec![Node {
            path: spec.into(),
            name: String::new(),
        }];
    }
    let part = spec.to_lowercase();
    let mut nodes = nodes(class);
    nodes.retain(|node| node.name.to_lowercase().contains(&part));
    nodes
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
            let nodes = nodes_of(class.path(), spec);
            let paths: Vec<_> = nodes
                .iter()
                .map(|node| node.path.to_str().unwrap())
                .collect();
            assert_eq!(paths, wanted, "{spec}");
        }
        assert_eq!(nodes(&class.path().join("nowhere")), []);
    }
}
