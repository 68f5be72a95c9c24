//! The examples of this crate, run on the bundled weights.

#[path = "../examples/export.rs"]
#[allow(dead_code, reason = "the tests call what main calls")]
mod export;

use std::path::Path;

#[test]
fn exported_weights_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let pictures: Vec<_> = [[200, 30, 30], [20, 40, 190]]
        .into_iter()
        .enumerate()
        .map(|(index, top)| {
            let path = folder.path().join(format!("{index}.png"));
            let picture = image::RgbImage::from_fn(48, 96, |x, y| {
                let colour = if y < 50 { top } else { [60, 60, 70] };
                image::Rgb(colour.map(|channel: u8| channel.saturating_add((x % 7) as u8)))
            });
            picture.save(&path).unwrap();
            path
        })
        .collect();
    let weights =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/street-osnet_x0_25.safetensors");
    let out = folder.path().join("person.onnx");
    let change = export::export_and_check(&weights, &out, &pictures).unwrap();
    assert_eq!(change.images, 2);
    assert!(change.relative_max < 1e-5, "{change:?}");
    assert!(out.is_file());
}
