//! What identities may be called: names that people give, and names that the gallery generates.
//!
//! A generated name is `person-7f3a91c2-000001`: the first 32 bits of the device's tag and the identity's number. Every gallery file draws a tag of 64 random bits
//! when it is made and another when it is restored from a copy, so that a name that stands in somebody's log never comes to mean another person. Of 1000
//! galleries two share the 32 bits with a probability of 0.012 % (1000² / 2 / 2³²), of 100 with a hundredth of that. Format 1 had no tag: `person-000001`.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use super::MAX_NAME;
use crate::error::{Error, Result};

/// The tag of a gallery file: 64 random bits, in text 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub u64);

impl Device {
    /// A tag that nobody else has.
    #[must_use]
    pub fn random() -> Self {
        // The keys of a RandomState come from the system's random numbers.
        Self(RandomState::new().build_hasher().finish())
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let tag = Self(u64::from_str_radix(text, 16).ok()?);
        (tag.to_string() == text).then_some(tag)
    }

    /// What the gallery calls an identity that nobody has named.
    pub(super) fn name(self, identity: u64) -> String {
        format!("person-{:08x}-{identity:06}", self.0 >> 32)
    }
}

impl fmt::Display for Device {
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

/// Refuses what cannot be a name.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Error::Argument(format!(
            "a name has {} bytes, wanted 1 to {MAX_NAME}",
            name.len()
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::Argument(format!(
            "the name {name:?} has control characters"
        )));
    }
    Ok(())
}

/// Refuses what cannot be the name of somebody whom a person names.
pub(super) fn check_new_name(name: &str) -> Result<()> {
    check_name(name)?;
    if is_generated(name) {
        return Err(Error::Argument(format!(
            "'{name}' has the form of generated names and belongs to nobody: choose another name"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_known_by_their_form() {
        let device = Device(0x7f3a_91c2_0000_0001);
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
    fn tags_are_sixteen_hexadecimal_digits_and_differ() {
        let tag = Device(0xab);
        assert_eq!(tag.to_string(), "00000000000000ab");
        assert_eq!(Device::parse("00000000000000ab"), Some(tag));
        for wrong in ["", "ab", "00000000000000AB", "+0000000000000ab", "x"] {
            assert_eq!(Device::parse(wrong), None, "{wrong}");
        }
        assert_ne!(Device::random(), Device::random());
    }
}
