//! Help texts, completions and man pages of `trainer`.

#[path = "../../tests/help/snapshot.rs"]
mod snapshot;

const PROGRAM: &str = env!("CARGO_BIN_EXE_trainer");

/// Commands whose help depends on whether libtorch is built in: `tests/help/trainer.txt` has it.
const OTHER: &[&str] = match cfg!(feature = "torch") {
    true => &[],
    false => &["trainer", "trainer train", "trainer eval"],
};

#[test]
fn help_texts_are_those_reviewed() {
    snapshot::check(PROGRAM, "trainer", OTHER);
}

#[test]
fn completions_and_man_pages_are_written() {
    snapshot::check_documents(PROGRAM, "trainer", &["nets", "export", "import"]);
}
