//! What a person looks at: frames and what was recognised in them come in, pictures, a video and a
//! page go out.
//!
//! [`draw`] paints boxes and names into a frame, [`video`] writes such frames into a file,
//! [`crops`] keeps the crop behind each exemplar, [`report`] makes one HTML page of a run, and
//! [`verdicts`] one of what was decided beside what is true. None of them decides anything, and a
//! full disk in one of them is no reason to stop recognising people: each says so once, as an
//! [`Error`] with a name, and what it then leaves out is counted.

pub mod crops;
pub mod draw;
mod font;
pub mod report;
pub mod verdicts;
pub mod video;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cli::Replacement;

/// What can go wrong while showing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is there already: name another one, or say that it may be overwritten.
    #[error("{} is there already: name another file, or allow to overwrite it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// A file cannot be written: check the path, the permissions, the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// A video cannot go on. What was written before can be played.
    #[error("{}: the video ends after {frames} frames: {source}", path.display())]
    VideoEnded {
        /// The video.
        path: PathBuf,
        /// Frames in it.
        frames: u32,
        /// What the system said.
        source: io::Error,
    },

    /// An argument outside of its documented range.
    #[error("{0}")]
    Argument(String),
}

/// [`std::result::Result`] with this module's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The colour of an identity: red, green, blue. The same name has the same colour everywhere, and
/// names that count up (`person-000001`, `person-000002`) get colours far apart: each is a golden
/// angle further around the wheel, which never comes back to where it was.
#[must_use]
pub fn colour(name: &str) -> [u8; 3] {
    let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    // Beyond nine digits only the last ones count.
    let digits = &name.as_bytes()[stem.len().max(name.len().saturating_sub(9))..];
    let number = digits
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    let turns = (fnv(stem) % 1024 + number) as f64 * 0.381_966_011_250_105;
    let hue = turns.fract() * 6.0;
    // Saturation 0.7 and lightness 0.6: strong on asphalt, and dark letters can be read on each.
    let (saturation, lightness) = (0.7, 0.6);
    let chroma = (1.0_f64 - (2.0_f64 * lightness - 1.0).abs()) * saturation;
    let channel = |offset: f64| {
        let distance = ((hue + offset) % 6.0 - 3.0).abs() - 1.0;
        let value = lightness + chroma * (distance.clamp(0.0, 1.0) - 0.5);
        (value * 255.0).round() as u8
    };
    [channel(0.0), channel(4.0), channel(2.0)]
}

/// FNV-1a, 64 bits: small, and the same on every machine and in every version.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The most bytes that [`file_name`] gives.
const MAX_FILE_NAME: usize = 64;

/// A name for a file or folder that stands for `text` alone, on every file system: at most
/// [`MAX_FILE_NAME`] of `a-z 0-9 . _ -`, and no dot in front. Text that is such a name stays as it
/// is; all other text gets `~` and a checksum behind, so that no two of them meet. Capital letters
/// count as other: on a memory card `Anna` and `anna` are one folder.
fn file_name(text: &str) -> String {
    let plain = |letter: char| matches!(letter, 'a'..='z' | '0'..='9' | '-' | '_' | '.');
    let reserved = ["con", "prn", "aux", "nul", "com", "lpt"]
        .iter()
        .any(|device| text.starts_with(device) && text.len() <= device.len() + 1);
    let whole = !text.is_empty()
        && text.len() <= MAX_FILE_NAME
        && text.chars().all(plain)
        && !text.starts_with(['.', '-'])
        && !text.ends_with('.')
        && !reserved;
    if whole {
        return text.to_owned();
    }
    // 17 bytes are for the checksum.
    let mut name: String = text
        .chars()
        .map(|letter| {
            if plain(letter) || letter.is_ascii_uppercase() {
                letter
            } else {
                '_'
            }
        })
        .take(MAX_FILE_NAME - 17)
        .collect();
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    format!("{name}~{:016x}", fnv(text))
}

/// A time in milliseconds since 1970 as `2026-01-02T03:04:05.678Z`; the year 9999 is the last one.
fn utc(millis: u64) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(253_402_300_799_999));
    humantime::format_rfc3339_millis(time).to_string()
}

/// Replaces a file, without waiting for the disk: it holds against a kill, not against a power cut.
fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    cli::replace_file(path, Replacement::PrivateUnsynced, write).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

/// Refuses pictures that are no pictures, before anybody computes with them: 1 to 65,535 pixels a
/// side, which is what a JPEG can have.
fn check(rgb: &[u8], [width, height]: [usize; 2]) -> Result<()> {
    let sides = 1..=usize::from(u16::MAX);
    let fits = sides.contains(&width) && sides.contains(&height);
    if fits && rgb.len() as u64 == width as u64 * height as u64 * 3 {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "a picture of {width} x {height} pixels in {} bytes, wanted 1 to 65535 pixels a side and 3 bytes a pixel",
        rgb.len()
    )))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A disk that has room for so many bytes.
    pub(in crate::show) struct Full<W> {
        pub(in crate::show) out: W,
        pub(in crate::show) room: usize,
    }

    impl<W: Write> Write for Full<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let written = self.out.write(&bytes[..bytes.len().min(self.room)])?;
            self.room -= written;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.out.flush()
        }
    }

    #[test]
    fn file_names_are_safe_and_unique() {
        let cases = [
            ("person-000001", "person-000001"),
            ("a.b_c-9", "a.b_c-9"),
            ("Anna", "Anna~"),
            ("", "~"),
            (".", "_~"),
            ("..", "_.~"),
            ("../../etc/passwd", "_._.._etc_passwd~"),
            ("/dev/video0", "_dev_video0~"),
            ("a\\b:c*d?e\"f<g>h|i", "a_b_c_d_e_f_g_h_i~"),
            ("zoë", "zo_~"),
            ("new\nline\0nul", "new_line_nul~"),
            (".hidden", "_hidden~"),
            ("-rf", "_rf~"),
            ("dot.", "dot.~"),
            ("nul", "nul~"),
            ("com1", "com1~"),
            ("common", "common"),
            ("anna~0123456789abcdef", "anna_0123456789abcdef~"),
        ];
        let mut names = std::collections::BTreeSet::new();
        for (text, wanted) in cases {
            let name = file_name(text);
            match wanted.strip_suffix('~') {
                None => assert_eq!(name, wanted),
                Some(stem) => assert_eq!(name, format!("{stem}~{:016x}", fnv(text)), "{text:?}"),
            }
            assert!(names.insert(name.to_lowercase()), "{text:?}");
        }
        // Alike for as long as a name may be.
        let long = ["a".repeat(300) + "1", "a".repeat(300) + "2"];
        let [a, b] = long.each_ref().map(|text| file_name(text));
        assert_ne!(a, b);
        for name in [a, b, file_name(&"\u{1f600}".repeat(500))] {
            assert_eq!(name.len(), MAX_FILE_NAME);
        }
        assert_eq!(file_name(&"b".repeat(64)), "b".repeat(64));
    }

    #[test]
    fn neighbours_in_number_have_colours_far_apart() {
        let distance = |a: [u8; 3], b: [u8; 3]| -> u32 {
            (0..3).map(|at| u32::from(a[at].abs_diff(b[at]))).sum()
        };
        let name = |number: u64| format!("person-{number:06}");
        for number in 0..200 {
            let here = colour(&name(number));
            assert_eq!(here, colour(&name(number)));
            for other in number + 1..number + 5 {
                let there = colour(&name(other));
                assert!(
                    distance(here, there) > 80,
                    "{number} {here:?} and {other} {there:?}"
                );
            }
        }
        // Bytes of any name, and numbers beyond every integer.
        for name in ["", "é", "9", &"7".repeat(500)] {
            let channels = colour(name);
            let (least, most) = (channels.iter().min(), channels.iter().max());
            // Lightness 0.6, saturation 0.7.
            assert_eq!((least, most), (Some(&82), Some(&224)), "{name}");
        }
    }

    #[test]
    fn a_file_is_written_whole_or_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        write_whole(&path, |file| file.write_all(b"first")).unwrap();
        let error = write_whole(&path, |file| {
            Full { out: file, room: 3 }.write_all(b"second")
        })
        .unwrap_err();
        let wanted = format!("{}: no storage space", path.display());
        assert_eq!(error.to_string(), wanted);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let link = folder.path().join("full");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let error = write_whole(&link, |file| file.write_all(b"page")).unwrap_err();
        assert!(error.to_string().contains("full: "), "{error}");
        assert!(link.is_symlink(), "what was there was replaced");
        let nowhere = folder.path().join("no/where.html");
        let error = write_whole(&nowhere, |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("where.html: "), "{error}");
    }
}
