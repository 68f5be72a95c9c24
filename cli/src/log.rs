//! Messages of a running program: `tracing` events in, one line each on stderr out, as text or as
//! JSON. Lines are [`printable`], stand above a progress bar, and a stderr that cannot be written to
//! does not stop the program.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use clap::ValueEnum;
use indicatif::{ProgressBar, WeakProgressBar};
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::printable::printable;

/// Which messages are written to stderr, and how: options of every command.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct LogOptions {
    /// Least severe messages that are written to stderr: off, error, warn, info, debug or trace
    /// [default: the filter in RUST_LOG, else info]
    #[arg(long, global = true, value_name = "LEVEL", help_heading = HEADING)]
    log_level: Option<LevelFilter>,

    /// Format of messages on stderr: a line of text, or a JSON object a line
    #[arg(long, global = true, value_name = "FORMAT", help_heading = HEADING)]
    #[arg(value_enum, default_value_t, hide_default_value = true)]
    log_format: LogFormat,
}

const HEADING: &str = "Messages";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What [`LogOptions::start`] was called with.
static FORMATTER: OnceLock<Formatter> = OnceLock::new();

/// The last progress bar; weak, so that it ends when its owner returns with an error.
static BAR: Mutex<Option<WeakProgressBar>> = Mutex::new(None);

impl LogOptions {
    /// Writes `tracing` events to stderr from now on, as messages of `program`.
    pub fn start(self, program: &'static str) {
        let formatter = *FORMATTER.get_or_init(|| Formatter {
            program,
            format: self.log_format,
        });
        let level = |level: LevelFilter| Targets::new().with_default(level);
        let mut wrong = None;
        let filter = match (self.log_level, std::env::var("RUST_LOG")) {
            (Some(chosen), _) => level(chosen),
            (None, Err(_)) => level(LevelFilter::INFO),
            (None, Ok(text)) => text.parse().unwrap_or_else(|error: ParseError| {
                wrong = Some(error);
                level(LevelFilter::INFO)
            }),
        };
        let lines = tracing_subscriber::fmt::layer()
            // They would be written with `eprintln!`, which panics where stderr cannot be written to.
            .log_internal_errors(false)
            .event_format(formatter)
            .with_writer(|| AboveBar)
            .with_filter(filter);
        let subscriber = tracing_subscriber::registry().with(lines);
        // A test may start the log of several programs in its process.
        let _ = tracing::subscriber::set_global_default(subscriber);
        if let Some(error) = wrong {
            tracing::warn!("RUST_LOG is ignored: {error}");
        }
    }
}

/// Whether stderr holds JSON alone.
pub(crate) fn is_json() -> bool {
    let json = |formatter: &Formatter| formatter.format == LogFormat::Json;
    FORMATTER.get().is_some_and(json)
}

/// Writes messages above this bar from now on; [`progress`](crate::progress) calls it.
pub fn keep_above(bar: &ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.downgrade());
}

/// One line on stderr, formatted as by `eprintln!`: output that is neither a message with a level nor
/// for stdout, such as a table beside JSON lines. If stderr cannot be written to, the program goes on.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {
        $crate::say_line(&::std::format!($($text)*))
    };
}

/// What [`say!`](crate::say) calls.
pub fn say_line(text: &str) {
    let line = match FORMATTER.get() {
        Some(formatter) if is_json() => {
            formatter.line(Level::INFO, module_path!(), text, Map::new())
        }
        _ => format!("{}\n", printable(text)),
    };
    // In one piece, so that lines of several threads and programs are not mixed.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// As [`say_line`], above the last progress bar. Not to be called while that is suspended.
pub fn say_above_bar(text: &str) {
    above_bar(|| say_line(text));
}

fn above_bar<T>(write: impl FnOnce() -> T) -> T {
    let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar.and_then(|bar| bar.upgrade()) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Stderr, above the last progress bar; takes one whole line a call.
struct AboveBar;

impl Write for AboveBar {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        above_bar(|| io::stderr().lock().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Events as lines.
#[derive(Debug, Clone, Copy)]
struct Formatter {
    program: &'static str,
    format: LogFormat,
}

impl Formatter {
    /// `PROGRAM: LEVEL: MESSAGE FIELD=VALUE`, or an object with a timestamp.
    fn line(self, level: Level, target: &str, message: &str, fields: Map<String, Value>) -> String {
        if self.format == LogFormat::Json {
            let mut object = json!({
                "timestamp": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
                "level": level.as_str().to_ascii_lowercase(),
                "program": self.program,
                "target": target,
                "message": message,
            });
            let known = object.as_object_mut().expect("made as an object");
            known.extend(fields);
            let mut line = Vec::new();
            crate::json_line(&mut line, &object).expect("memory can be written to");
            return String::from_utf8(line).expect("JSON is UTF-8");
        }
        let level = match level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "note",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let mut line = format!("{}: {level}: {message}", self.program);
        for (name, value) in fields {
            write!(line, " {name}={value}").expect("memory can be written to");
        }
        format!("{}\n", printable(&line))
    }
}

impl<S, N> FormatEvent<S, N> for Formatter
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let message = match fields.0.remove("message") {
            Some(Value::String(message)) => message,
            _ => String::new(),
        };
        let about = event.metadata();
        out.write_str(&self.line(*about.level(), about.target(), &message, fields.0))
    }
}

/// The fields of an event.
struct Fields(Map<String, Value>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat, message: &str) -> String {
        let program = "reid";
        let mut fields = Map::new();
        fields.insert("camera".to_owned(), "door\u{7}".into());
        Formatter { program, format }.line(Level::WARN, "reid::run", message, fields)
    }

    #[test]
    fn a_message_is_one_printable_line() {
        let message = "rtsp://a:secret@b\n\u{1b}[2J";
        let text = line(LogFormat::Text, message);
        let wanted = "reid: warning: rtsp://a:***@b\\n\\u{1b}[2J camera=\"door\\u0007\"\n";
        assert_eq!(text, wanted);

        let text = line(LogFormat::Json, message);
        assert!(!text.trim_end().contains(crate::is_unprintable), "{text}");
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["level"], "warn");
        assert_eq!(found["program"], "reid");
        assert_eq!(found["target"], "reid::run");
        assert_eq!(found["message"], "rtsp://a:***@b\n\u{1b}[2J");
        assert_eq!(found["camera"], "door\u{7}");
        let timestamp = found["timestamp"].as_str().unwrap();
        humantime::parse_rfc3339(timestamp).unwrap();
    }
}
