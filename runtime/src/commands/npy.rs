//! NumPy's array file, as far as a matrix of f32 goes: format version 1.0 of
//! `numpy.lib.format`.

use std::io::{self, Write};
use std::path::Path;

use cli::Replacement;

/// Writes `values` as `[rows, columns]`, little-endian, row-major.
///
/// The file appears whole or not at all: it is written beside its place and moved there.
pub(super) fn write(path: &Path, columns: usize, values: &[f32]) -> io::Result<()> {
    let rows = values.len() / columns;
    let shape =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, version and length take 10 bytes; the header ends with a newline at a multiple of 64.
    let padding = (64 - (10 + shape.len() + 1) % 64) % 64;
    let header = format!("{shape}{:padding$}\n", "");
    cli::replace_file(path, Replacement::Private, |file| {
        file.write_all(b"\x93NUMPY\x01\x00")?;
        file.write_all(&(header.len() as u16).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        values
            .iter()
            .try_for_each(|value| file.write_all(&value.to_le_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_that_of_numpy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        write(&path, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.5]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        // As numpy.save(numpy.array([[1, 2, 3], [4, 5, 6.5]], 'f4')) begins.
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
        assert!(
            bytes[10..].starts_with(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }")
        );
        assert_eq!((bytes[127], bytes.len()), (b'\n', 128 + 24));
        assert_eq!(bytes[148..], 6.5f32.to_le_bytes());
    }
}
