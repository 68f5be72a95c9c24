//! What a command may take of the machine.

use clap::{Args, ValueEnum};
use trainer::data::loader::LoaderOptions;
use trainer::torch::Precision;
use trainer::torch::device::{self, DeviceChoice};

/// What a command may take of the machine.
#[derive(Debug, Args)]
pub(super) struct Hardware {
    /// Where to compute: cpu or cuda
    #[arg(long, value_name = "D", default_value = "cpu")]
    device: DeviceChoice,
    /// With what numbers; bf16 is twice as fast where the processor has it
    #[arg(long, value_enum, default_value = "f32")]
    precision: Number,
    /// Threads that compute, 0 for one a core; the same run needs the same number
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: u16,
    /// Threads that read images, 0 for one a core, at most 256
    #[arg(long, value_name = "N", default_value_t = 0)]
    workers: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Number {
    F32,
    Bf16,
}

impl Hardware {
    /// The device, opened: the program may start anew here.
    pub(super) fn open(&self) -> anyhow::Result<tch::Device> {
        let device = device::open(self.device)?;
        if self.threads > 0 {
            tch::set_num_threads(self.threads.into());
        }
        Ok(device)
    }

    pub(super) fn precision(&self) -> Precision {
        match self.precision {
            Number::F32 => Precision::F32,
            Number::Bf16 => Precision::Bf16,
        }
    }

    pub(super) fn loader(&self) -> LoaderOptions {
        LoaderOptions {
            threads: self.workers,
            ..LoaderOptions::default()
        }
    }
}
