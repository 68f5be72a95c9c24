//! What the HTML pages of both programs share: one file that can be sent by mail, asks nothing of the
//! network, runs no script, and is light or dark as its reader likes it.

use std::fmt::{Display, Formatter, Result, Write};

use crate::printable;

/// The beginning of a page, up to its title. Nothing may be fetched: a browser that is asked to keeps
/// to it, whatever a name contains.
pub const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
"#;

/// Colours, type, cards, tiles and lists of facts; a page adds its own behind it.
pub const STYLE: &str = include_str!("page.css");

/// Text that is nothing but text, in an element or in a quoted attribute of HTML and of SVG, and
/// [`printable()`] as on a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for letter in printable(self.0).chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// `12 345`, with narrow spaces that do not break.
#[derive(Debug, Clone, Copy)]
pub struct Thousands(pub u64);

impl Display for Thousands {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_str("\u{202f}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        let cases = [
            (Thousands(0).to_string(), "0"),
            (Thousands(999).to_string(), "999"),
            (Thousands(1_234_567).to_string(), "1\u{202f}234\u{202f}567"),
            (
                Escaped("<a href='x'>\"&\0\n\u{fffe}\u{202e}").to_string(),
                "&lt;a href=&#39;x&#39;&gt;&quot;&amp;\\u{0}\\n\\u{fffe}\\u{202e}",
            ),
        ];
        for (found, wanted) in cases {
            assert_eq!(found, wanted);
        }
    }
}
