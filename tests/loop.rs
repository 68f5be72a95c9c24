//! The loop with a scripted camera, a simulated clock and persons who are colours: days pass in
//! seconds.

use std::time::{Duration, SystemTime};

use fixtures::script::{BOX, CROP, Camera, Colours, DIM, Shot, Time};
use fixtures::street::Random;
use media::clock::CancelToken;
use media::slot::{Group, Policy, Slot};
use network::metadata::Preprocessing;
use runtime::event::{Event, EventKind, Evidence, Observation, State};
use runtime::gallery::{Gallery, GalleryLimits};
use runtime::people::People;
use runtime::people::given::{Format, Given};
use runtime::pipeline::{Clock, Environment, Input, Pipeline, Progress, Session, Settings, Stream};
use runtime::quality::Gates;
use runtime::sink::{Silent, Sink};
use runtime::track::{Numbers, TrackerSettings};
use runtime::visits::{MIN_ABSENCE, Visits};

const DAY: u64 = 24 * 3600;
const DAY_MILLIS: u64 = DAY * 1000;

/// Boxes of everybody who is in a frame of `shots`.
fn boxes(shots: &[Shot]) -> People {
    let [x, y, w, h] = BOX;
    let mut text = "frame,x,y,w,h\n".to_owned();
    for (n, _) in shots
        .iter()
        .enumerate()
        .filter(|(_, shot)| shot.person.is_some())
    {
        text.push_str(&format!("{n},{x},{y},{w},{h}\n"));
    }
    Given::read(text.as_bytes(), "script", Format::Csv)
        .expect("the boxes are right")
        .into()
}

fn settings() -> Settings {
    // Colours have no edges and stand where they stand.
    let gates = Gates {
        min_sharpness: 0.0,
        ..Gates::default()
    };
    Settings {
        tracks: TrackerSettings::new(0.9),
        gates,
    }
}

fn preprocessing() -> Preprocessing {
    Preprocessing {
        height: CROP[0],
        width: CROP[1],
        ..Preprocessing::default()
    }
}

fn session(retention: Duration) -> Session {
    Session::new(gallery(retention), Visits::new(MIN_ABSENCE).unwrap())
}

/// Plays `shots` to `sink`, and shows the gallery after each iteration.
fn play(
    shots: &[Shot],
    session: &mut Session,
    sink: &mut dyn Sink,
    mut after: impl FnMut(&Gallery, u64),
) {
    let time = Time::default();
    let settings = settings();
    let stream = Stream::new("script", boxes(shots), DIM, &settings, &Numbers::default());
    let script = Vec::from(shots).into_iter();
    let input = Input::One(Box::new(Camera::new(script, &time)));
    let environment = Environment {
        preprocessing: &preprocessing(),
        embedder: &mut Colours::default(),
        session,
        sink,
        clock: &time,
        settings,
    };
    let mut pipeline = Pipeline::new(input, vec![stream.unwrap()], environment).unwrap();
    let mut iteration = 0;
    while !matches!(
        pipeline.run_once().expect("the script plays"),
        Progress::Ended
    ) {
        after(pipeline.gallery(), shots[iteration].at.as_millis() as u64);
        iteration += 1;
    }
    pipeline.finish();
    session.end_visits(sink).unwrap();
}

fn gallery(retention: Duration) -> Gallery {
    let limits = GalleryLimits {
        retention: Some(retention),
        ..GalleryLimits::default()
    };
    Gallery::in_memory("colours", DIM)
        .unwrap()
        .with_limits(limits)
        .unwrap()
}

/// A person for four seconds, a frame a second.
fn visit(person: u32, start: u64) -> impl Iterator<Item = Shot> {
    (0..4).map(move |n| Shot {
        at: Duration::from_secs(start + n),
        person: Some(person),
    })
}

/// What came of each frame, and the events in short.
#[derive(Default)]
struct Log {
    observations: Vec<(u64, Option<String>, State)>,
    events: Vec<String>,
}

impl Sink for Log {
    fn observation(&mut self, seen: &Observation<'_>, _: &Evidence<'_>) -> runtime::Result<()> {
        let identity = seen.identity.map(str::to_owned);
        self.observations.push((seen.frame, identity, seen.state));
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> runtime::Result<()> {
        let number = |name: &str| name.rsplit('-').next().unwrap_or_default().to_owned();
        let detail = match event.kind {
            EventKind::VisitStarted { .. } => String::new(),
            EventKind::Identified {
                identity,
                new,
                absence,
                ..
            } => {
                let absence = absence.map_or(0, |absence| absence.as_secs());
                match new {
                    true => format!(" {} new", number(identity)),
                    false => format!(" {} back after {absence}", number(identity)),
                }
            }
            EventKind::IdentityChanged { from, to, .. } => format!(" {from:?} {to:?}"),
            EventKind::VisitEnded {
                identity, duration, ..
            } => format!(
                " {} after {}",
                identity.map(number).unwrap_or_default(),
                duration.as_secs()
            ),
        };
        let (visit, name) = (event.visit, event.kind.name());
        let at = event.stream_time.as_secs();
        self.events
            .push(format!("{at} {} {name} {visit}{detail}", event.source));
        Ok(())
    }
}

#[test]
fn a_person_is_enrolled_once_and_known_the_next_time() {
    let shots: Vec<Shot> = visit(0x11_22_33, 0)
        .chain(visit(0x90_50_10, 60))
        .chain(visit(0x11_22_33, 120))
        .collect();
    let mut session = session(Duration::from_secs(DAY));
    let mut log = Log::default();
    play(&shots, &mut session, &mut log, |_, _| {});
    let states: Vec<State> = log.observations.iter().map(|(.., state)| *state).collect();
    use State::{New, Pending, Seen};
    assert_eq!(
        states[..8],
        [Pending, Pending, New, Seen, Pending, Pending, New, Seen]
    );
    // A person who is very similar is known from the first crops.
    assert!(
        states[8..]
            .iter()
            .all(|state| matches!(state, Pending | Seen)),
        "{states:?}"
    );
    assert_eq!(states[11], Seen);
    let name = |at: usize| &log.observations[at].1;
    assert_eq!(name(3), name(11));
    assert_ne!(name(3), name(7));
    let summary = &session.summary;
    assert_eq!((summary.identities.len(), session.gallery.len()), (2, 2));

    // The clock of the script runs with the stream, and the visits are those of the stream.
    let wanted = [
        "2 script visit_started 1",
        "2 script identified 1 000001 new",
        "3 script visit_ended 1 000001 after 3",
        "62 script visit_started 2",
        "62 script identified 2 000002 new",
        "63 script visit_ended 2 000002 after 3",
        "122 script visit_started 3",
        "122 script identified 3 000001 back after 117",
        "123 script visit_ended 3 000001 after 3",
    ];
    assert_eq!(log.events, wanted);
    assert_eq!((summary.visits, summary.new, summary.returns), (3, 2, 1));
    let first = &session.gallery.list().next().unwrap();
    assert_eq!(first.visits, 2);
    let tally = &summary.identities[&first.identity];
    assert_eq!((tally.visits, tally.returns), (2, 1));
}

/// A clip whose frames are not worked on at the times at which they were taken.
struct Still;

impl Clock for Still {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1 << 40)
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Plays files one after the other, at once.
fn play_files(files: &[Vec<Shot>], session: &mut Session, sink: &mut dyn Sink) {
    let (settings, numbers) = (settings(), Numbers::default());
    for (n, shots) in files.iter().enumerate() {
        let name = format!("file{n}");
        let stream = Stream::new(&name, boxes(shots), DIM, &settings, &numbers).unwrap();
        let camera = Camera::new(shots.clone().into_iter(), &Time::default());
        let environment = Environment {
            preprocessing: &preprocessing(),
            embedder: &mut Colours::default(),
            session: &mut *session,
            sink: &mut *sink,
            clock: &Still,
            settings,
        };
        let input = Input::One(Box::new(camera));
        let mut pipeline = Pipeline::new(input, vec![stream], environment).unwrap();
        while !matches!(pipeline.run_once().unwrap(), Progress::Ended) {}
        pipeline.finish();
    }
    session.end_visits(sink).unwrap();
}

#[test]
fn a_clip_gives_the_same_visits_however_fast_it_is_processed() {
    let shots: Vec<Shot> = visit(0x11_22_33, 0)
        .chain(visit(0x90_50_10, 60))
        .chain(visit(0x11_22_33, 120))
        .collect();
    let mut real_time = Log::default();
    let mut first = session(Duration::from_secs(DAY));
    play(&shots, &mut first, &mut real_time, |_, _| {});
    let mut at_once = Log::default();
    let mut second = session(Duration::from_secs(DAY));
    play_files(&[shots], &mut second, &mut at_once);
    let events: Vec<String> = (at_once.events.iter())
        .map(|event| event.replace("file0", "script"))
        .collect();
    assert_eq!(events, real_time.events);
    assert_eq!(second.summary, first.summary);
}

#[test]
fn a_visit_goes_on_from_one_file_to_the_next_and_a_later_one_is_a_return() {
    let person = 0x11_22_33;
    // Cut while the person is there, and seen again 2 s later; then 56 s later.
    let files = [
        visit(person, 0).collect(),
        visit(person, 0).chain(visit(person, 59)).collect(),
    ];
    let mut log = Log::default();
    let mut session = session(Duration::from_secs(DAY));
    play_files(&files, &mut session, &mut log);
    let wanted = [
        "2 file0 visit_started 1",
        "2 file0 identified 1 000001 new",
        "3 file1 visit_ended 1 000001 after 6",
        "61 file1 visit_started 2",
        "61 file1 identified 2 000001 back after 56",
        "62 file1 visit_ended 2 000001 after 3",
    ];
    assert_eq!(log.events, wanted);

    // Another run with the same gallery.
    let mut next = Session::new(session.gallery, Visits::new(MIN_ABSENCE).unwrap());
    let mut log = Log::default();
    play_files(&[visit(person, 0).collect()], &mut next, &mut log);
    assert!(log.events[1].contains("back after"), "{:?}", log.events);
    assert_eq!((next.summary.new, next.summary.returns), (0, 1));
    assert_eq!(next.gallery.list().next().unwrap().visits, 3);
}

#[test]
fn a_correction_takes_back_the_visit_and_the_time_of_the_wrong_person() {
    let (ada, bob) = (0x11_22_33, 0x90_50_10);
    let empty = Shot {
        at: Duration::from_secs(100),
        person: None,
    };
    // The third visit looks like the first person at first, and is of the second.
    let later = (124..136).map(|second| Shot {
        at: Duration::from_secs(second),
        person: Some(bob),
    });
    let shots: Vec<Shot> = (visit(ada, 0).chain(visit(bob, 60)))
        .chain([empty])
        .chain(visit(ada, 120))
        .chain(later)
        .collect();
    let mut session = session(Duration::from_secs(DAY));
    let (mut log, mut before) = (Log::default(), None);
    play(&shots, &mut session, &mut log, |gallery, now| {
        if now == 100_000 {
            before = gallery.list().next();
        }
    });
    let third: Vec<&str> = (log.events.iter())
        .filter_map(|event| Some(event.split_once(" script ")?.1))
        .skip(6)
        .collect();
    let known: Vec<_> = session.gallery.list().collect();
    let (ada, bob) = (&known[0].name, &known[1].name);
    let changed = format!("identity_changed 3 Some({ada:?}) Some({bob:?})");
    let wanted = [
        "visit_started 3",
        "identified 3 000001 back after 117",
        &changed,
        "identified 3 000002 back after 57",
        "visit_ended 3 000002 after 15",
    ];
    assert_eq!(third, wanted);
    let summary = &session.summary;
    assert_eq!((summary.visits, summary.returns), (3, 1));
    assert_eq!((summary.persons, summary.new), (2, 2));
    let tallies: Vec<_> = session.tallies().map(|(_, tally)| tally.visits).collect();
    assert_eq!(tallies, [1, 2]);
    assert_eq!((known[0].visits, known[1].visits), (1, 2));
    assert_eq!(Some(known[0].last_seen), before.map(|ada| ada.last_seen));
}

#[test]
fn a_clock_that_is_set_back_loses_nobody() {
    let mut shots: Vec<Shot> = visit(1 << 20, 1000).chain(visit(1 << 10, 2000)).collect();
    // Back by half an hour, while the person is there.
    shots.extend(visit(1 << 20, 200).chain(visit(1 << 20, 3000)));
    let mut session = session(Duration::from_secs(3600));
    play(&shots, &mut session, &mut Silent, |_, _| {});
    assert_eq!(session.summary.identities.len(), 2);
    assert_eq!(session.gallery.len(), 2);
}

#[test]
fn two_sources_share_one_gallery_and_each_is_worked_on() {
    let scripts: [Vec<Shot>; 2] = [
        visit(0x11_22_33, 0).chain(visit(0x90_50_10, 60)).collect(),
        visit(0x90_50_10, 0)
            .chain(visit(0x11_22_33, 60))
            .chain(visit(0x20_F0_50, 120))
            .collect(),
    ];
    let settings = settings();
    let numbers = Numbers::default();
    let (mut streams, mut slots) = (Vec::new(), Vec::new());
    for (n, script) in scripts.iter().enumerate() {
        let people = boxes(script);
        streams.push(Stream::new(&format!("{n}"), people, DIM, &settings, &numbers).unwrap());
        let camera = Camera::new(script.clone().into_iter(), &Time::default());
        slots.push(Slot::new(Box::new(camera), Policy::Every, CancelToken::default()).unwrap());
    }
    let mut session = session(Duration::from_secs(DAY));
    let mut log = Log::default();
    let environment = Environment {
        preprocessing: &preprocessing(),
        embedder: &mut Colours::default(),
        session: &mut session,
        sink: &mut log,
        clock: &Time::default(),
        settings,
    };
    let input = Input::several(Group::new(slots));
    let mut pipeline = Pipeline::new(input, streams, environment).unwrap();
    loop {
        match pipeline.run_once().expect("the scripts play") {
            // One frame or two, as the capture threads have it.
            Progress::Frames(1 | 2) | Progress::Idle => {}
            Progress::Frames(frames) => panic!("{frames} frames of two sources"),
            Progress::Broken(error) | Progress::Disconnected(error) => panic!("{error}"),
            Progress::Ended => break,
        }
    }
    pipeline.finish();
    session.end_visits(&mut log).unwrap();
    let summary = &session.summary;
    assert_eq!(
        summary.frames,
        8 + 12,
        "no frame is lost where every one counts"
    );
    assert_eq!(summary.dropped_frames, 0);
    // A person who is seen by both at first may be enrolled twice: neither has decided when the
    // other begins.
    let identities = summary.identities.len();
    assert!((3..=5).contains(&identities), "{identities} identities");
    assert_eq!(log.observations.len(), 20);
    // Each visit that has started has ended.
    let count = |name: &str| log.events.iter().filter(|e| e.contains(name)).count();
    assert_eq!(count("visit_started"), count("visit_ended"));
    assert_eq!(count("visit_ended"), summary.visits as usize);
}

/// Resident memory of this process in kB, as Linux counts it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[test]
fn two_days_of_2000_visitors_stay_within_bounds_and_nobody_outstays_the_retention() {
    const VISITS: u64 = 2000;
    const GAP: u64 = DAY / VISITS;
    let mut random = Random::new(5);
    let mut people: Vec<u32> = Vec::new();
    let mut shots = Vec::new();
    for n in 0..2 * VISITS {
        // Every third visitor has been here lately.
        let again = n % 3 == 2;
        let lately = people.len().saturating_sub(300);
        let pick = ((random.number() + 1.0) / 2.0 * (people.len() - lately) as f32) as usize;
        let person = match again {
            true => people[(lately + pick).min(people.len() - 1)],
            false => {
                // Spread over all colours; 0 would be the background.
                people.push(((n as u32 + 1).wrapping_mul(0x9E_37_79)) & 0xFF_FF_FF | 1);
                people[people.len() - 1]
            }
        };
        shots.extend(visit(person, n * GAP));
    }
    let mut session = session(Duration::from_secs(DAY));
    let (mut most, mut memory) = (0, Vec::new());
    play(&shots, &mut session, &mut Silent, |gallery, now| {
        most = most.max(gallery.len());
        // Looking at everybody is slow: once a simulated hour is enough.
        if now % 3_600_000 < 1000 {
            let now = (1 << 40) + now;
            let oldest = gallery
                .list()
                .map(|known| known.last_seen)
                .min()
                .unwrap_or(now);
            assert!(
                now - oldest <= DAY_MILLIS + 60_000,
                "{} ms unseen",
                now - oldest
            );
            memory.extend(resident());
        }
    });
    // Two of three visitors of a day are new.
    assert!(
        (1300..=1500).contains(&most),
        "{most} identities at the most"
    );
    let forgotten = session.summary.forgotten;
    assert!(forgotten > 1000, "{forgotten} forgotten");
    // After the first day as many go as come.
    let (day, end) = (memory[memory.len() / 2], memory[memory.len() - 1]);
    assert!(
        end < day + day / 5 + 8_000,
        "{day} kB after a day, {end} kB after two"
    );
}
