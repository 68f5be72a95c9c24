//! `trainer nets`: the networks and their cost.

use std::io::Write;

use clap::Args;
use serde::Serialize;
use trainer::nets::{Backbone, Spec, blank};

/// List the networks that can be trained, with parameters and multiply-accumulates (MACs) for a crop
///
/// With the settings of the paper: 256 x 128 pixels, last stride 1, average pooling, BNNeck. The counts
/// are without the classifier, before BatchNorms are folded and branches merged.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  trainer nets --json")]
pub(super) struct Nets {
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// One network of the list.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// Elements of all parameters.
    parameters: u64,
    /// Multiply-accumulates for one crop.
    macs: u64,
    /// Numbers in an embedding.
    embedding: usize,
}

#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    /// Height and width of a crop in pixels.
    size: [usize; 2],
    last_stride: usize,
    nets: Vec<Row>,
}

impl Nets {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let spec = Spec::default();
        let report = Report {
            schema: 1,
            size: spec.size,
            last_stride: spec.last_stride,
            nets: rows(&spec)?,
        };
        if self.json {
            return cli::json(&report);
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "name             parameters    MACs a crop  embedding")?;
        for row in report.nets {
            let (parameters, macs) = (row.parameters as f64 / 1e6, row.macs as f64 / 1e6);
            let (name, embedding) = (row.name, row.embedding);
            writeln!(
                out,
                "{name:15}  {parameters:8.2} M  {macs:11.0} M  {embedding:9}"
            )?;
        }
        Ok(())
    }
}

fn rows(spec: &Spec) -> anyhow::Result<Vec<Row>> {
    let row = |backbone: Backbone| {
        let spec = Spec {
            backbone,
            ..spec.clone()
        };
        let graph = blank(&spec, 1)?.graph().with_output("f_i")?;
        let cost = graph.cost();
        let embedding = graph.value(graph.outputs()[0].value).fact.shape_for(1)[1];
        Ok(Row {
            name: backbone.name(),
            parameters: cost.parameters,
            macs: cost.macs,
            embedding,
        })
    };
    Backbone::ALL.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_that_papers_state() {
        let spec = Spec {
            size: [224, 224],
            last_stride: 2,
            ..Spec::default()
        };
        // What torchvision states for ResNet-50 (25.557 M parameters, 4.089 GMACs) and MobileNetV2
        // (3.505 M, 0.301), less its classifier of 1000 classes (2.049 M and 1.281 M). It does not
        // count running statistics.
        for (backbone, parameters, macs) in [
            (Backbone::ResNet50, 23.508, 4.087),
            (Backbone::MobileNetV2, 2.224, 0.300),
        ] {
            let spec = Spec {
                backbone,
                ..spec.clone()
            };
            let net = blank(&spec, 1).unwrap();
            let graph = net.graph().with_output("f_t").unwrap();
            let cost = graph.cost();
            let trained: usize = (graph.params().iter())
                .filter(|param| !param.name.contains(".running_"))
                .map(|param| param.tensor.len())
                .sum();
            assert!(
                (trained as f64 / 1e6 - parameters).abs() < 0.001,
                "{backbone}: {trained}"
            );
            assert!(
                (cost.macs as f64 / 1e9 - macs).abs() < 0.001,
                "{backbone}: {}",
                cost.macs
            );
        }
        // Zhou et al. 2019, table 1: OSNet x1.0 has 2.2 M parameters and 978.9 million
        // multiplications and additions at 256 x 128, with its layer of 512.
        let spec = Spec {
            backbone: Backbone::OsNetX1_0,
            neck: trainer::nets::Neck::Fc,
            dim: 512,
            ..Spec::default()
        };
        let graph = blank(&spec, 1).unwrap().graph().with_output("f_i").unwrap();
        let macs = graph.cost().macs as f64 / 1e6;
        assert!((macs - 978.9).abs() < 5.0, "{macs}");
    }

    #[test]
    fn every_net_is_listed() {
        let rows = rows(&Spec::default()).unwrap();
        assert_eq!(rows.len(), Backbone::ALL.len());
        let wanted = [512, 512, 2048, 2048, 2048, 512, 512, 2048, 2048, 2048, 2048];
        let found: Vec<usize> = rows.iter().map(|row| row.embedding).collect();
        assert_eq!(found[..11], wanted);
        assert_eq!(found[11..], [512, 384, 256, 128, 512, 1280, 1280]);
    }
}
