//! A model that was exported before parts of its metadata got other names in Rust still opens, and passes
//! its self-test exactly.

use std::path::Path;

use kernels::cpu::{Executor, StepOutput};
use kernels::plan::Plan;
use network::Error;
use network::model::{Model, ModelOptions};
use network::onnx::{self, ReadOptions};
use network::self_test::{ChecksumRecorder, Level};

#[test]
fn a_model_exported_before_opens_and_passes_its_self_test() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = path.join("../models/street-osnet_x0_25-int8.onnx");

    // The keys in the file are those of its time.
    let file = onnx::read_file(&path, &ReadOptions::default()).unwrap();
    let json = &file.metadata["reid.contract"];
    for key in ["\"receipt\":", "\"golden\":", "\"exact\":", "\"sums\":"] {
        assert!(json.contains(key), "{key} in {json}");
    }
    assert_eq!(file.digest.as_ref(), file.metadata.get("reid.sha256"));

    let model = Model::open(&path, &ModelOptions::default()).unwrap();
    assert_eq!(model.warnings, [""; 0]);
    assert_eq!(model.space(), model.metadata.space.as_deref().unwrap());
    let test = model.metadata.self_test.as_ref().unwrap();
    let plan = Plan::new(&model.graph, &model.metadata.preprocessing).unwrap();
    let mut executor = Executor::new(&plan, 1).unwrap();
    let passed = test.replay(plan.image(), |crops| {
        let count = test.golden.count;
        let mut embeddings = vec![0.0; count * executor.dim()];
        let mut recorder = ChecksumRecorder::new(&plan.exact_steps(), test.steps(), count)?;
        executor.run_with(crops, &mut embeddings, |step, output| {
            if let StepOutput::Quantised(values) = output {
                recorder.record(step, values);
            }
        })?;
        recorder.finish(embeddings)
    });
    let passed = passed.map_err(|error: Error| error.to_string()).unwrap();
    assert_eq!(passed.level, Level::Exact);
    assert_eq!(passed.steps, test.steps().len());
}
