//! Flags for device, precision and threads.

use clap::Args;
use trainer::data::loader::LoaderOptions;
use trainer::torch::Precision;
use trainer::torch::device::{self, DeviceChoice};

/// Device, precision and threads.
#[derive(Debug, Args)]
pub(super) struct Hardware {
    /// Device
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceChoice,
    /// Precision of convolutions and matrix products; bf16 is twice as fast on processors that have it
    #[arg(long, value_enum, default_value = "f32")]
    precision: Precision,
    /// Computing threads, 0 for one per core; results are reproducible with the same number
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: u16,
    /// Threads that read images, at most 256; 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
}

impl Hardware {
    /// Opens the device; the program may restart itself here.
    pub(super) fn open(&self) -> anyhow::Result<tch::Device> {
        let device = device::open(self.device)?;
        if self.threads > 0 {
            tch::set_num_threads(self.threads.into());
        }
        Ok(device)
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    pub(super) fn loader(&self) -> LoaderOptions {
        LoaderOptions {
            threads: self.workers,
            ..LoaderOptions::default()
        }
    }
}
