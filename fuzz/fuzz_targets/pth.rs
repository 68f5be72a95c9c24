//! Any bytes as a file of `torch.save`: a zip, or pickles and storages in a row.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trainer::import::pth_from_bytes;

fuzz_target!(|bytes: &[u8]| {
    let _ = pth_from_bytes(bytes.to_vec());
});
