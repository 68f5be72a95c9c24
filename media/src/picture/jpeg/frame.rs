//! The frame header: size, components, and which of their coefficients were read.

use super::output::Output;
use super::rows::{Colours, SamplePlane, Upsample};
use super::{Error, damaged, unsupported};
use crate::picture::check_size;

pub(super) struct FrameHeader {
    pub(super) progressive: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    /// The largest sampling factors, across and down.
    pub(super) most: (usize, usize),
    /// Groups of blocks (MCUs) across and down.
    pub(super) groups: (usize, usize),
    pub(super) components: Vec<Component>,
}

pub(super) struct Component {
    pub(super) id: u8,
    pub(super) h: usize,
    pub(super) v: usize,
    pub(super) quant_number: usize,
    /// The table of that number at the component's first scan.
    pub(super) quant: Option<[i16; 64]>,
    /// Samples across and down.
    size: (usize, usize),
    upsample: Upsample,
    /// Blocks that the samples need, across and down.
    pub(super) blocks: (usize, usize),
    /// Blocks of whole groups.
    pub(super) padded: (usize, usize),
    /// By zigzag position: the lowest bit that was read; [`NEVER`] if none was.
    pub(super) lowest: [u8; 64],
    /// Of all blocks, rows from the top; empty until a scan stores some.
    pub(super) coefficients: Vec<[i16; 64]>,
}

/// A coefficient that has not been in any scan.
pub(super) const NEVER: u8 = u8::MAX;

impl FrameHeader {
    pub(super) fn read(body: &[u8], marker: u8) -> Result<Self, Error> {
        let Some((&[depth, h1, h0, w1, w0, count], rest)) = body.split_first_chunk() else {
            return Err(damaged("a frame header that is too short"));
        };
        if depth != 8 {
            return Err(unsupported(&format!("{depth} bits a sample")));
        }
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        check_size(width, height)?;
        if ![1, 3, 4].contains(&count) {
            return Err(Error::Unsupported(format!(
                "a JPEG of {count} components, wanted 1, 3 or 4"
            )));
        }
        if rest.len() != usize::from(count) * 3 {
            return Err(damaged("a frame header of another length than it states"));
        }
        let (parts, _) = rest.as_chunks::<3>();
        let factors = |sampling: u8| match count {
            // Factors are relative, so those of a single component have no meaning.
            1 => (1, 1),
            _ => (usize::from(sampling >> 4), usize::from(sampling & 15)),
        };
        let mut most = (0, 0);
        for &[_, sampling, quant] in parts {
            let (h, v) = factors(sampling);
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || quant > 3 {
                return Err(damaged(format!(
                    "sampling factors {h} x {v} with quantisation table {quant}, wanted 1 to 4 and 0 to 3"
                )));
            }
            most = (most.0.max(h), most.1.max(v));
        }
        let groups = (width.div_ceil(8 * most.0), height.div_ceil(8 * most.1));
        let mut components: Vec<Component> = Vec::new();
        for &[id, sampling, quant] in parts {
            if components.iter().any(|other| other.id == id) {
                return Err(damaged(format!("two components {id}")));
            }
            let (h, v) = factors(sampling);
            let size = ((width * h).div_ceil(most.0), (height * v).div_ceil(most.1));
            let upsample = Upsample::of((h, v), most, size.0).ok_or_else(|| {
                unsupported(&format!(
                    "sampling factors {h} x {v} beside {} x {}",
                    most.0, most.1
                ))
            })?;
            components.push(Component {
                id,
                h,
                v,
                quant_number: usize::from(quant),
                quant: None,
                size,
                upsample,
                blocks: (size.0.div_ceil(8), size.1.div_ceil(8)),
                padded: (groups.0 * h, groups.1 * v),
                lowest: [NEVER; 64],
                coefficients: Vec::new(),
            });
        }
        Ok(Self {
            progressive: marker == 0xc2,
            width,
            height,
            most,
            groups,
            components,
        })
    }

    /// The colour space, by the rules of libjpeg's `default_decompress_parms`.
    pub(super) fn colours(&self, jfif: bool, adobe: Option<u8>) -> Colours {
        let ids: Vec<u8> = self.components.iter().map(|part| part.id).collect();
        match (ids.as_slice(), adobe) {
            ([_], _) => Colours::Grey,
            ([_, _, _], _) if jfif => Colours::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Colours::Rgb,
            ([_, _, _], _) => Colours::YCbCr,
            (_, None | Some(0)) => Colours::Cmyk,
            _ => Colours::Ycck,
        }
    }

    /// The first coefficient that is incomplete.
    pub(super) fn missing(&self) -> Option<String> {
        self.components.iter().enumerate().find_map(|(i, part)| {
            let at = part.lowest.iter().position(|&lowest| lowest != 0)?;
            Some(format!(
                "coefficient {at} of component {} of {}",
                i + 1,
                self.components.len()
            ))
        })
    }

    /// Allocates all coefficients of a component.
    pub(super) fn keep(&mut self, component: usize) {
        let component = &mut self.components[component];
        let (across, down) = component.padded;
        component.coefficients.resize(across * down, [0; 64]);
    }

    /// The output, with buffers for two rows of groups.
    pub(super) fn output<'a>(&self, colours: Colours, rgb: &'a mut Vec<u8>) -> Output<'a> {
        rgb.resize(self.width * self.height * 3, 0);
        let planes = self.components.iter().map(|part| {
            let (stride, kept) = (part.padded.0 * 8, 2 * part.v * 8);
            SamplePlane {
                samples: vec![0; stride * kept],
                stride,
                kept,
                width: part.size.0,
                height: part.size.1,
                upsample: part.upsample,
            }
        });
        let size = (self.width, self.height);
        Output::new(planes.collect(), colours, size, self.most.1 * 8, rgb)
    }

    /// Writes the pixels of the stored coefficients.
    pub(super) fn write(&self, colours: Colours, rgb: &mut Vec<u8>) {
        let mut output = self.output(colours, rgb);
        for group in 0..self.groups.1 {
            for (i, part) in self.components.iter().enumerate() {
                let quant = part.quant.expect("its first scan found one");
                for y in 0..part.v {
                    let row = (group * part.v + y) * part.padded.0;
                    for x in 0..part.blocks.0 {
                        output.block(i, (x, y), &part.coefficients[row + x], &quant);
                    }
                }
            }
            output.finish_groups();
        }
    }
}
