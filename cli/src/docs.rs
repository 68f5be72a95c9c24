//! What clap's description of a command line is turned into: completions for shells, man pages.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;

/// Commands that both programs have.
#[derive(Debug, Subcommand)]
pub enum DocsCommand {
    /// Print a script that completes commands and flags in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write a man page for each command into a folder
    Man {
        /// The folder; created if missing
        folder: PathBuf,
    },
}

impl DocsCommand {
    /// Writes the documents of the command line `C`.
    ///
    /// # Errors
    /// If stdout or the folder cannot be written to.
    pub fn run<C: CommandFactory>(self) -> anyhow::Result<()> {
        let mut command = C::command();
        match self {
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                // In memory first: clap panics where it cannot write.
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut command, name, &mut script);
                io::stdout().lock().write_all(&script)?;
            }
            Self::Man { folder } => {
                std::fs::create_dir_all(&folder)
                    .and_then(|()| clap_mangen::generate_to(command, &folder))
                    .with_context(|| folder.display().to_string())?;
            }
        }
        Ok(())
    }
}
