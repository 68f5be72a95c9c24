//! What the pages of this program share beside [`cli::page`]: pictures inside of them, and times.

use std::io::{self, Write};
use std::time::Duration;

/// RFC 4648, with padding.
pub(super) fn base64(bytes: &[u8], out: &mut impl Write) -> io::Result<()> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        let mut four = [18, 12, 6, 0].map(|shift| LETTERS[(bits >> shift & 63) as usize]);
        four[chunk.len() + 1..].fill(b'=');
        out.write_all(&four)?;
    }
    Ok(())
}

/// `0:07.5`, `12:34`, `1:02:03`: the longer, the coarser.
pub(super) struct Clock(pub(super) Duration);

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "0:{seconds:02}.{}", self.0.subsec_millis() / 100),
            60..3600 => write!(f, "{}:{:02}", seconds / 60, seconds % 60),
            _ => {
                let minutes = seconds / 60;
                write!(
                    f,
                    "{}:{:02}:{:02}",
                    minutes / 60,
                    minutes % 60,
                    seconds % 60
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        // Section 10, and the two letters that are no letters.
        for (bytes, wanted) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (&[0xff, 0xef, 0xbe], "/+++"),
        ] {
            let mut out = Vec::new();
            base64(bytes, &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }
}
