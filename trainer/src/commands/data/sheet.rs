//! `trainer data sheet`: who is in a data set, as a person sees it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use trainer::data::Dataset;
use trainer::data::dataset::DatasetOptions;
use trainer::picture::{Crop, sheet};

/// Draw persons of a data set, a row each: one SVG file, images included
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Sheet {
    /// The data set's folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The file to write
    #[arg(value_name = "OUT.svg")]
    out: PathBuf,
    /// Persons, from all over the set; at most 1024 crops are drawn
    #[arg(long, value_name = "N", default_value_t = 12)]
    persons: usize,
    /// Images of each, from all over theirs
    #[arg(long, value_name = "N", default_value_t = 12)]
    images: usize,
}

const AFTER_HELP: &str = "\
Examples:
  trainer data sheet street street.svg
  trainer data sheet Market-1501 market.svg --persons 20 --images 8";

impl Sheet {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let set = super::super::noted(Dataset::open(&self.dir, &DatasetOptions::default())?);
        let open = |path: &std::path::Path| Crop::open(path);
        let drawn = sheet::persons(&set, self.persons, self.images, open)?;
        cli::private::write(&self.out, drawn).with_context(|| self.out.display().to_string())?;
        cli::lines([self.out.display().to_string()])
    }
}
