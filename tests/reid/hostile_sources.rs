//! Videos, pictures and boxes that are cut, empty, huge or something else: an error that names the
//! file, and nothing lost of what could be read.

use std::path::Path;

use crate::example::{Folder, SIGHTINGS, THRESHOLD, crops, example, run_over};
use crate::program::{Reid, reid};

/// A run of the example's model.
fn run(source: &Path, boxes: impl AsRef<std::ffi::OsStr>) -> Reid {
    run_over(source, boxes).with("--observations")
}

#[test]
fn what_lies_before_the_cut_of_a_clip_is_observed_and_kept() {
    let folder = Folder::new();
    let whole = std::fs::read(&example().clip).expect("the clip can be read");
    let clip = folder.file("cut.avi", &whole[..whole.len() * 2 / 5]);
    let gallery = folder.at("shop.redb");
    let ended = run(&clip, &example().boxes)
        .with("--gallery")
        .with(&gallery)
        .succeeds_partly()
        .says(&[
            "reid: warning: skipped the rest:",
            "cut.avi: truncated after frame",
        ]);
    let lines = ended.observations();
    // Pictures differ in size, so two fifths of the bytes are about two fifths of the frames.
    assert!(
        (20..45).contains(&lines.len()),
        "{} of {SIGHTINGS}",
        lines.len()
    );
    let known = reid!["gallery", "list", gallery, "--json"]
        .succeeds()
        .json();
    let known = known["identities"].as_array().expect("a list");
    let new = lines.iter().filter(|line| line["state"] == "new").count();
    assert_eq!(known.len(), new);

    // The sources behind it are watched all the same.
    let model = &example().model;
    let both = reid![
        "run",
        clip,
        example().clip,
        "--boxes",
        example().boxes,
        "--model",
        model,
        "--threshold",
        THRESHOLD,
        "--observations"
    ]
    .succeeds_partly();
    assert_eq!(both.observations().len(), lines.len() + SIGHTINGS);
}

#[test]
fn what_is_no_source_is_refused_with_what_would_be_one() {
    let folder = Folder::new();
    let clip = std::fs::read(&example().clip).expect("the clip can be read");
    let mut other = clip.clone();
    let codec = clip
        .windows(4)
        .position(|four| four == b"MJPG")
        .expect("it is Motion-JPEG");
    other[codec..codec + 4].copy_from_slice(b"H264");
    if let Some(second) = other.windows(4).position(|four| four == b"MJPG") {
        other[second..second + 4].copy_from_slice(b"H264");
    }
    let mp4 = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2";
    let cases: &[(&str, &[u8], &[&str])] = &[
        (
            "text.avi",
            b"this is no video",
            &[
                "no AVI, JPEG, PNG or BMP",
                "Motion-JPEG .avi or .mjpg",
                "ffmpeg",
            ],
        ),
        ("empty.avi", b"", &["no AVI, JPEG, PNG or BMP"]),
        (
            "phone.mp4",
            mp4,
            &["MP4 or QuickTime", "ffmpeg -nostdin -i"],
        ),
        (
            "web.webm",
            b"\x1a\x45\xdf\xa3 and more",
            &["Matroska or WebM", "ffmpeg -nostdin -i"],
        ),
        ("h264.avi", &other, &["`H264`", "wanted Motion-JPEG"]),
        ("head.avi", &clip[..100], &["truncated before its pictures"]),
    ];
    for (name, bytes, why) in cases {
        let source = folder.file(name, bytes);
        run(&source, "whole").fails().says(&[name]).says(why);
    }
    std::fs::create_dir(folder.at("empty")).expect("folders can be made");
    for (source, why) in [
        (
            folder.at("empty"),
            "found no .jpg, .jpeg, .jpe, .jfif, .png or .bmp file",
        ),
        (
            folder.at("*.jpg"),
            "found no .jpg, .jpeg, .jpe, .jfif, .png or .bmp file",
        ),
        (folder.at("nowhere.avi"), "No such file"),
        (
            "rtsp://camera/1".into(),
            "-nostdin -loglevel error -rtsp_transport tcp -i 'rtsp://camera/1'",
        ),
        ("/dev/video4095".into(), "there is no such camera"),
        ("-".into(), "it is empty"),
    ] {
        let name = source.to_str().expect("UTF-8");
        run(&source, "whole").fails().says(&[name, why]);
    }
}

#[test]
fn an_address_is_refused_without_its_password() {
    for source in [
        "rtsp://admin:s3cret@camera/1",
        "http://camera/video.cgi?user=a&pwd=s3cret",
    ] {
        let ended = run(Path::new(source), "whole").fails().omits("s3cret");
        ended.says(&["ffmpeg -nostdin", "***", "| reid run -"]);
    }
}

#[test]
fn an_avi_file_says_what_its_headers_do_not_declare_and_no_rate_of_nonsense() {
    let folder = Folder::new();
    let clip = std::fs::read(&example().clip).expect("the clip can be read");
    let at = |name: &[u8]| {
        clip.windows(name.len())
            .position(|found| found == name)
            .expect("it is there")
    };
    // The second picture as one of another stream.
    let movi = at(b"movi");
    let first = movi + 4;
    let size = u32::from_le_bytes(clip[first + 4..first + 8].try_into().expect("four bytes"));
    let second = first + 8 + size.next_multiple_of(2) as usize;
    assert_eq!(&clip[second..second + 4], b"00dc");
    let mut other = clip.clone();
    other[second + 1] = b'1';
    let source = folder.file("other.avi", &other);
    let told =
        "passed over: 1 x chunk of a stream that its headers do not declare (the first is `01dc`)";
    run(&source, &example().boxes)
        .succeeds_partly()
        .says(&["other.avi: ", told]);

    let rate = at(b"strh") + 8 + 24;
    let mut fast = clip;
    fast[rate..rate + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    let source = folder.file("fast.avi", &fast);
    run(&source, &example().boxes)
        .fails()
        .says(&["fast.avi: states 4294967295/", "wanted 0.001 to 1000"]);
    let ended = run(&source, &example().boxes).with("--fps=4").succeeds();
    assert_eq!(ended.observations().len(), SIGHTINGS);
}

/// A PNG that claims a size and holds no pixels.
fn png_of(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let length = (body.len() as u32).to_be_bytes();
        let named = [name, body].concat();
        [&length[..], &named, &crc32(&named).to_be_bytes()].concat()
    };
    // 8 bits of red, green and blue each.
    let header = chunk(b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat());
    [b"\x89PNG\r\n\x1a\n", &header[..], &chunk(b"IDAT", b"")].concat()
}

/// CRC-32 as in PNG's appendix D, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc))
    })
}

#[test]
fn pictures_that_are_empty_cut_or_huge_are_passed_over_one_by_one() {
    let folder = Folder::new();
    let whole = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    // A JPEG whose header claims 65535 rows and columns.
    let mut vast = whole.clone();
    let size = whole
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .expect("a baseline JPEG")
        + 5;
    vast[size..size + 4].fill(0xff);
    folder.file("img/1-cut.jpg", &whole[..whole.len() - 100]);
    folder.file("img/2-empty.jpg", b"");
    folder.file("img/3-good.jpg", &whole);
    folder.file("img/4-huge.png", png_of(60_000, 60_000));
    folder.file("img/5-long.png", png_of(1, 16_385));
    folder.file("img/6-none.png", png_of(0, 10));
    folder.file("img/7-text.png", b"no picture");
    folder.file("img/8-vast.jpg", vast);
    folder.file("img/9-good.jpg", &whole);
    let broken = [
        "1-cut.jpg: frame 0:",
        "2-empty.jpg: frame 1:",
        "4-huge.png: frame 3:",
        "5-long.png: frame 4:",
        "6-none.png: frame 5:",
        "7-text.png: frame 6:",
        "8-vast.jpg: frame 7:",
    ];
    let ended = run(&folder.at("img"), "whole")
        .succeeds_partly()
        .says(&broken)
        .says(&[
            "60000 x 60000 pixels: wanted",
            "1 x 16385 pixels: wanted",
            "65535 x 65535 pixels: wanted",
            "passed over: 7 x broken frame",
        ]);
    let frames: Vec<_> = ended
        .observations()
        .iter()
        .map(|line| line["frame"].as_u64())
        .collect();
    assert_eq!(frames, [Some(2), Some(8)]);
}

#[test]
fn jpegs_that_their_data_does_not_fill_are_passed_over_and_take_no_memory() {
    let folder = Folder::new();
    let whole = std::fs::read(&crops("query", 1)[0]).expect("the crop can be read");
    let size = whole
        .windows(2)
        .position(|two| two == [0xff, 0xc0])
        .expect("a baseline JPEG")
        + 5;
    let sized = |height: u16, width: u16| {
        let mut jpeg = whole.clone();
        jpeg[size..size + 4].copy_from_slice(&[height.to_be_bytes(), width.to_be_bytes()].concat());
        jpeg
    };
    let side = |at: usize| u16::from_be_bytes([whole[at], whole[at + 1]]);
    let (height, width) = (side(size), side(size + 2));
    let ended = [&whole[..whole.len() * 2 / 3], b"\xff\xd9"].concat();
    folder.file("img/1-ended.jpg", ended);
    folder.file("img/2-high.jpg", sized(2 * height, width));
    folder.file("img/3-wide.jpg", sized(height, 4 * width));
    folder.file("img/4-vast.jpg", sized(9459, 9459));
    folder.file("img/5-low.jpg", sized(height / 3, width));
    folder.file("img/6-good.jpg", &whole);
    let ended = run(&folder.at("img"), "whole").succeeds_partly().says(&[
        "1-ended.jpg: frame 0: a damaged JPEG: its compressed data ends early, at row",
        "2-high.jpg: frame 1: a damaged JPEG:",
        "3-wide.jpg: frame 2: a damaged JPEG:",
        "4-vast.jpg: frame 3: a damaged JPEG: 9459 x 9459 pixels take at least",
        "5-low.jpg: frame 4: a damaged JPEG:",
        "bytes of compressed data are left over",
        "passed over: 5 x broken frame",
    ]);
    assert_eq!(ended.observations().len(), 1);
}

#[test]
fn boxes_that_are_no_boxes_are_refused_with_their_line() {
    let folder = Folder::new();
    let cases: &[(&str, &str, &[&str])] = &[
        ("empty.csv", "", &["empty.csv:1:", "wanted a header"]),
        (
            "bare.csv",
            "0,1,2,3,4\n",
            &["bare.csv:1:", "wanted at least `frame,x,y,w,h`"],
        ),
        (
            "few.csv",
            "frame,x,y,w,h\n0,1,2,3\n",
            &["few.csv:2:", "4 fields, wanted 5"],
        ),
        (
            "nan.csv",
            "frame,x,y,w,h\n0,NaN,2,3,4\n",
            &["nan.csv:2:", "x is NaN", "wanted"],
        ),
        (
            "inf.csv",
            "frame,x,y,w,h\n0,1,2,inf,4\n",
            &["inf.csv:2:", "w is inf", "wanted"],
        ),
        (
            "flat.csv",
            "frame,x,y,w,h\n0,1,2,3,0\n",
            &["flat.csv:2:", "h is 0", "more than 0"],
        ),
        (
            "negative.csv",
            "frame,x,y,w,h\n0,1,2,-3,4\n",
            &["negative.csv:2:", "w is -3"],
        ),
        (
            "before.csv",
            "frame,x,y,w,h\n-1,1,2,3,4\n",
            &["before.csv:2:", "frame is `-1`"],
        ),
        (
            "word.csv",
            "frame,x,y,w,h\n0,1,two,3,4\n",
            &["word.csv:2:", "y is `two`"],
        ),
        (
            "before.txt",
            "-1,-1,1,2,3,4,1\n",
            &["before.txt:1:", "frame is -1", "from 1"],
        ),
        (
            "few.txt",
            "1,-1,1,2,3\n",
            &["few.txt:1:", "5 fields, wanted 6 to 10"],
        ),
        (
            "no.jsonl",
            "{\"frame\":0}\n",
            &["no.jsonl:1:", "missing field `box`"],
        ),
        ("cut.jsonl", "{\"frame\":0,\"box\":[1,2", &["cut.jsonl:1:"]),
        ("binary.jsonl", "\u{0}\u{1}\n", &["binary.jsonl:1:"]),
        (
            "boxes.xyz",
            "frame,x,y,w,h\n",
            &["boxes.xyz", "supported are `motion`"],
        ),
        ("people.onnx", "", &["people.onnx"]),
    ];
    for (name, text, why) in cases {
        let boxes = folder.file(name, text);
        let ended = run(&example().clip, &boxes).fails().says(why);
        assert_eq!(ended.stdout, "", "{name}");
    }
    run(&example().clip, folder.at("none.csv"))
        .fails()
        .says(&["none.csv", "No such file"]);
}

#[test]
fn boxes_that_no_figure_is_in_are_counted_and_told() {
    let folder = Folder::new();
    let header = "frame,x,y,w,h\n";
    let cases = [
        (
            "outside.csv",
            "0,1000,1,20,30\n0,-500,-500,20,30\n",
            0,
            "2 x box outside",
        ),
        (
            "never.csv",
            "5000,1,1,20,30\n",
            0,
            "the first of them `5000`",
        ),
        (
            "none.csv",
            "",
            0,
            "none.csv: the file has no boxes of persons",
        ),
        // As much of them as is in the frame is seen.
        (
            "beyond.csv",
            "0,-10,-10,60,90\n1,200,150,1000000,1000000\n",
            2,
            "2 observations",
        ),
    ];
    for (name, rows, observed, told) in cases {
        let boxes = folder.file(name, format!("{header}{rows}"));
        let ended = run(&example().clip, &boxes).succeeds().says(&[told]);
        assert_eq!(ended.observations().len(), observed, "{name}");
    }
}

#[test]
fn more_people_than_a_frame_may_have_are_counted() {
    let folder = Folder::new();
    let row = "0,10,14,30,84\n";
    let boxes = folder.file("crowd.csv", format!("frame,x,y,w,h\n{}", row.repeat(70)));
    let ended = run(&example().clip, &boxes)
        .succeeds()
        .says(&["passed over: 6 x person too many for a frame"]);
    assert_eq!(ended.observations().len(), 64);
}

#[test]
fn rates_and_heights_out_of_range_are_refused() {
    for fps in ["0", "-5", "NaN", "1e9"] {
        let call = run(&example().clip, "whole").with(format!("--fps={fps}"));
        call.fails().says(&["--fps", "wanted 0.001 to 1000"]);
    }
}
