//! The command line that both programs share: arguments in; tables and JSON on stdout, messages and
//! progress on stderr out. Also [`settings`] as TOML and files that are [`private`].
//!
//! All text becomes [`printable()`] here. A stdout that cannot be written to is an error, a stderr
//! that cannot be written to is ignored; neither panics, as `println!` would.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod docs;
mod errors;
mod log;
mod printable;
pub mod private;
mod replace;
pub mod settings;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

pub use docs::DocsCommand;
pub use errors::{closed_pipe, one_line};
pub use log::{LogOptions, keep_above, say_above_bar, say_line};
pub use printable::{is_unprintable, printable, without_passwords};
pub use replace::{Replacement, replace_file, sync_folder};

use self::printable::{PrintableJson, columns, shortened};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// A progress bar on stderr, which draws nothing unless that is a terminal.
#[must_use]
pub fn progress(len: Option<u64>, what: &'static str) -> ProgressBar {
    let bar = match len {
        Some(len) => ProgressBar::new(len),
        None => ProgressBar::no_length(),
    };
    let template = match len {
        Some(_) => "{bar:32} {pos}/{len} {msg}, {per_sec}, {eta} left",
        None => "{spinner} {pos} {msg}, {per_sec}",
    };
    let bar = bar.with_style(style(template)).with_message(what);
    if log::is_json() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    keep_above(&bar);
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates are constants")
}

/// The command line, parsed. If it is wrong, or asks for help, this writes the message and ends the
/// program: with 2, or with 0.
#[must_use]
pub fn parse<C: clap::Parser>() -> C {
    C::try_parse().unwrap_or_else(|error| {
        // The message repeats arguments, and a pattern of the shell may have put any file's
        // name among them: wrong again, but printable.
        let shown = std::env::args_os().map(|text| printable(&text.to_string_lossy()).into_owned());
        let error = C::try_parse_from(shown).err().unwrap_or(error);
        match error.print() {
            Err(failed) if !error.use_stderr() && failed.kind() != ErrorKind::BrokenPipe => {
                say!("{}: {failed}", C::command().get_name());
                std::process::exit(1)
            }
            _ => std::process::exit(error.exit_code()),
        }
    })
}

/// The exit code of a program: an error is written to stderr and is 1, a reader of stdout that has gone
/// is no error.
pub fn exit_code(result: anyhow::Result<impl Into<ExitCode>>) -> ExitCode {
    match result {
        Ok(code) => code.into(),
        Err(error) if closed_pipe(error.chain()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", one_line(error.chain()));
            ExitCode::FAILURE
        }
    }
}

/// One JSON document on stdout.
///
/// # Errors
/// If stdout cannot be written to.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    json_line(&mut io::stdout().lock(), value)?;
    Ok(())
}

/// One JSON document and the end of its line; control characters in its strings are escaped.
///
/// # Errors
/// If it cannot be written.
pub fn json_line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut *out, PrintableJson::default());
    value.serialize(&mut serializer)?;
    writeln!(out)
}

/// Lines on stdout.
///
/// # Errors
/// If stdout cannot be written to.
pub fn lines(lines: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{}", printable(&line))?;
    }
    Ok(())
}

/// A report on stdout: as one JSON document, or as lines of text.
///
/// # Errors
/// If stdout cannot be written to.
pub fn report<R: Serialize>(
    as_json: bool,
    report: &R,
    text: impl FnOnce(&R) -> Vec<String>,
) -> anyhow::Result<()> {
    match as_json {
        true => json(report),
        false => lines(text(report)),
    }
}

/// The widest that a column of a table becomes, and the last one, which pushes nothing away. What
/// is longer is cut; JSON has all of it.
const CELL: usize = 120;
const LAST_CELL: usize = 2000;

/// A table: the first row is the header; every column is as wide as its widest cell.
#[must_use]
pub fn table(rows: &[impl AsRef<[String]>]) -> Vec<String> {
    table_with_numbers(rows, usize::MAX)
}

/// As [`table`]; columns from position `numbers` on are numbers, which end below each other.
#[must_use]
pub fn table_with_numbers(rows: &[impl AsRef<[String]>], numbers: usize) -> Vec<String> {
    let rows = rows.iter().map(AsRef::as_ref);
    let count = rows.clone().map(<[String]>::len).max().unwrap_or(0);
    let cell = |(i, text): (usize, &String)| {
        let most = if i + 1 == count { LAST_CELL } else { CELL };
        shortened(&printable(text), most).into_owned()
    };
    let rows: Vec<Vec<String>> = rows
        .map(|row| row.iter().enumerate().map(cell).collect())
        .collect();
    let width = |i: usize| {
        rows.iter()
            .filter_map(|row| row.get(i).map(|cell| columns(cell)))
            .max()
    };
    let widths: Vec<usize> = (0..count).map(|i| width(i).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(i, (cell, &width))| {
            let blanks = " ".repeat(width - columns(cell));
            match i < numbers {
                true => format!("{cell}{blanks}"),
                false => format!("{blanks}{cell}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `1 thread`, `2 threads`.
#[must_use]
pub fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let lines = table(&[row(["identity", "n"]), row(["Äda", "12"])]);
        assert_eq!(lines, ["identity  n", "Äda       12"]);
        let lines = table(&[row(["東京", "n"]), row(["a\u{1b}", "12"])]);
        assert_eq!(lines, ["東京     n", "a\\u{1b}  12"]);
        let lines = table_with_numbers(&[row(["set", "n"]), row(["a", "12"])], 1);
        assert_eq!(lines, ["set   n", "a    12"]);
    }

    #[test]
    fn a_cell_of_any_length_is_cut() {
        for length in [CELL, CELL + 1, 65_535, 65_536, 1 << 20] {
            let lines = table(&[vec!["ü".repeat(length), "end".to_owned()]]);
            assert_eq!(columns(&lines[0]), length.min(CELL) + 5, "{length}");
            assert!(lines[0].ends_with("ü  end"), "{length}");
            let lines = table(&[vec!["x".to_owned(), "ü".repeat(length)]]);
            assert_eq!(columns(&lines[0]), length.min(LAST_CELL) + 3, "{length}");
        }
    }

    #[test]
    fn json_is_printable_and_keeps_its_values() {
        let all: String = (0..=0x0010_ffff).filter_map(char::from_u32).collect();
        let value = serde_json::json!({ &all[..200]: all });
        let mut out = Vec::new();
        json_line(&mut out, &value).unwrap();
        let line = String::from_utf8(out).unwrap();
        let line = line.strip_suffix('\n').unwrap();
        assert_eq!(line.find(is_unprintable), None);
        let found: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(found == value);

        for url in ["rtsp://a:secret@b", "rtsp://a:se\"cr\\et\u{1}@b"] {
            let mut out = Vec::new();
            json_line(&mut out, &url).unwrap();
            assert_eq!(out, b"\"rtsp://a:***@b\"\n", "{url}");
        }
        let texts = ["\"\\\n\u{1b} http://h/\"\\\n\t\u{1b}", "next \"one\""];
        let mut out = Vec::new();
        json_line(&mut out, &texts).unwrap();
        assert_eq!(serde_json::from_slice::<Vec<String>>(&out).unwrap(), texts);
    }
}
