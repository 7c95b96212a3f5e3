//! NumPy's `.npy` format, versions 1.0 to 3.0: booleans, integers and floats in either byte order, C and Fortran order in,
//! C order and little-endian out. Objects are refused: reading them would mean running Python.

mod header;

use std::sync::Arc;

use header::Header;

use super::TensorFileError;
use crate::tensor::{ElementType, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";
/// The data begins at a multiple of this, so that it can be mapped.
const ALIGNMENT: usize = 64;
/// NumPy itself refuses to parse longer headers.
const MAX_HEADER_BYTES: usize = 10_000;

/// Reads one array. `bytes` must hold the file and nothing else.
///
/// # Errors
/// When the bytes are no such file, when the type has no [`ElementType`], and when the data is not exactly as long as the
/// shape says.
pub fn read(bytes: &[u8]) -> Result<Tensor, TensorFileError> {
    let cut = |what, needed| TensorFileError::Truncated {
        what,
        needed,
        given: bytes.len(),
    };
    let version = bytes.strip_prefix(MAGIC).ok_or(TensorFileError::Magic)?;
    let (length_bytes, after_length) = match version {
        [1, _, rest @ ..] => (2, rest),
        [2 | 3, _, rest @ ..] => (4, rest),
        [major, minor, ..] => {
            return Err(TensorFileError::Version {
                major: *major,
                minor: *minor,
            });
        }
        _ => return Err(cut("the version", MAGIC.len() + 2)),
    };
    let header_at = MAGIC.len() + 2 + length_bytes;
    let length = after_length
        .get(..length_bytes)
        .ok_or_else(|| cut("the header's length", header_at))?;
    let length = length
        .iter()
        .rev()
        .fold(0, |length, &byte| (length << 8) | usize::from(byte));
    if length > MAX_HEADER_BYTES {
        return Err(TensorFileError::Header {
            what: "it is longer than 10,000 bytes",
        });
    }
    let data_at = header_at + length;
    let header = bytes
        .get(header_at..data_at)
        .ok_or_else(|| cut("the header", data_at))?;
    let header = Header::parse(header)?;
    let needed = Tensor::byte_len(header.element_type, &header.shape)?;
    let data = bytes.get(data_at..).unwrap_or_default();
    if data.len() < needed {
        return Err(cut("the data", data_at.saturating_add(needed)));
    }
    if data.len() > needed {
        return Err(TensorFileError::TrailingData {
            excess: data.len() - needed,
        });
    }
    let mut data = data.to_vec();
    if header.big_endian {
        data.chunks_exact_mut(header.element_type.size_bytes())
            .for_each(<[u8]>::reverse);
    }
    if header.fortran_order && header.shape.len() > 1 {
        data = to_c_order(&data, &header.shape, header.element_type.size_bytes());
    }
    Ok(Tensor::new(header.element_type, header.shape, Arc::new(data))?)
}

/// Writes one array, as `numpy.save` does: version 1.0, C order, little-endian. bfloat16, which NumPy does not have, is
/// written as the 16-bit unsigned integers that hold its bits.
#[must_use]
pub fn write(tensor: &Tensor) -> Vec<u8> {
    let shape: String = match tensor.shape() {
        [] => "()".to_owned(),
        [one] => format!("({one},)"),
        many => format!(
            "({})",
            many.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
    };
    let descr = descr(tensor.element_type());
    let dictionary = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let before = MAGIC.len() + 4;
    // The header ends in a line feed, which the padding comes before.
    let end = (before + dictionary.len() + 1).next_multiple_of(ALIGNMENT);
    let length = end - before;
    let mut bytes = Vec::with_capacity(end + tensor.data().len());
    bytes.extend(MAGIC);
    // 64 dimensions of 20 digits stay far below the 65,535 bytes that version 1.0 can say.
    let [low, high, ..] = length.to_le_bytes();
    bytes.extend([1, 0, low, high]);
    bytes.extend(dictionary.as_bytes());
    bytes.resize(end - 1, b' ');
    bytes.push(b'\n');
    bytes.extend(tensor.data().iter());
    bytes
}

fn descr(element_type: ElementType) -> &'static str {
    match element_type {
        ElementType::F16 => "<f2",
        ElementType::F32 => "<f4",
        ElementType::F64 => "<f8",
        ElementType::U8 => "|u1",
        ElementType::I8 => "|i1",
        ElementType::U16 | ElementType::Bf16 => "<u2",
        ElementType::I16 => "<i2",
        ElementType::U32 => "<u4",
        ElementType::I32 => "<i4",
        ElementType::U64 => "<u8",
        ElementType::I64 => "<i8",
        ElementType::Bool => "|b1",
    }
}

/// Column-major to row-major: walks the result in order and counts the source's offset along.
fn to_c_order(data: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = size;
    for &dim in shape {
        strides.push(stride);
        // The product of the shape was checked: it cannot overflow here.
        stride *= dim;
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0; shape.len()];
    let mut offset = 0;
    while out.len() < data.len() {
        out.extend_from_slice(&data[offset..offset + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            offset += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            offset -= strides[axis] * index[axis];
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
