//! Addresses of streams that another program has to read, and their passwords, which nobody prints.

use super::{Error, quoted};

/// What stands for a password.
const HIDDEN: &str = "***";

/// Words that a parameter with a secret contains, as IP cameras and relays call theirs.
const SECRETS: [&str; 6] = ["pass", "pwd", "token", "secret", "auth", "key"];

/// The refusal of a stream, with the line that reads it.
pub(super) fn refuse(spec: &str, scheme: &str) -> Error {
    let shown = without_password(spec);
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

/// `spec` to be shown: `***` in place of the password of an address, and of parameters that hold a
/// secret. What is no address stays as it is.
#[must_use]
pub fn without_password(spec: &str) -> String {
    let Some((scheme, rest)) = spec.split_once("://") else {
        return spec.to_owned();
    };
    // A password may hold `/` and `@`, which it should not: all up to the last `@` is taken for one.
    let (user, place) = match rest.rsplit_once('@') {
        Some((login, place)) => match login.split_once(':') {
            Some((user, _)) => (format!("{user}:{HIDDEN}@"), place),
            None => (format!("{login}@"), place),
        },
        None => (String::new(), rest),
    };
    format!("{scheme}://{}{}", parameters(&user), parameters(place))
}

/// Hides the values of parameters with a secret, wherever they stand: cameras also take them in the
/// path, as `/user=admin_password=1234_channel=1`.
fn parameters(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(['/', '?', '&', ';', '#']) {
        let (body, end) = match part.char_indices().next_back() {
            Some((at, '/' | '?' | '&' | ';' | '#')) => part.split_at(at),
            _ => (part, ""),
        };
        let lower = body.to_ascii_lowercase();
        // Up to the end of the part: a password may hold `_` and `=`.
        let secret = lower.match_indices('=').find(|&(at, _)| {
            let name = lower[..at].rsplit(['_', '=']).next().unwrap_or_default();
            SECRETS.iter().any(|secret| name.contains(secret))
        });
        match secret {
            Some((at, _)) => shown.extend([&body[..=at], HIDDEN]),
            None => shown.push_str(body),
        }
        shown.push_str(end);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_cameras_put_them() {
        for (spec, wanted) in [
            ("clip.avi", "clip.avi"),
            ("a:b@c/d", "a:b@c/d"),
            ("rtsp://cam/1", "rtsp://cam/1"),
            ("rtsp://cam:554/1?channel=2", "rtsp://cam:554/1?channel=2"),
            ("rtsp://admin@cam/1", "rtsp://admin@cam/1"),
            (
                "rtsp://admin:s3cret@cam:554/1",
                "rtsp://admin:***@cam:554/1",
            ),
            ("rtsp://admin:@cam/1", "rtsp://admin:***@cam/1"),
            ("rtsp://admin:s3/cr@et:x@cam/1", "rtsp://admin:***@cam/1"),
            (
                "http://cam/video.cgi?user=a&pwd=s3cret&res=2",
                "http://cam/video.cgi?user=a&pwd=***&res=2",
            ),
            (
                "rtsp://cam/user=admin_password=s3_cr=et_channel=1?real_stream",
                "rtsp://cam/user=admin_password=***?real_stream",
            ),
            (
                "https://cam/s?ACCESS_TOKEN=s3cret",
                "https://cam/s?ACCESS_TOKEN=***",
            ),
            (
                "https://cam/s?api_key=s3cret#x",
                "https://cam/s?api_key=***#x",
            ),
            (
                "rtsp://cam/stra\u{df}e?pass=\u{e4}b",
                "rtsp://cam/stra\u{df}e?pass=***",
            ),
        ] {
            assert_eq!(without_password(spec), wanted);
        }
    }

    #[test]
    fn the_line_can_be_copied() {
        let error = refuse("rtsp://a:s3cret@cam/it's?x=1&y=2", "rtsp").to_string();
        assert!(!error.contains("s3cret"), "{error}");
        let line = "`ffmpeg -nostdin -loglevel error -rtsp_transport tcp -i \
                    'rtsp://a:***@cam/it'\\''s?x=1&y=2' -an -f mjpeg -q:v 3 - | reid run - ...`";
        assert!(error.contains(line), "{error}");
        let error = refuse("udp://@:1234", "udp").to_string();
        assert!(
            error.contains("-loglevel error -i 'udp://@:1234' -an"),
            "{error}"
        );
    }
}
