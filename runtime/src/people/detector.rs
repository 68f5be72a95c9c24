//! Persons by a detection network: a [`Frame`] in, boxes with scores out.
//!
//! The network is any ONNX file that tract runs. How its input is scaled and what its output means
//! is in a [preset](Preset): `MODEL.toml` beside `MODEL.onnx`, else the built-in one that fits the
//! shape of the output. A new kind of detector needs a new preset, no code.

mod decode;
mod picture;
mod preset;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tract_onnx::prelude::{
    Datum, DatumExt, Framework, InferenceModel, InferenceModelExt, IntoRunnable, IntoTValue,
    Tensor, TractResult, TypedRunnableModel, tvec,
};
use tract_onnx::tract_hir::infer::{DimFact, Factoid};
use tract_onnx::tract_hir::internal::DimLike;

pub use preset::{
    BoxEncoding, BoxSelection, DetectorInput, DetectorOutput, InputFit, OutputLayout, Preset,
};

use super::{Error, Person, Persons, Result};
use decode::Decoder;
use media::Frame;
use picture::Picture;

/// The largest file of a detector: 512 MiB, twice the size of YOLOX-x.
pub const MAX_BYTES: u64 = 1 << 29;

/// The most boxes and values of an output: 2^24, ten times what YOLOX-x has at 1280 x 1280.
const MAX_NUMBERS: usize = 1 << 24;

/// Finds people with a network.
pub struct Detector {
    path: PathBuf,
    network: Arc<TypedRunnableModel>,
    /// `[1, 3, height, width]`, kept from frame to frame.
    input: Arc<Tensor>,
    picture: Picture,
    decoder: Decoder,
    assumed: String,
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector")
            .field("path", &self.path)
            .field("assumed", &self.assumed)
            .finish_non_exhaustive()
    }
}

impl Detector {
    /// Opens the detector at `path`, with its preset: see the [module](self).
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Unsupported`] with the file and what is
    /// wrong with it or its preset.
    pub fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let bytes = fs::metadata(path).map_err(io)?.len();
        if bytes > MAX_BYTES {
            let reason = format!("it has {bytes} bytes, wanted at most {MAX_BYTES}");
            return Err(unsupported(path, reason));
        }
        Self::load(path).map_err(|reason| unsupported(path, reason))
    }

    fn load(path: &Path) -> Result<Self, String> {
        let model = tract_onnx::onnx().model_for_path(path).map_err(reason)?;
        let chosen = Preset::beside(path)?;
        let fixed = input_size(&model)?;
        let open_size = |input: &DetectorInput| fixed.unwrap_or([input.width, input.height]);
        let (network, preset, size, shape, assumed) = match chosen {
            Some((preset, description)) => {
                let size = open_size(&preset.input);
                let (network, shape) = plan(model, preset.output.index, size)?;
                (network, preset, size, shape, description)
            }
            None => {
                // The built-in presets agree on the size that they assume, and on the output.
                let (_, any) = Preset::built_in()
                    .next()
                    .expect("there are built-in presets");
                let size = open_size(&any.input);
                let (network, shape) = plan(model, any.output.index, size)?;
                let (preset, description) = guess(size, &shape)?;
                (network, preset, size, shape, description)
            }
        };
        let [width, height] = size;
        let input = Tensor::zero::<f32>(&[1, 3, height, width]).map_err(reason)?;
        let left_open = if fixed.is_some() {
            ""
        } else {
            ", which the file leaves open"
        };
        Ok(Self {
            path: path.to_owned(),
            network,
            input: Arc::new(input),
            picture: Picture::new(&preset.input, size),
            decoder: Decoder::new(&preset.output, preset.select, size, &shape)?,
            assumed: format!("{assumed}; input {width} x {height}{left_open}"),
        })
    }

    /// What was assumed about the file, as a sentence.
    #[must_use]
    pub fn assumed(&self) -> &str {
        &self.assumed
    }

    /// Writes the persons of `frame` to `out`, the highest score first, and returns how many more
    /// there were.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the network fails, or returns NaN.
    pub fn find(&mut self, frame: &Frame, out: &mut Persons) -> Result<usize> {
        out.clear();
        self.detect(frame, out)
            .map_err(|reason| unsupported(&self.path, reason))
    }

    fn detect(&mut self, frame: &Frame, out: &mut Persons) -> Result<usize, String> {
        // The network is done with the last input, so this does not copy.
        let input = Arc::make_mut(&mut self.input);
        let mut view = input.try_as_plain_ram_mut().map_err(reason)?;
        let planes = view.as_slice_mut::<f32>().map_err(reason)?;
        let filled = self.picture.fill(frame, planes);
        filled.map_err(|error| error.to_string())?;

        let input = self.input.clone().into_tvalue();
        let outputs = self.network.run(tvec!(input));
        crate::vectors::clear_upper_halves();
        let outputs = outputs.map_err(reason)?;
        let view = outputs[0].try_as_plain_ram().map_err(reason)?;
        let numbers = view.as_slice::<f32>().map_err(reason)?;

        let mut dropped = 0;
        for candidate in self.decoder.people(numbers)? {
            let person = Person {
                bbox: self.picture.in_frame(candidate.bbox),
                score: Some(candidate.score),
                track: None,
            };
            dropped += usize::from(out.push(person).is_err());
        }
        Ok(dropped)
    }
}

fn unsupported(path: &Path, reason: String) -> Error {
    let spec = path.display().to_string();
    Error::Unsupported { spec, reason }
}

/// An error of tract as text: it has no types that a caller could act on.
fn reason(error: tract_onnx::prelude::TractError) -> String {
    format!("tract: {error:#}")
}

/// Width and height of the one input of `model` if the file fixes them.
fn input_size(model: &InferenceModel) -> Result<Option<[usize; 2]>, String> {
    let inputs = model.inputs.len();
    if inputs != 1 {
        return Err(format!("it has {inputs} inputs, wanted one"));
    }
    let fact = model.input_fact(0).map_err(reason)?;
    if fact.shape.is_open() {
        return Ok(None);
    }
    // None where a name stands for a number, as often for the batch.
    let known = |dim: DimFact| dim.concretize().and_then(|dim| dim.to_usize().ok());
    let dims: Vec<Option<usize>> = fact.shape.dims().cloned().map(known).collect();
    let fits = |side: usize| (1..=preset::MAX_SIDE).contains(&side);
    match dims.as_slice() {
        &[None | Some(1), None | Some(3), Some(height), Some(width)]
            if fits(height) && fits(width) =>
        {
            Ok(Some([width, height]))
        }
        [None | Some(1), None | Some(3), None, _] | [None | Some(1), None | Some(3), _, None] => {
            Ok(None)
        }
        _ => Err(format!(
            "its input is {:?}, wanted [1, 3, height, width] of at most {} pixels a side",
            fact.shape,
            preset::MAX_SIDE
        )),
    }
}

/// Optimises `model` for one image of `size` and the output at `index`; also returns the shape of
/// that output.
fn plan(
    mut model: InferenceModel,
    index: usize,
    [width, height]: [usize; 2],
) -> Result<(Arc<TypedRunnableModel>, Vec<usize>), String> {
    let outputs = model.outputs.clone();
    let Some(&outlet) = outputs.get(index) else {
        return Err(format!(
            "it has {} outputs, the preset wants number {index}",
            outputs.len()
        ));
    };
    let fact = f32::fact([1, 3, height, width]);
    let typed = model
        .set_input_fact(0, fact.into())
        .and_then(|()| model.select_output_outlets(&[outlet]))
        .and_then(|()| model.into_optimized())
        .map_err(reason)?;
    let fact = typed.output_fact(0).map_err(reason)?;
    let (kind, shape) = (
        fact.datum_type,
        fact.shape.as_concrete().map(<[usize]>::to_vec),
    );
    let Some(shape) = shape else {
        return Err(format!(
            "the shape of output {index} is {:?}, wanted fixed numbers",
            fact.shape
        ));
    };
    if kind != f32::datum_type() {
        return Err(format!("output {index} is {kind:?}, wanted f32"));
    }
    let numbers = shape
        .iter()
        .try_fold(1usize, |product, &dim| product.checked_mul(dim));
    if numbers.is_none_or(|numbers| numbers > MAX_NUMBERS) {
        return Err(format!(
            "output {index} is {shape:?}, wanted at most {MAX_NUMBERS} numbers"
        ));
    }
    let runnable: TractResult<Arc<TypedRunnableModel>> = typed.into_runnable();
    Ok((runnable.map_err(reason)?, shape))
}

/// The one built-in preset whose output has `shape`.
fn guess(size: [usize; 2], shape: &[usize]) -> Result<(Preset, String), String> {
    let fits = |preset: &Preset| Decoder::new(&preset.output, preset.select, size, shape).is_ok();
    let mut fitting = Preset::built_in().filter(|(_, preset)| fits(preset));
    match (fitting.next(), fitting.next()) {
        (Some((name, preset)), None) => Ok((
            preset,
            format!("preset {name}, which its output {shape:?} looks like"),
        )),
        _ => Err(format!(
            "its output {shape:?} looks like none or several of the presets {}: name one, or put a .toml beside it",
            Preset::names()
        )),
    }
}
