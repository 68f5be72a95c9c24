use std::cell::RefCell;
use std::io::{Cursor, SeekFrom};
use std::rc::Rc;

use super::*;
use media::avi::AviReader;
use media::{Frame, Source, Status};

/// A disk with room for so many bytes; what is overwritten takes no room.
#[derive(Clone)]
struct Disk {
    file: Rc<RefCell<Cursor<Vec<u8>>>>,
    room: u64,
}

impl Disk {
    fn new(room: u64) -> Self {
        let file = Rc::default();
        Self { file, room }
    }

    /// The brightness of each frame, up to the first error.
    fn frames(&self) -> (Vec<u8>, Option<u64>, Result<(), media::Error>) {
        let bytes = self.file.borrow().get_ref().clone();
        let mut avi = AviReader::new(Cursor::new(bytes), "test", None).unwrap();
        let claimed = avi.len();
        let mut frame = Frame::default();
        let mut shades = Vec::new();
        loop {
            match avi.read(&mut frame) {
                Ok(Status::Frame) => shades.push(frame.rgb[0]),
                Ok(Status::End) => return (shades, claimed, Ok(())),
                Err(error) => return (shades, claimed, Err(error)),
            }
        }
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self.file.borrow_mut();
        let room = self.room.saturating_sub(file.position()) as usize;
        match bytes.len().min(room) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::StorageFull.into()),
            length => file.write(&bytes[..length]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.borrow_mut().seek(to)
    }
}

impl Output for Disk {
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.borrow_mut().get_mut().truncate(length as usize);
        Ok(())
    }
}

const SIZE: [usize; 2] = [24, 16];

fn grey(shade: u8) -> Vec<u8> {
    vec![shade; SIZE[0] * SIZE[1] * 3]
}

fn video(disk: &Disk, rate: u32) -> Video<Disk> {
    let settings = Settings {
        rate: Rate::new(rate, 1).unwrap(),
        ..Settings::default()
    };
    Video::new(disk.clone(), Path::new("out.avi"), settings).unwrap()
}

fn push(video: &mut Video<Disk>, shade: u8, millis: u64) -> Result<()> {
    video.push(
        &grey(shade),
        SIZE[0],
        SIZE[1],
        Duration::from_millis(millis),
    )
}

#[test]
fn as_many_frames_are_read_as_were_pushed() {
    let disk = Disk::new(u64::MAX);
    let rate = Rate::new(30_000, 1001).unwrap();
    let settings = Settings {
        rate,
        ..Settings::default()
    };
    let mut video = Video::new(disk.clone(), Path::new("out.avi"), settings).unwrap();
    for index in 0..100 {
        let shade = grey(2 * index as u8);
        video
            .push(&shade, SIZE[0], SIZE[1], rate.time_of(index))
            .unwrap();
    }
    let wanted = Counts {
        written: 100,
        ..Counts::default()
    };
    assert_eq!(video.finish().unwrap(), wanted);
    let (shades, claimed, end) = disk.frames();
    assert_eq!(claimed, Some(100));
    assert_eq!(shades.len(), 100);
    assert!(shades.iter().zip(0..).all(|(a, b)| a.abs_diff(2 * b) <= 1));
    end.unwrap();
}

#[test]
fn frames_are_where_their_time_is() {
    // At 10 frames a second: times in milliseconds, shades of the frames in the file / 10.
    let cases: [(&str, &[u64], &[u8], Counts); 7] = [
        (
            "like clockwork, from any time on",
            &[5000, 5100, 5200],
            &[0, 1, 2],
            Counts::default(),
        ),
        (
            "one is missing",
            &[0, 100, 300],
            &[0, 1, 1, 2],
            Counts {
                repeated: 1,
                ..Counts::default()
            },
        ),
        (
            "jitter",
            &[0, 140, 160, 300],
            &[0, 1, 2, 3],
            Counts::default(),
        ),
        (
            "twice as fast",
            &[0, 50, 100, 150, 200, 250, 300],
            &[0, 1, 2, 3, 5],
            Counts {
                skipped: 2,
                ..Counts::default()
            },
        ),
        (
            "half as fast",
            &[0, 200, 400],
            &[0, 0, 1, 1, 2],
            Counts {
                repeated: 2,
                ..Counts::default()
            },
        ),
        (
            "a night without a camera",
            &[0, 100, 40_000_000, 40_000_100],
            &[0, 1, 2, 3],
            Counts::default(),
        ),
        (
            "the clock was set back",
            &[40_000_000, 40_000_100, 0, 100],
            &[0, 1, 2, 3],
            Counts::default(),
        ),
    ];
    for (name, times, wanted, counts) in cases {
        let disk = Disk::new(u64::MAX);
        let mut video = video(&disk, 10);
        for (time, shade) in times.iter().zip(0..) {
            push(&mut video, shade * 10, *time).unwrap();
        }
        let wanted_counts = Counts {
            written: wanted.len() as u32,
            ..counts
        };
        assert_eq!(video.finish().unwrap(), wanted_counts, "{name}");
        let shades: Vec<_> = disk.frames().0.iter().map(|v| (v + 5) / 10).collect();
        assert_eq!(shades, wanted, "{name}");
    }
}

#[test]
fn a_full_disk_ends_the_video_and_nothing_else() {
    let all = Disk::new(u64::MAX);
    let mut video_of_all = video(&all, 10);
    for at in 0..40 {
        push(&mut video_of_all, at * 5, u64::from(at) * 100).unwrap();
    }
    drop(video_of_all);
    let length = all.file.borrow().get_ref().len() as u64;
    // Whatever is torn: a header, a chunk, a picture, the index.
    for room in (500..length).step_by(97) {
        let disk = Disk::new(room);
        let mut video = video(&disk, 10);
        let mut errors = Vec::new();
        for at in 0..40 {
            if let Err(error) = push(&mut video, at * 5, u64::from(at) * 100) {
                errors.push(error);
            }
        }
        let counts = video.counts();
        assert_eq!(u64::from(counts.written) + counts.lost, 40, "room {room}");
        if let Err(error) = video.finish() {
            errors.push(error);
        }
        assert_eq!(errors.len(), 1, "room {room}: {errors:?}");
        let wanted = format!(
            "out.avi: the video ends after {} frames: no storage space",
            counts.written
        );
        assert_eq!(errors[0].to_string(), wanted);
        let (shades, claimed, end) = disk.frames();
        assert_eq!(shades.len(), counts.written as usize, "room {room}");
        assert_eq!(
            claimed.unwrap_or(0),
            u64::from(counts.written),
            "room {room}"
        );
        end.unwrap_or_else(|error| panic!("room {room}: {error}"));
    }
}

#[test]
fn a_killed_video_has_its_pictures() {
    let disk = Disk::new(u64::MAX);
    let mut video = video(&disk, 10);
    for at in 0..70 {
        push(&mut video, at, u64::from(at) * 100).unwrap();
    }
    // As the file is now: nobody gets to finish it.
    let (shades, claimed, end) = disk.frames();
    assert_eq!((shades.len(), claimed), (70, Some(64)));
    end.unwrap();
}

#[test]
fn a_frame_of_another_size_is_fitted() {
    let disk = Disk::new(u64::MAX);
    let mut video = video(&disk, 10);
    push(&mut video, 200, 0).unwrap();
    // As high as wide: 16 x 16 in the middle, black to the left and right.
    let square = vec![200; 48 * 48 * 3];
    video
        .push(&square, 48, 48, Duration::from_millis(100))
        .unwrap();
    for [width, height] in [[1, 500], [500, 1], [24, 17]] {
        let picture = vec![90; width * height * 3];
        video
            .push(&picture, width, height, Duration::from_millis(200))
            .unwrap();
    }
    let wrong = video.push(&square, 48, 47, Duration::ZERO).unwrap_err();
    assert!(matches!(wrong, Error::Argument(_)), "{wrong}");
    video.finish().unwrap();
    let bytes = disk.file.borrow().get_ref().clone();
    let mut avi = AviReader::new(Cursor::new(bytes), "test", None).unwrap();
    let mut frame = Frame::default();
    avi.read(&mut frame).unwrap();
    avi.read(&mut frame).unwrap();
    assert_eq!([frame.width, frame.height], SIZE);
    let at = |x: usize| frame.rgb[(8 * SIZE[0] + x) * 3];
    assert!(at(1) < 20 && at(22) < 20 && at(12) > 180);
}

#[test]
fn files_are_not_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.avi");
    std::fs::write(&path, b"precious").unwrap();
    let error = Video::create(&path, Settings::default()).unwrap_err();
    assert!(matches!(error, Error::Exists { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let overwrite = Settings {
        overwrite: true,
        ..Settings::default()
    };
    let mut video = Video::create(&path, overwrite).unwrap();
    video
        .push(&grey(7), SIZE[0], SIZE[1], Duration::ZERO)
        .unwrap();
    assert_eq!(video.finish().unwrap().written, 1);
    assert!(std::fs::read(&path).unwrap().starts_with(b"RIFF"));

    let error = Video::create(&folder.path().join("no/out.avi"), overwrite).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let quality = Settings {
        quality: 0,
        ..overwrite
    };
    let error = Video::create(&path, quality).unwrap_err();
    assert!(
        error.to_string().ends_with("is 0, wanted 1 to 100"),
        "{error}"
    );
}

#[test]
fn every_source_has_a_file() {
    let cases = [
        (("out.avi", 0, 1, "/dev/video0"), "out.avi"),
        (("a/out.avi", 0, 2, "/dev/video0"), "a/out-1-video0.avi"),
        (("out.avi", 1, 2, "clips/door.avi"), "out-2-door.avi"),
        (("out.avi", 11, 12, "monday/"), "out-12-monday.avi"),
        (("out", 0, 2, "img/b.c.jpg"), "out-1-b.c"),
    ];
    for ((path, index, count, source), wanted) in cases {
        let found = path_for(Path::new(path), index, count, source);
        assert_eq!(found, Path::new(wanted));
    }
    let hostile = path_for(Path::new("a/out.avi"), 0, 2, "rtsp://x/..");
    assert_eq!(hostile.parent(), Some(Path::new("a")));
}
