//! Any bytes as an ONNX model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use network::onnx::{ReadOptions, read_bytes};

fuzz_target!(|bytes: &[u8]| {
    let _ = read_bytes(bytes, &ReadOptions::default());
});
