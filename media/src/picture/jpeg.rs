//! Decodes JPEG to the same RGB pixels as libjpeg-turbo (and so Pillow and OpenCV): baseline, extended
//! and progressive Huffman coding, 8 bits, 1, 3 or 4 components.
//!
//! Strict: every coefficient must be in the file. Bounded: a size that the bytes cannot fill is refused
//! before memory is allocated. docs/adr/0012-own-jpeg-decoder.md has the reasons and measurements.

mod bits;
mod frame;
mod huffman;
mod idct;
mod output;
mod rows;
mod scan;

use image::metadata::Orientation;

use crate::picture::Error;
use frame::FrameHeader;
use huffman::{Class, Table};
use scan::Scan;

/// The first byte of every marker.
const MARK: u8 = 0xff;

/// The most scans of a progressive picture, each of which may cover all of it. libjpeg's encoder writes
/// 10, its fuzzers stop at 500.
const MAX_SCANS: usize = 100;

/// Zigzag order to rows from the top.
#[rustfmt::skip]
const NATURAL: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A decoded JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jpeg {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// The EXIF orientation.
    pub(crate) orientation: Orientation,
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::Damaged(format!("a damaged JPEG: {reason}"))
}

/// Decodes a JPEG as it is stored; `rgb` becomes as long as it needs.
pub(crate) fn decode(bytes: &[u8], rgb: &mut Vec<u8>) -> Result<Jpeg, Error> {
    let mut decoder = Decoder {
        bytes,
        at: 2,
        quant: [None; 4],
        dc: [const { None }; 4],
        ac: [const { None }; 4],
        restart: 0,
        jfif: false,
        adobe: None,
        exif: None,
        frame: None,
        scans: 0,
    };
    decoder.run(rgb)
}

/// The state of decoding.
struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Quantisation steps, rows from the top.
    quant: [Option<[i16; 64]>; 4],
    dc: [Option<Box<Table>>; 4],
    ac: [Option<Box<Table>>; 4],
    /// Groups of blocks between two restart markers; 0 if there are none.
    restart: usize,
    jfif: bool,
    /// The colour transform in Adobe's segment.
    adobe: Option<u8>,
    exif: Option<&'a [u8]>,
    frame: Option<FrameHeader>,
    scans: usize,
}

impl<'a> Decoder<'a> {
    /// Reads segments until the picture is complete. The rest of the file is ignored, a missing end
    /// marker too.
    fn run(&mut self, rgb: &mut Vec<u8>) -> Result<Jpeg, Error> {
        if !self.bytes.starts_with(&[MARK, 0xd8]) {
            return Err(damaged("it does not begin with `ffd8`"));
        }
        loop {
            match self.marker()? {
                0x01 => {}
                0xc0..=0xc2 if self.frame.is_some() => {
                    return Err(damaged("a second frame header"));
                }
                marker @ 0xc0..=0xc2 => {
                    self.frame = Some(FrameHeader::read(self.segment()?, marker)?);
                }
                0xc4 => {
                    let body = self.segment()?;
                    self.huffman(body)?;
                }
                0xdb => {
                    let body = self.segment()?;
                    self.quantisation(body)?;
                }
                0xdd => match self.segment()? {
                    &[high, low] => self.restart = usize::from(u16::from_be_bytes([high, low])),
                    _ => return Err(damaged("a restart interval of other than 2 bytes")),
                },
                0xda => {
                    if let Some(jpeg) = self.scan(rgb)? {
                        return Ok(jpeg);
                    }
                }
                0xe0 => {
                    let body = self.segment()?;
                    self.jfif |= body.starts_with(b"JFIF\0") && body.len() >= 14;
                }
                0xe1 => {
                    let exif = self.segment()?.strip_prefix(b"Exif\0\0");
                    self.exif = self.exif.or(exif);
                }
                0xee => {
                    let body = self.segment()?;
                    if body.starts_with(b"Adobe") && body.len() >= 12 {
                        self.adobe = Some(body[11]);
                    }
                }
                0xe2..=0xef | 0xfe | 0xdc => drop(self.segment()?),
                0xd9 => return Err(self.unfinished("it ends")),
                0xd8 => return Err(self.unfinished("another one begins")),
                0xc9..=0xcf => {
                    return Err(unsupported("arithmetic coding"));
                }
                0xc3 => return Err(unsupported("lossless coding")),
                0xc5..=0xc7 | 0xde | 0xdf => return Err(unsupported("hierarchical coding")),
                marker => return Err(damaged(format!("unexpected marker `ff{marker:02x}`"))),
            }
        }
    }

    fn unfinished(&self, what: &str) -> Error {
        damaged(match &self.frame {
            None => format!("{what} before its size"),
            Some(frame) => match frame.missing() {
                Some(missing) => format!("{what} before {missing}"),
                None => what.to_owned(),
            },
        })
    }

    /// Reads a marker; its second byte.
    fn marker(&mut self) -> Result<u8, Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let marks = rest.iter().take_while(|&&byte| byte == MARK).count();
        match rest.get(marks) {
            None => Err(self.unfinished("it is cut off")),
            Some(byte) if marks == 0 => Err(damaged(format!(
                "`{byte:02x}` at byte {} in place of a marker",
                self.at
            ))),
            Some(&marker) => {
                self.at += marks + 1;
                Ok(marker)
            }
        }
    }

    /// Reads a segment, which begins with its length.
    fn segment(&mut self) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.at..];
        let Some(&[high, low]) = rest.first_chunk() else {
            return Err(self.unfinished("it is cut off"));
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(damaged("a segment shorter than its length"));
        }
        let Some(body) = rest.get(2..length) else {
            return Err(self.unfinished("it is cut off"));
        };
        self.at += length;
        Ok(body)
    }

    fn quantisation(&mut self, mut body: &[u8]) -> Result<(), Error> {
        while let Some((&kind, rest)) = body.split_first() {
            let wide = kind >> 4 == 1;
            let size = if wide { 128 } else { 64 };
            let number = usize::from(kind & 15);
            if kind > 0x1f || number > 3 || rest.len() < size {
                return Err(damaged("a broken quantisation table"));
            }
            let mut table = [0; 64];
            for (i, at) in NATURAL.into_iter().enumerate() {
                let step = if wide {
                    u16::from_be_bytes([rest[2 * i], rest[2 * i + 1]])
                } else {
                    u16::from(rest[i])
                };
                // Beyond 15 bits it wraps, as in libjpeg-turbo's vector code.
                table[usize::from(at)] = step as i16;
            }
            self.quant[number] = Some(table);
            body = &rest[size..];
        }
        Ok(())
    }

    fn huffman(&mut self, mut body: &[u8]) -> Result<(), Error> {
        while let Some((&kind, rest)) = body.split_first() {
            let (class, number) = (kind >> 4, usize::from(kind & 15));
            let Some((counts, rest)) = rest.split_first_chunk::<16>() else {
                return Err(damaged("a broken Huffman table"));
            };
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            if class > 1 || number > 3 || rest.len() < total {
                return Err(damaged("a broken Huffman table"));
            }
            let (class, tables) = match class {
                0 => (Class::Dc, &mut self.dc),
                _ => (Class::Ac, &mut self.ac),
            };
            let table = Table::new(class, counts, &rest[..total])?;
            tables[number] = Some(Box::new(table));
            body = &rest[total..];
        }
        Ok(())
    }

    /// Reads a scan; returns the picture if it is complete with it.
    fn scan(&mut self, rgb: &mut Vec<u8>) -> Result<Option<Jpeg>, Error> {
        let header = self.segment()?;
        let Some(frame) = &mut self.frame else {
            return Err(damaged("a scan before the frame header"));
        };
        self.scans += 1;
        if self.scans > MAX_SCANS {
            return Err(Error::Unsupported(format!(
                "a JPEG of more than {MAX_SCANS} scans, the limit"
            )));
        }
        let scan = Scan::read(header, frame)?;
        for part in &scan.parts {
            let number = frame.components[part.component].quant_number;
            let quant = &mut frame.components[part.component].quant;
            // A later table of that number is not for coefficients of earlier scans.
            *quant = quant.or(self.quant[number]);
            if quant.is_none() {
                return Err(damaged(format!("no quantisation table {number}")));
            }
            if scan.needs(Class::Dc) {
                supply(&mut self.dc, Class::Dc, part.dc)?;
            }
            if scan.needs(Class::Ac) {
                supply(&mut self.ac, Class::Ac, part.ac)?;
            }
        }
        let tables = scan::Tables {
            dc: &self.dc,
            ac: &self.ac,
            restart: self.restart,
        };
        let rest = self.bytes.len() - self.at;
        scan.check_bytes(frame, &tables, self.scans == 1, rest)?;
        let colours = frame.colours(self.jfif, self.adobe);
        let bits = bits::Bits::new(self.bytes, self.at);
        if !scan.progressive && scan.parts.len() == frame.components.len() && self.scans == 1 {
            scan.decode(frame, &tables, bits, colours, rgb)?;
        } else {
            self.at = scan.store(frame, &tables, bits)?;
            if frame.missing().is_some() {
                return Ok(None);
            }
            frame.write(colours, rgb);
        }
        Ok(Some(Jpeg {
            width: frame.width,
            height: frame.height,
            orientation: self
                .exif
                .and_then(Orientation::from_exif_chunk)
                .unwrap_or(Orientation::NoTransforms),
        }))
    }
}

/// Supplies the standard table `number` if it is missing.
fn supply(tables: &mut [Option<Box<Table>>; 4], class: Class, number: usize) -> Result<(), Error> {
    if tables[number].is_none() {
        tables[number] = huffman::standard(class, number).map(Box::new);
    }
    match tables[number] {
        Some(_) => Ok(()),
        None => Err(damaged(format!("no Huffman table {class:?} {number}"))),
    }
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported(format!(
        "a JPEG with {what}, wanted baseline or progressive Huffman coding of 8 bits"
    ))
}

#[cfg(test)]
mod tests;
