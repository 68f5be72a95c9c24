//! Lines of text: numbered, UTF-8, of limited length, so that a file without line ends is an error and
//! does not fill the memory.

use std::io::{BufRead, Read};

use super::{Error, Result};

/// Maximum number of bytes in a line.
pub(super) const MAX_LINE: usize = 1 << 16;

/// The lines of a text, none of them longer than [`MAX_LINE`].
pub(super) struct Lines<'a, R> {
    input: R,
    name: &'a str,
    number: u64,
    line: Vec<u8>,
}

impl<'a, R: BufRead> Lines<'a, R> {
    pub(super) fn new(input: R, name: &'a str) -> Self {
        Self {
            input,
            name,
            number: 0,
            line: Vec::new(),
        }
    }

    /// The next line without its end.
    pub(super) fn next(&mut self) -> Result<Option<&str>> {
        self.line.clear();
        let read = (&mut self.input)
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut self.line);
        read.map_err(|source| Error::Io {
            path: self.name.into(),
            source,
        })?;
        self.number += 1;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.len() > MAX_LINE {
            return Err(self.error(format!("longer than the limit of {MAX_LINE} bytes")));
        }
        let text = std::str::from_utf8(&self.line)
            .map_err(|e| self.error(format!("byte {} is no UTF-8 text", e.valid_up_to() + 1)))?;
        // Spreadsheets begin UTF-8 files with a byte order mark.
        let text = match self.number {
            1 => text.trim_start_matches('\u{feff}'),
            _ => text,
        };
        Ok(Some(text.trim_end_matches(['\r', '\n'])))
    }

    /// The number of the line that came last, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn error(&self, reason: String) -> Error {
        Error::Line {
            name: self.name.to_owned(),
            line: self.number,
            reason,
        }
    }
}
