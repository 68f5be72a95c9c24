//! What servers and cameras make of Motion-JPEG: none of their text is a frame, so that every box of
//! a file meets the frame that it was drawn in.

use crate::example::{SIGHTINGS, THRESHOLD, example};
use crate::live::pictures;
use crate::program::{Ended, Reid, reid};
use crate::watch::fed;

fn run() -> Reid {
    let (boxes, model) = (&example().boxes, &example().model);
    reid![
        "run",
        "-",
        "--boxes",
        boxes,
        "--model",
        model,
        "--threshold",
        THRESHOLD,
        "--fps",
        "4",
        "--observations"
    ]
}

/// Bytes in chunks of HTTP/1.1, whose bounds are not those of pictures.
fn chunked(bytes: &[u8]) -> Vec<u8> {
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let mut all: Vec<u8> = bytes.chunks(1000).flat_map(chunk).collect();
    all.extend(b"0\r\n\r\n");
    all
}

#[test]
fn pictures_of_a_server_are_the_frames_of_the_clip() {
    let pictures = pictures();
    let wanted = fed(&run(), pictures.concat(), 0);
    assert_eq!(wanted.observations().len(), SIGHTINGS);

    let header = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
                  Content-Type: multipart/x-mixed-replace; boundary=--frame\r\n\r\n";
    let part = |picture: &Vec<u8>| {
        let text = format!(
            "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
            picture.len()
        );
        [text.as_bytes(), picture, b"\r\n--frame\r\n"].concat()
    };
    let parts: Vec<u8> = pictures.iter().flat_map(part).collect();
    let endless = |picture: &Vec<u8>| picture[..picture.len() - 2].to_vec();
    let headed = |body: &[u8]| [header.as_bytes(), body].concat();
    for (name, bytes) in [
        ("without the first boundary", parts.clone()),
        (
            "as of curl -i",
            headed(&[b"--frame\r\n", &parts[..]].concat()),
        ),
        ("as of curl -i --raw", headed(&chunked(&parts))),
        ("as of curl --raw", chunked(&pictures.concat())),
        (
            "pictures without an end",
            pictures.iter().flat_map(endless).collect(),
        ),
    ] {
        let found = fed(&run(), bytes, 0);
        // The times of the day differ.
        let stable = |ended: &Ended| {
            let mut lines = ended.observations();
            for line in &mut lines {
                for key in ["time", "identity", "runner_up"] {
                    line[key] = serde_json::Value::Null;
                }
            }
            lines
        };
        assert_eq!(stable(&found), stable(&wanted), "{name}");
    }
}

#[test]
fn a_server_that_refuses_is_quoted() {
    let refusal = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest\r\n\r\n<html></html>";
    fed(&run(), refusal.to_vec(), 1).says(&["the server answers `401 Unauthorized`"]);
}
