//! What the loop reads from: one source to its end, or several at once.

use std::time::Duration;

use super::{Lane, Turn};
use crate::Result;
use media::slot::{Group, Next, Slot};
use media::{Frame, Note, Source, Status};

/// How long a turn waits for a frame of a live source.
const WAIT: Duration = Duration::from_millis(500);

/// Where frames come from.
pub enum Input {
    /// Every frame of one source; the lane is the only one.
    One(Box<dyn Source>),
    /// The slots of several sources, each with the lane at its position.
    Several(Box<Several>),
}

/// Slots that share the loop.
pub struct Several {
    group: Group,
    /// A frame that came second from a source whose first was not worked on yet, and whose it is.
    spare: Frame,
    held: Option<usize>,
    /// What went wrong while other sources had frames.
    trouble: Option<media::Error>,
}

impl Input {
    /// Several sources at once.
    #[must_use]
    pub fn several(group: Group) -> Self {
        Self::Several(Box::new(Several {
            group,
            spare: Frame::default(),
            held: None,
            trouble: None,
        }))
    }

    /// Fills the frames of the lanes that have one, at most one each.
    pub(super) fn read(&mut self, lanes: &mut [Lane]) -> Result<Turn> {
        match self {
            Self::One(source) => match source.read(&mut lanes[0].frame) {
                Ok(Status::Frame) => {
                    lanes[0].ready = true;
                    Ok(Turn::Worked(1))
                }
                Ok(Status::End) => Ok(Turn::Ended),
                Err(error) if error.is_recoverable() => Ok(passed_over(error)),
                Err(error) => Err(error.into()),
            },
            Self::Several(several) => Ok(several.read(lanes)),
        }
    }

    /// Frames that the one source claims to have.
    pub(super) fn frames(&self) -> Option<u64> {
        match self {
            Self::One(source) => source.len(),
            Self::Several(_) => None,
        }
    }

    /// What a file or a folder has passed over. Live sources have nothing to pass over.
    pub(super) fn note(&self) -> Option<Note> {
        match self {
            Self::One(source) => source.note(),
            Self::Several(_) => None,
        }
    }

    /// Frames that were overwritten by newer ones before anybody looked at them.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Self::One(_) => 0,
            Self::Several(several) => several.group.slots().iter().map(Slot::dropped).sum(),
        }
    }
}

impl Several {
    /// Takes what waits in every slot, so that the crops of all sources are embedded together.
    fn read(&mut self, lanes: &mut [Lane]) -> Turn {
        if let Some(trouble) = self.trouble.take() {
            return passed_over(trouble);
        }
        let mut ready = 0;
        if let Some(lane) = self.held.take() {
            self.hand_over(&mut lanes[lane]);
            ready += 1;
        }
        while ready < lanes.len() {
            let timeout = if ready == 0 { WAIT } else { Duration::ZERO };
            match self.group.next(&mut self.spare, timeout) {
                Next::Read(lane, Ok(Status::Frame)) if lanes[lane].ready => {
                    self.held = Some(lane);
                    break;
                }
                Next::Read(lane, Ok(Status::Frame)) => {
                    self.hand_over(&mut lanes[lane]);
                    ready += 1;
                }
                Next::Read(_, Ok(Status::End)) => {}
                // One source that fails must not stop the others: it ends by itself.
                Next::Read(_, Err(error)) if ready == 0 => return passed_over(error),
                Next::Read(_, Err(error)) => {
                    self.trouble = Some(error);
                    break;
                }
                Next::Nothing if ready == 0 => return Turn::Idle,
                Next::Ended if ready == 0 => return Turn::Ended,
                Next::Nothing | Next::Ended => break,
            }
        }
        Turn::Worked(ready)
    }

    fn hand_over(&mut self, lane: &mut Lane) {
        std::mem::swap(&mut self.spare, &mut lane.frame);
        lane.ready = true;
    }
}

/// What a turn came to in which a source failed: a frame of it, or the whole of it for a while.
fn passed_over(error: media::Error) -> Turn {
    match error {
        media::Error::Disconnected { .. } => Turn::Away(error.into()),
        _ => Turn::Broken(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Summary;

    #[test]
    fn a_camera_that_is_away_is_no_broken_frame() {
        let (name, reason) = ("door".to_owned(), "unplugged".to_owned());
        let mut summary = Summary::default();
        summary.read(&passed_over(media::Error::Disconnected {
            name: name.clone(),
            reason: reason.clone(),
        }));
        assert_eq!((summary.broken_frames, summary.attempts), (0, 1));
        summary.read(&passed_over(media::Error::Frame {
            name,
            index: 7,
            reason,
        }));
        assert_eq!((summary.broken_frames, summary.attempts), (1, 1));
    }
}
