//! What the loop reads from: one source to its end, or several at once.

use std::time::Duration;

use super::{Progress, Stream};
use crate::Result;
use crate::summary::Summary;
use media::slot::{Group, Next, Slot};
use media::{Frame, Note, Source, Status};

/// How long an iteration waits for a frame of a live source.
const WAIT: Duration = Duration::from_millis(500);

/// Where frames come from.
pub enum Input {
    /// Every frame of one source, for the only stream.
    One(Box<dyn Source>),
    /// The slots of several live sources, each for the stream at its position.
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

    /// Fills the frames of the streams that have one, at most one each.
    pub(super) fn read(&mut self, streams: &mut [Stream]) -> Result<Progress> {
        match self {
            Self::One(source) => match source.read(&mut streams[0].frame) {
                Ok(Status::Frame) => {
                    streams[0].ready = true;
                    Ok(Progress::Frames(1))
                }
                Ok(Status::End) => Ok(Progress::Ended),
                Err(error) if error.is_recoverable() => Ok(passed_over(error)),
                Err(error) => Err(error.into()),
            },
            Self::Several(several) => Ok(several.read(streams)),
        }
    }

    /// Whether frames come when they come, and time goes on without them.
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Several(_))
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

    /// Frames that newer ones replaced before they were worked on.
    pub(super) fn dropped(&self) -> u64 {
        match self {
            Self::One(_) => 0,
            Self::Several(several) => several.group.slots().iter().map(Slot::dropped).sum(),
        }
    }
}

impl Several {
    /// Takes what waits in every slot, so that the crops of all sources are embedded together.
    fn read(&mut self, streams: &mut [Stream]) -> Progress {
        if let Some(trouble) = self.trouble.take() {
            return passed_over(trouble);
        }
        let mut ready = 0;
        if let Some(at) = self.held.take() {
            self.hand_over(&mut streams[at]);
            ready += 1;
        }
        while ready < streams.len() {
            let timeout = if ready == 0 { WAIT } else { Duration::ZERO };
            match self.group.next(&mut self.spare, timeout) {
                Next::Read(at, Ok(Status::Frame)) if streams[at].ready => {
                    self.held = Some(at);
                    break;
                }
                Next::Read(at, Ok(Status::Frame)) => {
                    self.hand_over(&mut streams[at]);
                    ready += 1;
                }
                Next::Read(_, Ok(Status::End)) => {}
                // One source that fails must not stop the others: it ends by itself.
                Next::Read(_, Err(error)) if ready == 0 => return passed_over(error),
                Next::Read(_, Err(error)) => {
                    self.trouble = Some(error);
                    break;
                }
                Next::Nothing if ready == 0 => return Progress::Idle,
                Next::Ended if ready == 0 => return Progress::Ended,
                Next::Nothing | Next::Ended => break,
            }
        }
        Progress::Frames(ready)
    }

    fn hand_over(&mut self, stream: &mut Stream) {
        std::mem::swap(&mut self.spare, &mut stream.frame);
        stream.ready = true;
    }
}

/// The progress of an iteration in which a source failed: one frame of it, or the source for a while.
fn passed_over(error: media::Error) -> Progress {
    match error {
        media::Error::Disconnected { .. } => Progress::Disconnected(error.into()),
        _ => Progress::Broken(error.into()),
    }
}

impl Summary {
    /// Counts an iteration.
    pub(super) fn count_progress(&mut self, progress: &Progress) {
        match progress {
            Progress::Frames(frames) => self.frames += *frames as u64,
            Progress::Broken(_) => self.broken_frames += 1,
            Progress::Disconnected(_) => self.attempts += 1,
            Progress::Idle | Progress::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disconnected_camera_is_no_broken_frame() {
        let (name, reason) = ("door".to_owned(), "unplugged".to_owned());
        let mut summary = Summary::default();
        summary.count_progress(&passed_over(media::Error::Disconnected {
            name: name.clone(),
            reason: reason.clone(),
        }));
        assert_eq!((summary.broken_frames, summary.attempts), (0, 1));
        summary.count_progress(&passed_over(media::Error::Frame {
            name,
            index: 7,
            reason,
        }));
        assert_eq!((summary.broken_frames, summary.attempts), (1, 1));
    }
}
