//! Huffman tables.

use super::bits::{Bits, extend};
use super::{Error, damaged};

/// Codes of up to this many bits are looked up; longer ones are rare and searched.
const LOOK: u32 = 10;

/// The symbols of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Sizes of differences of the coefficient 0.
    Dc,
    /// A run of zeros, and the size of the coefficient behind it.
    Ac,
}

#[derive(Clone)]
pub(super) struct Table {
    /// By the next [`LOOK`] bits: length of the code << 8 | symbol; 0 if the code is longer.
    codes: [u16; 1 << LOOK],
    /// By the next [`LOOK`] bits, if code and coefficient both lie in them: coefficient << 16 | run
    /// << 8 | length of both; 0 otherwise.
    pairs: [i32; 1 << LOOK],
    /// By length: the highest code, -1 if there is none; and the offset from a code to the index of its
    /// symbol.
    highest: [i32; 17],
    offset: [i32; 17],
    symbols: [u8; 256],
    /// The fewest bits that a symbol takes together with the number behind it.
    pub(super) least: u32,
}

impl Table {
    /// `counts` codes of each length from 1 to 16; their symbols in the order of the codes.
    pub(super) fn new(class: Class, counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Error> {
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        if total > 256 || total != symbols.len() || total == 0 {
            return Err(damaged(format!("a Huffman table of {total} codes")));
        }
        if class == Class::Dc
            && let Some(symbol) = symbols.iter().find(|&&symbol| symbol > 15)
        {
            return Err(damaged(format!(
                "a Huffman table with the size {symbol}, wanted at most 15"
            )));
        }
        let mut table = Self {
            codes: [0; 1 << LOOK],
            pairs: [0; 1 << LOOK],
            highest: [-1; 17],
            offset: [0; 17],
            symbols: [0; 256],
            least: u32::MAX,
        };
        table.symbols[..total].copy_from_slice(symbols);
        let (mut code, mut at) = (0u32, 0);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            table.offset[length as usize] = at as i32 - code as i32;
            for &symbol in &symbols[at..at + count] {
                if code >> length != 0 {
                    return Err(damaged("a Huffman table of more codes than bits have"));
                }
                let size = u32::from(symbol & 15);
                table.least = table.least.min(length + size);
                if length <= LOOK {
                    table.look_up(code, length, symbol);
                }
                code += 1;
            }
            if count > 0 {
                table.highest[length as usize] = code as i32 - 1;
            }
            at += count;
            code <<= 1;
        }
        Ok(table)
    }

    fn look_up(&mut self, code: u32, length: u32, symbol: u8) {
        let free = LOOK - length;
        let first = (code << free) as usize;
        let size = u32::from(symbol & 15);
        for low in 0..1 << free {
            self.codes[first + low] = (length << 8) as u16 | u16::from(symbol);
            if size <= free {
                let number = extend((low as u32) >> (free - size), size);
                let run = i32::from(symbol >> 4);
                self.pairs[first + low] = number << 16 | run << 8 | (length + size) as i32;
            }
        }
    }

    /// The next symbol. At least 16 bits stay filled.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits) -> Result<u8, Error> {
        bits.fill();
        let entry = self.codes[bits.peek(LOOK) as usize];
        if entry != 0 {
            bits.skip(u32::from(entry >> 8));
            return Ok(entry as u8);
        }
        self.long(bits)
    }

    #[inline(never)]
    fn long(&self, bits: &mut Bits) -> Result<u8, Error> {
        for length in LOOK + 1..=16 {
            let code = bits.peek(length) as i32;
            if code <= self.highest[length as usize] {
                bits.skip(length);
                let at = code + self.offset[length as usize];
                return Ok(self.symbols[at as usize & 255]);
            }
        }
        // Zeros after the end may be no code: then the data ends early.
        bits.check()?;
        Err(damaged("bits that are no Huffman code"))
    }

    /// The next run of zeros and the coefficient after it; a coefficient of 0 means that the run is the
    /// upper half of a symbol.
    #[inline(always)]
    pub(super) fn pair(&self, bits: &mut Bits) -> Result<(usize, i32), Error> {
        bits.fill();
        let entry = self.pairs[bits.peek(LOOK) as usize];
        if entry != 0 {
            bits.skip(entry as u32 & 0xff);
            return Ok((entry as usize >> 8 & 0xff, entry >> 16));
        }
        let symbol = self.symbol(bits)?;
        Ok((
            usize::from(symbol >> 4),
            bits.number(u32::from(symbol & 15)),
        ))
    }
}

/// The tables of T.81, annex K.3.3, for luma (0) and chroma (1), which Motion-JPEG may omit.
pub(super) fn standard(class: Class, number: usize) -> Option<Table> {
    let (counts, symbols): (&[u8; 16], &[u8]) = match (class, number) {
        (Class::Dc, 0) => (
            &[0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        ),
        (Class::Dc, 1) => (
            &[0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
            &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
        ),
        (Class::Ac, 0) => (&[0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d], &LUMA),
        (Class::Ac, 1) => (
            &[0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
            &CHROMA,
        ),
        _ => return None,
    };
    Table::new(class, counts, symbols).ok()
}

#[rustfmt::skip]
const LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[rustfmt::skip]
const CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
