//! Writes JPEG pictures into an AVI file as they arrive.
//!
//! Beyond a gigabyte the file continues in OpenDML segments (`AVIX`), and the index covers the first
//! one: players play all of it and seek in that part. A file whose writer was not finished has no
//! index, and the counts of its last [`AviWriter::checkpoint`]; [`super::AviReader`] and ffmpeg read all
//! its pictures.

use std::io::{self, Seek, SeekFrom, Write};

use crate::{MAX_BYTES, Rate};

/// Bytes after which a new segment begins. OpenDML asks for less than 2 GB, and old readers want
/// the first below 1 GB.
const SEGMENT: u64 = 1 << 30;

/// Bytes of the headers up to the first picture, and of the list `odml` among them; see
/// [`AviWriter::header`].
const HEADER: u64 = 492;
const ODML: u64 = 268;

/// Bytes between the beginning of a segment and its first picture: `RIFF`, size, `AVIX`, `LIST`,
/// size, `movi`.
const SEGMENT_HEADER: u64 = 24;

/// Entries of the index that are written at once.
const INDEX_PART: usize = 4096;

/// Writes JPEG pictures of one size into an AVI file.
#[derive(Debug)]
pub struct AviWriter<W> {
    out: W,
    width: u16,
    height: u16,
    rate: Rate,
    position: u64,
    /// Where the current segment (`RIFF`) begins.
    segment: u64,
    segment_limit: u64,
    /// Whether the file may continue in OpenDML segments.
    open_dml: bool,
    frames: u32,
    largest: u32,
    /// Offset (from the word `movi`) and size of each picture in the first segment.
    index: Vec<(u32, u32)>,
    /// Sizes of the first segment's `RIFF` and `movi`, once it is complete.
    first: Option<(u32, u32)>,
}

impl<W: Write + Seek> AviWriter<W> {
    /// Begins a file of `width` x `height` pixels at the start of `out`.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn new(out: W, width: u16, height: u16, rate: Rate) -> io::Result<Self> {
        Self::begin(out, [width, height], rate, true)
    }

    /// As [`AviWriter::new`], a file of one segment without the OpenDML header: 268 bytes less, at
    /// most a gigabyte.
    ///
    /// # Errors
    /// The error of `out`.
    pub fn single_segment(out: W, width: u16, height: u16, rate: Rate) -> io::Result<Self> {
        Self::begin(out, [width, height], rate, false)
    }

    fn begin(out: W, [width, height]: [u16; 2], rate: Rate, open_dml: bool) -> io::Result<Self> {
        let mut writer = Self {
            out,
            width,
            height,
            rate,
            position: if open_dml { HEADER } else { HEADER - ODML },
            segment: 0,
            segment_limit: SEGMENT,
            open_dml,
            frames: 0,
            largest: 0,
            index: Vec::new(),
            first: None,
        };
        writer.out.rewind()?;
        let header = writer.header();
        writer.out.write_all(&header)?;
        Ok(writer)
    }

    /// Appends a picture: a whole JPEG file, or nothing to repeat the one before.
    ///
    /// # Errors
    /// The error of the output; [`io::ErrorKind::FileTooLarge`] for a picture beyond [`MAX_BYTES`],
    /// more than 2^32 - 1 of them, or a second segment in a file of one.
    pub fn push(&mut self, jpeg: &[u8]) -> io::Result<()> {
        let size = u32::try_from(jpeg.len())
            .ok()
            .filter(|&size| u64::from(size) <= MAX_BYTES);
        let (Some(size), Some(frames)) = (size, self.frames.checked_add(1)) else {
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        let padded = 8 + u64::from(size) + u64::from(size % 2);
        if self.position + padded - self.segment > self.segment_limit && self.frames > 0 {
            if !self.open_dml {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            self.end_segment()?;
            self.out.seek(SeekFrom::Start(self.position))?;
            self.out.write_all(b"RIFF\0\0\0\0AVIXLIST\0\0\0\0movi")?;
            self.segment = self.position;
            self.position += SEGMENT_HEADER;
        }
        // Few writes: the output may be a file without a buffer, so that a kill loses no picture.
        let chunk = [u32::from_le_bytes(*b"00dc"), size].map(u32::to_le_bytes);
        self.out.write_all(chunk.as_flattened())?;
        self.out.write_all(jpeg)?;
        if size % 2 == 1 {
            self.out.write_all(&[0])?;
        }
        if self.first.is_none() {
            // Below the segment's limit, or the only picture: fits.
            let offset = self.position - self.movi();
            self.index.push((offset as u32, size));
        }
        self.position += padded;
        self.frames = frames;
        self.largest = self.largest.max(size);
        Ok(())
    }

    /// Pictures so far.
    #[must_use]
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Bytes up to the end of the last whole picture, or of the index after it. A failed
    /// [`Self::push`] may have left a part of a picture after them.
    #[must_use]
    pub fn whole(&self) -> u64 {
        self.position
    }

    /// The output, to cut it off at [`Self::whole`]; it has to keep what is before.
    pub fn output(&mut self) -> &mut W {
        &mut self.out
    }

    /// Updates sizes and counts in the headers, without an index: a writer that is killed or dropped
    /// later leaves a file whose headers count the pictures up to here. Two small writes, which need
    /// no space on the disk.
    ///
    /// # Errors
    /// The error of the output.
    pub fn checkpoint(&mut self) -> io::Result<()> {
        if self.first.is_some() {
            self.end_segment()?;
        }
        self.rewrite_header()
    }

    /// Completes headers and index. Nothing can be pushed after it.
    ///
    /// # Errors
    /// The error of the output. [`Self::checkpoint`] may still work: it needs no more space.
    pub fn complete(&mut self) -> io::Result<()> {
        self.end_segment()?;
        self.rewrite_header()
    }

    /// Completes headers and index, and gives the output back, flushed. A writer that is dropped
    /// instead leaves a file as of its last [`Self::checkpoint`].
    ///
    /// # Errors
    /// The error of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.complete()?;
        Ok(self.out)
    }

    /// Where the word `movi` of the first segment begins.
    fn movi(&self) -> u64 {
        let header = if self.open_dml { HEADER } else { HEADER - ODML };
        header - 4
    }

    fn rewrite_header(&mut self) -> io::Result<()> {
        self.out.rewind()?;
        let header = self.header();
        self.out.write_all(&header)?;
        self.out.seek(SeekFrom::Start(self.position))?;
        self.out.flush()
    }

    /// Writes the index of the first segment, or the sizes of a later one.
    fn end_segment(&mut self) -> io::Result<()> {
        if self.first.is_some() {
            // The first segment again, if only its index fitted.
            if self.segment == 0 {
                return Ok(());
            }
            let riff = (self.position - self.segment - 8) as u32;
            self.out.seek(SeekFrom::Start(self.segment + 4))?;
            self.out.write_all(&riff.to_le_bytes())?;
            self.out.seek(SeekFrom::Start(self.segment + 16))?;
            self.out.write_all(&(riff - 12).to_le_bytes())?;
            self.out.seek(SeekFrom::Start(self.position))?;
            return Ok(());
        }
        let movi = (self.position - self.movi()) as u32;
        self.out.seek(SeekFrom::Start(self.position))?;
        let size = self.index.len() as u32 * 16;
        let head = [u32::from_le_bytes(*b"idx1"), size].map(u32::to_le_bytes);
        self.out.write_all(head.as_flattened())?;
        let mut entries = Vec::with_capacity(self.index.len().min(INDEX_PART) * 16);
        for part in self.index.chunks(INDEX_PART) {
            entries.clear();
            for (offset, size) in part {
                // Every picture of Motion-JPEG is a key frame: flag 0x10.
                let entry = [u32::from_le_bytes(*b"00dc"), 0x10, *offset, *size];
                entries.extend_from_slice(entry.map(u32::to_le_bytes).as_flattened());
            }
            self.out.write_all(&entries)?;
        }
        self.position += 8 + u64::from(size);
        self.first = Some(((self.position - 8) as u32, movi));
        self.index = Vec::new();
        Ok(())
    }

    /// The bytes of the file up to the first picture, as far as known: `RIFF`, `hdrl` and the
    /// beginning of `movi`.
    fn header(&self) -> Vec<u8> {
        let (riff, movi) = self.first.unwrap_or_else(|| match self.frames {
            0 => (0, 0),
            _ => {
                let movi = (self.position - self.movi()) as u32;
                ((self.position - 8) as u32, movi)
            }
        });
        let indexed = if self.first.is_some() { 0x10 } else { 0 };
        let (width, height) = (u32::from(self.width), u32::from(self.height));
        let (rate, scale) = (self.rate.frames(), self.rate.seconds());
        let frame_time = u64::from(scale) * 1_000_000 / u64::from(rate);
        let frame_time = u32::try_from(frame_time).unwrap_or(u32::MAX);
        let bytes_per_second = u64::from(self.largest) * u64::from(rate) / u64::from(scale);
        let bytes_per_second = u32::try_from(bytes_per_second).unwrap_or(u32::MAX);
        let mut header = Vec::with_capacity(HEADER as usize);
        let odml = if self.open_dml { ODML as u32 } else { 0 };
        let mut put = |words: &[u32]| {
            header.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        };
        let name = |text: &[u8; 4]| u32::from_le_bytes(*text);
        put(&[name(b"RIFF"), riff, name(b"AVI ")]);
        put(&[name(b"LIST"), 192 + odml, name(b"hdrl")]);
        // Flags: whether it has an index. One stream.
        put(&[name(b"avih"), 56, frame_time, bytes_per_second, 0, indexed]);
        put(&[self.frames, 0, 1, self.largest, width, height, 0, 0, 0, 0]);
        put(&[name(b"LIST"), 116, name(b"strl")]);
        put(&[name(b"strh"), 56, name(b"vids"), name(b"MJPG"), 0, 0, 0]);
        put(&[scale, rate, 0, self.frames, self.largest, u32::MAX, 0]);
        // The frame's rectangle: left and top, right and bottom, 16 bits each.
        put(&[0, width | height << 16]);
        put(&[name(b"strf"), 40, 40, width, height, 1 | 24 << 16]);
        put(&[
            name(b"MJPG"),
            width.saturating_mul(height).saturating_mul(3),
        ]);
        put(&[0, 0, 0, 0]);
        if self.open_dml {
            put(&[name(b"LIST"), 260, name(b"odml"), name(b"dmlh"), 248]);
            put(&[self.frames]);
            put(&[0; 61]);
        }
        put(&[name(b"LIST"), movi, name(b"movi")]);
        header
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::super::AviReader;
    use super::super::tests::fixtures::jpeg;
    use super::*;
    use crate::{Frame, Source, Status};

    fn write(segment_limit: u64, pictures: &[Vec<u8>]) -> Vec<u8> {
        let rate = Rate::new(30_000, 1001).unwrap();
        let mut writer = AviWriter::new(Cursor::new(Vec::new()), 24, 16, rate).unwrap();
        writer.segment_limit = segment_limit;
        for picture in pictures {
            writer.push(picture).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let pictures: Vec<_> = (0..12).map(|shade| jpeg(24, 16, shade * 20)).collect();
        // Everything in one segment, three pictures a segment, one.
        for (segment_limit, segments) in [(SEGMENT, 1), (HEADER + 2200, 4), (1, 12)] {
            let file = write(segment_limit, &pictures);
            let riffs = file.windows(4).filter(|word| word == b"RIFF").count();
            assert_eq!(riffs, segments, "segments of {segment_limit} bytes");
            let mut avi = AviReader::new(Cursor::new(&file), "test", None).unwrap();
            assert_eq!(avi.len(), Some(12));
            let mut frame = Frame::default();
            for at in 0..12u8 {
                assert_eq!(avi.read(&mut frame).unwrap(), Status::Frame);
                assert_eq!((frame.width, frame.height), (24, 16));
                assert_eq!(frame.index, u64::from(at));
                assert_eq!(
                    frame.stream_time,
                    Duration::from_nanos(u64::from(at) * 1001 * 1_000_000_000 / 30_000)
                );
                // A plain grey survives JPEG to a rounding error.
                assert!(
                    frame.rgb.iter().all(|&v| v.abs_diff(at * 20) <= 1),
                    "frame {at}: {:?}",
                    &frame.rgb[..3]
                );
            }
            assert_eq!(avi.read(&mut frame).unwrap(), Status::End);
        }
    }

    #[test]
    fn the_tree_of_chunks_adds_up() {
        // Odd and even sizes, so that padding shows; an empty one.
        let pictures = [vec![1; 7], vec![2; 8], vec![], vec![3; 9]];
        let file = write(HEADER + 40, &pictures);
        let u32_at = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap()) as usize;
        assert_eq!(&file[HEADER as usize - 4..][..8], b"movi00dc");
        let mut at = 0;
        let mut found = Vec::new();
        while at < file.len() {
            assert_eq!(&file[at..at + 4], b"RIFF");
            let end = at + 8 + u32_at(at + 4);
            let mut inner = at + 12;
            while inner < end {
                let (id, size) = (&file[inner..inner + 4], u32_at(inner + 4));
                if id == b"LIST" && &file[inner + 8..inner + 12] == b"movi" {
                    let movi = inner + 8;
                    let mut chunk = movi + 4;
                    while chunk < movi + size {
                        let size = u32_at(chunk + 4);
                        found.push((at, chunk - movi, file[chunk + 8..][..size].to_vec()));
                        chunk += 8 + size + size % 2;
                    }
                    assert_eq!(chunk, movi + size);
                } else if id == b"idx1" {
                    let entries: Vec<_> = (inner + 8..inner + 8 + size)
                        .step_by(16)
                        .map(|at| (u32_at(at + 8), u32_at(at + 12)))
                        .collect();
                    let wanted: Vec<_> = found
                        .iter()
                        .map(|(_, offset, body)| (*offset, body.len()))
                        .collect();
                    assert_eq!(entries, wanted);
                }
                inner += 8 + size + size % 2;
            }
            assert_eq!(inner, end);
            at = end;
        }
        let bodies: Vec<_> = found.iter().map(|(_, _, body)| body.clone()).collect();
        assert_eq!(bodies, pictures);
        assert!(found[3].0 > found[0].0, "wanted a second segment");
    }

    #[test]
    fn a_file_of_one_segment_has_a_short_header_and_an_end() {
        let pictures: Vec<_> = (0..3).map(|shade| jpeg(24, 16, shade * 20)).collect();
        let out = Cursor::new(Vec::new());
        let mut writer = AviWriter::single_segment(out, 24, 16, Rate::IMAGES).unwrap();
        for picture in &pictures {
            writer.push(picture).unwrap();
        }
        writer.segment_limit = writer.position;
        let error = writer.push(&pictures[0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        let file = writer.finish().unwrap().into_inner();
        let long = {
            let out = Cursor::new(Vec::new());
            let mut writer = AviWriter::new(out, 24, 16, Rate::IMAGES).unwrap();
            for picture in &pictures {
                writer.push(picture).unwrap();
            }
            writer.finish().unwrap().into_inner()
        };
        assert_eq!(file.len() + ODML as usize, long.len());
        // Index and pictures are the same.
        assert_eq!(file[(HEADER - ODML) as usize..], long[HEADER as usize..]);
        let mut avi = AviReader::new(Cursor::new(&file), "test", None).unwrap();
        assert_eq!(avi.len(), Some(3));
        let mut frame = Frame::default();
        for _ in 0..3 {
            assert_eq!(avi.read(&mut frame).unwrap(), Status::Frame);
        }
        assert_eq!(avi.read(&mut frame).unwrap(), Status::End);
    }

    #[test]
    fn an_unfinished_file_has_its_pictures() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = AviWriter::new(&mut file, 24, 16, Rate::IMAGES).unwrap();
        for shade in 0..3 {
            writer.push(&jpeg(24, 16, shade)).unwrap();
        }
        drop(writer);
        let mut avi = AviReader::new(file, "test", None).unwrap();
        assert_eq!(avi.len(), None);
        let mut frame = Frame::default();
        for _ in 0..3 {
            assert_eq!(avi.read(&mut frame).unwrap(), Status::Frame);
        }
        assert_eq!(avi.read(&mut frame).unwrap(), Status::End);
    }

    #[test]
    fn a_checkpoint_counts_and_hides_nothing_behind_it() {
        // In the first segment, and in a later one.
        for segment_limit in [SEGMENT, 1] {
            let mut file = Cursor::new(Vec::new());
            let mut writer = AviWriter::new(&mut file, 24, 16, Rate::IMAGES).unwrap();
            writer.segment_limit = segment_limit;
            for shade in 0..5 {
                writer.push(&jpeg(24, 16, shade)).unwrap();
                if shade == 3 {
                    writer.checkpoint().unwrap();
                }
            }
            drop(writer);
            let mut avi = AviReader::new(file, "test", None).unwrap();
            assert_eq!(avi.len(), Some(4));
            let mut frame = Frame::default();
            for _ in 0..5 {
                assert_eq!(avi.read(&mut frame).unwrap(), Status::Frame);
            }
            assert_eq!(avi.read(&mut frame).unwrap(), Status::End);
        }
    }

    #[test]
    fn checkpoints_leave_no_trace_in_a_finished_file() {
        let pictures: Vec<_> = (0..12).map(|shade| jpeg(24, 16, shade * 20)).collect();
        for segment_limit in [SEGMENT, HEADER + 2200, 1] {
            let rate = Rate::new(30_000, 1001).unwrap();
            let mut writer = AviWriter::new(Cursor::new(Vec::new()), 24, 16, rate).unwrap();
            writer.segment_limit = segment_limit;
            for picture in &pictures {
                writer.push(picture).unwrap();
                writer.checkpoint().unwrap();
            }
            let file = writer.finish().unwrap().into_inner();
            assert!(file == write(segment_limit, &pictures), "{segment_limit}");
        }
    }
}
