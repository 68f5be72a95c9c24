//! Progress bars for the stages of quantising.

use indicatif::ProgressBar;
use trainer::export::quantise::Stage;

/// The progress bar of the current stage; removed on drop.
#[derive(Debug, Default)]
pub(super) struct Stages(Option<ProgressBar>);

impl Stages {
    /// Shows a progress event.
    pub(super) fn on_stage(&mut self, stage: Stage) {
        match stage {
            Stage::Begin(what, steps) => {
                self.finish();
                self.0 = Some(cli::progress(Some(steps as u64), what));
            }
            Stage::Step(steps) => {
                if let Some(bar) = &self.0 {
                    bar.inc(steps as u64);
                }
            }
        }
    }

    fn finish(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        self.finish();
    }
}
