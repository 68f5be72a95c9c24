//! The trait of everything that delivers frames.

use crate::{Frame, Result};

/// Outcome of [`Source::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The frame is filled.
    Frame,
    /// The source has ended; the frame is unchanged.
    End,
}

/// Frames, one after the other. [`crate::slot`] reads a source in a thread of its own.
pub trait Source: Send {
    /// The source's name, for messages and for the output.
    fn name(&self) -> &str;

    /// Number of frames, if the source states it. A file's header can be wrong: use it for a progress
    /// bar only.
    fn len(&self) -> Option<u64> {
        None
    }

    /// Whether the source states that it has no frame.
    fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Reads the next frame into `frame`.
    ///
    /// # Errors
    /// After [`Error::Frame`](crate::Error::Frame) the pixels are unspecified and the next call reads
    /// the frame after the broken one; see [`Error::is_recoverable`](crate::Error::is_recoverable).
    /// After any other error the source has ended.
    fn read(&mut self, frame: &mut Frame) -> Result<Status>;

    /// What the source has skipped, if anything; complete once the source has ended.
    fn note(&self) -> Option<Note> {
        None
    }
}

/// What a source has skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// One line, with the name of the source.
    pub text: String,
    /// Whether some of it should have been read.
    pub incomplete: bool,
}

/// Whether nothing follows this outcome of a read.
pub(crate) fn is_final(outcome: &Result<Status>) -> bool {
    match outcome {
        Ok(status) => *status == Status::End,
        Err(error) => !error.is_recoverable(),
    }
}
