//! Text that comes from files, cameras and the network, made fit to be shown: what a terminal would
//! obey, or would not show, is written as an escape, and passwords in URLs are left out.
//!
//! Everything that this crate writes goes through here, so nothing before it has to.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

use serde_json::ser::{CharEscape, CompactFormatter, Formatter};
use unicode_width::UnicodeWidthChar;

/// What stands in place of a password.
const HIDDEN: &str = "***";

/// Keys of a URL whose values are passwords.
const PASSWORD_KEYS: [&str; 10] = [
    "password=",
    "passwd=",
    "passphrase=",
    "pass=",
    "pwd=",
    "token=",
    "secret=",
    "auth=",
    "apikey=",
    "key=",
];

/// Whether a character is an order to a terminal (ESC, BEL, a new line), changes the direction of
/// the text around it, or shows nothing.
#[must_use]
pub fn is_unprintable(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}'
            | '\u{ffff}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text on one line, with `\n`, `\u{1b}` and the like for [unprintable](is_unprintable)
/// characters, and without passwords of URLs. Applied twice it changes nothing more.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let text = without_passwords(text);
    if !text.contains(is_unprintable) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            letter if is_unprintable(letter) => {
                // Writing into a string cannot fail.
                let _ = write!(shown, "\\u{{{:x}}}", u32::from(letter));
            }
            letter => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// Columns that a printable text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}

/// At most `most` columns of a printable text: its beginning and its end, with `…` between them.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    if columns(text) <= most {
        return Cow::Borrowed(text);
    }
    let tail_columns = (most - 1) / 2;
    let head = fitting(text.chars(), most - 1 - tail_columns);
    let tail = fitting(text.chars().rev(), tail_columns);
    Cow::Owned(format!("{}…{}", &text[..head], &text[text.len() - tail..]))
}

/// Bytes of the first letters that fit into so many columns.
fn fitting(letters: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut left = columns;
    let fits = |letter: &char| {
        let width = letter.width().unwrap_or(0);
        left.checked_sub(width).map(|rest| left = rest).is_some()
    };
    letters.take_while(fits).map(char::len_utf8).sum()
}

/// The text with `***` for each password in a URL: what stands between the user's name and `@`, and
/// values of keys such as `password=`.
///
/// People type passwords with `/` and `@` in them unescaped, so the password goes on up to the last
/// `@` before a blank.
#[must_use]
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let (url, behind) = after.split_at(after.find(char::is_whitespace).unwrap_or(after.len()));
        push_url(&mut shown, url);
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Appends what follows the `://` of a URL, without its passwords.
fn push_url(shown: &mut String, url: &str) {
    let mut rest = url;
    if let Some((user, (_, host))) =
        (url.split_once(':')).and_then(|(user, rest)| Some((user, rest.rsplit_once('@')?)))
    {
        shown.push_str(user);
        shown.push(':');
        shown.push_str(HIDDEN);
        shown.push('@');
        rest = host;
    }
    // ASCII alone changes, so that positions stay.
    let lower = rest.to_ascii_lowercase();
    let mut at = 0;
    while let Some(value) = password_value(&lower, at) {
        let end = lower[value..]
            .find(['&', ';'])
            .map_or(rest.len(), |end| value + end);
        shown.push_str(&rest[at..value]);
        shown.push_str(HIDDEN);
        at = end;
    }
    shown.push_str(&rest[at..]);
}

/// Where the next value of a password's key begins, from `from` on.
fn password_value(lower: &str, from: usize) -> Option<usize> {
    let ends = PASSWORD_KEYS.iter().filter_map(|key| {
        let mut found = lower[from..].match_indices(key);
        let begins_a_key =
            |at: &usize| !lower[..*at].ends_with(|before: char| before.is_ascii_alphanumeric());
        found
            .find_map(|(at, _)| Some(from + at).filter(begins_a_key))
            .map(|at| at + key.len())
    });
    ends.min()
}

/// JSON whose strings have their exact values and nothing [unprintable](is_unprintable) in them:
/// JSON may write every character as `\u....`. Passwords of URLs are left out.
#[derive(Debug, Default)]
pub(crate) struct PrintableJson {
    /// The string at hand from its first URL on: strings come in pieces, and a password may lie
    /// across them. Strings without a URL are not kept, so that they cost no allocation.
    with_url: String,
}

impl Formatter for PrintableJson {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.with_url.is_empty() && !fragment.contains("://") {
            return write_letters(writer, fragment);
        }
        self.with_url.push_str(fragment);
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        if self.with_url.is_empty() {
            return CompactFormatter.write_char_escape(writer, escape);
        }
        self.with_url.push(match escape {
            CharEscape::Quote => '"',
            CharEscape::ReverseSolidus => '\\',
            CharEscape::Solidus => '/',
            CharEscape::Backspace => '\u{8}',
            CharEscape::FormFeed => '\u{c}',
            CharEscape::LineFeed => '\n',
            CharEscape::CarriageReturn => '\r',
            CharEscape::Tab => '\t',
            CharEscape::AsciiControl(control) => char::from(control),
        });
        Ok(())
    }

    fn end_string<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        write_letters(writer, &without_passwords(&self.with_url))?;
        self.with_url.clear();
        writer.write_all(b"\"")
    }
}

/// Letters of a JSON string.
fn write_letters<W: ?Sized + io::Write>(writer: &mut W, text: &str) -> io::Result<()> {
    let mut rest = text;
    let is_escaped = |letter: char| matches!(letter, '"' | '\\') || is_unprintable(letter);
    while let Some(at) = rest.find(is_escaped) {
        let (before, after) = rest.split_at(at);
        let mut letters = after.chars();
        writer.write_all(before.as_bytes())?;
        if let Some(letter) = letters.next() {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        rest = letters.as_str();
    }
    writer.write_all(rest.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let cases = [
            ("Ada Müller, 東京 👍🏽", "Ada Müller, 東京 👍🏽"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("a\nreid: done\r\tb", "a\\nreid: done\\r\\tb"),
            ("\u{9b}31m\u{7f}\0", "\\u{9b}31m\\u{7f}\\u{0}"),
            ("x\u{202e}gpj\u{2069}", "x\\u{202e}gpj\\u{2069}"),
            (
                "A\u{200b}d\u{feff}a\u{2028}",
                "A\\u{200b}d\\u{feff}a\\u{2028}",
            ),
            ("\u{e0041}", "\\u{e0041}"),
            ("C:\\new\\u", "C:\\new\\u"),
        ];
        for (text, wanted) in cases {
            assert_eq!(printable(text), wanted);
            assert_eq!(printable(wanted), wanted, "applied twice");
        }
        for letter in (0..=0x0010_ffff).filter_map(char::from_u32) {
            let text = letter.to_string();
            assert!(!printable(&text).contains(is_unprintable), "{letter:?}");
        }
    }

    #[test]
    fn passwords_in_urls_are_left_out() {
        let cases = [
            ("rtsp://admin:secret@door/1", "rtsp://admin:***@door/1"),
            (
                "rtsp://a:secret@b/1: no, http://c:secret@d",
                "rtsp://a:***@b/1: no, http://c:***@d",
            ),
            (
                "rtsp://admin:sec/r@et@door:554/1",
                "rtsp://admin:***@door:554/1",
            ),
            ("rtsp://admin:12/34@door", "rtsp://admin:***@door"),
            ("rtsp://:secret@door", "rtsp://:***@door"),
            ("`rtsp://u:se'c\"ret@h/1` is", "`rtsp://u:***@h/1` is"),
            (
                "http://h/?user=a&password=secret&channel=1",
                "http://h/?user=a&password=***&channel=1",
            ),
            (
                "rtsp://h/user=a_Password=secret",
                "rtsp://h/user=a_Password=***",
            ),
            (
                "http://h/?pwd=secret;pass=secret",
                "http://h/?pwd=***;pass=***",
            ),
            (
                "http://h:8080/a?compass=north",
                "http://h:8080/a?compass=north",
            ),
            (
                "https://cam/s?ACCESS_TOKEN=secret&x=1",
                "https://cam/s?ACCESS_TOKEN=***&x=1",
            ),
            ("https://cam/s?api_key=secret", "https://cam/s?api_key=***"),
            ("rtsp://admin:@cam/1", "rtsp://admin:***@cam/1"),
            (
                "rtsp://cam/user=admin_password=se_cr=et_channel=1",
                "rtsp://cam/user=admin_password=***",
            ),
            ("http://user@host/", "http://user@host/"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
            ("12:30 a@b", "12:30 a@b"),
        ];
        for (text, wanted) in cases {
            assert_eq!(printable(text), wanted);
            assert_eq!(printable(wanted), wanted, "applied twice");
        }
    }

    #[test]
    fn texts_are_cut_in_the_middle_by_columns() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abc…fg");
        // Two columns each.
        assert_eq!(columns("東京"), 4);
        assert_eq!(shortened("東京東京東京", 8), "東京…京");
        // No column of its own.
        assert_eq!(columns("e\u{301}"), 1);
        let long = "x".repeat(100_000);
        assert_eq!(columns(&shortened(&long, 60)), 60);
    }
}
