//! `reid bench`: how fast this device embeds.

mod stages;

use std::time::{Duration, Instant};

use clap::Args;
use network::self_test::Level;
use serde::Serialize;

use super::{DeviceArgs, ModelArgs, Outcome};

/// Measure how fast this device embeds with a model.
///
/// One iteration embeds one batch of synthetic crops: normalisation, network, scaling to length one.
/// Decoding and cropping are not included.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  reid bench --model person.onnx --threads 1 --json")]
pub(super) struct Bench {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Number of timed batches
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    iterations: u32,
    /// Also time each stage of the pipeline: one person in a frame of 1280 x 720, 1000 enrolled persons
    #[arg(long)]
    pipeline: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    device: &'static str,
    backend: String,
    self_test: Option<Level>,
    model: String,
    batch: usize,
    threads: usize,
    iterations: u32,
    ms: Milliseconds,
    images_per_s: f64,
    load_ms: f64,
    first_ms: f64,
    peak_rss_mb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<Vec<stages::Stage>>,
}

/// Time of one batch.
#[derive(Serialize)]
struct Milliseconds {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
}

impl Bench {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let start = Instant::now();
        let model = self.model.open()?;
        let mut embedder = self.device.embedder(&model)?;
        let load = start.elapsed();

        let batch = self.device.batch;
        let [_, height, width] = model.graph.input_size();
        let crops = pattern(batch * height * width * 3);
        let mut embeddings = Vec::new();
        let mut embed = || {
            embeddings.clear();
            let start = Instant::now();
            embedder
                .embed(&crops, &mut embeddings)
                .map(|()| start.elapsed())
        };
        embed()?;
        let first = start.elapsed();

        // Caches, branch predictors and clocks settle within a few batches.
        for _ in 0..3 {
            embed()?;
        }
        let bar = cli::progress(Some(u64::from(self.iterations)), "batches");
        let mut times = Vec::new();
        for _ in 0..self.iterations {
            times.push(embed()?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let total: Duration = times.iter().sum();
        times.sort_unstable();
        let ms = Milliseconds {
            min: milliseconds(times[0]),
            p50: milliseconds(percentile(&times, 50)),
            p90: milliseconds(percentile(&times, 90)),
            p99: milliseconds(percentile(&times, 99)),
        };
        let pipeline = match self.pipeline {
            true => Some(stages::measure(&model, embedder.as_mut(), self.iterations)?),
            false => None,
        };
        let chosen = embedder.chosen();
        let report = Report {
            schema: 2,
            device: chosen.device,
            backend: chosen.backend.clone(),
            self_test: chosen.self_test.map(|proof| proof.passed.level),
            model: self.model.model.display().to_string(),
            batch,
            threads: chosen.threads,
            iterations: self.iterations,
            images_per_s: (batch * times.len()) as f64 / total.as_secs_f64(),
            ms,
            load_ms: milliseconds(load),
            first_ms: milliseconds(first),
            peak_rss_mb: peak_rss_mb(),
            pipeline,
        };
        cli::report(self.json, &report, Report::text)?;
        Ok(Outcome::Done)
    }
}

impl Report {
    fn text(&self) -> Vec<String> {
        let Milliseconds { min, p50, p90, p99 } = self.ms;
        let rss = self
            .peak_rss_mb
            .map_or("unknown".to_owned(), |mb| format!("{mb:.0} MB"));
        let mut lines = vec![
            format!("{} on {} ({})", self.model, self.device, self.backend),
            format!(
                "batch {}, {}",
                self.batch,
                cli::count(self.threads, "thread")
            ),
            format!("a batch    {p50:.2} ms (min {min:.2}, p90 {p90:.2}, p99 {p99:.2})"),
            format!("images/s   {:.1}", self.images_per_s),
            format!(
                "load       {:.0} ms, first embedding after {:.0} ms",
                self.load_ms, self.first_ms
            ),
            format!("peak RSS   {rss}"),
        ];
        if let Some(pipeline) = &self.pipeline {
            lines.extend(cli::table(&stages::text(pipeline)));
        }
        lines
    }
}

/// Pixels that are neither flat nor the same in any two places nearby.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect()
}

/// The smallest of the sorted `times` that at least `percent` of them do not exceed.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent).div_ceil(100).saturating_sub(1)]
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The most memory that this process has held, as Linux counts it.
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib * 1024.0 / 1e6).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=10).map(Duration::from_millis).collect();
        for (percent, wanted) in [(1, 1), (50, 5), (90, 9), (99, 10), (100, 10)] {
            assert_eq!(
                percentile(&times, percent),
                Duration::from_millis(wanted),
                "p{percent}"
            );
        }
        assert_eq!(percentile(&times[..1], 50), Duration::from_millis(1));
    }
}
