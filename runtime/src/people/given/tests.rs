//! Every form of box file, and what each refuses.

use super::*;
use crate::people::People;
use crate::people::lines::MAX_LINE;

const MOT: Format = Format::Mot { truth: false };
const TRUTH: Format = Format::Mot { truth: true };

fn read(text: impl AsRef<[u8]>, format: Format) -> Result<Given> {
    Given::read(text.as_ref(), "boxes", format)
}

fn index(index: u64) -> Frame {
    Frame {
        index,
        ..Frame::default()
    }
}

fn named(name: &str) -> Frame {
    Frame {
        name: Some(name.to_owned()),
        ..Frame::default()
    }
}

fn person(bbox: [f32; 4], score: Option<f32>, track: Option<u64>) -> Person {
    let [x, y, w, h] = bbox;
    Person {
        bbox: BBox { x, y, w, h },
        score,
        track,
    }
}

#[test]
fn every_format_gives_the_boxes_of_a_frame() {
    struct Case {
        name: &'static str,
        format: Format,
        text: &'static str,
        frame: Frame,
        wanted: Vec<Person>,
    }
    let two = || {
        vec![
            person([1.5, -2.0, 3.0, 4.0], Some(0.5), Some(9)),
            person([5.0, 6.0, 7.0, 8.0], None, None),
        ]
    };
    let cases = [
        Case {
            name: "csv, columns in any order and more of them, quotes, spaces, a byte order mark, CRLF, an empty line",
            format: Format::Csv,
            text: "\u{feff}h,w,y,x,Frame,visitor,score,note,track\r\n4,3,-2,1.5,7,1,0.5,\"a, \"\"b\"\"\",9\r\n\r\n 8, 7, 6, 5, 7,2,,,\r\n4,3,2,1,8,,,,",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "csv, `id` is the track",
            format: Format::Csv,
            text: "frame,x,y,w,h,id,score\n7,1.5,-2,3,4,9,.5\n7,5,6,7,8,,\n",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "csv, frames that are not in order",
            format: Format::Csv,
            text: "frame,x,y,w,h\n9,1,1,1,1\n7,1,2,3,4\n9,1,1,1,1\n7,5,6,7,8",
            frame: index(7),
            wanted: vec![
                person([1.0, 2.0, 3.0, 4.0], None, None),
                person([5.0, 6.0, 7.0, 8.0], None, None),
            ],
        },
        Case {
            name: "csv, image files",
            format: Format::Csv,
            text: "frame,x,y,w,h\nb/1.jpg,1,2,3,4\na.jpg,5,6,7,8\n",
            frame: named("b/1.jpg"),
            wanted: vec![person([1.0, 2.0, 3.0, 4.0], None, None)],
        },
        Case {
            name: "csv, an image known by its bare name",
            format: Format::Csv,
            text: "frame,x,y,w,h\na.jpg,5,6,7,8\n",
            frame: named("some/folder/a.jpg"),
            wanted: vec![person([5.0, 6.0, 7.0, 8.0], None, None)],
        },
        Case {
            name: "det.txt: frames and pixels from 1, -1 is no track",
            format: MOT,
            text: "1,-1,1,1,9,9,1,-1,-1,-1\n8,-1,2.5,-1,3,4,-0.5,-1,-1,-1\n8.0,3,6,7,7,8,1\n",
            frame: index(7),
            wanted: vec![
                person([1.5, -2.0, 3.0, 4.0], Some(-0.5), None),
                person([5.0, 6.0, 7.0, 8.0], Some(1.0), Some(3)),
            ],
        },
        Case {
            name: "csv, `confidence` is the score, frames and tracks written as floats",
            format: Format::Csv,
            text: "frame,x,y,w,h,confidence,track\n7.0,1.5,-2,3,4,.5,9.0\n7.00e0,5,6,7,8,,\n",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "csv with semicolons",
            format: Format::Csv,
            text: "frame;x;y;w;h;conf;id\n7;1.5;-2;3;4;.5;9\n7;5;6;7;8;;\n",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "csv with tabs, empty fields too",
            format: Format::Csv,
            text: "frame\tx\ty\tw\th\tscore\ttrack\n7\t1.5\t-2\t3\t4\t.5\t9\n7\t5\t6\t7\t8\t\t\n",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "csv with blanks",
            format: Format::Csv,
            text: "frame   x y  w h\n 7  1.5 -2  3 4\n",
            frame: index(7),
            wanted: vec![person([1.5, -2.0, 3.0, 4.0], None, None)],
        },
        Case {
            name: "det.txt with blanks and tabs",
            format: MOT,
            text: "8 -1  2.5 -1 3 4 -0.5 -1 -1 -1\n8\t3 6\t7 7 8 1\n",
            frame: index(7),
            wanted: vec![
                person([1.5, -2.0, 3.0, 4.0], Some(-0.5), None),
                person([5.0, 6.0, 7.0, 8.0], Some(1.0), Some(3)),
            ],
        },
        Case {
            name: "nine columns of a detector: COCO's person and no class are persons, the confidence is a score",
            format: MOT,
            text: "8,1,2,3,4,5,.9,0,-1\n8,2,2,3,4,5,.8,-1,-1\n8,3,2,3,4,5,.8,2,-1\n",
            frame: index(7),
            wanted: vec![
                person([1.0, 2.0, 4.0, 5.0], Some(0.9), Some(1)),
                person([1.0, 2.0, 4.0, 5.0], Some(0.8), Some(2)),
            ],
        },
        Case {
            name: "a MOT file with a frame 0 counts frames and pixels from 0, whatever the order and the classes",
            format: MOT,
            text: "7,-1,1,2,3,4,1,-1,-1,-1\n0,-1,1,1,9,9,1,-1,-1,-1\n",
            frame: index(7),
            wanted: vec![person([1.0, 2.0, 3.0, 4.0], Some(1.0), None)],
        },
        Case {
            name: "JSON lines with floats for whole numbers",
            format: Format::JsonLines,
            text: "{\"frame\":7.0,\"box\":[1.5,-2,3,4],\"score\":0.5,\"track\":9.0}\n{\"frame\":7,\"box\":[5,6,7,8]}",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "gt.txt of nine columns: ignored rows and other classes left out, the flag is no score",
            format: MOT,
            text: "8,1,2,3,4,5,0,1,1\n8,2,2,3,4,5,1,3,1\n8,3,2,3,4,5,1,1,0.25\n",
            frame: index(7),
            wanted: vec![person([1.0, 2.0, 4.0, 5.0], None, Some(3))],
        },
        Case {
            name: "gt.txt of ten columns, by its name",
            format: TRUTH,
            text: "8,1,2,3,4,5,0,-1,-1,-1\n8,3,2,3,4,5,1,-1,-1,-1\n",
            frame: index(7),
            wanted: vec![person([1.0, 2.0, 4.0, 5.0], None, Some(3))],
        },
        Case {
            name: "JSON lines",
            format: Format::JsonLines,
            text: "{\"frame\":7,\"box\":[1.5,-2,3,4],\"score\":0.5,\"track\":9}\n\n{\"frame\":7,\"box\":[5,6,7,8],\"score\":null}",
            frame: index(7),
            wanted: two(),
        },
        Case {
            name: "JSON lines of `reid run`",
            format: Format::JsonLines,
            text: "{\"schema\":1,\"source\":\"a.avi\",\"frame\":7,\"time\":\"x\",\"stream_time\":0.28,\"track\":9,\"box\":[1,2,3,4],\"identity\":\"P1\",\"similarity\":0.9,\"runner_up\":null,\"threshold\":0.5,\"state\":\"seen\"}",
            frame: index(7),
            wanted: vec![person([1.0, 2.0, 3.0, 4.0], None, Some(9))],
        },
        Case {
            name: "JSON lines, image files",
            format: Format::JsonLines,
            text: "{\"frame\":\"a.png\",\"box\":[1,2,3,4]}",
            frame: named("a.png"),
            wanted: vec![person([1.0, 2.0, 3.0, 4.0], None, None)],
        },
        Case {
            name: "a frame without boxes",
            format: Format::Csv,
            text: "frame,x,y,w,h\n6,1,2,3,4\n",
            frame: index(7),
            wanted: vec![],
        },
        Case {
            name: "a header alone",
            format: Format::Csv,
            text: "frame,x,y,w,h",
            frame: index(0),
            wanted: vec![],
        },
    ];
    for case in cases {
        let mut people = People::from(read(case.text, case.format).expect(case.name));
        let mut found = Persons::new();
        assert_eq!(
            people.find(&case.frame, &mut found).unwrap(),
            0,
            "{}",
            case.name
        );
        assert_eq!(found.as_slice(), case.wanted, "{}", case.name);
    }
}

#[test]
fn errors_name_the_line_the_value_and_what_was_wanted() {
    let head = "frame,x,y,w,h,score,track\n";
    let csv = |row: &str| format!("{head}0,1,2,3,4,,\n{row}\n");
    let long = format!("{head}{}", "9".repeat(MAX_LINE + 1));
    let many = ",".repeat(300);
    let cases: Vec<(Format, String, &str)> = vec![
        (
            Format::Csv,
            String::new(),
            "boxes:1: the file is empty, wanted a header line",
        ),
        (
            Format::Csv,
            "0,1,2,3,4\n".into(),
            "boxes:1: the header is `0,1,2,3,4`, wanted at least `frame,x,y,w,h`: no `frame`",
        ),
        (
            Format::Csv,
            "frame,x,y,w\n".into(),
            "boxes:1: the header is `frame,x,y,w`, wanted at least `frame,x,y,w,h`: no `h`",
        ),
        (
            Format::Csv,
            "frame,x,y,w,h,X\n".into(),
            "boxes:1: two columns are called `x`",
        ),
        (
            Format::Csv,
            "frame,x,y,w,h,id,track\n".into(),
            "boxes:1: there are both `track` and `id`",
        ),
        (
            Format::Csv,
            "frame,x,y,w,h,conf,score\n".into(),
            "boxes:1: there are both `score` and `conf`",
        ),
        (
            Format::JsonLines,
            "{\"frame\":1.5,\"box\":[1,2,3,4]}".into(),
            "boxes:1: frame: wanted an index from 0 or a file name",
        ),
        (
            Format::JsonLines,
            "{\"frame\":1,\"box\":[1,2,3,4],\"track\":-1}".into(),
            "boxes:1: found -1, wanted a whole number from 0 (column 38)",
        ),
        (Format::Csv, many.clone(), "boxes:1: more than 256 fields"),
        (
            Format::Csv,
            csv("1,2"),
            "boxes:3: 2 fields, wanted 7 as in the header",
        ),
        (
            Format::Csv,
            csv("1,\"2,3,4,5,,"),
            "boxes:3: 2 fields, wanted 7 as in the header",
        ),
        (
            Format::Csv,
            csv("-1,1,2,3,4,,"),
            "boxes:3: frame is `-1`, wanted a whole number from 0",
        ),
        (
            Format::Csv,
            csv("1.5,1,2,3,4,,"),
            "boxes:3: frame is `1.5`, wanted a whole number from 0",
        ),
        (
            Format::Csv,
            csv(",1,2,3,4,,"),
            "boxes:3: frame is empty, wanted an index from 0 or a file name",
        ),
        (
            Format::Csv,
            csv("a.jpg,1,2,3,4,,"),
            "boxes:3: frame is `a.jpg`, wanted an index as in the lines before",
        ),
        (
            Format::Csv,
            format!("{head}a.jpg,1,2,3,4,,\n1,1,2,3,4,,"),
            "boxes:3: frame is 1, wanted a file name as in the lines before",
        ),
        (
            Format::Csv,
            csv("1,left,2,3,4,,"),
            "boxes:3: x is `left`, wanted a number",
        ),
        (
            Format::Csv,
            csv("1,1,,3,4,,"),
            "boxes:3: y is ``, wanted a number",
        ),
        (
            Format::Csv,
            csv("1,1,2,3,4,good,"),
            "boxes:3: score is `good`, wanted a number",
        ),
        (
            Format::Csv,
            csv("1,1,2,3,4,,1.5"),
            "boxes:3: track is `1.5`, wanted a whole number from 0",
        ),
        (
            Format::Csv,
            long,
            "boxes:2: longer than the limit of 65536 bytes",
        ),
        (
            MOT,
            "1,2,3".into(),
            "boxes:1: 3 fields, wanted 6 to 10: frame, id, x, y, w, h, confidence, ...",
        ),
        (
            MOT,
            "1,1,1,1,1,1,1,1,1,1,1".into(),
            "boxes:1: 11 fields, wanted 6 to 10: frame, id, x, y, w, h, confidence, ...",
        ),
        (
            MOT,
            "-1,1,1,1,1,1".into(),
            "boxes:1: frame is -1, wanted a number from 1",
        ),
        (
            MOT,
            "frame,id,x,y,w,h".into(),
            "boxes:1: frame is `frame`, wanted a whole number",
        ),
        (
            MOT,
            "1e30,1,1,1,1,1".into(),
            "boxes:1: frame is `1e30`, wanted a whole number",
        ),
        (
            MOT,
            "1,-2,1,1,1,1".into(),
            "boxes:1: id is -2, wanted -1 or more",
        ),
        (
            MOT,
            "1,1,1,1,1,1,1,car,1".into(),
            "boxes:1: class is `car`, wanted a number",
        ),
        (
            Format::Csv,
            format!("{head}0,1,2,-3,4,,\n0,1,2,3,0,,\n"),
            "boxes:2: w is -3, wanted more than 0",
        ),
        (
            Format::JsonLines,
            "{}".into(),
            "boxes:1: missing field `frame` (column 2), found `{}`",
        ),
        (
            Format::JsonLines,
            "\n[1".into(),
            "boxes:2: EOF while parsing a list (column 2), found `[1`",
        ),
        (
            Format::JsonLines,
            "{\"frame\":-1,\"box\":[1,2,3,4]}".into(),
            "boxes:1: frame: wanted an index from 0 or a file name",
        ),
        (
            Format::JsonLines,
            "{\"frame\":1,\"box\":[1,2,3]}".into(),
            "boxes:1: invalid length 3",
        ),
        (
            Format::JsonLines,
            "{\"frame\":1,\"box\":[1,2,3,1e999]}".into(),
            "boxes:1: number out of range",
        ),
        (
            Format::JsonLines,
            format!("{{\"frame\":{}1", "[".repeat(200)),
            "boxes:1: recursion limit exceeded",
        ),
    ];
    for (format, text, wanted) in cases {
        let error = read(&text, format).expect_err(wanted).to_string();
        assert!(
            error.starts_with(wanted),
            "found `{error}`\nwanted `{wanted}`"
        );
    }
    let error = read(b"frame,x,y,w,h\n1,1,\xff".as_slice(), Format::Csv);
    let error = error.unwrap_err().to_string();
    assert_eq!(error, "boxes:2: byte 5 is no UTF-8 text");
}

#[test]
fn rows_that_are_left_out_are_counted_with_the_reason() {
    struct Case {
        name: &'static str,
        format: Format,
        text: String,
        notes: &'static [&'static str],
    }
    let head = "frame,x,y,w,h,score\n0,1,2,3,4,\n";
    let csv = |rows: &str| format!("{head}{rows}\n");
    let classes: Vec<_> = (2..200)
        .map(|class| format!("1,1,1,1,1,1,1,{class},1\n"))
        .collect();
    let cases = [
        Case {
            name: "nothing",
            format: Format::Csv,
            text: csv("1,1,2,3,4,.5"),
            notes: &[],
        },
        Case {
            name: "boxes that are none",
            format: Format::Csv,
            text: csv("1,1,2,3,-4,\n1,1,2,0,4,\n1,1,2,3,4,"),
            notes: &[
                "2 rows left out: impossible box (first on line 3: h is -4, wanted more than 0)",
            ],
        },
        Case {
            name: "not a number",
            format: Format::Csv,
            text: csv("1,NaN,2,3,4,"),
            notes: &[
                "1 row left out: impossible box (first on line 3: x is NaN, wanted a number of pixels up to 16777216)",
            ],
        },
        Case {
            name: "too large",
            format: Format::JsonLines,
            text: "{\"frame\":1,\"box\":[1,2,3,4]}\n{\"frame\":1,\"box\":[1,2,3,1e99]}".to_owned(),
            notes: &[
                "1 row left out: impossible box (first on line 2: h is inf, wanted a number of pixels up to 16777216)",
            ],
        },
        Case {
            name: "a score that is none",
            format: Format::Csv,
            text: csv("1,1,2,3,4,inf"),
            notes: &[
                "1 row left out: impossible box (first on line 3: score is inf, wanted a finite number)",
            ],
        },
        Case {
            name: "flags and classes of ground truth",
            format: MOT,
            text: "1,1,2,3,4,5,0,1,1\n1,2,2,3,4,5,1,3,1\n1,3,2,3,4,5,1,3,1\n1,3,2,3,4,5,1,1,1\n"
                .to_owned(),
            notes: &[
                "1 row left out: flag 0 of the ground truth (first on line 1)",
                "2 rows left out: class 3, which is no person (first on line 2)",
            ],
        },
        Case {
            name: "frames from 0 in a format that counts from 1",
            format: MOT,
            text: "0,1,2,3,4,5\n".to_owned(),
            notes: &["there is a frame 0: frames and pixels are taken to count from 0"],
        },
        Case {
            name: "more reasons than fit on a screen",
            format: MOT,
            text: classes.concat(),
            notes: &[
                "1 row left out: class 2, which is no person (first on line 1)",
                "1 row left out: class 3, which is no person (first on line 2)",
                "1 row left out: class 4, which is no person (first on line 3)",
                "1 row left out: class 5, which is no person (first on line 4)",
                "1 row left out: class 6, which is no person (first on line 5)",
                "1 row left out: class 7, which is no person (first on line 6)",
                "1 row left out: class 8, which is no person (first on line 7)",
                "1 row left out: class 9, which is no person (first on line 8)",
                "190 rows left out: other classes, which are no persons (first on line 9)",
            ],
        },
    ];
    for case in cases {
        let given = read(&case.text, case.format).expect(case.name);
        assert_eq!(given.notes(), case.notes, "{}", case.name);
    }
}

#[test]
fn a_crowd_keeps_its_best_scores_in_the_order_of_the_file() {
    let mut text = "frame,x,y,w,h,score\n".to_owned();
    for n in 0..100 {
        // 37 is prime to 100: the scores come in no order. Every tenth box has none.
        let score = if n % 10 == 0 {
            String::new()
        } else {
            (n * 37 % 100).to_string()
        };
        text += &format!("0,{n},0,1,1,{score}\n");
    }
    let mut given = read(text, Format::Csv).unwrap();
    let mut found = Persons::new();
    assert_eq!(given.find(&index(0), &mut found), 100 - MAX_PEOPLE);
    assert_eq!(found.len(), MAX_PEOPLE);
    assert!(found.windows(2).all(|pair| pair[0].bbox.x < pair[1].bbox.x));
    // The scores present are 1..=99 without the multiples of ten; the 64 largest of these 90
    // begin at 29.
    let lowest = found
        .iter()
        .filter_map(|person| person.score)
        .min_by(f32::total_cmp);
    assert_eq!(lowest, Some(29.0));
}

#[test]
fn boxes_of_frames_that_never_came_are_counted() {
    let text = "frame,x,y,w,h\n2,1,1,1,1\n5,1,1,1,1\n5,1,1,1,1\n6,1,1,1,1\n";
    let mut given = read(text, Format::Csv).unwrap();
    let mut found = Persons::new();
    for at in [0, 2, 2, 3] {
        found.clear();
        given.find(&index(at), &mut found);
    }
    let unused = given.unused().unwrap();
    assert_eq!(
        unused.to_string(),
        "boxes of frames that never came: 3, in 2 frames, the first of them `5`"
    );
    for at in [5, 6] {
        found.clear();
        given.find(&index(at), &mut found);
    }
    assert_eq!(given.unused(), None);
    let given = read("frame,x,y,w,h\na.jpg,1,1,1,1\n", Format::Csv).unwrap();
    assert_eq!(given.unused().unwrap().first, "a.jpg");
}
