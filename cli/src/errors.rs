//! Errors and their causes as one line, and the error that is none: a reader that has gone.

/// An error and its causes on one line, for people. Errors of these crates end with the text of
/// their cause, which is not repeated, and a cause may begin with the path that the error
/// ends with.
#[must_use]
pub fn one_line<'a>(
    causes: impl IntoIterator<Item = &'a (dyn std::error::Error + 'static)>,
) -> String {
    let mut line = String::new();
    for cause in causes {
        let cause = cause.to_string();
        if line.is_empty() {
            line = cause;
        } else if !line.ends_with(&cause) {
            let known = repeated(&line, &cause);
            line = format!("{line}: {}", &cause[known..]);
        }
    }
    line
}

/// Bytes at the beginning of `cause` that `line` ends with: whole parts between `: `.
fn repeated(line: &str, cause: &str) -> usize {
    let begins = std::iter::once(0).chain(line.match_indices(": ").map(|(at, _)| at + 2));
    let rests = begins.filter_map(|at| cause.strip_prefix(&line[at..])?.strip_prefix(": "));
    rests
        .map(|rest| cause.len() - rest.len())
        .max()
        .unwrap_or(0)
}

/// Whether the reader of our output has gone away, as `head` does: no failure of ours.
pub fn closed_pipe<'a>(
    causes: impl IntoIterator<Item = &'a (dyn std::error::Error + 'static)>,
) -> bool {
    causes.into_iter().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Message(&'static str);

    #[test]
    fn nothing_is_repeated() {
        let cases: &[(&[&'static str], &str)] = &[
            (&["a.onnx", "a.onnx: no such file"], "a.onnx: no such file"),
            (
                &["a.onnx", "a.onnx: no such file", "no such file"],
                "a.onnx: no such file",
            ),
            (&["run: a: b", "a: b: gone"], "run: a: b: gone"),
            (&["a.onnx", "b.bin: gone"], "a.onnx: b.bin: gone"),
            (&["a", "a.onnx: gone"], "a: a.onnx: gone"),
            (&["a", "b", "c"], "a: b: c"),
            (&["ü: x", "x: y"], "ü: x: y"),
        ];
        for (causes, wanted) in cases {
            let causes: Vec<Message> = causes.iter().map(|&cause| Message(cause)).collect();
            let line = one_line(causes.iter().map(|cause| cause as &dyn std::error::Error));
            assert_eq!(line, *wanted);
        }
    }
}
