//! The program without libtorch lists the commands that need it, and refuses them with the way to get
//! them. `cargo test -p trainer --no-default-features` runs this.

#![cfg(not(feature = "torch"))]

use std::process::{Command, Output};

fn trainer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.args(arguments).output().unwrap()
}

#[test]
fn commands_that_need_libtorch_are_listed_as_not_built_in() {
    let help = String::from_utf8(trainer(&["--help"]).stdout).unwrap();
    for command in ["train", "eval"] {
        let mut lines = help
            .lines()
            .filter(|line| line.trim_start().starts_with(&format!("{command} ")));
        let line = lines.next().unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(line.contains("not built in"), "{line}");
        let own = String::from_utf8(trainer(&[command, "--help"]).stdout).unwrap();
        assert!(
            own.contains("cargo build --release --package trainer"),
            "{own}"
        );
    }
}

#[test]
fn commands_that_need_libtorch_fail_with_the_way_to_build_them() {
    let cases: [&[&str]; 3] = [
        &["train", "configs/bot-resnet18.toml", "--data", "shop"],
        &["eval", "--weights", "w.safetensors", "--data", "shop"],
        &["eval"],
    ];
    for arguments in cases {
        let output = trainer(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("is not built in"), "{error}");
        assert!(error.contains("cargo xtask libtorch"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
