//! Whole and broken files.

use std::io::{Cursor, Write};
use std::time::Duration;

pub(crate) mod fixtures;

use self::fixtures::{chunk, error, file, grey, jpeg, list, read_all, stream};
use super::*;
use crate::picture;

#[test]
fn containers_of_all_kinds() {
    let unknown_size = |mut file: Vec<u8>, size: u32| {
        let movi = file.windows(4).position(|word| word == b"movi").unwrap();
        file[movi - 4..movi].copy_from_slice(&size.to_le_bytes());
        file[4..8].copy_from_slice(&size.to_le_bytes());
        file
    };
    let sound_first = [
        stream(b"auds", b"\0\0\0\0", 0, 8),
        stream(b"vids", b"mjpg", 16, 10),
    ];
    let sound_first = list(
        b"RIFF",
        b"AVI ",
        &[
            chunk(b"JUNK", &[0; 5]),
            list(b"LIST", b"hdrl", &sound_first),
            list(b"LIST", b"INFO", &[chunk(b"ISFT", b"odd")]),
            list(
                b"LIST",
                b"movi",
                &[chunk(b"00wb", &[7; 9]), chunk(b"01dc", &jpeg(16, 16, 50))],
            ),
        ],
    );
    let mut no_padding = file(&[chunk(b"00dc", &[jpeg(16, 16, 50), vec![0; 64]].concat())]);
    let jpeg_size = jpeg(16, 16, 50).len() + 64;
    if jpeg_size % 2 == 1 {
        no_padding.pop();
    }
    let cases = [
        ("no frame", file(&[]), vec![]),
        (
            "frames",
            file(&[grey(10), grey(250)]),
            vec![Ok(10), Ok(250)],
        ),
        (
            "lists of records, sound, indices, padding of odd sizes",
            file(&[
                list(b"LIST", b"rec ", &[chunk(b"01wb", &[0; 3]), grey(10)]),
                chunk(b"ix00", &[1; 7]),
                list(b"LIST", b"rec ", &[grey(20), chunk(b"JUNK", &[])]),
                grey(30),
            ]),
            vec![Ok(10), Ok(20), Ok(30)],
        ),
        (
            "an OpenDML segment behind the index",
            [
                file(&[grey(10)]),
                chunk(b"idx1", &[0; 16]),
                list(b"RIFF", b"AVIX", &[list(b"LIST", b"movi", &[grey(20)])]),
            ]
            .concat(),
            vec![Ok(10), Ok(20)],
        ),
        (
            "an empty chunk repeats the frame before",
            file(&[grey(10), chunk(b"00dc", &[]), grey(20), chunk(b"00dc", &[])]),
            vec![Ok(10), Ok(10), Ok(20), Ok(20)],
        ),
        (
            "an empty chunk at the beginning",
            file(&[chunk(b"00dc", &[]), grey(20)]),
            vec![
                error("frame 0: repeats the frame before it, and there is none"),
                Ok(20),
            ],
        ),
        (
            "a broken frame is named and the next one read",
            file(&[grey(10), chunk(b"00dc", b"no picture"), grey(30)]),
            vec![
                Ok(10),
                error("frame 1: starts with `no`, wanted a JPEG"),
                Ok(30),
            ],
        ),
        ("video behind sound", sound_first, vec![Ok(50)]),
        (
            "sizes never written",
            unknown_size(file(&[grey(10), grey(20)]), 0),
            vec![Ok(10), Ok(20)],
        ),
        (
            "sizes unknown",
            unknown_size(file(&[grey(10), grey(20)]), u32::MAX),
            vec![Ok(10), Ok(20)],
        ),
        ("no padding at the end", no_padding, vec![Ok(50)]),
        (
            "a chunk that claims more than the file has",
            unknown_size(
                file(&[grey(10), b"00dc\xff\xff\xff\xff12345678".to_vec()]),
                0,
            ),
            vec![Ok(10), error("truncated after frame 0")],
        ),
        (
            "rubbish between chunks",
            file(&[grey(10), vec![0; 64], grey(20)]),
            vec![
                Ok(10),
                error(&format!(
                    "damaged after frame 0 at byte {}: found `\\x00\\x00\\x00\\x00`, wanted the name of a chunk",
                    file(&[grey(10)]).len()
                )),
            ],
        ),
        (
            "two files glued together",
            [file(&[grey(10)]), file(&[grey(20)])].concat(),
            vec![
                Ok(10),
                error(&format!(
                    "at byte {} another file begins (`AVI `), wanted a segment `AVIX`",
                    file(&[grey(10)]).len()
                )),
            ],
        ),
        (
            "a picture beyond the limits",
            file(&[chunk(b"00dc", &huge_jpeg()), grey(20)]),
            vec![
                error(
                    "frame 0: 16000 x 16000 pixels: wanted 1 to 16384 a side and at most 268435456 bytes of RGB",
                ),
                Ok(20),
            ],
        ),
    ];
    for (name, bytes, wanted) in cases {
        assert_eq!(read_all(&bytes), wanted, "{name}");
    }
}

/// A small JPEG that claims to be 16000 x 16000.
fn huge_jpeg() -> Vec<u8> {
    let mut bytes = jpeg(16, 16, 0);
    let sof = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    let side = 16_000u16.to_be_bytes();
    bytes[sof + 5..sof + 9].copy_from_slice(&[side, side].concat());
    bytes
}

#[test]
fn a_file_cut_off_anywhere_gives_every_whole_frame_and_then_says_so() {
    let whole = file(&[grey(10), chunk(b"00dc", &[]), grey(200)]);
    let all = read_all(&whole);
    assert_eq!(all, [Ok(10), Ok(10), Ok(200)]);
    for length in 0..whole.len() {
        let found = read_all(&whole[..length]);
        let (last, frames) = found.split_last().unwrap();
        // Without the byte that pads the last picture nothing is lost.
        if found != all {
            assert!(frames.iter().all(Result::is_ok) && frames == &all[..frames.len()]);
            let last = last.as_ref().unwrap_err();
            assert!(last.contains("truncated"), "cut to {length}: {last}");
        } else {
            assert_eq!(length, whole.len() - 1);
        }
    }
}

#[test]
fn pictures_without_huffman_tables_decode() {
    let picture = jpeg(16, 16, 77);
    let mut bare = Vec::new();
    let mut rest = &picture[..];
    while let Some(at) = rest.windows(2).position(|word| word == [0xff, 0xc4]) {
        bare.extend(&rest[..at]);
        let size = u16::from_be_bytes([rest[at + 2], rest[at + 3]]);
        rest = &rest[at + 2 + usize::from(size)..];
    }
    bare.extend(rest);
    assert!(bare.len() + 400 < picture.len(), "the tables are 420 bytes");
    let found = read_all(&file(&[chunk(b"00dc", &bare)]));
    assert_eq!(found, [Ok(77)]);
}

#[test]
fn a_picture_cut_off_is_an_error_and_not_half_grey() {
    let mut pixels = vec![0u8; 64 * 64 * 3];
    for (at, value) in pixels.iter_mut().enumerate() {
        *value = ((at * 2_654_435_761) >> 7) as u8;
    }
    let mut picture = Vec::new();
    picture::encode(&pixels, [64, 64], 75, &mut picture).unwrap();
    picture.truncate(picture.len() / 2);
    let found = read_all(&file(&[chunk(b"00dc", &picture), grey(9)]));
    assert!(
        found[0]
            .as_ref()
            .is_err_and(|e| e.starts_with("test.avi: frame 0: "))
    );
    assert_eq!(found[1..], [Ok(9)]);
}

#[test]
fn interlaced_video_is_refused() {
    let found = read_all(&file(&[chunk(b"00dc", &jpeg(16, 8, 1)), grey(9)]));
    let wanted =
        "cannot open `test.avi`: it is interlaced: the file states 16 rows, a picture has 8; ";
    assert!(
        found[0].as_ref().is_err_and(|e| e.starts_with(wanted)),
        "{found:?}"
    );
    assert_eq!(found.len(), 1);
}

#[test]
fn the_frame_rate_is_the_streams_unless_one_is_given() {
    let bytes = file(&[grey(10), grey(20)]);
    let five = Rate::from_fps(5.0).unwrap();
    for (rate, wanted) in [(None, 100), (Some(five), 200)] {
        let mut avi = AviReader::new(Cursor::new(&bytes), "test.avi", rate).unwrap();
        let mut frame = Frame::default();
        avi.read(&mut frame).unwrap();
        assert_eq!(frame.stream_time, Duration::ZERO);
        avi.read(&mut frame).unwrap();
        assert_eq!(frame.stream_time, Duration::from_millis(wanted));
    }
}

#[test]
fn a_rate_beyond_the_limits_is_refused_unless_one_is_given() {
    let headers = list(b"LIST", b"hdrl", &[stream(b"vids", b"MJPG", 16, u32::MAX)]);
    let bytes = list(
        b"RIFF",
        b"AVI ",
        &[headers, list(b"LIST", b"movi", &[grey(9)])],
    );
    let wanted =
        "states 4294967295/1 frames per second, wanted 0.001 to 1000; give a rate with --fps";
    assert_eq!(read_all(&bytes), [error(wanted)]);
    let five = Rate::from_fps(5.0).ok();
    assert!(AviReader::new(Cursor::new(&bytes), "test.avi", five).is_ok());
}

#[test]
fn chunks_of_a_stream_that_nobody_declared_are_noted() {
    let note = |movi: &[Vec<u8>]| {
        let bytes = file(movi);
        let mut avi = AviReader::new(Cursor::new(&bytes), "test.avi", None).unwrap();
        let mut frame = Frame::default();
        while avi.read(&mut frame).unwrap() == Status::Frame {}
        avi.note()
    };
    let declared = [
        grey(10),
        chunk(b"ix00", &[0; 8]),
        chunk(b"00tx", b"text"),
        chunk(b"JUNK", &[]),
    ];
    assert_eq!(note(&declared), None);
    let two = [
        chunk(b"01dc", &jpeg(16, 16, 9)),
        grey(10),
        chunk(b"12wb", &[0; 4]),
    ];
    let noted = note(&two).unwrap();
    assert_eq!(
        noted.text,
        "test.avi: passed over: 2 x chunk of a stream that its headers do not declare (the first is `01dc`)"
    );
    assert!(noted.incomplete);
}

#[test]
fn files_beyond_four_gigabytes_are_read_by_seeking() {
    let mut file = tempfile::tempfile().unwrap();
    let mut writer = AviWriter::new(&mut file, 16, 16, Rate::IMAGES).unwrap();
    writer.push(&jpeg(16, 16, 10)).unwrap();
    writer.finish().unwrap();
    // Two chunks of padding that nobody wrote: holes, where the file system knows them.
    for _ in 0..2 {
        let size = 3u32 << 30;
        file.write_all(b"JUNK").unwrap();
        file.write_all(&size.to_le_bytes()).unwrap();
        file.seek(SeekFrom::Current(i64::from(size))).unwrap();
    }
    let segment = list(b"RIFF", b"AVIX", &[list(b"LIST", b"movi", &[grey(20)])]);
    file.write_all(&segment).unwrap();
    let mut avi = AviReader::new(io::BufReader::new(file), "test.avi", None).unwrap();
    let mut frame = Frame::default();
    for shade in [10, 20] {
        assert_eq!(avi.read(&mut frame).unwrap(), Status::Frame);
        assert_eq!(frame.rgb[0], shade);
    }
    assert_eq!(avi.read(&mut frame).unwrap(), Status::End);
}
