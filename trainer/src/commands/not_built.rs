//! Stands in for the commands that need libtorch in a program that was built without it.

use clap::Args;

/// How to build the program with libtorch.
pub(super) const BUILD: &str = "\
This program was built without libtorch. To build it with libtorch:
  cargo xtask libtorch
  cargo build --release --package trainer";

/// Takes any arguments, so that the answer does not depend on them.
#[derive(Debug, Args)]
pub(super) struct NotBuilt {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<String>,
}

impl NotBuilt {
    pub(super) fn refuse(self, command: &str) -> anyhow::Result<()> {
        anyhow::bail!(
            "`{command}` is not built in, it needs libtorch: \
             `cargo xtask libtorch && cargo build --release --package trainer` builds it"
        )
    }
}
