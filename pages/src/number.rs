//! Numbers and times as people read them.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

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

/// `1 visit`, `2 visits`.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a>(pub u64, pub &'a str);

impl Display for Count<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let plural = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{plural}", Thousands(self.0), self.1)
    }
}

/// A time of a stream: `0:07.5`, `12:34`, `1:02:03`.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub Duration);

impl Display for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let seconds = self.0.as_secs();
        let (hours, minutes, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match seconds {
            0..60 => write!(f, "0:{second:02}.{}", self.0.subsec_millis() / 100),
            60..3600 => write!(f, "{minutes}:{second:02}"),
            _ => write!(f, "{hours}:{minutes:02}:{second:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times() {
        let clock = |millis: u64| Clock(Duration::from_millis(millis)).to_string();
        let cases = [
            (Thousands(0).to_string(), "0"),
            (Thousands(999).to_string(), "999"),
            (Thousands(1_234_567).to_string(), "1\u{202f}234\u{202f}567"),
            (Count(1, "visit").to_string(), "1 visit"),
            (Count(0, "visit").to_string(), "0 visits"),
            (clock(0), "0:00.0"),
            (clock(7_590), "0:07.5"),
            (clock(59_999), "0:59.9"),
            (clock(754_000), "12:34"),
            (clock(3_723_000), "1:02:03"),
            (Clock(Duration::MAX).to_string(), "5124095576030431:00:15"),
        ];
        for (found, wanted) in cases {
            assert_eq!(found, wanted);
        }
    }
}
