//! Persons by motion, for a fixed camera: a [`Frame`] in, boxes of regions that differ from the empty
//! scene and have the shape of a person out.
//!
//! A frame is shrunk (`reduce`) and corrected for light (`light`), each pixel is compared with a
//! mixture of earlier values (`mixture`), the mask is cleaned (`mask`), and its connected regions become
//! boxes (`blobs`). Durations are stream time. docs/motion.md lists the limits of the method.

mod blobs;
mod light;
mod mask;
mod mixture;
mod reduce;
#[cfg(test)]
mod tests;

use std::time::Duration;

use network::preprocess::BBox;

use super::zones::Polygon;
use super::{Error, Person, Persons, Result};
use blobs::{Blob, Blobs, Shape};
use mask::Mask;
use media::Frame;
use mixture::{BACKGROUND, Kind, Limits, Mixture, Rates};
use reduce::Reduced;

/// The fewest frames that a scene is learnt from, however far apart they are.
const FEWEST_FRAMES: u32 = 4;

/// The longest time that one frame speaks for: after a gap the scene is not what the first frame
/// shows. And the shortest, for sources whose time stands still.
const FRAME_TIME: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(2)];

/// Seconds in which colours follow the daylight by 63 %.
const DAYLIGHT: f32 = 30.0;

/// How long most of the picture has to differ before the scene is learnt anew; a lightning and a
/// door that opens take less. At least two frames.
const PATIENCE: Duration = Duration::from_millis(1500);

/// When the light has changed by more, the mixture takes it for its unit.
const SAME_LIGHT: std::ops::Range<f32> = 0.8..1.25;

/// Options of [`Motion`].
#[derive(Debug, Clone, PartialEq)]
pub struct MotionOptions {
    /// How long the empty scene is learnt before persons are found, at least four frames, at most an
    /// hour.
    pub learn: Duration,
    /// Approximate time after which a person who stands still becomes part of the scene, 1 second to
    /// a day.
    pub fade: Duration,
    /// Minimum distance of a pixel from the scene in standard deviations of its noise, 1 to 50. Lower
    /// values find persons in the colours of the scene, and more false boxes.
    pub contrast: f32,
    /// Darkest shadow as a share of the light, 0 to 1; with 1 shadows count as persons.
    pub shadow: f32,
    /// Minimum height of a person as a share of the frame's, 0 to 1.
    pub min_share: f32,
    /// Minimum height of a person in pixels, at least 1; the larger of both counts.
    pub min_height: f32,
    /// Minimum and maximum height of a person divided by the width; above 0.
    pub aspect: [f32; 2],
    /// Minimum share of a person's box that differs from the scene, 0 to 1.
    pub fill: f32,
    /// Maximum share of the picture that may differ from the scene, 0 to 1; above it no person is found.
    pub blind: f32,
    /// Margin added to each side of a box, as a share of its height, 0 to 1.
    pub padding: f32,
    /// Areas of the picture that are ignored.
    pub ignore: Vec<Polygon>,
}

impl Default for MotionOptions {
    fn default() -> Self {
        Self {
            learn: Duration::from_secs(4),
            fade: Duration::from_secs(60),
            contrast: 4.0,
            shadow: 0.7,
            min_share: 0.15,
            min_height: 24.0,
            aspect: [1.0, 5.0],
            fill: 0.3,
            blind: 0.6,
            padding: 0.01,
            ignore: Vec::new(),
        }
    }
}

impl MotionOptions {
    fn check(&self) -> Result<()> {
        let [low, high] = self.aspect;
        let seconds = |duration: Duration| duration.as_secs_f32();
        let numbers = [
            ("learn", seconds(self.learn), 0.0, 3600.0),
            ("fade", seconds(self.fade), 1.0, 86_400.0),
            ("contrast", self.contrast, 1.0, 50.0),
            ("shadow", self.shadow, 0.0, 1.0),
            ("min_share", self.min_share, 0.0, 1.0),
            ("min_height", self.min_height, 1.0, 16_384.0),
            ("least aspect", low, 0.05, 20.0),
            ("largest aspect", high, low, 20.0),
            ("fill", self.fill, 0.0, 1.0),
            ("blind", self.blind, 0.0, 1.0),
            ("padding", self.padding, 0.0, 1.0),
        ];
        for (name, found, low, high) in numbers {
            if !(low..=high).contains(&found) {
                return Err(Error::Unsupported {
                    spec: "motion".to_owned(),
                    reason: format!("{name} is {found}, wanted {low} to {high}"),
                });
            }
        }
        Ok(())
    }
}

/// State after the last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MotionState {
    /// The scene is being learnt: no person is found.
    Learning,
    /// People are found.
    Watching,
    /// Too much of the picture differs from the scene: no person is found.
    Blind,
}

/// Finds people by their motion.
#[derive(Debug)]
pub struct Motion {
    options: MotionOptions,
    scene: Option<Scene>,
}

/// The learnt scene, and buffers for frames of one size.
#[derive(Debug)]
struct Scene {
    /// Width and height of the frames.
    size: [usize; 2],
    reduced: Reduced,
    mixture: Mixture,
    kinds: Vec<Kind>,
    /// Pixels of the reduced picture that are not ignored.
    watched: Vec<bool>,
    mask: Mask,
    blobs: Blobs,
    /// Stream time of the last frame.
    last: Duration,
    /// Time and number of frames that the scene was learnt from.
    learnt: (Duration, u32),
    /// Time and number of frames for which most of the picture has differed.
    blind: (Duration, u32),
    state: MotionState,
}

impl Motion {
    /// Starts without a scene.
    ///
    /// # Errors
    /// [`Error::Unsupported`] names the option that is outside of its range.
    pub fn new(options: MotionOptions) -> Result<Self> {
        options.check()?;
        Ok(Self {
            options,
            scene: None,
        })
    }

    /// State after the last frame; `Learning` before the first one.
    #[must_use]
    pub fn state(&self) -> MotionState {
        self.scene
            .as_ref()
            .map_or(MotionState::Learning, |scene| scene.state)
    }

    /// Writes the persons of `frame` to `out`, the largest first, and returns how many did not fit.
    /// Frames come in the order of their time; one of another size starts a new scene. Persons have no
    /// score: a difference is not a probability.
    pub fn find(&mut self, frame: &Frame, out: &mut Persons) -> usize {
        out.clear();
        let size = [frame.width, frame.height];
        if frame.rgb.is_empty() || frame.rgb.len() != size[0] * size[1] * 3 {
            return 0;
        }
        if self.scene.as_ref().is_none_or(|scene| scene.size != size) {
            self.scene = Some(Scene::new(frame, &self.options));
        }
        let scene = self.scene.as_mut().expect("it was made above");
        match scene.watch(frame, &self.options) {
            MotionState::Watching => scene.people(&self.options, out),
            MotionState::Learning | MotionState::Blind => 0,
        }
    }
}

impl Scene {
    fn new(frame: &Frame, options: &MotionOptions) -> Self {
        let size = [frame.width, frame.height];
        let reduced = Reduced::new(size);
        let (width, height, factor) = (reduced.width, reduced.height, reduced.factor as f32);
        let is_watched = |at: usize| {
            let centre = [at % width, at / width].map(|v| (v as f32 + 0.5) * factor);
            !options
                .ignore
                .iter()
                .any(|area| area.contains(centre, size))
        };
        Self {
            size,
            mixture: Mixture::new(width * height),
            kinds: vec![Kind::Background; width * height],
            watched: (0..width * height).map(is_watched).collect(),
            mask: Mask::new(width, height),
            blobs: Blobs::new(width, height),
            last: frame.stream_time,
            learnt: (Duration::ZERO, 0),
            blind: (Duration::ZERO, 0),
            state: MotionState::Learning,
            reduced,
        }
    }

    /// Compares `frame` with the scene and learns from it.
    fn watch(&mut self, frame: &Frame, options: &MotionOptions) -> MotionState {
        let [shortest, longest] = FRAME_TIME;
        let elapsed = frame.stream_time.saturating_sub(self.last);
        let elapsed = elapsed.clamp(shortest, longest);
        self.last = frame.stream_time;

        let learning = self.learnt.1 < FEWEST_FRAMES || self.learnt.0 < options.learn;
        let (time, fade) = (elapsed.as_secs_f32(), options.fade.as_secs_f32());
        let rates = Rates {
            weight: match learning {
                true => 1.0 / (self.learnt.1 + 1) as f32,
                // After `fade` of this the new has a weight of 1 - BACKGROUND.
                false => 1.0 - BACKGROUND.powf(time / fade),
            },
            colour: 1.0 - (-time / DAYLIGHT).exp(),
        };
        let limits = Limits {
            contrast: options.contrast * options.contrast,
            shadow: options.shadow,
        };
        self.reduced.fill(frame);
        let gain = self.gain();
        let planes = self.reduced.planes.each_ref().map(Vec::as_slice);
        self.mixture
            .observe(planes, gain, rates, limits, &mut self.kinds);
        let changed = self.changed();

        self.state = if learning {
            self.learnt = (self.learnt.0 + elapsed, self.learnt.1 + 1);
            MotionState::Learning
        } else if changed > options.blind {
            self.blind = (self.blind.0 + elapsed, self.blind.1 + 1);
            if self.blind.0 >= PATIENCE && self.blind.1 >= 2 {
                self.mixture.reset();
                self.learnt = (Duration::ZERO, 0);
                self.blind = (Duration::ZERO, 0);
            }
            MotionState::Blind
        } else {
            self.blind = (Duration::ZERO, 0);
            if !SAME_LIGHT.contains(&gain) {
                self.mixture.scale(gain);
            }
            MotionState::Watching
        };
        self.state
    }

    /// The light of the frame in units of the mixture's.
    fn gain(&self) -> f32 {
        let bright = &self.reduced.planes[0];
        let look = |at: usize| {
            // 0 is too dark to be used.
            let seen = if self.watched[at] { bright[at] } else { 0.0 };
            [seen, self.mixture.brightness(at)]
        };
        light::gain(bright.len(), look).unwrap_or(1.0)
    }

    /// Clears ignored pixels, and returns the share of the rest that differs.
    fn changed(&mut self) -> f32 {
        let mut changed = 0;
        let mut all = 0;
        for (kind, &watched) in self.kinds.iter_mut().zip(&self.watched) {
            if !watched {
                *kind = Kind::Background;
            }
            all += u32::from(watched);
            changed += u32::from(*kind != Kind::Background);
        }
        changed as f32 / all.max(1) as f32
    }

    /// Writes the boxes of what differs from the scene to `out`.
    fn people(&mut self, options: &MotionOptions, out: &mut Persons) -> usize {
        let Reduced {
            factor,
            width,
            height,
            ..
        } = self.reduced;
        self.mask.set(&self.kinds);
        self.mask.smooth();
        // Gaps of a belt or a bag in the colour of the wall: an eighteenth of the height.
        self.mask.close([width.div_ceil(128), height.div_ceil(36)]);
        let shape = Shape {
            height: (options.min_share * self.size[1] as f32).max(options.min_height)
                / factor as f32,
            aspect: options.aspect,
            fill: options.fill,
        };
        let (blobs, mut dropped) = self.blobs.find(&self.mask, &shape);
        for blob in blobs {
            let bbox = full(blob, factor, self.size, options.padding);
            dropped += usize::from(out.push(Person::at(bbox)).is_err());
        }
        dropped
    }
}

/// The box of a blob in pixels of the frame, padded and cut to the frame of `size`.
fn full(blob: &Blob, factor: usize, size: [usize; 2], padding: f32) -> BBox {
    let scaled = |edge: u16| f32::from(edge) * factor as f32;
    let padding = padding * scaled(blob.bottom - blob.top);
    let [width, height] = size.map(|side| side as f32);
    let (x, y) = (
        (scaled(blob.left) - padding).max(0.0),
        (scaled(blob.top) - padding).max(0.0),
    );
    BBox {
        x,
        y,
        w: (scaled(blob.right) + padding).min(width) - x,
        h: (scaled(blob.bottom) + padding).min(height) - y,
    }
}
