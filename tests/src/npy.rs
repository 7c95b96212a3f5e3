//! The part of NumPy's file format that the fixtures use: C order, little endian, format 1.0 to 3.0. A second reader, so that
//! the product's own is not the judge of its output.

use std::path::Path;

/// An array as 64-bit floats.
#[derive(Debug, Clone)]
pub struct Npy {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements in C order.
    pub values: Vec<f64>,
}

impl Npy {
    /// Reads a file.
    ///
    /// # Panics
    /// It is no array of a type that the fixtures use.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let bytes = fs_err::read(path).expect("a .npy file");
        assert_eq!(&bytes[..6], b"\x93NUMPY", "{}", path.display());
        let (length, start) = match bytes[6] {
            1 => (usize::from(u16::from_le_bytes([bytes[8], bytes[9]])), 10),
            _ => (
                u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes")) as usize,
                12,
            ),
        };
        let header = std::str::from_utf8(&bytes[start..start + length]).expect("a header");
        assert!(header.contains("'fortran_order': False"), "{header}");
        let shape: Vec<usize> = between(header, "'shape': (", ")")
            .split(',')
            .filter_map(|part| part.trim().parse().ok())
            .collect();
        let data = &bytes[start + length..];
        let values: Vec<f64> = match between(header, "'descr': '", "'") {
            "<f4" => data
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("4"))))
                .collect(),
            "<f8" => data
                .chunks_exact(8)
                .map(|b| f64::from_le_bytes(b.try_into().expect("8")))
                .collect(),
            "<i8" => data
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().expect("8")) as f64)
                .collect(),
            "<i4" => data
                .chunks_exact(4)
                .map(|b| f64::from(i32::from_le_bytes(b.try_into().expect("4"))))
                .collect(),
            other => panic!("{}: element type {other}", path.display()),
        };
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{}", path.display());
        Self { shape, values }
    }

    /// Rows of the last dimension.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.shape.last().copied().unwrap_or(1).max(1))
    }

    /// The largest absolute difference.
    ///
    /// # Panics
    /// The shapes differ.
    #[must_use]
    pub fn max_difference(&self, other: &Self) -> f64 {
        assert_eq!(self.shape, other.shape);
        let differences = self
            .values
            .iter()
            .zip(&other.values)
            .map(|(left, right)| (left - right).abs());
        // NaN must not pass as small.
        differences.fold(
            0.0,
            |worst, difference| if difference <= worst { worst } else { difference },
        )
    }

    /// The smallest cosine of two rows.
    ///
    /// # Panics
    /// The shapes differ.
    #[must_use]
    pub fn min_cosine(&self, other: &Self) -> f64 {
        assert_eq!(self.shape, other.shape);
        let cosine = |left: &[f64], right: &[f64]| {
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            dot(left, right) / (dot(left, left).sqrt() * dot(right, right).sqrt())
        };
        self.rows()
            .zip(other.rows())
            .map(|(left, right)| cosine(left, right))
            .fold(1.0, f64::min)
    }

    /// The index of the largest element of each row.
    #[must_use]
    pub fn argmax(&self) -> Vec<usize> {
        let best = |row: &[f64]| {
            row.iter()
                .enumerate()
                .max_by(|left, right| left.1.total_cmp(right.1))
                .map_or(0, |(index, _)| index)
        };
        self.rows().map(best).collect()
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("`{before}` is not in {text}"));
    rest.split_once(after).map_or(rest, |(value, _)| value)
}

/// A one-dimensional `.npy` file of 32-bit floats.
#[must_use]
pub fn npy_floats(values: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    npy_array("<f4", &format!("({},)", values.len()), &data)
}

/// A `.npy` file of format 1.0 with these fields, whether or not they make sense.
///
/// # Panics
/// The header is too long for the format.
#[must_use]
pub fn npy_array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).expect("a short header").to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}
