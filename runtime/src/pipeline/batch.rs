//! The crops of one iteration, of all streams: cut one by one, embedded together.

use network::metadata::Preprocessing;
use network::preprocess::{BBox, Cropper, View};

use crate::Result;
use crate::embed::Embedder;

/// Crops and their embeddings, by position. The buffers are reused.
pub(super) struct CropBatch {
    cropper: Cropper,
    /// Height and width of a crop.
    pub(super) size: [usize; 2],
    /// Numbers in an embedding.
    pub(super) dim: usize,
    /// `[crops, height, width, 3]` u8.
    rgb: Vec<u8>,
    /// `[crops, dim]`.
    embeddings: Vec<f32>,
}

impl CropBatch {
    pub(super) fn new(preprocessing: &Preprocessing, dim: usize) -> Result<Self> {
        Ok(Self {
            cropper: Cropper::new(preprocessing)?,
            size: [preprocessing.height, preprocessing.width],
            dim,
            rgb: Vec::new(),
            embeddings: Vec::new(),
        })
    }

    pub(super) fn clear(&mut self) {
        self.rgb.clear();
        self.embeddings.clear();
    }

    /// Cuts a box out of a frame, and returns the position of the crop.
    pub(super) fn cut(&mut self, frame: View<'_>, bbox: BBox) -> Result<usize> {
        let start = self.rgb.len();
        self.rgb.resize(start + self.crop_len(), 0);
        self.cropper.crop(frame, bbox, &mut self.rgb[start..])?;
        Ok(start / self.crop_len())
    }

    /// Computes the embeddings of all crops.
    pub(super) fn embed(&mut self, embedder: &mut dyn Embedder) -> Result<()> {
        embedder.embed(&self.rgb, &mut self.embeddings)
    }

    /// A crop, `[height, width, 3]`.
    pub(super) fn rgb(&self, crop: usize) -> &[u8] {
        &self.rgb[crop * self.crop_len()..][..self.crop_len()]
    }

    /// Its embedding, `[dim]`.
    pub(super) fn embedding(&self, crop: usize) -> &[f32] {
        &self.embeddings[crop * self.dim..][..self.dim]
    }

    fn crop_len(&self) -> usize {
        self.size[0] * self.size[1] * 3
    }
}
