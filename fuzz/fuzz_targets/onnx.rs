//! Any bytes as an ONNX model.
#![no_main]

use kernels::onnx::{ReadOptions, read_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = read_bytes(bytes, &ReadOptions::default());
});
