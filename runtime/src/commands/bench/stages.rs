//! `reid bench --pipeline`: what each stage of the loop takes beside the network.

use std::time::Instant;

use media::Frame;
use network::model::Model;
use network::preprocess::{BBox, Cropper, View};
use runtime::embed::Embedder;
use runtime::event::{Evidence, OBSERVATION_SCHEMA, Observation, State};
use runtime::gallery::{Gallery, Origin, Sample};
use runtime::people::{People, Person, Persons, Spec};
use runtime::quality::Gates;
use runtime::sink::{JsonLines, Sink};
use runtime::track::{Best, Numbers, TrackerSettings, Tracks};
use serde::Serialize;

/// Width and height of the frames: a camera's 720p.
const FRAME: [usize; 2] = [1280, 720];

/// A person of a usual size in them.
const PERSON: BBox = BBox {
    x: 500.0,
    y: 150.0,
    w: 150.0,
    h: 420.0,
};

/// People that are known, with one exemplar each.
const KNOWN: usize = 1000;

/// Time of one stage.
#[derive(Debug, Serialize)]
pub(super) struct Stage {
    name: &'static str,
    /// Median, in milliseconds.
    ms: f64,
    /// Share of the network's time.
    share: f64,
}

/// Times each stage `iterations` times, one person in a frame of 1280 x 720.
pub(super) fn measure(
    model: &Model,
    embedder: &mut dyn Embedder,
    iterations: u32,
) -> anyhow::Result<Vec<Stage>> {
    let mut frame = Frame::default();
    (frame.width, frame.height) = (FRAME[0], FRAME[1]);
    frame.rgb = super::pattern(FRAME[0] * FRAME[1] * 3);
    let median = |work: &mut dyn FnMut(u32) -> anyhow::Result<()>| {
        let mut times = Vec::new();
        for n in 0..iterations + 3 {
            let start = Instant::now();
            work(n)?;
            if n >= 3 {
                times.push(start.elapsed());
            }
        }
        times.sort_unstable();
        anyhow::Ok(super::milliseconds(super::percentile(&times, 50)))
    };

    let mut stages = Vec::new();
    let mut people = People::open(&Spec::of("motion", &[], &[])?)?;
    let mut persons = Persons::new();
    let motion = median(&mut |n| {
        frame.stream_time = std::time::Duration::from_millis(u64::from(n) * 100);
        people.find(&frame, &mut persons)?;
        Ok(())
    })?;

    let person = Person {
        bbox: PERSON,
        score: None,
        track: None,
    };
    let persons: Persons = [person].into_iter().collect();
    let dim = embedder.dim();
    let mut tracks = Tracks::new(dim, TrackerSettings::new(0.5), Numbers::default())?;
    let view = View::new(&frame.rgb, frame.width, frame.height)?;
    let gates = Gates::default();
    let quality = median(&mut |_| {
        // Only its time counts here: the pattern is no person.
        let _ = std::hint::black_box(gates.evaluate(view, &persons, 0));
        Ok(())
    })?;

    let preprocessing = &model.metadata.preprocessing;
    let mut cropper = Cropper::new(preprocessing)?;
    let mut crop = vec![0; preprocessing.height * preprocessing.width * 3];
    let cut = median(&mut |_| Ok(cropper.crop(view, PERSON, &mut crop)?))?;

    let mut embedding = Vec::new();
    let network = median(&mut |_| {
        embedding.clear();
        Ok(embedder.embed(&crop, &mut embedding)?)
    })?;

    let mut gallery = Gallery::in_memory(model.space(), dim)?;
    let origin = Origin {
        source: "bench".to_owned(),
        frame: None,
        time: 0,
        crop: None,
    };
    let mut recorded = Vec::new();
    for n in 0..KNOWN {
        let mut other = super::pattern(dim + n)[n..]
            .iter()
            .map(|&b| f32::from(b) - 127.5)
            .collect::<Vec<_>>();
        let length = other.iter().map(|v| v * v).sum::<f32>().sqrt();
        other.iter_mut().for_each(|value| *value /= length);
        let sighting = Sample {
            identity: None,
            embedding: &other,
            origin: &origin,
        };
        gallery.record(&[sighting], &mut recorded)?;
    }
    let sighting = Sample {
        identity: None,
        embedding: &embedding,
        origin: &origin,
    };
    gallery.record(&[sighting], &mut recorded)?;
    let identity = recorded[0].identity;
    let search = median(&mut |_| {
        std::hint::black_box(gallery.search(&embedding)?);
        Ok(())
    })?;
    let vote = median(&mut |n| {
        tracks.associate(&persons, std::time::Duration::from_secs(u64::from(n) * 2));
        std::hint::black_box(tracks.wanted());
        tracks.vote(
            0,
            &embedding,
            Some(Best {
                identity,
                similarity: 1.0,
            }),
        );
        Ok(())
    })?;
    let record = median(&mut |_| {
        let sighting = Sample {
            identity: Some(identity),
            embedding: &embedding,
            origin: &origin,
        };
        Ok(gallery.record(&[sighting], &mut recorded)?)
    })?;
    let mut lines = JsonLines {
        out: std::io::sink(),
        observations: true,
    };
    let emit = median(&mut |n| {
        let observation = Observation {
            schema: OBSERVATION_SCHEMA,
            source: "bench",
            frame: u64::from(n),
            time: std::time::SystemTime::UNIX_EPOCH,
            stream_time: std::time::Duration::ZERO,
            track: Some(1),
            bbox: PERSON.into(),
            identity: gallery.name(identity),
            similarity: Some(1.0),
            runner_up: Some(0.5),
            threshold: 0.5,
            state: State::Seen,
        };
        let evidence = Evidence {
            crop: Some(&crop),
            size: [0, 0],
            quality: 1.0,
            runner_up: None,
            visit: None,
        };
        Ok(lines.observation(&observation, &evidence)?)
    })?;
    let all = [
        ("find (motion)", motion),
        ("judge", quality),
        ("cut", cut),
        ("network", network),
        ("search", search),
        ("follow, vote", vote),
        ("record", record),
        ("emit", emit),
    ];
    for (name, ms) in all {
        stages.push(Stage {
            name,
            ms,
            share: ms / network,
        });
    }
    let around: f64 = all
        .iter()
        .filter(|(name, _)| *name != "network")
        .map(|(_, ms)| ms)
        .sum();
    stages.push(Stage {
        name: "around the network",
        ms: around,
        share: around / network,
    });
    let given = around - motion;
    stages.push(Stage {
        name: "the same, boxes given",
        ms: given,
        share: given / network,
    });
    Ok(stages)
}

/// The table.
pub(super) fn text(stages: &[Stage]) -> Vec<Vec<String>> {
    let header = ["stage", "ms", "of the network"]
        .map(str::to_owned)
        .to_vec();
    let row = |stage: &Stage| {
        let share = format!("{:.1} %", stage.share * 100.0);
        vec![stage.name.to_owned(), format!("{:.3}", stage.ms), share]
    };
    std::iter::once(header)
        .chain(stages.iter().map(row))
        .collect()
}
