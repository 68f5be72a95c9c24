//! URLs of streams that another program has to read; their passwords are not printed.

use cli::without_passwords;

use super::{Error, quoted};

/// The refusal of a stream, with the line that reads it.
pub(super) fn refuse(spec: &str, scheme: &str) -> Error {
    // A blank ends a URL in a text, and the password in it would be shown.
    let shown = without_passwords(&spec.replace(char::is_whitespace, "%20")).into_owned();
    // Over UDP, which is what ffmpeg asks for first, frames are lost.
    let tcp = match scheme.to_ascii_lowercase().starts_with("rtsp") {
        true => " -rtsp_transport tcp",
        false => "",
    };
    Error::Unsupported {
        reason: format!(
            "{scheme} streams are read by ffmpeg: \
             `ffmpeg -nostdin -loglevel error{tcp} -i {} -an -f mjpeg -q:v 3 - | reid run - ...`, \
             see docs/cameras.md",
            quoted(&shown)
        ),
        spec: shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_can_be_copied() {
        let error = refuse("rtsp://a:s3cret@cam/it's?x=1&y=2", "rtsp").to_string();
        assert!(!error.contains("s3cret"), "{error}");
        let line = "`ffmpeg -nostdin -loglevel error -rtsp_transport tcp -i \
                    'rtsp://a:***@cam/it'\\''s?x=1&y=2' -an -f mjpeg -q:v 3 - | reid run - ...`";
        assert!(error.contains(line), "{error}");
        let error = refuse("rtsp://a:s3 cr et@cam", "rtsp").to_string();
        assert!(!error.contains("cr"), "{error}");
        assert!(error.contains("'rtsp://a:***@cam'"), "{error}");
        let error = refuse("udp://@:1234", "udp").to_string();
        assert!(
            error.contains("-loglevel error -i 'udp://@:1234' -an"),
            "{error}"
        );
    }
}
