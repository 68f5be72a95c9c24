//! A scan: its header, and the coefficients of its blocks.

use super::bits::Bits;
use super::frame::{FrameHeader, NEVER};
use super::huffman::{Class, Table};
use super::rows::Colours;
use super::{Error, NATURAL, damaged};

/// The most blocks in a group, by T.81, B.2.3.
const MAX_BLOCKS: usize = 10;

pub(super) struct Scan {
    pub(super) parts: Vec<Part>,
    pub(super) progressive: bool,
    /// Coefficients in zigzag order, first and last.
    first: usize,
    last: usize,
    /// The lowest bit that is read, and that of the scan before; 0 if there is none.
    low: u32,
    high: u32,
}

/// One component's part of a scan.
pub(super) struct Part {
    pub(super) component: usize,
    /// Numbers of its Huffman tables.
    pub(super) dc: usize,
    pub(super) ac: usize,
}

pub(super) struct Tables<'a> {
    pub(super) dc: &'a [Option<Box<Table>>; 4],
    pub(super) ac: &'a [Option<Box<Table>>; 4],
    /// Groups between restart markers, or 0.
    pub(super) restart: usize,
}

impl Tables<'_> {
    fn dc(&self, part: &Part) -> &Table {
        self.dc[part.dc].as_ref().expect("supplied before the scan")
    }

    fn ac(&self, part: &Part) -> &Table {
        self.ac[part.ac].as_ref().expect("supplied before the scan")
    }
}

impl Scan {
    /// Reads a scan's header, and records its coefficients in `frame`.
    pub(super) fn read(header: &[u8], frame: &mut FrameHeader) -> Result<Self, Error> {
        let count = usize::from(header.first().copied().unwrap_or_default());
        if !(1..=4).contains(&count) || header.len() != 4 + 2 * count {
            return Err(damaged("a broken scan header"));
        }
        let (parts, _) = header[1..=2 * count].as_chunks::<2>();
        let mut scan = Self {
            parts: Vec::new(),
            progressive: frame.progressive,
            first: usize::from(header[2 * count + 1]),
            last: usize::from(header[2 * count + 2]),
            high: u32::from(header[2 * count + 3] >> 4),
            low: u32::from(header[2 * count + 3] & 15),
        };
        for &[id, tables] in parts {
            let component = frame.components.iter().position(|part| part.id == id);
            let component =
                component.ok_or_else(|| damaged(format!("a scan of an unknown component {id}")))?;
            if scan.parts.iter().any(|part| part.component == component) {
                return Err(damaged(format!("a scan with component {id} twice")));
            }
            let (dc, ac) = (usize::from(tables >> 4), usize::from(tables & 15));
            if dc > 3 || ac > 3 {
                return Err(damaged("a scan with a Huffman table above 3"));
            }
            scan.parts.push(Part { component, dc, ac });
        }
        let blocks = |part: &Part| {
            let component = &frame.components[part.component];
            component.h * component.v
        };
        if count > 1 && scan.parts.iter().map(blocks).sum::<usize>() > MAX_BLOCKS {
            return Err(damaged(format!(
                "a scan of more than {MAX_BLOCKS} blocks a group"
            )));
        }
        if !scan.progressive {
            // The only possible values; libjpeg ignores the stated ones too.
            (scan.first, scan.last, scan.high, scan.low) = (0, 63, 0, 0);
        }
        scan.note(frame)?;
        Ok(scan)
    }

    /// Records in `frame` which coefficients the scan has; each bit of each has to come once.
    fn note(&self, frame: &mut FrameHeader) -> Result<(), Error> {
        let Self {
            first,
            last,
            low,
            high,
            ..
        } = *self;
        let wrong = || {
            damaged(format!(
                "a scan of coefficients {first} to {last}, bits {high} to {low}, out of order"
            ))
        };
        let range_is_right = match (self.progressive, first) {
            (false, _) => true,
            (true, 0) => last == 0,
            (true, _) => first <= last && last <= 63 && self.parts.len() == 1,
        };
        if !range_is_right || low > 13 || (high != 0 && high != low + 1) {
            return Err(wrong());
        }
        let before = if high == 0 { NEVER } else { high as u8 };
        for part in &self.parts {
            let lowest = &mut frame.components[part.component].lowest;
            if first > 0 && lowest[0] == NEVER {
                return Err(wrong());
            }
            for lowest in &mut lowest[first..=last] {
                if *lowest != before {
                    return Err(wrong());
                }
                *lowest = low as u8;
            }
        }
        Ok(())
    }

    /// Whether tables of that class are used.
    pub(super) fn needs(&self, class: Class) -> bool {
        match class {
            Class::Dc => self.first == 0 && self.high == 0,
            Class::Ac => self.last > 0,
        }
    }

    /// Refuses a size that so many bytes cannot fill, before anything is allocated for it.
    pub(super) fn check_bytes(
        &self,
        frame: &FrameHeader,
        tables: &Tables,
        is_first: bool,
        bytes: usize,
    ) -> Result<(), Error> {
        let blocks = |component: usize| {
            let (across, down) = frame.components[component].blocks;
            across as u64 * down as u64
        };
        // A block takes a symbol for its first coefficient and, except in progressive scans, which have
        // runs over blocks, another one for the others.
        let bits = |part: &Part| {
            let dc = if self.needs(Class::Dc) {
                tables.dc(part).least
            } else {
                0
            };
            let ac = if self.progressive {
                0
            } else {
                tables.ac(part).least
            };
            u64::from(dc + ac) * blocks(part.component)
        };
        let mut wanted: u64 = self.parts.iter().map(bits).sum();
        if is_first {
            // The tables of other components are still missing; a symbol has at least a bit.
            let others = (0..frame.components.len())
                .filter(|&at| self.parts.iter().all(|part| part.component != at));
            let each = if self.progressive { 1 } else { 2 };
            wanted += others.map(|at| each * blocks(at)).sum::<u64>();
        }
        let wanted = wanted.div_ceil(8);
        if wanted > bytes as u64 {
            return Err(damaged(format!(
                "{} x {} pixels take at least {wanted} bytes of compressed data, and {bytes} are left",
                frame.width, frame.height
            )));
        }
        Ok(())
    }

    /// Decodes the only scan of a picture to pixels.
    pub(super) fn decode(
        &self,
        frame: &mut FrameHeader,
        tables: &Tables,
        mut bits: Bits,
        colours: Colours,
        rgb: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let parts: Vec<_> = self
            .parts
            .iter()
            .map(|part| {
                let component = &frame.components[part.component];
                let quant = component.quant.expect("set before the scan");
                let size = (component.h, component.v);
                (
                    part.component,
                    size,
                    quant,
                    tables.dc(part),
                    tables.ac(part),
                )
            })
            .collect();
        let mut restarts = Restarts::new(tables.restart);
        let mut before = [0i32; 4];
        let mut block = [0i16; 64];
        let mut output = frame.output(colours, rgb);
        for group_y in 0..frame.groups.1 {
            for group_x in 0..frame.groups.0 {
                let mut group = || {
                    if restarts.next(&mut bits)? {
                        before = [0; 4];
                    }
                    for ((component, (h, v), quant, dc, ac), before) in
                        parts.iter().zip(&mut before)
                    {
                        for y in 0..*v {
                            for x in 0..*h {
                                let last = sequential(&mut block, before, dc, ac, &mut bits)?;
                                let at = (group_x * h + x, y);
                                if last == 0 {
                                    output.flat_block(*component, at, block[0], quant[0]);
                                } else {
                                    output.block(*component, at, &block, quant);
                                    block = [0; 64];
                                }
                            }
                        }
                    }
                    bits.check()
                };
                group().map_err(|error| frame.at(error, group_y))?;
            }
            output.finish_groups();
        }
        bits.finish().map(drop)
    }

    /// Decodes one of several scans and stores its coefficients; returns where its data ends.
    pub(super) fn store(
        &self,
        frame: &mut FrameHeader,
        tables: &Tables,
        mut bits: Bits,
    ) -> Result<usize, Error> {
        for part in &self.parts {
            frame.keep(part.component);
        }
        let single = self.parts.len() == 1;
        // A scan of one component has only the blocks with pixels.
        let (across, down) = if single {
            frame.components[self.parts[0].component].blocks
        } else {
            frame.groups
        };
        let mut restarts = Restarts::new(tables.restart);
        let mut before = [0i32; 4];
        let mut run = 0;
        for group_y in 0..down {
            for group_x in 0..across {
                let mut group = || {
                    if restarts.next(&mut bits)? {
                        before = [0; 4];
                        run = 0;
                    }
                    for (part, before) in self.parts.iter().zip(&mut before) {
                        let component = &mut frame.components[part.component];
                        let (h, v) = if single {
                            (1, 1)
                        } else {
                            (component.h, component.v)
                        };
                        for y in group_y * v..(group_y + 1) * v {
                            for x in group_x * h..(group_x + 1) * h {
                                let at = y * component.padded.0 + x;
                                let block = &mut component.coefficients[at];
                                self.block(block, part, tables, &mut bits, before, &mut run)?;
                            }
                        }
                    }
                    bits.check()
                };
                let done = group();
                done.map_err(|error| {
                    let v = frame.components[self.parts[0].component].v;
                    frame.at(error, if single { group_y / v } else { group_y })
                })?;
            }
        }
        bits.finish()
    }

    /// Reads the part of a block in this scan.
    fn block(
        &self,
        block: &mut [i16; 64],
        part: &Part,
        tables: &Tables,
        bits: &mut Bits,
        before: &mut i32,
        run: &mut u32,
    ) -> Result<(), Error> {
        match (self.progressive, self.first, self.high) {
            (false, ..) => {
                let (dc, ac) = (tables.dc(part), tables.ac(part));
                sequential(block, before, dc, ac, bits).map(drop)
            }
            (true, 0, 0) => {
                let value = difference(before, tables.dc(part), bits)?;
                block[0] = (value << self.low) as i16;
                Ok(())
            }
            (true, 0, _) => {
                block[0] |= i16::from(bits.bit()) << self.low;
                Ok(())
            }
            (true, _, 0) => self.first_bits(block, tables.ac(part), bits, run),
            (true, _, _) => self.more_bits(block, tables.ac(part), bits, run),
        }
    }

    /// The first scan of some coefficients: T.81, G.1.2.2. `run` is the number of blocks that have
    /// none of them.
    fn first_bits(
        &self,
        block: &mut [i16; 64],
        table: &Table,
        bits: &mut Bits,
        run: &mut u32,
    ) -> Result<(), Error> {
        if *run > 0 {
            *run -= 1;
            return Ok(());
        }
        let mut at = self.first;
        while at <= self.last {
            let symbol = table.symbol(bits)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && zeros < 15 {
                *run = (1 << zeros) + bits.take(zeros as u32) - 1;
                break;
            }
            at += zeros;
            if at > self.last {
                return Err(beyond());
            }
            if size > 0 {
                block[usize::from(NATURAL[at])] = (bits.number(size) << self.low) as i16;
            }
            at += 1;
        }
        Ok(())
    }

    /// A further bit of some coefficients: T.81, G.1.2.3.
    fn more_bits(
        &self,
        block: &mut [i16; 64],
        table: &Table,
        bits: &mut Bits,
        run: &mut u32,
    ) -> Result<(), Error> {
        let step = 1i16 << self.low;
        let refine = |value: &mut i16, bits: &mut Bits| {
            if bits.bit() && *value & step == 0 {
                *value = value.wrapping_add(if *value >= 0 { step } else { -step });
            }
        };
        let mut at = self.first;
        while *run == 0 && at <= self.last {
            let symbol = table.symbol(bits)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let new = match size {
                0 if zeros < 15 => {
                    *run = (1 << zeros) + bits.take(u32::from(zeros));
                    break;
                }
                0 => 0,
                1 if bits.bit() => step,
                1 => -step,
                _ => return Err(damaged("a further bit of more than one")),
            };
            // Over non-zero coefficients, and as many zeros.
            loop {
                if at > self.last {
                    return Err(beyond());
                }
                let value = &mut block[usize::from(NATURAL[at])];
                at += 1;
                if *value != 0 {
                    refine(value, bits);
                } else if zeros == 0 {
                    *value = new;
                    break;
                } else {
                    zeros -= 1;
                }
            }
        }
        if *run > 0 {
            *run -= 1;
            for &at in &NATURAL[at..=self.last] {
                let value = &mut block[usize::from(at)];
                if *value != 0 {
                    refine(value, bits);
                }
            }
        }
        Ok(())
    }
}

fn beyond() -> Error {
    damaged("a coefficient beyond the last of its block")
}

/// The first coefficient, from its difference to that of the previous block.
#[inline(always)]
fn difference(before: &mut i32, table: &Table, bits: &mut Bits) -> Result<i32, Error> {
    let size = u32::from(table.symbol(bits)?);
    *before = before.wrapping_add(bits.number(size));
    Ok(*before)
}

/// Reads a whole block; returns the position of the last non-zero coefficient. `block` must be 0 except
/// its first coefficient.
#[inline(always)]
fn sequential(
    block: &mut [i16; 64],
    before: &mut i32,
    dc: &Table,
    ac: &Table,
    bits: &mut Bits,
) -> Result<usize, Error> {
    block[0] = difference(before, dc, bits)? as i16;
    let (mut at, mut last) = (1, 0);
    while at < 64 {
        let (zeros, value) = ac.pair(bits)?;
        if value == 0 && zeros < 15 {
            break;
        }
        at += zeros;
        if at > 63 {
            return Err(beyond());
        }
        if value != 0 {
            block[usize::from(NATURAL[at]) & 63] = value as i16;
            last = at;
        }
        at += 1;
    }
    Ok(last)
}

/// Counts groups between restart markers.
struct Restarts {
    interval: usize,
    left: usize,
    number: u8,
}

impl Restarts {
    fn new(interval: usize) -> Self {
        Self {
            interval,
            left: interval,
            number: 0,
        }
    }

    /// Before each group: skips a restart marker where one is due; returns whether it was.
    #[inline(always)]
    fn next(&mut self, bits: &mut Bits) -> Result<bool, Error> {
        if self.interval == 0 {
            return Ok(false);
        }
        if self.left > 0 {
            self.left -= 1;
            return Ok(false);
        }
        bits.restart(self.number)?;
        self.number = (self.number + 1) % 8;
        self.left = self.interval - 1;
        Ok(true)
    }
}

impl FrameHeader {
    /// Adds the row of groups to `error`.
    #[cold]
    fn at(&self, error: Error, group: usize) -> Error {
        match error {
            Error::Damaged(reason) => {
                let row = group * self.most.1 * 8;
                Error::Damaged(format!("{reason}, at row {row} of {}", self.height))
            }
            error => error,
        }
    }
}
