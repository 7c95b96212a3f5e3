//! Tensors of a GGUF file of version 2 or 3: metadata, tensor infos, then aligned data.
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>)

use super::{
    MAX_TENSORS, Tensor, key,
    walk::{Stop, Walk},
};
use crate::ReadAt;

const MAGIC: [u8; 4] = *b"GGUF";
const ALIGNMENT_KEY: &[u8] = b"general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ENTRIES: u64 = 1 << 16;
/// Elements of all arrays of strings, each of which is a step: tokenizers have some hundred thousand.
const MAX_STRINGS: u64 = 1 << 23;
/// Longest name or key that is looked at, in bytes; the format's own limits are 64 and 65,535.
const MAX_NAME: usize = 65_535;
const MAX_DIMENSIONS: u32 = 8;

const TYPE_U32: u32 = 4;
const TYPE_STRING: u32 = 8;
const TYPE_ARRAY: u32 = 9;

pub(super) fn tensors(source: &dyn ReadAt) -> Result<Vec<Tensor>, Stop> {
    let mut walk = Walk::new(source);
    if walk.array()? != MAGIC || !(2..=3).contains(&walk.u32()?) {
        return Err(Stop::Malformed);
    }
    let (count, entries) = (walk.u64()?, walk.u64()?);
    if count > MAX_TENSORS as u64 || entries > MAX_ENTRIES {
        return Err(Stop::Malformed);
    }
    let mut strings = MAX_STRINGS;
    let mut alignment = DEFAULT_ALIGNMENT;
    for _ in 0..entries {
        let name = string(&mut walk)?;
        match walk.u32()? {
            TYPE_U32 if name == ALIGNMENT_KEY => alignment = u64::from(walk.u32()?),
            kind => skip_value(&mut walk, kind, &mut strings)?,
        }
    }
    let mut infos = Vec::new();
    for _ in 0..count {
        infos.push(Info::read(&mut walk)?);
    }
    let data = walk
        .position()
        .checked_next_multiple_of(alignment)
        .ok_or(Stop::Malformed)?;
    infos.into_iter().map(|info| info.tensor(data)).collect()
}

struct Info {
    key: u64,
    offset: u64,
    /// `None` where the type is unknown: such tensors cannot be measured.
    len: Option<u64>,
    width: u16,
}

impl Info {
    fn read(walk: &mut Walk<'_>) -> Result<Self, Stop> {
        let name = string(walk)?;
        let dimensions = walk.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(Stop::Malformed);
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            elements = elements.checked_mul(walk.u64()?).ok_or(Stop::Malformed)?;
        }
        let kind = walk.u32()?;
        let (block, width) = block(kind).unwrap_or((1, 0));
        let len = elements
            .div_ceil(block)
            .checked_mul(u64::from(width))
            .filter(|len| *len > 0);
        Ok(Self {
            key: key(&name, kind),
            offset: walk.u64()?,
            len,
            width,
        })
    }

    fn tensor(self, data: u64) -> Result<Tensor, Stop> {
        let start = data.checked_add(self.offset).ok_or(Stop::Malformed)?;
        Ok(Tensor {
            key: self.key,
            start,
            end: start.checked_add(self.len.unwrap_or(0)).ok_or(Stop::Malformed)?,
            width: self.width,
        })
    }
}

/// Elements and bytes of a block of a ggml type (ggml.h, `enum ggml_type`, and ggml.c, `type_traits`).
fn block(kind: u32) -> Option<(u64, u16)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        39 => (32, 17),
        _ => return None,
    })
}

fn string(walk: &mut Walk<'_>) -> Result<Vec<u8>, Stop> {
    let len = walk.u64()?;
    walk.bytes(len, MAX_NAME)
}

fn skip_value(walk: &mut Walk<'_>, kind: u32, strings: &mut u64) -> Result<(), Stop> {
    if kind != TYPE_ARRAY {
        return skip_values(walk, kind, 1, strings);
    }
    // Arrays of arrays, which the format allows, are found in no file.
    let (element, count) = (walk.u32()?, walk.u64()?);
    skip_values(walk, element, count, strings)
}

fn skip_values(walk: &mut Walk<'_>, kind: u32, count: u64, strings: &mut u64) -> Result<(), Stop> {
    let size = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        TYPE_STRING => {
            *strings = strings.checked_sub(count).ok_or(Stop::Malformed)?;
            for _ in 0..count {
                let len = walk.u64()?;
                walk.skip(len)?;
            }
            return Ok(());
        }
        _ => return Err(Stop::Malformed),
    };
    walk.skip(count.checked_mul(size).ok_or(Stop::Malformed)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }

    /// A header with an alignment of 64, an array of strings, a Q4_0 tensor of 64 and an F32 tensor of 3 elements.
    fn header() -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend_from_slice(&2_u64.to_le_bytes());
        out.extend_from_slice(&2_u64.to_le_bytes());
        text(&mut out, "general.alignment");
        out.extend_from_slice(&4_u32.to_le_bytes());
        out.extend_from_slice(&64_u32.to_le_bytes());
        text(&mut out, "tokens");
        out.extend_from_slice(&9_u32.to_le_bytes());
        out.extend_from_slice(&8_u32.to_le_bytes());
        out.extend_from_slice(&2_u64.to_le_bytes());
        text(&mut out, "one");
        text(&mut out, "two");
        for (name, kind, elements, offset) in [("q", 2_u32, 64_u64, 0_u64), ("f", 0, 3, 64)] {
            text(&mut out, name);
            out.extend_from_slice(&1_u32.to_le_bytes());
            out.extend_from_slice(&elements.to_le_bytes());
            out.extend_from_slice(&kind.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out
    }

    #[test]
    fn finds_tensors() {
        let header = header();
        let data = (header.len() as u64).next_multiple_of(64);
        let found = tensors(&header).unwrap();
        let spans: Vec<_> = found
            .iter()
            .map(|tensor| (tensor.start - data, tensor.end - data, tensor.width))
            .collect();
        assert_eq!(spans, [(0, 36, 18), (64, 76, 4)]);
    }

    #[test]
    fn every_truncation_is_malformed() {
        let header = header();
        for len in 0..header.len() {
            assert!(
                matches!(tensors(&header[..len].to_vec()), Err(Stop::Malformed)),
                "{len}"
            );
        }
    }

    #[test]
    fn lying_counts_are_malformed() {
        for position in [8, 16, 24, header().len() - 8] {
            let mut bytes = header();
            bytes[position..position + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert!(matches!(tensors(&bytes), Err(Stop::Malformed)), "{position}");
        }
        let mut bytes = header();
        let alignment = 24 + 8 + 17 + 4;
        bytes[alignment..alignment + 4].fill(0);
        assert!(matches!(tensors(&bytes), Err(Stop::Malformed)));
    }
}
