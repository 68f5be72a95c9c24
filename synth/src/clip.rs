//! Renders a clip of one camera: persons enter, leave and return; some wear the clothes of another.
//!
//! Written are `clip.avi`, `boxes.csv` (a detector's boxes: a little off, sometimes missing) and
//! `truth.csv` (the persons and their boxes).

use std::f32::consts::PI;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use media::Rate;
use media::avi::AviWriter;
use serde::Serialize;

use super::body::Pose;
use super::camera::ShotVariation;
use super::palette::Split;
use super::person::{Domain, Person, crowd};
use super::picture::framed;
use super::raster::Window;
use super::scene::Scene;
use super::site::{CameraSite, FRAME, Light};
use super::space::{step, v3};
use crate::random::Draw;
use crate::{Error, Result, workers};

/// Ticks a second, in which a clip is planned; frames may lie between them.
const TICKS: u32 = 10;

/// Default of the mean seconds between two arrivals.
const EVERY: f64 = 4.75;

/// Pixels rendered for one of the clip, each way.
const FINER: f32 = 1.25;

/// Metres a second.
const SPEED: f32 = 1.25;

/// Share of a box that has to be in the picture for a detection.
const SEEN: f32 = 0.6;

/// A clip to render.
#[derive(Debug, Clone, PartialEq)]
pub struct ClipOptions {
    /// Persons, 1 to 500; every third appears once, the others return.
    pub identities: usize,
    /// Visits of all persons, `identities` to 2,000.
    pub visits: usize,
    /// Seed of all random draws.
    pub seed: u64,
    /// The scene.
    pub domain: Domain,
    /// Share of the persons in the clothes of another, `0.0..=1.0`.
    pub lookalikes: f64,
    /// Width and height of a frame, pixels: 16 to 9, 160 x 90 to 1280 x 720, the width
    /// a multiple of 16.
    pub size: [usize; 2],
    /// Frames a second, 1 to 60.
    pub rate: u32,
    /// Quality of the JPEG pictures, 1 to 100; drawn with the camera if absent.
    pub quality: Option<u8>,
    /// Mean seconds between two arrivals, `0.5..=60.0`.
    pub every: f64,
}

impl Default for ClipOptions {
    fn default() -> Self {
        Self {
            identities: 9,
            visits: 18,
            seed: 0,
            domain: Domain::Street,
            lookalikes: 0.4,
            size: [640, 360],
            rate: 10,
            quality: None,
            every: EVERY,
        }
    }
}

impl ClipOptions {
    /// Checks the ranges.
    fn check(&self) -> Result<()> {
        let least_visits = self.identities as f64;
        Error::check_ranges([
            ("identities", self.identities as f64, 1.0, 500.0),
            ("visits", self.visits as f64, least_visits, 2000.0),
            ("share of look-alikes", self.lookalikes, 0.0, 1.0),
            ("frames a second", f64::from(self.rate), 1.0, 60.0),
            ("seconds between arrivals", self.every, 0.5, 60.0),
            (
                "JPEG quality",
                f64::from(self.quality.unwrap_or(1)),
                1.0,
                100.0,
            ),
        ])?;
        let [width, height] = self.size;
        if !(160..=1280).contains(&width) || width % 16 != 0 || height * 16 != width * 9 {
            return Err(Error::Argument(format!(
                "frames of {width} x {height}, wanted 16 to 9 from 160 x 90 to 1280 x 720, the width \
                 a multiple of 16"
            )));
        }
        Ok(())
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ClipSummary {
    /// Pictures.
    pub frames: usize,
    /// Persons.
    pub identities: usize,
    /// Visits.
    pub visits: usize,
    /// Lines of `truth.csv`.
    pub sightings: usize,
    /// Lines of `boxes.csv`.
    pub boxes: usize,
}

/// A person crosses the picture.
#[derive(Debug, Clone)]
struct Visit {
    person: usize,
    /// The first tick.
    start: usize,
    ticks: usize,
    from: [f32; 2],
    to: [f32; 2],
    /// Ticks of standing in the middle, facing the camera.
    pause: usize,
}

/// A person in a frame.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    visit: usize,
    /// Left, top, right, bottom in pixels of [`FRAME`], beyond its edges as well.
    bounds: [f32; 4],
    /// Metres from the camera.
    depth: f32,
}

/// A clip, planned and ready to be rendered.
#[derive(Debug)]
pub struct Clip {
    options: ClipOptions,
    site: CameraSite,
    light: Light,
    people: Vec<Person>,
    visits: Vec<Visit>,
}

impl Clip {
    /// The clip of these options.
    ///
    /// # Errors
    /// [`Error::Argument`] naming the option that is out of its range.
    pub fn new(options: &ClipOptions) -> Result<Self> {
        options.check()?;
        let ClipOptions {
            identities,
            visits,
            seed,
            domain,
            lookalikes,
            every,
            ..
        } = *options;
        let mut site = CameraSite::draw(seed, domain, 0);
        if let Some(quality) = options.quality {
            site.camera.quality = quality;
        }
        let mut draw = Draw::new(seed, &format!("street clip {domain}"), &[]);
        let light = site.light(&mut draw);
        // Every person once, then the returns.
        let returning: Vec<usize> = (0..identities)
            .filter(|person| identities < 3 || person % 3 != 2)
            .collect();
        let mut order: Vec<usize> = (0..identities).collect();
        order.extend((identities..visits).map(|i| returning[(i - identities) % returning.len()]));
        draw.shuffle(&mut order[..identities]);
        draw.shuffle(&mut order[identities..]);
        let mut start = 5;
        let mut planned: Vec<Visit> = Vec::with_capacity(visits);
        for person in order {
            let walk =
                |draw: &mut Draw| draw.between(f64::from(site.near), f64::from(site.far)) as f32;
            let (near, far) = (walk(&mut draw), walk(&mut draw));
            let side = draw.sign() as f32;
            // Completely out of the picture.
            let edge = |z: f32| {
                0.5 * FRAME[0] / site.view.focal * (z * z + site.view.at.y.powi(2)).sqrt() + 0.8
            };
            let (from, to) = ([-side * edge(near), near], [side * edge(far), far]);
            let pause = if draw.chance(0.35) { 18 } else { 0 };
            let long = (to[0] - from[0]).hypot(to[1] - from[1]);
            let ticks = (long / SPEED * TICKS as f32) as usize + pause;
            // A visit begins after the last one of the same person.
            let last = planned
                .iter()
                .filter(|visit| visit.person == person)
                .map(|visit| visit.start + visit.ticks);
            start = start.max(last.max().map_or(0, |end| end + 20));
            planned.push(Visit {
                person,
                start,
                ticks,
                from,
                to,
                pause,
            });
            start += (draw.between(25.0, 70.0) * (every / EVERY)) as usize;
        }
        Ok(Self {
            people: crowd(seed, domain, Split::Test, identities, lookalikes),
            options: options.clone(),
            site,
            light,
            visits: planned,
        })
    }

    /// The number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        let ends = self.visits.iter().map(|visit| visit.start + visit.ticks);
        let ticks = ends.max().map_or(0, |end| end + 5);
        (ticks * self.options.rate as usize).div_ceil(TICKS as usize)
    }

    /// Renders the clip in `threads` threads (0 for one a core) into the folder `out`, which is created
    /// if it is missing. `tick` is called after each frame.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] if the folder is not empty; [`Error::Io`] if something cannot be written;
    /// [`Error::Argument`] for more than 256 threads.
    pub fn write(&self, out: &Path, threads: usize, tick: impl Fn() + Sync) -> Result<ClipSummary> {
        let threads = workers::count(threads)?;
        workers::empty_folder(out)?;
        let frames: Vec<usize> = (0..self.frames()).collect();
        let done = workers::each(&frames, threads, |&frame| {
            let rendered = self.render(frame)?;
            tick();
            Ok(rendered)
        })?;
        let mut summary = ClipSummary {
            frames: done.len(),
            identities: self.people.len(),
            visits: self.visits.len(),
            ..ClipSummary::default()
        };
        let mut truth = "frame,person,visit,x,y,w,h\n".to_owned();
        let mut boxes = "frame,x,y,w,h\n".to_owned();
        let mut pictures = Vec::with_capacity(done.len());
        for (frame, (jpeg, sightings)) in done.into_iter().enumerate() {
            let mut draw = Draw::new(self.options.seed, "street clip boxes", &[frame as u64]);
            for sighting in &sightings {
                let visit = &self.visits[sighting.visit];
                if let Some([x, y, w, h]) = visible(sighting.bounds, 0.05, self.options.size) {
                    summary.sightings += 1;
                    let (person, visit) = (visit.person + 1, sighting.visit + 1);
                    // Writing to a string cannot fail.
                    let _ = writeln!(truth, "{frame},{person},{visit},{x},{y},{w},{h}");
                }
                let found = framed(sighting.bounds, &mut draw);
                let missed = draw.chance(0.03) || hidden(sighting, &sightings);
                if let Some([x, y, w, h]) = visible(found, SEEN, self.options.size)
                    && !missed
                {
                    summary.boxes += 1;
                    let _ = writeln!(boxes, "{frame},{x},{y},{w},{h}");
                }
            }
            pictures.push(jpeg);
        }
        for (name, text) in [("truth.csv", truth), ("boxes.csv", boxes)] {
            let path = out.join(name);
            fs::write(&path, text).map_err(Error::io(&path))?;
        }
        let path = out.join("clip.avi");
        let file = File::create(&path).map_err(Error::io(&path))?;
        self.write_avi(BufWriter::new(file), &pictures)
            .map_err(Error::io(&path))?;
        Ok(summary)
    }

    fn write_avi(&self, out: BufWriter<File>, pictures: &[Vec<u8>]) -> io::Result<()> {
        let [width, height] = self.options.size.map(|side| side as u16);
        let rate = Rate::new(self.options.rate, 1).expect("at least 1 by the check of options");
        let mut writer = AviWriter::single_segment(out, width, height, rate)?;
        pictures.iter().try_for_each(|jpeg| writer.push(jpeg))?;
        writer.finish().map(drop)
    }

    /// A frame as JPEG, and the persons in it.
    fn render(&self, frame: usize) -> Result<(Vec<u8>, Vec<Sighting>)> {
        let mut scene = Scene::new(&self.site);
        let mut sightings = Vec::new();
        let tick = frame as f32 * TICKS as f32 / self.options.rate as f32;
        for (number, visit) in self.visits.iter().enumerate() {
            let age = tick - visit.start as f32;
            if !(0.0..visit.ticks as f32).contains(&age) {
                continue;
            }
            let (at, heading, pose) = visit.moment(age, self.people[visit.person].stride);
            let at = v3(at[0], 0.0, at[1]);
            if let Some(bounds) = scene.add(&self.people[visit.person], &pose, at, heading) {
                sightings.push(Sighting {
                    visit: number,
                    bounds,
                    depth: (at - self.site.view.at).length(),
                });
            }
        }
        let size = self.options.size;
        let fine = size.map(|side| (side as f32 * FINER) as usize);
        let window = Window {
            corner: [0.0; 2],
            scale: [fine[0] as f32 / FRAME[0], fine[1] as f32 / FRAME[1]],
            width: fine[0],
            height: fine[1],
        };
        let middle = v3(0.0, 0.0, 0.5 * (self.site.near + self.site.far));
        let shadow = scene.shadow(self.light.to, middle, 5.5, 512);
        let image = scene.light(&self.light, &window, &shadow);
        let mut draw = Draw::new(self.options.seed, "street clip noise", &[frame as u64]);
        let jpeg = self.site.camera.expose(
            &image,
            [fine, size, size],
            ShotVariation::STEADY,
            &mut draw,
        )?;
        Ok((jpeg, sightings))
    }
}

impl Visit {
    /// Position, heading and pose `age` ticks after the start.
    fn moment(&self, age: f32, stride: f32) -> ([f32; 2], f32, Pose) {
        let moving = self.ticks - self.pause;
        let (half, pause) = ((moving / 2) as f32, self.pause as f32);
        let steps = age.min(half).max(age - pause);
        let standing = age >= half && age < half + pause;
        let share = steps / moving as f32;
        let at = [0, 1].map(|i| self.from[i] + (self.to[i] - self.from[i]) * share);
        let way = (self.to[0] - self.from[0]).atan2(self.to[1] - self.from[1]);
        // Turns to the camera and back.
        let into = age - half;
        let out = half + pause - age;
        let turned = if self.pause == 0 {
            0.0
        } else {
            step(-3.0, 3.0, into) * step(-3.0, 3.0, out)
        };
        let back = if way > 0.0 { PI } else { -PI };
        let metres = steps * SPEED / TICKS as f32;
        let pose = Pose {
            phase: metres / (1.4 * stride) * 2.0 * PI,
            walk: if standing { 0.1 } else { 1.0 },
            elbows: [0.0; 2],
            gaze: 0.0,
        };
        (at, way + (back - way) * turned, pose)
    }
}

/// A box of [`FRAME`] as left, top, width and height in whole pixels of a clip of `size`, cut at its
/// edges; `None` if less than `share` of it is inside.
fn visible(bounds: [f32; 4], share: f32, size: [usize; 2]) -> Option<[usize; 4]> {
    let scale = size[0] as f32 / FRAME[0];
    let [left, top, right, bottom] = bounds.map(|value| value * scale);
    let cut = |value: f32, side: usize| value.clamp(0.0, side as f32).round() as usize;
    let [l, r] = [left, right].map(|x| cut(x, size[0]));
    let [t, b] = [top, bottom].map(|y| cut(y, size[1]));
    let inside = (r - l) as f32 * (b - t) as f32;
    (r > l && b > t && inside >= share * (right - left) * (bottom - top)).then_some([
        l,
        t,
        r - l,
        b - t,
    ])
}

/// Whether a nearer person covers most of this one.
fn hidden(sighting: &Sighting, all: &[Sighting]) -> bool {
    let [left, top, right, bottom] = sighting.bounds;
    all.iter().any(|other| {
        let [l, t, r, b] = other.bounds;
        let wide = (right.min(r) - left.max(l)).max(0.0);
        let tall = (bottom.min(b) - top.max(t)).max(0.0);
        other.depth < sighting.depth && wide * tall > 0.7 * (right - left) * (bottom - top)
    })
}
