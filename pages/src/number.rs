//! Numbers and times as people read them.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

/// An integer as `12 345`, with narrow spaces that do not break.
#[derive(Debug, Clone, Copy)]
pub struct Thousands<N>(pub N);

impl<N: Display> Display for Thousands<N> {
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

/// `1 visit`, `2 visits`: how many, and the words for one and for more.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a, N>(pub N, pub &'a str, pub &'a str);

impl<N: Display> Display for Count<'_, N> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let count = Thousands(&self.0).to_string();
        let what = if count == "1" { self.1 } else { self.2 };
        write!(f, "{count} {what}")
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

/// `12.34 %`.
#[must_use]
pub fn percent(share: f64, digits: usize) -> String {
    format!("{:.digits$} %", share * 100.0)
}

/// A number with so many digits behind the point.
#[must_use]
pub fn fixed(value: f64, digits: usize) -> String {
    format!("{value:.digits$}")
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
            (Count(1, "visit", "visits").to_string(), "1 visit"),
            (Count(0, "visit", "visits").to_string(), "0 visits"),
            (percent(0.1234, 1), "12.3 %"),
            (fixed(-0.1256, 2), "-0.13"),
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
