//! The program under test: a command line goes in, how it ended comes out.
//!
//! Whatever a test is about, every call checks what holds of all of them: the program ended by
//! itself, did not panic, drew no progress into a pipe, and said why if it failed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_reid");

/// A call of the program, from texts and paths: `reid!["eval", crops, "--json"]`.
macro_rules! reid {
    ($($argument:expr),* $(,)?) => {
        $crate::program::Reid::new([
            $(std::ffi::OsString::from(AsRef::<std::ffi::OsStr>::as_ref(&$argument))),*
        ])
    };
}
pub(crate) use reid;

/// A call that is yet to be made.
#[derive(Debug)]
pub(crate) struct Reid {
    arguments: Vec<OsString>,
    cache: PathBuf,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    call: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Reid {
    pub(crate) fn new(arguments: impl Into<Vec<OsString>>) -> Self {
        Self {
            arguments: arguments.into(),
            cache: Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        }
    }

    /// The folder of the user's cache, which no test shares with a person.
    pub(crate) fn cached_in(mut self, folder: &Path) -> Self {
        self.cache = folder.to_owned();
        self
    }

    /// One more argument.
    pub(crate) fn with(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// The call as a command whose output goes into pipes, for tests that start it themselves.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(&self.arguments);
        command.env("XDG_CACHE_HOME", &self.cache);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Everything was done.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Ended {
        self.exits(0)
    }

    /// It could not be done, and the last line says why.
    #[track_caller]
    pub(crate) fn fails(self) -> Ended {
        self.exits(1)
    }

    /// The command line is wrong.
    #[track_caller]
    pub(crate) fn misuses(self) -> Ended {
        self.exits(2)
    }

    /// Done, but part of the input could not be read.
    #[track_caller]
    pub(crate) fn succeeds_partly(self) -> Ended {
        self.exits(3)
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Ended {
        let output = self.command().output().expect("the program starts");
        Ended::checked(format!("{:?}", self.arguments), output, code)
    }
}

impl Ended {
    /// Checks what holds of every call, and the exit code.
    #[track_caller]
    pub(crate) fn checked(call: String, output: Output, code: i32) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        let [stdout, stderr] =
            [stdout, stderr].map(|text| String::from_utf8(text).expect("output is UTF-8"));
        let told = format!("{call}: {status}\nstdout: {stdout}\nstderr: {stderr}");
        assert_eq!(status.code(), Some(code), "{told}");
        for text in [&stdout, &stderr] {
            assert!(!text.contains("panicked"), "{told}");
            assert!(
                !text.contains(|letter| letter != '\n' && cli::is_unprintable(letter)),
                "drew progress: {told}"
            );
        }
        for line in stderr.lines() {
            let parts: Vec<&str> = line.split(": ").collect();
            let twice = parts.windows(2).any(|parts| parts[0] == parts[1]);
            assert!(!twice, "said twice: {told}");
        }
        let last = stderr.lines().last().unwrap_or_default();
        if code == 1 {
            let why = last.strip_prefix("reid: error: ").unwrap_or_default();
            assert!(!why.is_empty(), "the last line gives no reason: {told}");
        }
        Self {
            call,
            stdout,
            stderr,
        }
    }

    /// Checks that stderr names each of `parts`.
    #[track_caller]
    pub(crate) fn says(self, parts: &[&str]) -> Self {
        for part in parts {
            let Self { call, stderr, .. } = &self;
            assert!(stderr.contains(part), "{call}: no `{part}` in: {stderr}");
        }
        self
    }

    /// Checks that stderr does not name `part`.
    #[track_caller]
    pub(crate) fn omits(self, part: &str) -> Self {
        let Self { call, stderr, .. } = &self;
        assert!(!stderr.contains(part), "{call}: `{part}` in: {stderr}");
        self
    }

    /// The one JSON document on stdout, which has to be a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let lines = self.lines();
        assert_eq!(lines.len(), 1, "{}: {}", self.call, self.stdout);
        lines[0].clone()
    }

    /// The lines of a run with `--observations` that are of one person in one frame.
    #[track_caller]
    pub(crate) fn observations(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["schema"] == 1);
        lines
    }

    /// The lines of a run that are events.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["schema"] == 2);
        lines
    }

    /// The JSON documents on stdout, one a line.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}: {line}", self.call))
        };
        self.stdout.lines().map(parse).collect()
    }
}

/// Keys of an object, sorted.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("an object");
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}
