//! A frame becomes a network's input, and boxes in the input become boxes in the frame.

use network::metadata::{Colour, Fit, Preprocessing, Resize};
use network::preprocess::{BBox, Cropper, View};

use super::preset::{DetectorInput, InputFit};
use media::Frame;

/// Scales frames into inputs; made anew only when the frames change their size.
#[derive(Debug)]
pub(super) struct Picture {
    /// Width and height of the input.
    size: [usize; 2],
    fit: InputFit,
    pad: u8,
    bgr: bool,
    /// What each byte becomes, for the planes in the network's order.
    values: [[f32; 256]; 3],
    placed: Option<Placed>,
}

/// Frames of one size and their place in the input.
#[derive(Debug)]
struct Placed {
    frame: [usize; 2],
    place: Placement,
    cropper: Cropper,
    /// The scaled frame, RGB.
    rgb: Vec<u8>,
}

/// Where a frame lies in the input, in pixels of the input.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Placement {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Pixels of the input for a pixel of the frame, across and down.
    scale: [f32; 2],
}

impl Placement {
    /// The arithmetic of the programs that the networks come from, in f64 as in Python: f32 would
    /// lose a row of 1280 x 720 in 416 x 416. YOLOX rounds the scaled size down (`int(h * r)`,
    /// `preproc` in `yolox/data/data_augment.py`); Ultralytics rounds it to the nearest, halves to even
    /// (`round(h * r)`, `LetterBox` in `ultralytics/data/augment.py`), and the border to the left and
    /// the top down.
    fn new(fit: InputFit, frame: [usize; 2], input: [usize; 2]) -> Self {
        let [across, down] = [0, 1].map(|i| input[i] as f64 / frame[i] as f64);
        let scale = match fit {
            InputFit::Stretch => [across, down],
            InputFit::TopLeft | InputFit::Centre => [across.min(down); 2],
        };
        let [width, height] = [0, 1].map(|i| {
            let exact = frame[i] as f64 * scale[i];
            let whole = match fit {
                InputFit::TopLeft => exact.floor(),
                InputFit::Centre => exact.round_ties_even(),
                InputFit::Stretch => input[i] as f64,
            };
            (whole as usize).clamp(1, input[i])
        });
        let scale = scale.map(|scale| scale as f32);
        let [left, top] = match fit {
            InputFit::Centre => [(input[0] - width) / 2, (input[1] - height) / 2],
            InputFit::TopLeft | InputFit::Stretch => [0, 0],
        };
        Self {
            left,
            top,
            width,
            height,
            scale,
        }
    }
}

impl Picture {
    pub(super) fn new(input: &DetectorInput, size: [usize; 2]) -> Self {
        let value = |plane: usize, byte: usize| {
            (byte as f32 * input.scale - input.mean[plane]) / input.std[plane]
        };
        Self {
            size,
            fit: input.fit,
            pad: input.pad,
            bgr: input.colour == Colour::Bgr,
            values: std::array::from_fn(|plane| std::array::from_fn(|byte| value(plane, byte))),
            placed: None,
        }
    }

    /// Fills `planes`, `[3, height, width]` of the input.
    pub(super) fn fill(&mut self, frame: &Frame, planes: &mut [f32]) -> network::Result<()> {
        let view = View::new(&frame.rgb, frame.width, frame.height)?;
        let size = [frame.width, frame.height];
        let pad = usize::from(self.pad);
        let placed = match &mut self.placed {
            Some(placed) if placed.frame == size => placed,
            placed => placed.insert(Placed::new(self.fit, size, self.size)?),
        };
        placed.cropper.whole(view, &mut placed.rgb)?;
        let Placement {
            left,
            top,
            width,
            height,
            ..
        } = placed.place;
        let pixels = self.size[0] * self.size[1];
        for (plane, (out, values)) in planes
            .chunks_exact_mut(pixels)
            .zip(&self.values)
            .enumerate()
        {
            let channel = if self.bgr { 2 - plane } else { plane };
            // Cheap beside the network, and right whatever lay there before.
            out.fill(values[pad]);
            let rows = out.chunks_exact_mut(self.size[0]).skip(top).take(height);
            for (row, rgb) in rows.zip(placed.rgb.chunks_exact(width * 3)) {
                let (rgb, _) = rgb.as_chunks::<3>();
                for (value, rgb) in row[left..].iter_mut().zip(rgb) {
                    *value = values[usize::from(rgb[channel])];
                }
            }
        }
        Ok(())
    }

    /// A box of the input, `[centre x, centre y, width, height]`, in pixels of the last frame.
    pub(super) fn in_frame(&self, [x, y, w, h]: [f32; 4]) -> BBox {
        let Some(Placed { place, .. }) = &self.placed else {
            return BBox {
                x: 0.0,
                y: 0.0,
                w: 0.0,
                h: 0.0,
            };
        };
        let [across, down] = place.scale;
        BBox {
            x: (x - w / 2.0 - place.left as f32) / across,
            y: (y - h / 2.0 - place.top as f32) / down,
            w: w / across,
            h: h / down,
        }
    }
}

impl Placed {
    fn new(fit: InputFit, frame: [usize; 2], input: [usize; 2]) -> network::Result<Self> {
        let place = Placement::new(fit, frame, input);
        let crop = Preprocessing {
            width: place.width,
            height: place.height,
            resize: Resize::CvBilinear,
            fit: Fit::Stretch,
            ..Preprocessing::default()
        };
        Ok(Self {
            frame,
            place,
            cropper: Cropper::new(&crop)?,
            rgb: vec![0; place.width * place.height * 3],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::people::detector::preset::Preset;

    fn input(fit: InputFit, colour: Colour) -> DetectorInput {
        let (_, preset) = Preset::built_in().next().unwrap();
        DetectorInput {
            fit,
            colour,
            ..preset.input
        }
    }

    #[test]
    fn frames_are_placed_as_the_networks_learnt_it() {
        let cases = [
            (
                "YOLOX",
                InputFit::TopLeft,
                [1280, 720],
                [416, 416],
                [0, 0, 416, 234],
            ),
            (
                "YOLOX loses a row: 432 * (416 / 768) is 233.99999999999997",
                InputFit::TopLeft,
                [768, 432],
                [416, 416],
                [0, 0, 416, 233],
            ),
            (
                "YOLOX rounds down",
                InputFit::TopLeft,
                [1000, 333],
                [416, 416],
                [0, 0, 416, 138],
            ),
            (
                "Ultralytics",
                InputFit::Centre,
                [768, 432],
                [640, 640],
                [0, 140, 640, 360],
            ),
            (
                "Ultralytics rounds",
                InputFit::Centre,
                [1000, 333],
                [640, 640],
                [0, 213, 640, 213],
            ),
            (
                "upright",
                InputFit::Centre,
                [432, 768],
                [640, 640],
                [140, 0, 360, 640],
            ),
            (
                "enlarged",
                InputFit::TopLeft,
                [10, 20],
                [64, 64],
                [0, 0, 32, 64],
            ),
            (
                "stretched",
                InputFit::Stretch,
                [768, 432],
                [416, 320],
                [0, 0, 416, 320],
            ),
            (
                "thin",
                InputFit::TopLeft,
                [16_384, 1],
                [64, 64],
                [0, 0, 64, 1],
            ),
        ];
        for (name, fit, frame, size, wanted) in cases {
            let Placement {
                left,
                top,
                width,
                height,
                ..
            } = Placement::new(fit, frame, size);
            assert_eq!([left, top, width, height], wanted, "{name}");
        }
    }

    #[test]
    fn every_size_is_placed_as_by_the_origin() {
        // FNV-1a of width and height in the input (and left and top, when centred) for all frames
        // of 1 to 4096 pixels a side: tests/references/letterbox.py.
        let cases = [
            (
                "YOLOX-nano",
                InputFit::TopLeft,
                [416, 416],
                0x0901_a8e6_9ee4_80ca,
            ),
            (
                "Ultralytics, wide",
                InputFit::Centre,
                [640, 384],
                0xecc6_6ce1_86c2_b3f3,
            ),
        ];
        for (name, fit, input, wanted) in cases {
            let mut hash = 0xcbf2_9ce4_8422_2325_u64;
            for height in 1..=4096 {
                for width in 1..=4096 {
                    let place = Placement::new(fit, [width, height], input);
                    let packed =
                        place.width | place.height << 12 | place.left << 24 | place.top << 36;
                    hash = (hash ^ packed as u64).wrapping_mul(0x0100_0000_01b3);
                }
            }
            assert_eq!(hash, wanted, "{name}");
        }
    }

    #[test]
    fn boxes_come_back_to_where_they_were() {
        let mut frame = Frame {
            width: 200,
            height: 100,
            ..Frame::default()
        };
        frame.rgb = vec![9; 200 * 100 * 3];
        // The frame is halved, so 100 x 50 of the 100 x 80 pixels of the input are covered.
        let cases = [
            (
                "top left",
                InputFit::TopLeft,
                [30.0, 20.0, 10.0, 24.0],
                [50.0, 16.0, 20.0, 48.0],
            ),
            (
                "centre",
                InputFit::Centre,
                [30.0, 35.0, 10.0, 24.0],
                [50.0, 16.0, 20.0, 48.0],
            ),
            (
                "stretch",
                InputFit::Stretch,
                [30.0, 32.0, 10.0, 38.4],
                [50.0, 16.0, 20.0, 48.0],
            ),
        ];
        for (name, fit, found, wanted) in cases {
            let mut picture = Picture::new(&input(fit, Colour::Bgr), [100, 80]);
            picture.fill(&frame, &mut vec![0.0; 3 * 100 * 80]).unwrap();
            let bbox: [f32; 4] = picture.in_frame(found).into();
            for (a, b) in bbox.into_iter().zip(wanted) {
                assert!((a - b).abs() < 1e-4, "{name}: {bbox:?}");
            }
        }
    }

    #[test]
    fn pixels_have_the_networks_order_and_scale() {
        let mut frame = Frame {
            width: 4,
            height: 2,
            ..Frame::default()
        };
        frame.rgb = [10u8, 20, 30].repeat(8);
        let bgr = input(InputFit::TopLeft, Colour::Bgr);
        let rgb = DetectorInput {
            scale: 1.0 / 255.0,
            mean: [0.5, 0.0, 0.0],
            std: [0.5, 1.0, 2.0],
            ..input(InputFit::Centre, Colour::Rgb)
        };
        let cases = [
            ("bgr", bgr, [30.0, 20.0, 10.0], [114.0; 3], 0..2),
            (
                "rgb",
                rgb,
                [10.0 / 127.5 - 1.0, 20.0 / 255.0, 30.0 / 510.0],
                [114.0 / 127.5 - 1.0, 114.0 / 255.0, 114.0 / 510.0],
                1..3,
            ),
        ];
        for (name, input, inside, outside, rows) in cases {
            let mut picture = Picture::new(&input, [4, 4]);
            let mut planes = vec![f32::NAN; 3 * 16];
            picture.fill(&frame, &mut planes).unwrap();
            for (at, &found) in planes.iter().enumerate() {
                let (plane, row) = (at / 16, at % 16 / 4);
                let wanted = if rows.contains(&row) { inside } else { outside }[plane];
                assert!(
                    (found - wanted).abs() < 1e-5,
                    "{name}: {at}: {found} {wanted}"
                );
            }
        }
    }
}
