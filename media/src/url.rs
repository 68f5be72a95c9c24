//! URLs of streams, which another program has to read; their passwords are not printed.

use super::{Error, quoted};

/// The refusal of a stream, with the command that reads it.
pub(super) fn refuse(spec: &str, scheme: &str) -> Error {
    // Over UDP, which ffmpeg tries first, frames are lost.
    let tcp = match scheme.to_ascii_lowercase().starts_with("rtsp") {
        true => " -rtsp_transport tcp",
        false => "",
    };
    let shown = without_secrets(spec, scheme);
    let command = format!(
        "ffmpeg -nostdin -loglevel error{tcp} -i {} -an -f mjpeg -q:v 3 - | reid run - ...",
        quoted(&shown)
    );
    let reason = format!("{scheme} streams are read by ffmpeg: `{command}`, see docs/cameras.md");
    Error::unsupported(shown, reason)
}

/// The URL; if it may hold a password, its scheme and host alone. Passwords are typed unescaped, so
/// the host begins after the last `@`.
fn without_secrets(spec: &str, scheme: &str) -> String {
    if !spec.contains(['@', '=']) {
        return spec.to_owned();
    }
    let rest = spec.get(scheme.len() + 3..).unwrap_or_default();
    let host = rest.rsplit('@').next().unwrap_or_default();
    let host = host.split(['/', '?', ';', '&', '=']).next();
    format!("{scheme}://{}/***", host.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_copied() {
        let error = refuse("rtsp://cam/it's", "rtsp").to_string();
        let command = "`ffmpeg -nostdin -loglevel error -rtsp_transport tcp -i \
                       'rtsp://cam/it'\\''s' -an -f mjpeg -q:v 3 - | reid run - ...`";
        assert!(error.contains(command), "{error}");
        let error = refuse("udp://239.0.0.1:1234", "udp").to_string();
        assert!(
            error.contains("-loglevel error -i 'udp://239.0.0.1:1234' -an"),
            "{error}"
        );
    }

    #[test]
    fn passwords_are_not_printed() {
        for (spec, shown) in [
            ("rtsp://a:s3cret@cam/1?x=1&y=2", "rtsp://cam/***"),
            ("rtsp://a:s3/c@r et@cam:554/1", "rtsp://cam:554/***"),
            ("http://cam/video.cgi?user=a&pwd=s3cret", "http://cam/***"),
            ("rtsp://cam/user=a_Password=s3cret", "rtsp://cam/***"),
            ("http://password=s3cret", "http://password/***"),
        ] {
            let scheme = spec.split("://").next().unwrap();
            let error = refuse(spec, scheme).to_string();
            assert!(
                error.starts_with(&format!("cannot open `{shown}`: ")),
                "{error}"
            );
            assert!(!error.contains("s3") && !error.contains("et@"), "{error}");
        }
    }
}
