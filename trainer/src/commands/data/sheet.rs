//! `trainer data sheet`: a contact sheet of a data set.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use trainer::data::Dataset;
use trainer::data::dataset::DatasetOptions;
use trainer::picture::{Crop, sheet};

/// Draw persons of a data set as an SVG file, one row for each person
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Sheet {
    /// Folder of the data set
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Output file
    #[arg(value_name = "OUT.svg")]
    out: PathBuf,
    /// Number of persons, spread over the set; at most 1024 crops are drawn
    #[arg(long, value_name = "N", default_value_t = 12)]
    persons: usize,
    /// Images of each person
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
