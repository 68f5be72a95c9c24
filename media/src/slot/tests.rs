use std::collections::HashSet;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::clock::{Clock, SteadyClock};

/// A source that reports each read, and then does the next step of the test.
struct Script {
    asked: Sender<()>,
    steps: Receiver<Step>,
    index: u64,
}

enum Step {
    Frame,
    Broken,
    Fatal,
    Panic,
}

impl Source for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn read(&mut self, frame: &mut Frame) -> Result<Status> {
        // A test may have no use for it.
        let _ = self.asked.send(());
        let name = self.name().to_owned();
        let index = self.index;
        self.index += 1;
        frame.index = index;
        frame.rgb.resize(48, 0);
        match self.steps.recv() {
            Ok(Step::Frame) => Ok(Status::Frame),
            Ok(Step::Broken) => Err(Error::Frame {
                name,
                index,
                reason: "broken".to_owned(),
            }),
            Ok(Step::Fatal) => Err(Error::Failed {
                name,
                reason: "gone".to_owned(),
            }),
            Ok(Step::Panic) => panic!("as the script says"),
            // The test has hung up.
            Err(_) => Ok(Status::End),
        }
    }
}

/// The test's end of a script.
struct Director {
    asked: Receiver<()>,
    step: Sender<Step>,
}

impl Director {
    /// Lets the source do `step`, and waits for the next read: then the slot has the outcome.
    fn play(&self, step: Step) {
        self.step.send(step).unwrap();
        self.asked.recv().unwrap();
    }
}

fn script(policy: Policy) -> (Slot, Director) {
    let (asked, was_asked) = channel();
    let (step, steps) = channel();
    let source = Script {
        asked,
        steps,
        index: 0,
    };
    let slot = Slot::new(Box::new(source), policy, CancelToken::default()).unwrap();
    let director = Director {
        asked: was_asked,
        step,
    };
    if policy == Policy::Newest {
        director.asked.recv().unwrap();
    }
    (slot, director)
}

#[test]
fn of_a_live_source_the_newest_frame_wins_and_the_others_are_counted() {
    let (mut slot, director) = script(Policy::Newest);
    let mut frame = Frame::default();
    for (frames, wanted, dropped) in [(1, 0, 0), (3, 3, 2), (1, 4, 2), (5, 9, 6)] {
        for _ in 0..frames {
            director.play(Step::Frame);
        }
        assert_eq!(slot.read(&mut frame).unwrap(), Status::Frame);
        assert_eq!((frame.index, slot.dropped()), (wanted, dropped));
    }
    // An error does not hide the frame behind it.
    director.play(Step::Broken);
    director.play(Step::Frame);
    assert!(slot.read(&mut frame).unwrap_err().is_recoverable());
    assert_eq!(slot.read(&mut frame).unwrap(), Status::Frame);
    assert_eq!(frame.index, 11);
}

#[test]
fn of_a_file_every_frame_is_fetched_in_three_buffers() {
    let (mut slot, director) = script(Policy::Every);
    for i in 0..100 {
        let step = if i == 50 { Step::Broken } else { Step::Frame };
        director.step.send(step).unwrap();
    }
    drop(director.step);
    let mut frame = Frame::default();
    let mut buffers = HashSet::new();
    for index in 0..100 {
        let read = slot.read(&mut frame);
        if index == 50 {
            let error = read.unwrap_err().to_string();
            assert_eq!(error, "script: frame 50: broken");
        } else {
            assert_eq!((read.unwrap(), frame.index), (Status::Frame, index));
            buffers.insert(frame.rgb.as_ptr());
        }
    }
    for _ in 0..2 {
        assert_eq!(slot.read(&mut frame).unwrap(), Status::End);
    }
    assert_eq!(slot.dropped(), 0);
    assert_eq!(buffers.len(), 3);
}

#[test]
fn what_ends_a_source_is_told_once_then_it_has_ended() {
    for (step, wanted) in [
        (Step::Fatal, "script: gone"),
        (
            Step::Panic,
            "script: reading it panicked: as the script says",
        ),
    ] {
        let (mut slot, director) = script(Policy::Newest);
        director.play(Step::Frame);
        director.step.send(step).unwrap();
        // The thread ends, and with it the other end of the channel.
        assert!(director.asked.recv().is_err());
        let mut frame = Frame::default();
        assert_eq!(slot.read(&mut frame).unwrap_err().to_string(), wanted);
        // Captured before, and not lost.
        assert_eq!(slot.read(&mut frame).unwrap(), Status::Frame);
        assert_eq!(slot.read(&mut frame).unwrap(), Status::End);
    }
}

#[test]
fn a_read_that_never_returns_does_not_hang_the_exit() {
    let (mut slot, director) = script(Policy::Newest);
    slot.join_timeout = Duration::ZERO;
    drop(slot);
    // The thread is still in its read, and ends with it.
    director.step.send(Step::Frame).unwrap();
    assert!(director.asked.recv().is_err());
}

/// Waits for a year unless it is cancelled, and reports when it is dropped.
struct Patient(SteadyClock, Sender<&'static str>);

impl Source for Patient {
    fn name(&self) -> &str {
        "patient"
    }

    fn read(&mut self, _: &mut Frame) -> Result<Status> {
        self.1.send("waits").unwrap();
        self.0.wait(Duration::from_secs(31_536_000));
        Ok(Status::End)
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        self.1.send("gone").unwrap();
        panic!("closing fails too");
    }
}

#[test]
fn a_source_that_waits_is_woken_and_closed_before_the_slot_is_gone() {
    let cancel = CancelToken::default();
    let (say, said) = channel();
    let source = Patient(SteadyClock::new(cancel.clone()), say);
    let mut slot = Slot::new(Box::new(source), Policy::Newest, cancel).unwrap();
    slot.join_timeout = Duration::from_secs(3600);
    assert_eq!(said.recv().unwrap(), "waits");
    drop(slot);
    assert_eq!(said.try_recv().unwrap(), "gone");
}

#[test]
fn a_thread_that_waits_for_room_ends_with_the_slot() {
    let (mut slot, director) = script(Policy::Every);
    slot.join_timeout = Duration::from_secs(3600);
    for _ in 0..2 {
        director.step.send(Step::Frame).unwrap();
        director.asked.recv().unwrap();
    }
    drop(slot);
    assert!(director.asked.recv().is_err());
}

#[test]
fn slots_of_a_group_are_served_in_turn() {
    let (slots, directors): (Vec<_>, Vec<_>) = (0..3).map(|_| script(Policy::Newest)).unzip();
    let mut group = Group::new(slots);
    let mut frame = Frame::default();
    let mut served = |group: &mut Group| match group.next(&mut frame, Duration::ZERO) {
        Next::Read(at, Ok(Status::Frame)) => Some(at),
        Next::Nothing => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(served(&mut group), None);
    // One that delivers ten times as much as the others gets no more turns than they.
    for _ in 0..5 {
        for _ in 0..10 {
            directors[0].play(Step::Frame);
        }
        directors[1].play(Step::Frame);
        directors[2].play(Step::Frame);
        for wanted in [Some(0), Some(1), Some(2), None] {
            assert_eq!(served(&mut group), wanted);
        }
    }
    let dropped: Vec<_> = group.slots().iter().map(Slot::dropped).collect();
    assert_eq!(dropped, [45, 0, 0]);
    // The search begins behind the one that was served last.
    directors[0].play(Step::Frame);
    assert_eq!(served(&mut group), Some(0));
    directors[0].play(Step::Frame);
    directors[2].play(Step::Frame);
    assert_eq!(served(&mut group), Some(2));
    assert_eq!(served(&mut group), Some(0));
    // Or the group would wait for its threads in vain.
    drop(directors);
}

#[test]
fn a_group_outlives_its_slots_one_by_one() {
    let (slots, mut directors): (Vec<_>, Vec<_>) = (0..2).map(|_| script(Policy::Newest)).unzip();
    let mut group = Group::new(slots);
    let mut frame = Frame::default();
    let hour = Duration::from_secs(3600);
    let mut next = |group: &mut Group| match group.next(&mut frame, hour) {
        Next::Read(at, read) => (at, read.map_err(|error| error.to_string())),
        Next::Nothing => panic!("an hour has passed"),
        Next::Ended => (9, Ok(Status::End)),
    };
    let second = directors.pop().unwrap();
    let first = directors.pop().unwrap();
    first.step.send(Step::Fatal).unwrap();
    assert_eq!(next(&mut group), (0, Err("script: gone".to_owned())));
    // Its end and the frame of the other come in any order.
    second.step.send(Step::Frame).unwrap();
    let mut both = [next(&mut group), next(&mut group)];
    both.sort_by_key(|(at, _)| *at);
    assert_eq!(both, [(0, Ok(Status::End)), (1, Ok(Status::Frame))]);
    drop(second);
    assert_eq!(next(&mut group), (1, Ok(Status::End)));
    for _ in 0..2 {
        assert_eq!(next(&mut group), (9, Ok(Status::End)));
    }
}
