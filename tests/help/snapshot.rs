//! All help texts of a program in one text, compared with the file `tests/help/NAME.txt`, so that a
//! change of a help text is seen in review. `cargo xtask update-golden` writes the file.

use std::path::Path;
use std::process::{Command, Stdio};

/// Compares the help texts of `program`, called `name`; those of the commands in `other` depend on how
/// the program was built and are left out.
#[track_caller]
pub(crate) fn check(program: &str, name: &str, other: &[&str]) {
    let mut found = Vec::new();
    collect(program, &mut vec![name.to_owned()], &mut found);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../tests/help/{name}.txt"));
    if std::env::var_os("REID_TEST_UPDATE").is_some() {
        assert!(other.is_empty(), "{name}: this build lacks commands");
        let write = std::fs::write(&path, found.concat());
        return write.expect("the file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("cargo xtask update-golden writes the file");
    let mut wanted: Vec<String> = Vec::new();
    for line in golden.split_inclusive('\n') {
        match wanted.last_mut() {
            Some(section) if !line.starts_with("$ ") => section.push_str(line),
            _ => wanted.push(line.to_owned()),
        }
    }
    let compared = |section: &String| {
        let command = section.lines().next().unwrap_or_default();
        let command = command.trim_start_matches("$ ").trim_end_matches(" --help");
        !other.contains(&command)
    };
    found.retain(compared);
    wanted.retain(compared);
    for (found, wanted) in found.iter().zip(&wanted) {
        assert_eq!(
            found, wanted,
            "if this is meant: cargo xtask update-golden, and look at the difference"
        );
    }
    assert_eq!(found.len(), wanted.len(), "cargo xtask update-golden");
}

/// Appends the help text of the command `path`, and of all commands below it.
fn collect(program: &str, path: &mut Vec<String>, out: &mut Vec<String>) {
    let mut command = Command::new(program);
    command.args(&path[1..]).arg("--help").env("COLUMNS", "100");
    let output = command.stdin(Stdio::null()).output();
    let output = output.expect("the program starts");
    assert!(output.status.success(), "{path:?}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("help is UTF-8");
    let commands = text.lines().skip_while(|line| *line != "Commands:");
    let commands: Vec<String> = commands
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with([' ', '-']))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect();
    out.push(format!("$ {} --help\n\n{text}\n", path.join(" ")));
    for command in commands {
        path.push(command);
        collect(program, path, out);
        path.pop();
    }
}

/// Checks that completions are printed for each shell, and that there is a man page for each of
/// `commands`.
#[track_caller]
pub(crate) fn check_documents(program: &str, name: &str, commands: &[&str]) {
    for shell in ["bash", "zsh", "fish"] {
        let output = Command::new(program).args(["completions", shell]).output();
        let output = output.expect("the program starts");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        for command in commands {
            assert!(text.contains(command), "{shell}: no {command} in {text}");
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let man = folder.path().join("share/man1");
    let status = Command::new(program).arg("man").arg(&man).status();
    assert!(status.expect("the program starts").success());
    let page = |file: String| std::fs::read_to_string(man.join(file)).expect("a page");
    assert!(page(format!("{name}.1")).contains(".TH"));
    for command in commands {
        let page = page(format!("{name}-{command}.1"));
        assert!(page.contains("NAME") && page.contains(command), "{page}");
    }
}
