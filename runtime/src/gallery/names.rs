//! Names of identities: those that people give, and those that the gallery generates.
//!
//! A generated name is `person-7f3a91c2-000001`: the first 32 bits of the gallery's tag and the identity's number. Every file draws a tag of 64 random bits
//! when it is made or restored, so that a name in a log never comes to mean another person: two of 1000 galleries share the 32 bits with a probability of 0.012 %
//! (1000² / 2 / 2³²). Format 1 had no tag: `person-000001`. Names are stored in Unicode's form C. Galleries of older versions may hold names that
//! [`new_name`] refuses: they stay usable, and are found in their stored and in their normalised form.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use unicode_normalization::UnicodeNormalization;
use unicode_security::skeleton;

use super::MAX_NAME;
use crate::error::{Error, Result};

/// The tag of a gallery file: 64 random bits, in text 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GalleryTag(pub u64);

impl GalleryTag {
    /// A tag that no other gallery has.
    #[must_use]
    pub fn random() -> Self {
        // The keys of a RandomState come from the system's random numbers.
        Self(RandomState::new().build_hasher().finish())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let tag = Self(u64::from_str_radix(text, 16).ok()?);
        (tag.to_string() == text).then_some(tag)
    }

    /// The generated name of an identity.
    pub(super) fn name(self, identity: u64) -> String {
        format!("person-{:08x}-{identity:06}", self.0 >> 32)
    }
}

impl fmt::Display for GalleryTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Whether `name` has the form of generated names, of this or another device, of this or an older format.
pub(super) fn is_generated(name: &str) -> bool {
    let digits = |text: &str, least: usize| {
        text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let Some(rest) = name.strip_prefix("person-") else {
        return false;
    };
    match rest.split_once('-') {
        Some((tag, number)) => tag.len() == 8 && tag.bytes().all(hex) && digits(number, 6),
        None => digits(rest, 6),
    }
}

/// The form in which names are stored and compared: Unicode's normalisation form C.
pub(super) fn normal(name: &str) -> String {
    name.nfc().collect()
}

/// The number that an identity is called by, `7` or `#7`.
pub(super) fn number(who: &str) -> Option<u64> {
    let digits = who.strip_prefix('#').unwrap_or(who);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

/// The name of a new person as it is stored, in normalisation form C.
///
/// # Errors
/// [`Error::Argument`] if it is empty, longer than [`MAX_NAME`] bytes, has characters that cannot be seen, begins or ends with a blank, or has the form of numbers or
/// generated names.
pub fn new_name(name: &str) -> Result<String> {
    let name = normal(name);
    let refused = |reason: String| Err(Error::Argument(reason));
    if name.is_empty() || name.len() > MAX_NAME {
        return refused(format!(
            "a name has {} bytes, wanted 1 to {MAX_NAME}",
            name.len()
        ));
    }
    let unseen = name.chars().enumerate().find(|&(_, c)| is_unseen(c));
    if let Some((at, letter)) = unseen {
        let kind = match letter {
            c if c.is_control() => "control",
            '\u{2028}' | '\u{2029}' => "line-break",
            _ => "invisible",
        };
        return refused(format!(
            "the name '{}' has the {kind} character U+{:04X} at position {}: leave it out",
            visible(&name),
            u32::from(letter),
            at + 1
        ));
    }
    if name.trim() != name {
        return refused(format!(
            "the name '{name}' begins or ends with a blank: leave it out"
        ));
    }
    let rest = name.trim_start_matches(['#', '+', '-']);
    if !rest.is_empty() && rest.chars().all(char::is_numeric) {
        return refused(format!(
            "'{name}' could be taken for the number of an identity: choose a name with a letter"
        ));
    }
    if is_generated(&name) {
        return refused(format!(
            "'{name}' has the form of generated names and is no person's name: choose another name"
        ));
    }
    Ok(name)
}

/// Whether a reader cannot see that a character is there: what no terminal shows, and what Unicode calls default-ignorable, such as variation selectors and fillers.
fn is_unseen(letter: char) -> bool {
    // The skeleton of UTS 39 leaves out default-ignorable characters and nothing else.
    let ignorable = || skeleton(letter.encode_utf8(&mut [0; 4])).next().is_none();
    cli::is_unprintable(letter) || ignorable()
}

/// A name with escapes in place of what a reader cannot see.
fn visible(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if is_unseen(letter) {
            text.extend(letter.escape_unicode());
        } else {
            text.push(letter);
        }
    }
    text
}

/// What a reader may take a name for: two names that share one of these forms look alike. The skeletons of UTS 39, made of confusable characters of all scripts
/// (Latin `a` and Cyrillic `а`, `I` and `l`), are compared without regard to case and to the width of blanks.
pub(super) fn looks(name: &str) -> [String; 2] {
    let words: Vec<&str> = name.split_whitespace().collect();
    let name = words.join(" ");
    [
        skeleton(&name).collect::<String>().to_lowercase(),
        skeleton(&name.to_lowercase()).collect(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_known_by_their_form() {
        let device = GalleryTag(0x7f3a_91c2_0000_0001);
        assert_eq!(device.name(1), "person-7f3a91c2-000001");
        assert_eq!(device.name(12_345_678), "person-7f3a91c2-12345678");
        let cases = [
            ("person-7f3a91c2-000001", true),
            ("person-7f3a91c2-12345678", true),
            ("person-000001", true),
            ("person-1234567", true),
            ("person-7f3a91c2-00001", false),
            ("person-7f3a-000001", false),
            ("person-7F3A91C2-000001", false),
            ("person-7f3a91c2-00000x", false),
            ("person-7f3a91c2-000001-1", false),
            ("person-1", false),
            ("person-", false),
            ("ada", false),
        ];
        for (name, wanted) in cases {
            assert_eq!(is_generated(name), wanted, "{name}");
        }
    }

    #[test]
    fn new_names_have_nothing_that_a_reader_cannot_see_and_are_no_numbers() {
        let good = [
            "Ada",
            "Zo\u{eb}",
            "O'Neil-Smith, Jr.",
            "\u{5c71}\u{7530}\u{3000}\u{592a}\u{90ce}",
            "\u{639}\u{644}\u{64a}",
            "\u{928}\u{947}\u{939}\u{93e}",
            "\u{1f600}",
            "figure 1",
            "1a",
            "#",
            "-",
        ];
        assert_eq!(new_name("Zoe\u{308}").unwrap(), "Zo\u{eb}");
        for name in good {
            assert_eq!(new_name(name).unwrap(), name);
        }
        let unseen = [
            ('\0', "control character U+0000"),
            ('\n', "control character U+000A"),
            ('\u{1b}', "control character U+001B"),
            ('\u{9b}', "control character U+009B"),
            ('\u{ad}', "invisible character U+00AD"),
            ('\u{34f}', "invisible character U+034F"),
            ('\u{61c}', "invisible character U+061C"),
            ('\u{115f}', "invisible character U+115F"),
            ('\u{200b}', "invisible character U+200B"),
            ('\u{200d}', "invisible character U+200D"),
            ('\u{200f}', "invisible character U+200F"),
            ('\u{2028}', "line-break character U+2028"),
            ('\u{202e}', "invisible character U+202E"),
            ('\u{2060}', "invisible character U+2060"),
            ('\u{2066}', "invisible character U+2066"),
            ('\u{3164}', "invisible character U+3164"),
            ('\u{fe0f}', "invisible character U+FE0F"),
            ('\u{feff}', "invisible character U+FEFF"),
            ('\u{fffa}', "invisible character U+FFFA"),
            ('\u{e0041}', "invisible character U+E0041"),
        ];
        for (letter, wanted) in unseen {
            let error = new_name(&format!("A{letter}da")).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(error.contains("at position 2"), "{error}");
            assert!(!error.contains(letter), "{error:?}");
        }
        for name in [" Ada", "Ada ", "\u{a0}Ada", "Ada\u{3000}", " "] {
            let error = new_name(name).unwrap_err().to_string();
            assert!(error.contains("begins or ends with a blank"), "{error}");
        }
        for name in ["1", "007", "#7", "+7", "-1", "\u{664}\u{662}", "\u{ff11}"] {
            let error = new_name(name).unwrap_err().to_string();
            assert!(error.contains("number of an identity"), "{error}");
        }
    }

    #[test]
    fn names_that_a_reader_takes_for_each_other_look_alike() {
        let alike = |a: &str, b: &str| {
            let (a, b) = (looks(a), looks(b));
            (0..2).any(|form| a[form] == b[form])
        };
        for (a, b) in [
            ("Ada", "ada"),
            ("Ada", "ADA"),
            ("Ada", "\u{410}da"),
            ("Ada", "\u{410}DA"),
            ("Ada", "\u{391}d\u{430}"),
            ("Ada", "\u{ff21}da"),
            ("Ian", "lan"),
            ("IAN", "1an"),
            ("Maria", "rnaria"),
            ("Bob O", "Bob 0"),
            ("Ada L", "Ada  L"),
            ("Ada L", "Ada\u{a0}L"),
            ("Ada", "A\u{200b}da"),
            ("Zo\u{eb}", "Zoe\u{308}"),
        ] {
            assert!(alike(a, b), "{a} and {b}");
        }
        for (a, b) in [("Ada", "Ida"), ("Zoe", "Zo\u{eb}"), ("Bob", "Rob")] {
            assert!(!alike(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn numbers_are_digits_with_or_without_their_sign() {
        for (text, wanted) in [
            ("7", Some(7)),
            ("#7", Some(7)),
            ("007", Some(7)),
            ("+7", None),
            ("##7", None),
            ("#", None),
            ("", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(number(text), wanted, "{text}");
        }
    }

    #[test]
    fn tags_are_sixteen_hexadecimal_digits_and_differ() {
        let tag = GalleryTag(0xab);
        assert_eq!(tag.to_string(), "00000000000000ab");
        assert_eq!(GalleryTag::parse("00000000000000ab"), Some(tag));
        for wrong in ["", "ab", "00000000000000AB", "+0000000000000ab", "x"] {
            assert_eq!(GalleryTag::parse(wrong), None, "{wrong}");
        }
        assert_ne!(GalleryTag::random(), GalleryTag::random());
    }
}
