use std::sync::{Arc, Mutex};

use super::device::Buffer;
use super::*;
use crate::avi::tests::fixtures::jpeg;
use crate::clock::tests::ManualClock;
use crate::{Error, Source, Status};

/// The behaviour of a scripted camera, and its calls.
#[derive(Default)]
struct Script {
    offers: Vec<Offer>,
    /// The negotiated format, if not the requested one.
    gives: Option<Format>,
    controls: Vec<Control>,
    /// Outcomes of opening, waiting and fetching, one after the other.
    plays: Vec<Play>,
    asked: Vec<String>,
}

enum Play {
    Open,
    NotThere(Problem),
    Frame(u32, Vec<u8>),
    Damaged(u32),
    Nothing,
    Fails(Problem),
}

/// A scripted camera.
struct Scripted {
    script: Arc<Mutex<Script>>,
    /// The last frame, lent as a driver lends its buffers.
    bytes: Vec<u8>,
}

impl Scripted {
    fn play(&self) -> Play {
        self.script.lock().unwrap().plays.remove(0)
    }

    fn note(&self, asked: String) {
        self.script.lock().unwrap().asked.push(asked);
    }
}

impl Device for Scripted {
    fn offers(&mut self) -> Result<Vec<Offer>, Problem> {
        Ok(self.script.lock().unwrap().offers.clone())
    }

    fn set_format(&mut self, requested: Format) -> Result<Format, Problem> {
        let Format {
            fourcc,
            width,
            height,
            stride,
            ..
        } = requested;
        self.note(format!("{fourcc} {width} x {height}, {stride} a row"));
        Ok(self.script.lock().unwrap().gives.unwrap_or(requested))
    }

    fn set_rate(&mut self, fps: u32) -> Result<(), Problem> {
        self.note(format!("{fps} fps"));
        Ok(())
    }

    fn controls(&mut self) -> Result<Vec<Control>, Problem> {
        Ok(self.script.lock().unwrap().controls.clone())
    }

    /// Refuses an exposure until the automatic one is off.
    fn set_control(&mut self, control: &Control, value: i64) -> Result<(), Problem> {
        let asked = &mut self.script.lock().unwrap().asked;
        asked.push(format!("{} = {value}", control.key()));
        if control.id == 1 && !asked.iter().any(|line| line == "manual = 1") {
            return Err(Problem::Other("inactive".to_owned()));
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), Problem> {
        self.note("start".to_owned());
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<bool, Problem> {
        assert!(timeout <= POLL);
        let script = &mut self.script.lock().unwrap();
        match &script.plays[0] {
            Play::Nothing => {
                script.plays.remove(0);
                Ok(false)
            }
            _ => Ok(true),
        }
    }

    fn next(&mut self) -> Result<Buffer<'_>, Problem> {
        let (sequence, bytes, damaged) = match self.play() {
            Play::Frame(sequence, bytes) => (sequence, bytes, false),
            Play::Damaged(sequence) => (sequence, Vec::new(), true),
            Play::Fails(problem) => return Err(problem),
            _ => panic!("the script has no frame here"),
        };
        self.bytes = bytes;
        Ok(Buffer {
            bytes: &self.bytes,
            sequence,
            damaged,
        })
    }
}

/// A camera of that script, and the script.
fn open(
    script: Script,
    request: CameraRequest,
    clock: &ManualClock,
) -> (Result<ReconnectingCamera>, Arc<Mutex<Script>>) {
    let script = Arc::new(Mutex::new(script));
    let camera = script.clone();
    let connect = move || {
        let play = camera.lock().unwrap().plays.remove(0);
        match play {
            Play::Open => Ok(Box::new(Scripted {
                script: camera.clone(),
                bytes: Vec::new(),
            }) as Box<dyn Device>),
            Play::NotThere(problem) => Err(problem),
            _ => panic!("the script does not open here"),
        }
    };
    let name = "/dev/video0".to_owned();
    let source = ReconnectingCamera::new(name, Box::new(connect), request, Box::new(clock.clone()));
    (source, script)
}

fn offers(formats: &[&[u8; 4]]) -> Vec<Offer> {
    let offer = |fourcc: &&[u8; 4]| Offer {
        fourcc: FourCc(**fourcc),
        sizes: Vec::new(),
    };
    formats.iter().map(offer).collect()
}

fn format(fourcc: &[u8; 4], width: u32, height: u32, stride: u32) -> Format {
    Format {
        fourcc: FourCc(*fourcc),
        width,
        height,
        stride,
        size: 0,
        range: None,
    }
}

/// Reads once: the frame's number and first pixel, or the text of the error.
fn read(source: &mut ReconnectingCamera, frame: &mut Frame) -> Result<(u64, [u8; 3]), String> {
    match source.read(frame) {
        Ok(Status::Frame) => Ok((frame.index, [frame.rgb[0], frame.rgb[1], frame.rgb[2]])),
        Ok(Status::End) => Err("end".to_owned()),
        Err(error) => {
            assert!(error.is_recoverable(), "{error}");
            Err(error.to_string())
        }
    }
}

#[test]
fn what_the_driver_gives_is_obeyed() {
    // Limited range: 235 is white, 16 black. Two rows of two pixels, padded where the stride says.
    let white = [235, 128, 235, 128];
    let yuyv = [white.as_slice(), &[9; 4], &white].concat();
    let nv12 = [235, 235, 9, 9, 235, 235, 9, 9, 128, 128].to_vec();
    let cases = [
        ("as asked", format(b"MJPG", 2, 2, 0), jpeg(2, 2, 255)),
        ("YUYV for MJPG, padded", format(b"YUYV", 2, 2, 8), yuyv),
        ("NV12, padded", format(b"NV12", 2, 2, 4), nv12),
        ("grey, all numbers", format(b"GREY", 2, 2, 0), vec![255; 4]),
        (
            "grey, limited",
            Format {
                range: Some(Range::Limited),
                ..format(b"GREY", 2, 2, 0)
            },
            vec![235; 4],
        ),
    ];
    for (name, gives, bytes) in cases {
        let script = Script {
            offers: offers(&[b"H264", b"MJPG"]),
            gives: Some(gives),
            plays: vec![Play::Open, Play::Frame(0, bytes)],
            ..Script::default()
        };
        let request = CameraRequest {
            size: (2, 2),
            fps: Some(15),
            ..CameraRequest::default()
        };
        let (source, script) = open(script, request, &ManualClock::default());
        let mut source = source.unwrap();
        let mut frame = Frame::default();
        assert_eq!(read(&mut source, &mut frame), Ok((0, [255; 3])), "{name}");
        assert_eq!((frame.width, frame.height), (2, 2), "{name}");
        let asked = &script.lock().unwrap().asked;
        assert_eq!(
            asked[..],
            ["MJPG 2 x 2, 0 a row", "15 fps", "start"],
            "{name}"
        );
    }
}

#[test]
fn another_format_than_the_requested_one_is_noted() {
    for (requested, gives, note) in [
        (None, format(b"YUYV", 1280, 720, 0), None),
        (
            Some(FourCc(*b"MJPG")),
            format(b"YUYV", 1280, 720, 2560),
            Some("requested MJPG 1280 x 720, the camera gives YUYV 1280 x 720"),
        ),
        (
            None,
            format(b"GREY", 640, 480, 640),
            Some("requested 1280 x 720, the camera gives GREY 640 x 480"),
        ),
    ] {
        let script = Script {
            gives: Some(gives),
            plays: vec![Play::Open],
            ..Script::default()
        };
        let request = CameraRequest {
            format: requested,
            ..CameraRequest::default()
        };
        let source = open(script, request, &ManualClock::default()).0.unwrap();
        assert_eq!(source.format_note().as_deref(), note);
    }
}

#[test]
fn what_waiting_does_not_change_is_an_error_at_once() {
    let control = |id, name: &str| Control {
        id,
        name: name.to_owned(),
        minimum: 0,
        maximum: 10,
    };
    let controls = vec![control(1, "Exposure Time, Absolute"), control(2, "Gain")];
    let set = |name: &str, value| CameraRequest {
        controls: [(name.to_owned(), value)].into(),
        ..CameraRequest::default()
    };
    let cases = [
        (
            CameraRequest::default(),
            Play::NotThere(Problem::Missing),
            None,
            "there is no such camera: is it plugged in? `reid doctor` lists those there are",
        ),
        (
            CameraRequest::default(),
            Play::NotThere(Problem::Denied),
            None,
            "no permission to use the camera: `sudo usermod -aG video $USER`, then log in again",
        ),
        (
            CameraRequest::default(),
            Play::NotThere(Problem::NoCamera),
            None,
            "the device gives no pictures: another one of the same camera does, `reid doctor` lists them",
        ),
        (
            CameraRequest::default(),
            Play::Open,
            Some(format(b"H264", 640, 480, 0)),
            "the camera gives H264, wanted MJPG, YUYV, NV12, GREY",
        ),
        (
            CameraRequest::default(),
            Play::Open,
            Some(format(b"MJPG", 0, 480, 0)),
            "0 x 480 pixels: wanted 1 to 16384 a side and at most 268435456 bytes of RGB",
        ),
        (
            set("gian", 1),
            Play::Open,
            None,
            "the camera has no setting `gian`; it has exposure_time_absolute (0 to 10), gain (0 to 10)",
        ),
        (
            set("gain", 11),
            Play::Open,
            None,
            "the camera's setting gain (0 to 10) cannot be 11",
        ),
    ];
    for (request, play, gives, wanted) in cases {
        let script = Script {
            gives,
            controls: controls.clone(),
            plays: vec![play],
            ..Script::default()
        };
        match open(script, request, &ManualClock::default()).0 {
            Err(error) => {
                assert!(matches!(error, Error::Failed { .. }), "{error}");
                assert_eq!(error.to_string(), format!("/dev/video0: {wanted}"));
            }
            // Bad sizes may be passing trouble of the driver: they come out when it is read.
            Ok(source) => assert!(wanted.starts_with("0 x 480") && source.format_note().is_none()),
        }
    }
    let script = Script {
        offers: offers(&[b"H264", b"BA81"]),
        plays: vec![Play::Open],
        ..Script::default()
    };
    let error = open(script, CameraRequest::default(), &ManualClock::default())
        .0
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev/video0: the camera gives H264, wanted MJPG, YUYV, NV12, GREY; it offers H264, BA81"
    );
}

#[test]
fn settings_are_set_in_the_order_that_the_camera_needs() {
    let control = |id, name: &str| Control {
        id,
        name: name.to_owned(),
        minimum: 0,
        maximum: 500,
    };
    let script = Script {
        controls: vec![
            control(1, "Exposure"),
            control(2, "Manual"),
            control(77, "Gain"),
        ],
        plays: vec![Play::Open],
        ..Script::default()
    };
    let request = CameraRequest {
        controls: [("exposure", 250), ("manual", 1), ("77", 9)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        ..CameraRequest::default()
    };
    let (source, script) = open(script, request, &ManualClock::default());
    source.unwrap();
    let wanted = [
        "gain = 9",
        "exposure = 250",
        "manual = 1",
        "exposure = 250",
        "start",
    ];
    assert_eq!(script.lock().unwrap().asked[1..], wanted);
}

#[test]
fn frames_that_cannot_be_decoded_end_nothing() {
    let script = Script {
        gives: Some(format(b"YUYV", 4, 2, 0)),
        plays: vec![
            Play::Open,
            Play::Frame(7, vec![128; 16]),
            Play::Frame(8, vec![128; 15]),
            Play::Damaged(9),
            Play::Frame(13, vec![128; 16]),
            // The driver begins to count anew.
            Play::Frame(0, vec![128; 16]),
        ],
        ..Script::default()
    };
    let clock = ManualClock::default();
    let mut source = open(script, CameraRequest::default(), &clock).0.unwrap();
    let counts = source.counts();
    let mut frame = Frame::default();
    let grey = [130; 3];
    let frame_error = |text: &str| Err(format!("/dev/video0: frame {text}"));
    for (wanted, lost) in [
        (Ok((0, grey)), 0),
        (
            frame_error("1: 15 bytes of YUYV, wanted 2 rows of 8, 8 apart"),
            0,
        ),
        (frame_error("2: the driver marks it as damaged"), 0),
        (Ok((3, grey)), 3),
        (Ok((4, grey)), 3),
    ] {
        assert_eq!(read(&mut source, &mut frame), wanted);
        assert_eq!(counts.lost(), lost);
    }
    assert_eq!(counts.gaps(), 0);
}

/// Unplugged, back at once, silent, gone for long, busy, denied, back.
#[test]
fn a_camera_that_fails_is_opened_again_and_capture_resumes() {
    let picture = || Play::Frame(0, vec![255; 4]);
    let quiet = || (0..5).map(|_| Play::Nothing);
    let mut plays = vec![Play::Open, picture(), Play::Fails(Problem::Gone)];
    plays.extend([Play::Open, picture(), Play::Nothing, picture()]);
    plays.extend(quiet());
    plays.extend((0..7).map(|_| Play::NotThere(Problem::Missing)));
    plays.extend([Problem::Busy, Problem::Denied].map(Play::NotThere));
    plays.extend([Play::Open, picture(), Play::Fails(Problem::Gone)]);
    let script = Script {
        gives: Some(format(b"GREY", 2, 2, 0)),
        plays,
        ..Script::default()
    };
    let request = CameraRequest {
        timeout: 5 * POLL,
        ..CameraRequest::default()
    };
    let clock = ManualClock::default();
    let mut source = open(script, request, &clock).0.unwrap();
    let counts = source.counts();
    let mut frame = Frame::default();
    let mut read = || read(&mut source, &mut frame);
    let lost = |text: &str| Err(format!("/dev/video0: {text}"));
    let white = [255; 3];
    let missing = "there is no such camera: is it plugged in? `reid doctor` lists those there are; the next try is in";

    clock.set(Duration::from_secs(1000));
    assert_eq!(read(), Ok((0, white)));
    assert_eq!(
        read(),
        lost("the camera is disconnected: is it unplugged?; the next try is in 0.5 s")
    );
    assert_eq!((read(), counts.gaps()), (Ok((1, white)), 1));
    assert_eq!(read(), Ok((2, white)));
    assert_eq!(
        read(),
        lost(
            "the camera gave no frame in 1s: plug it in anew, or into another port; the next try is in 0.5 s"
        )
    );
    for seconds in ["1", "2", "4", "8", "16", "30", "30"] {
        assert_eq!(read(), lost(&format!("{missing} {seconds} s")));
    }
    assert_eq!(
        read(),
        lost(
            "another program uses the camera: stop that one (`fuser -v /dev/video*` names it); the next try is in 30 s"
        )
    );
    assert_eq!(
        read(),
        lost(
            "no permission to use the camera: `sudo usermod -aG video $USER`, then log in again; the next try is in 30 s"
        )
    );
    // Meanwhile the clock was set back by the best part of an hour.
    clock.set(Duration::ZERO);
    assert_eq!((read(), counts.gaps()), (Ok((3, white)), 2));
    assert_eq!(
        read(),
        lost("the camera is disconnected: is it unplugged?; the next try is in 0.5 s")
    );
    assert_eq!(counts.gaps(), 3);
    let seconds: Vec<_> = clock.waits().iter().map(Duration::as_secs_f32).collect();
    assert_eq!(seconds, [0.5, 0.5, 1., 2., 4., 8., 16., 30., 30., 30., 30.]);
    assert!(
        frame.stream_time < Duration::from_secs(200),
        "{:?}",
        frame.stream_time
    );
    // Cancelled while it waits: the end.
    clock.cancel_after(12);
    assert_eq!(source.read(&mut frame).unwrap(), Status::End);
}

#[test]
fn a_busy_camera_is_waited_for_at_the_start() {
    let script = Script {
        gives: Some(format(b"GREY", 1, 1, 0)),
        plays: vec![
            Play::NotThere(Problem::Busy),
            Play::Open,
            Play::Frame(0, vec![9]),
        ],
        ..Script::default()
    };
    let request = CameraRequest::default();
    let mut source = open(script, request, &ManualClock::default()).0.unwrap();
    let counts = source.counts();
    assert_eq!(read(&mut source, &mut Frame::default()), Ok((0, [9; 3])));
    assert_eq!(counts.gaps(), 0);
}

#[test]
fn names_of_settings_are_those_of_v4l2_ctl() {
    for (name, key) in [
        ("Exposure Time, Absolute", "exposure_time_absolute"),
        ("White Balance, Automatic", "white_balance_automatic"),
        ("Gain", "gain"),
        (" Zoom (%) ", "zoom"),
    ] {
        let control = Control {
            id: 0,
            name: name.to_owned(),
            minimum: 0,
            maximum: 1,
        };
        assert_eq!(control.key(), key);
    }
}
