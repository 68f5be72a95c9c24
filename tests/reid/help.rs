//! Help texts, completions and man pages of `reid`.

use crate::program::PROGRAM;
use crate::snapshot;

#[test]
fn help_texts_are_those_reviewed() {
    snapshot::check(PROGRAM, "reid", &[]);
}

#[test]
fn completions_and_man_pages_are_written() {
    snapshot::check_documents(PROGRAM, "reid", &["run", "enroll", "doctor"]);
}
