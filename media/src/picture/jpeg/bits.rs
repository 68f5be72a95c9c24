//! Reads bits of entropy-coded data: bytes up to a marker, without the zero byte stuffed after each `ff`.
//!
//! The data is followed by endless zeros, so decoding needs no check at each bit; [`Bits::check`] reports
//! afterwards whether any of them was used.

use super::{Error, MARK, damaged};

/// The most bytes between the last block of a scan or restart interval and the next marker. Encoders
/// leave none; libjpeg's warning "1 extraneous bytes before marker 0xd9" is common with USB cameras.
/// More of them mean that the header states too small a size.
const MAX_LEFT_OVER: usize = 16;

pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The byte of `data` that is read next.
    at: usize,
    /// The next bits, highest first; those after `count` are zero.
    next: u64,
    count: u32,
    /// How many bits at the end of `count` are no data; more than `count` if some were used.
    beyond: u32,
    /// `at` is at a marker, or at the end of `data`.
    ended: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8], at: usize) -> Self {
        Self {
            data,
            at,
            next: 0,
            count: 0,
            beyond: 0,
            ended: false,
        }
    }

    /// Fills up to at least 32 bits.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        if let Some(&bytes) = self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
            let word = u32::from_be_bytes(bytes);
            // Whether no byte is `ff`, that is, no byte of the complement is zero.
            if (!word).wrapping_sub(0x0101_0101) & word & 0x8080_8080 == 0 {
                self.next |= u64::from(word) << (32 - self.count);
                self.count += 32;
                self.at += 4;
                return;
            }
        }
        self.fill_bytewise();
    }

    #[inline(never)]
    fn fill_bytewise(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at..).unwrap_or_default() {
                [MARK, 0, ..] if !self.ended => {
                    self.at += 2;
                    MARK
                }
                [byte, ..] if !self.ended && *byte != MARK => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.ended = true;
                    self.beyond += 8;
                    0
                }
            };
            self.next |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `count` bits, 1 to 32, after [`Bits::fill`], without consuming them.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> u32 {
        (self.next >> (64 - count)) as u32
    }

    /// Consumes bits.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        self.next <<= count;
        self.count -= count;
    }

    /// Consumes and returns `count` bits, 0 to 16, which must be filled.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// Consumes a number of `size` bits, 0 to 16, which must be filled: `EXTEND` of T.81, F.2.2.1.
    #[inline(always)]
    pub(super) fn number(&mut self, size: u32) -> i32 {
        extend(self.take(size), size)
    }

    /// The next bit.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.fill();
        self.take(1) == 1
    }

    /// An error if more bits were consumed than there are.
    #[inline(always)]
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.count < self.beyond {
            return Err(damaged("its compressed data ends early"));
        }
        Ok(())
    }

    /// Skips to the marker after a scan and returns its position. Bytes after restart markers count as
    /// left over too.
    pub(super) fn finish(&mut self) -> Result<usize, Error> {
        self.interval(true)
    }

    fn interval(&mut self, last: bool) -> Result<usize, Error> {
        self.check()?;
        let mut left_over = ((self.count - self.beyond) / 8) as usize;
        loop {
            match self.data.get(self.at..).unwrap_or_default() {
                [MARK, 0, ..] => self.at += 2,
                [MARK, 0xd0..=0xd7, ..] if last => {
                    self.at += 2;
                    continue;
                }
                [MARK, ..] | [] => break,
                [_, ..] => self.at += 1,
            }
            left_over += 1;
        }
        if left_over > MAX_LEFT_OVER {
            return Err(damaged(format!(
                "{left_over} bytes of compressed data are left over: its size or its data is wrong"
            )));
        }
        Ok(self.at)
    }

    /// Skips the restart marker of that number, 0 to 7.
    pub(super) fn restart(&mut self, number: u8) -> Result<(), Error> {
        let mut at = self.interval(false)?;
        while self.data.get(at + 1) == Some(&MARK) {
            at += 1;
        }
        let wanted = 0xd0 + number;
        match self.data.get(at + 1) {
            Some(&found) if found == wanted => {}
            Some(found) => {
                return Err(damaged(format!(
                    "its compressed data ends early: marker `ff{found:02x}` in place of restart marker `ff{wanted:02x}`"
                )));
            }
            None => return Err(damaged("its compressed data ends early")),
        }
        *self = Self::new(self.data, at + 2);
        Ok(())
    }
}

/// The signed number of `size` bits.
#[inline(always)]
pub(super) fn extend(bits: u32, size: u32) -> i32 {
    if size == 0 || bits >> (size - 1) == 1 {
        bits as i32
    } else {
        bits as i32 - (1 << size) + 1
    }
}
