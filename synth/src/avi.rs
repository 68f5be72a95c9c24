//! JPEG pictures as a Motion-JPEG AVI file.
//!
//! The device program has a writer of its own, which the trainer does not depend on: it takes
//! pictures as they come, survives a kill and goes on past a gigabyte. A clip that is rendered has
//! all of its pictures at hand, so that nothing but headers, pictures and index is needed here.

use std::io::{self, Write};

/// Bytes before the first picture's chunk, from the word `AVI ` on.
const HEAD: usize = 4 + (8 + 192) + 12;

/// Writes `pictures`, each a JPEG of `width` x `height`, `rate` a second.
///
/// # Errors
/// What `out` says; [`io::ErrorKind::FileTooLarge`] from a gigabyte on.
pub(super) fn write(
    out: &mut impl Write,
    pictures: &[Vec<u8>],
    [width, height]: [u16; 2],
    rate: u32,
) -> io::Result<()> {
    let padded = |picture: &Vec<u8>| picture.len() + picture.len() % 2;
    let movi = 4 + pictures
        .iter()
        .map(|picture| 8 + padded(picture))
        .sum::<usize>();
    let index = 16 * pictures.len();
    if movi + index > 1 << 30 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let name = |text: &[u8; 4]| u32::from_le_bytes(*text);
    let largest = pictures.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let (frames, wide, high) = (pictures.len() as u32, u32::from(width), u32::from(height));
    let riff = (HEAD - 4 + movi + 8 + index) as u32;
    let mut words = vec![name(b"RIFF"), riff, name(b"AVI ")];
    words.extend([name(b"LIST"), 192, name(b"hdrl")]);
    // Flags 0x10: it has an index. One stream.
    words.extend([
        name(b"avih"),
        56,
        1_000_000 / rate,
        largest.saturating_mul(rate),
        0,
        0x10,
    ]);
    words.extend([frames, 0, 1, largest, wide, high, 0, 0, 0, 0]);
    words.extend([name(b"LIST"), 116, name(b"strl")]);
    words.extend([name(b"strh"), 56, name(b"vids"), name(b"MJPG"), 0, 0, 0]);
    words.extend([1, rate, 0, frames, largest, u32::MAX, 0]);
    // The frame's rectangle: left and top, right and bottom, 16 bits each.
    words.extend([0, wide | high << 16]);
    words.extend([name(b"strf"), 40, 40, wide, high, 1 | 24 << 16]);
    words.extend([name(b"MJPG"), wide * high * 3, 0, 0, 0, 0]);
    words.extend([name(b"LIST"), movi as u32, name(b"movi")]);
    for word in words {
        out.write_all(&word.to_le_bytes())?;
    }
    for picture in pictures {
        out.write_all(b"00dc")?;
        out.write_all(&(picture.len() as u32).to_le_bytes())?;
        out.write_all(picture)?;
        out.write_all(&[0][..picture.len() % 2])?;
    }
    out.write_all(b"idx1")?;
    out.write_all(&(index as u32).to_le_bytes())?;
    let mut offset = 4;
    for picture in pictures {
        // Every picture is a key frame: 0x10. Offsets count from the word `movi`.
        for word in [name(b"00dc"), 0x10, offset, picture.len() as u32] {
            out.write_all(&word.to_le_bytes())?;
        }
        offset += 8 + padded(picture) as u32;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_add_up_and_the_index_finds_them() {
        let pictures = [vec![1; 7], vec![2; 8], vec![3; 1]];
        let mut file = Vec::new();
        write(&mut file, &pictures, [24, 16], 10).unwrap();
        let at = |at: usize| u32::from_le_bytes(*file[at..].first_chunk().unwrap()) as usize;
        assert_eq!(at(4) + 8, file.len(), "RIFF");
        assert_eq!(at(16), 192, "hdrl");
        let movi = 20 + at(16) + 8;
        assert_eq!(&file[movi..movi + 4], b"movi");
        let index = movi + at(movi - 4);
        assert_eq!(&file[index..index + 4], b"idx1");
        for (i, picture) in pictures.iter().enumerate() {
            let entry = index + 8 + 16 * i;
            let chunk = movi + at(entry + 8);
            assert_eq!(&file[chunk..chunk + 4], b"00dc");
            assert_eq!(at(entry + 12), picture.len());
            assert_eq!(&file[chunk + 8..][..picture.len()], picture);
        }
    }
}
