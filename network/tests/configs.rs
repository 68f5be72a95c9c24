//! Every file in configs/ is read by the program that it is for.

use std::fs;
use std::path::Path;

use network::metadata::{Preprocessing, Sidecar};

#[test]
fn every_sidecar_is_read_and_possible() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sidecars");
    let mut read = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let sidecar = Sidecar::read(&path).unwrap_or_else(|error| panic!("{error}"));
        sidecar
            .preprocessing
            .over(Preprocessing::default())
            .check()
            .unwrap();
        read += 1;
    }
    assert!(read >= 2, "only {read} sidecars in {}", folder.display());
}
