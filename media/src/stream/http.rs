//! Removes what an HTTP server sends around pictures, as `curl -i`, `curl --raw` or `nc` pass it on:
//! response headers and the sizes of chunks (RFC 9112, sections 4 and 7.1).

use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};

use super::{Bytes, HEAD};
use crate::{Error, Result};

/// The most bytes of the header of a response, and of the line before a chunk.
const MAX_HEADER: u64 = 1 << 16;
const MAX_LINE: u64 = 256;

/// The first bytes of the body, up to [`HEAD`], and the whole body. A stream without HTTP is unchanged.
///
/// # Errors
/// [`Error::Failed`] for a response that is not a success, with its status; [`Error::Malformed`] for
/// a header without an end, [`Error::Io`].
pub(super) fn body(reader: impl Read + Send + 'static, name: &str) -> Result<(Vec<u8>, Bytes)> {
    let (mut head, mut bytes) = peek(Box::new(reader)).map_err(Error::io(name))?;
    let mut status = None;
    // A server may answer more than once: `100 Continue`, `401` before the password, `302`.
    while head.starts_with(b"HTTP/") {
        let mut lines = BufReader::new(bytes);
        status = Some(header(&mut lines, name)?);
        (head, bytes) = peek(Box::new(lines)).map_err(Error::io(name))?;
    }
    if let Some(status) = status.filter(|status| !is_success(status)) {
        let status = status.escape_debug();
        let reason = format!("the server answers `{status}`, wanted `200 OK`");
        return Err(Error::failed(name, reason));
    }
    // `curl -i` prints the header of a chunked response but joins the chunks: the bytes decide.
    if size(&head).is_some_and(|(_, rest)| rest.starts_with(b"\r\n") || rest.starts_with(b";")) {
        let chunked = Chunked {
            reader: BufReader::new(bytes),
            left: 0,
            begun: false,
            ended: false,
        };
        return peek(Box::new(chunked)).map_err(Error::io(name));
    }
    Ok((head, bytes))
}

/// The first bytes, and all bytes.
fn peek(mut reader: Bytes) -> io::Result<(Vec<u8>, Bytes)> {
    let mut head = Vec::with_capacity(HEAD);
    (&mut reader).take(HEAD as u64).read_to_end(&mut head)?;
    let all = Cursor::new(head.clone()).chain(reader);
    Ok((head, Box::new(all)))
}

/// Reads the header of a response; returns its status, such as `200 OK`.
fn header(lines: &mut impl BufRead, name: &str) -> Result<String> {
    let mut lines = lines.take(MAX_HEADER);
    let mut status = None;
    loop {
        let mut line = Vec::new();
        lines
            .read_until(b'\n', &mut line)
            .map_err(Error::io(name))?;
        if !line.ends_with(b"\n") {
            let read = MAX_HEADER - lines.limit();
            let reason = format!("the header of an HTTP response has no end within {read} bytes");
            return Err(Error::malformed(name, reason));
        }
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(status.unwrap_or_default());
        }
        status.get_or_insert_with(|| {
            let line = String::from_utf8_lossy(line);
            let status = line.split_once(' ').map_or("", |(_, status)| status);
            status.to_owned()
        });
    }
}

fn is_success(status: &str) -> bool {
    let number = status.split(' ').next().unwrap_or_default();
    number.len() == 3 && number.starts_with('2')
}

/// The size at the beginning of a chunk, and the rest of the line; `None` if it is no number.
fn size(line: &[u8]) -> Option<(u64, &[u8])> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at(digits.count());
    let text = std::str::from_utf8(digits).ok()?;
    Some((u64::from_str_radix(text, 16).ok()?, rest))
}

/// Joins chunks.
struct Chunked<R> {
    reader: BufReader<R>,
    /// Bytes of this chunk that are still to come.
    left: u64,
    begun: bool,
    ended: bool,
}

impl<R: Read> Chunked<R> {
    /// Reads the line before a chunk, and the one that ends the chunk before it. The end of the
    /// connection ends the body: the reader of the pictures reports what is missing.
    fn next(&mut self) -> io::Result<()> {
        if self.begun && !self.line()?.is_none_or(|line| line.is_empty()) {
            return Err(malformed("more bytes than its size states"));
        }
        self.begun = true;
        self.left = match self.line()? {
            None => 0,
            Some(line) => match size(&line) {
                Some((left, b"" | [b';' | b' ' | b'\t', ..])) => left,
                _ => {
                    return Err(malformed(&format!(
                        "`{}` in place of its size in hexadecimal digits",
                        line[..line.len().min(12)].escape_ascii()
                    )));
                }
            },
        };
        self.ended = self.left == 0;
        Ok(())
    }

    /// A line without its end; `None` at the end of the connection.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        (&mut self.reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        Ok(Some(line.trim_ascii_end().to_owned()))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        format!("a chunk of the HTTP response has {what}"),
    )
}

impl<R: Read> Read for Chunked<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            self.next()?;
        }
        if self.ended {
            return Ok(0);
        }
        let read = (&mut self.reader).take(self.left).read(bytes)?;
        self.left -= read as u64;
        self.ended = read == 0 && !bytes.is_empty();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of `bytes`, all at once and byte by byte as a slow server sends them.
    fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let read = |reader: Bytes| {
            let (head, mut bytes) = body(reader, "-").map_err(|e| e.to_string())?;
            let mut all = Vec::new();
            bytes.read_to_end(&mut all).map_err(|e| e.to_string())?;
            assert!(all.starts_with(&head));
            Ok(all)
        };
        let at_once = read(Box::new(Cursor::new(bytes.to_vec())));
        let slow = read(Box::new(Drip(Cursor::new(bytes.to_vec()))));
        assert_eq!(at_once, slow);
        at_once
    }

    struct Drip(Cursor<Vec<u8>>);

    impl Read for Drip {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.0.by_ref().take(1).read(bytes)
        }
    }

    #[test]
    fn what_is_around_the_body_is_taken_off() {
        let chunks = b"5\r\nhello\r\n00006;name=value\r\n world\r\n0\r\ntrailer: x\r\n\r\n";
        let headed = |header: &str, body: &[u8]| [header.as_bytes(), body].concat();
        let cases = [
            (b"".to_vec(), "".as_bytes()),
            (b"no HTTP at all".to_vec(), b"no HTTP at all"),
            // Hexadecimal digits alone are no chunk.
            (b"deadbeef".to_vec(), b"deadbeef"),
            (b"1 2".to_vec(), b"1 2"),
            (chunks.to_vec(), b"hello world"),
            (
                headed("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n", b"body"),
                b"body",
            ),
            (headed("HTTP/1.0 200\n\n", chunks), b"hello world"),
            (
                headed(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                    b"joined",
                ),
                b"joined",
            ),
            (
                headed(
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\r\nA: b\r\n\r\nHTTP/2 206 \r\n\r\n",
                    b"body",
                ),
                b"body",
            ),
            // The connection ends in the midst of a chunk.
            (b"ff\r\nhel".to_vec(), b"hel"),
            (b"3\r\nhel".to_vec(), b"hel"),
            (b"3\r\nhel\r\n".to_vec(), b"hel"),
        ];
        for (bytes, wanted) in cases {
            let text = bytes.escape_ascii().to_string();
            assert_eq!(unpacked(&bytes).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_response_with_pictures_says_so() {
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(20_000));
        for (bytes, wanted) in [
            (
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest\r\n\r\n<html>",
                "-: the server answers `401 Unauthorized`, wanted `200 OK`",
            ),
            (
                "HTTP/1.1 404\r\n\r\n",
                "-: the server answers `404`, wanted `200 OK`",
            ),
            (
                "HTTP/nonsense\r\n\r\n",
                "-: the server answers ``, wanted `200 OK`",
            ),
            (
                &endless,
                "-: the header of an HTTP response has no end within 65536 bytes",
            ),
            (
                "HTTP/1.1 200 OK\r\nServ",
                "-: the header of an HTTP response has no end within 21 bytes",
            ),
            (
                "5\r\nhello, world\r\n",
                "-: a chunk of the HTTP response has more bytes than its size states",
            ),
            (
                "5\r\nhello\r\nno size\r\n",
                "-: a chunk of the HTTP response has `no size` in place of its size in hexadecimal digits",
            ),
        ] {
            assert_eq!(unpacked(bytes.as_bytes()), Err(wanted.to_owned()));
        }
    }
}
