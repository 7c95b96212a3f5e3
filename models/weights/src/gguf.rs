//! GGUF of version 2 or 3: metadata, tensor infos, then aligned data.
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>)

use crate::walk::Walk;
use crate::{Element, HeaderError, MAX_NAME, MAX_TENSORS, ReadAt, Tensor, Visitor};

const MAGIC: [u8; 4] = *b"GGUF";
/// Versions in use, in either byte order.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;
/// Versions that are read: earlier counts have 32 bits, and files for big-endian machines do not run on this one.
const READ_VERSIONS: std::ops::RangeInclusive<u32> = 2..=3;
const ALIGNMENT_KEY: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ENTRIES: u64 = 1 << 16;
/// Elements of all arrays of texts, each of which is a step: tokenizers have some hundred thousand.
const MAX_TEXTS: u64 = 1 << 23;
/// Arrays of texts that are told rather than passed over: lists of languages and tags, not vocabularies.
const TOLD_ARRAYS: &str = "general.";
/// Most texts of such an array that are told.
const MAX_TOLD_TEXTS: u64 = 256;
const MAX_DIMENSIONS: u32 = 8;

mod kind {
    pub(super) const U32: u32 = 4;
    pub(super) const F32: u32 = 6;
    pub(super) const BOOL: u32 = 7;
    pub(super) const TEXT: u32 = 8;
    pub(super) const ARRAY: u32 = 9;
    pub(super) const F64: u32 = 12;
}

/// Whether the first eight bytes are those of a GGUF file.
pub(crate) fn detect(head: [u8; 8]) -> bool {
    let [a, b, c, d, version @ ..] = head;
    let is_version = VERSIONS.contains(&u32::from_le_bytes(version)) || VERSIONS.contains(&u32::from_be_bytes(version));
    [a, b, c, d] == MAGIC && is_version
}

pub(crate) fn read(source: &dyn ReadAt, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
    let mut reader = Reader {
        walk: Walk::new(source),
        texts: MAX_TEXTS,
        alignment: DEFAULT_ALIGNMENT,
    };
    let walk = &mut reader.walk;
    if walk.array()? != MAGIC || !READ_VERSIONS.contains(&walk.u32()?) {
        return Err(walk.malformed());
    }
    let (count, entries) = (walk.u64()?, walk.u64()?);
    if count > MAX_TENSORS || entries > MAX_ENTRIES {
        return Err(walk.malformed());
    }
    for _ in 0..entries {
        reader.entry(visitor)?;
    }
    // Where the data starts is known only after the last info, so the infos are read twice.
    let infos = reader.walk.position();
    for _ in 0..count {
        reader.info()?;
    }
    let walk = &mut reader.walk;
    let data = walk.position().checked_next_multiple_of(reader.alignment);
    let data = data.ok_or_else(|| walk.malformed())?;
    walk.seek(infos)?;
    for _ in 0..count {
        let info = reader.info()?;
        let out_of_range = || reader.walk.malformed();
        let start = data.checked_add(info.offset).ok_or_else(out_of_range)?;
        let len = info.element.bytes(info.elements).unwrap_or(0);
        visitor.tensor(&Tensor {
            name: &info.name,
            element: info.element,
            elements: info.elements,
            bytes: start..start.checked_add(len).ok_or_else(out_of_range)?,
        });
    }
    Ok(())
}

/// What is said of a tensor.
struct Info {
    name: Vec<u8>,
    element: Element,
    elements: u64,
    /// From the start of the data.
    offset: u64,
}

struct Reader<'a> {
    walk: Walk<'a>,
    /// How many texts of arrays may still be walked over.
    texts: u64,
    alignment: u64,
}

impl Reader<'_> {
    fn info(&mut self) -> Result<Info, HeaderError> {
        let walk = &mut self.walk;
        let len = walk.u64()?;
        let name = walk.bytes(len, MAX_NAME)?;
        let dimensions = walk.u32()?;
        if dimensions > MAX_DIMENSIONS {
            return Err(walk.malformed());
        }
        let mut elements = 1_u64;
        for _ in 0..dimensions {
            let dimension = walk.u64()?;
            elements = elements.checked_mul(dimension).ok_or_else(|| walk.malformed())?;
        }
        let element = Element::of_ggml(walk.u32()?);
        Ok(Info {
            name,
            element,
            elements,
            offset: walk.u64()?,
        })
    }

    /// A key and its value.
    fn entry(&mut self, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
        let len = self.walk.u64()?;
        let key = self.walk.bytes(len, MAX_NAME)?;
        let key = String::from_utf8(key).map_err(|_| self.walk.malformed())?;
        let kind = self.walk.u32()?;
        if kind == kind::ARRAY {
            return self.array(&key, visitor);
        }
        let value = match kind {
            kind::TEXT => {
                let len = self.walk.u64()?;
                self.walk.text(len)?
            }
            kind::F32 => Some(f32::from_le_bytes(self.walk.array()?).to_string()),
            kind::F64 => Some(f64::from_le_bytes(self.walk.array()?).to_string()),
            kind::BOOL => Some((self.walk.array()? != [0]).to_string()),
            kind => Some(self.integer(kind)?.to_string()),
        };
        if kind == kind::U32 && key == ALIGNMENT_KEY {
            let alignment = value.as_deref().and_then(|text| text.parse().ok());
            self.alignment = alignment
                .filter(|alignment| *alignment > 0)
                .ok_or_else(|| self.walk.malformed())?;
        }
        if let Some(value) = value {
            visitor.property(&key, &value);
        }
        Ok(())
    }

    fn integer(&mut self, kind: u32) -> Result<i128, HeaderError> {
        let walk = &mut self.walk;
        Ok(match kind {
            0 => u8::from_le_bytes(walk.array()?).into(),
            1 => i8::from_le_bytes(walk.array()?).into(),
            2 => u16::from_le_bytes(walk.array()?).into(),
            3 => i16::from_le_bytes(walk.array()?).into(),
            kind::U32 => u32::from_le_bytes(walk.array()?).into(),
            5 => i32::from_le_bytes(walk.array()?).into(),
            10 => u64::from_le_bytes(walk.array()?).into(),
            11 => i64::from_le_bytes(walk.array()?).into(),
            _ => return Err(walk.malformed()),
        })
    }

    /// An array; those of arrays, which the format allows, are found in no file.
    fn array(&mut self, key: &str, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
        let (kind, count) = (self.walk.u32()?, self.walk.u64()?);
        let size = match kind {
            0 | 1 | kind::BOOL => 1,
            2 | 3 => 2,
            kind::U32..=kind::F32 => 4,
            10..=kind::F64 => 8,
            kind::TEXT => return self.texts(key, count, visitor),
            _ => return Err(self.walk.malformed()),
        };
        let bytes = count.checked_mul(size).ok_or_else(|| self.walk.malformed())?;
        self.walk.skip(bytes)
    }

    fn texts(&mut self, key: &str, count: u64, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
        let left = self.texts.checked_sub(count);
        self.texts = left.ok_or_else(|| self.walk.malformed())?;
        let told = if key.starts_with(TOLD_ARRAYS) {
            MAX_TOLD_TEXTS
        } else {
            0
        };
        for index in 0..count {
            let len = self.walk.u64()?;
            if index >= told {
                self.walk.skip(len)?;
            } else if let Some(text) = self.walk.text(len)? {
                visitor.property(key, &text);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::visitor::Told;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }

    /// A header with an alignment of 64, a name, two arrays of texts, a Q4_0 tensor of 64 and an F32 tensor of 3 elements.
    fn header() -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend_from_slice(&2_u64.to_le_bytes());
        out.extend_from_slice(&4_u64.to_le_bytes());
        text(&mut out, "general.alignment");
        out.extend_from_slice(&4_u32.to_le_bytes());
        out.extend_from_slice(&64_u32.to_le_bytes());
        text(&mut out, "general.name");
        out.extend_from_slice(&8_u32.to_le_bytes());
        text(&mut out, "tiny");
        for key in ["tokens", "general.languages"] {
            text(&mut out, key);
            out.extend_from_slice(&9_u32.to_le_bytes());
            out.extend_from_slice(&8_u32.to_le_bytes());
            out.extend_from_slice(&2_u64.to_le_bytes());
            text(&mut out, "en");
            text(&mut out, "de");
        }
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
    fn finds_tensors_and_properties() {
        let header = header();
        let data = (header.len() as u64).next_multiple_of(64);
        let told = Told::by(read, &header).unwrap();
        let spans: Vec<_> = told
            .tensors
            .iter()
            .map(|tensor| {
                (
                    tensor.name.as_str(),
                    tensor.element.name(),
                    tensor.elements,
                    tensor.bytes.clone(),
                )
            })
            .collect();
        assert_eq!(
            spans,
            [
                ("q", "Q4_0", 64, data..data + 36),
                ("f", "F32", 3, data + 64..data + 76)
            ]
        );
        let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            told.properties,
            [
                property("general.alignment", "64"),
                property("general.name", "tiny"),
                property("general.languages", "en"),
                property("general.languages", "de"),
            ]
        );
    }

    #[test]
    fn every_truncation_is_malformed() {
        let header = header();
        for len in 0..header.len() {
            let told = Told::by(read, &header[..len].to_vec());
            assert!(matches!(told, Err(HeaderError::Malformed { .. })), "{len}");
        }
    }

    #[test]
    fn lying_counts_are_malformed() {
        for position in [8, 16, 24, header().len() - 8] {
            let mut bytes = header();
            bytes[position..position + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert!(
                matches!(Told::by(read, &bytes), Err(HeaderError::Malformed { .. })),
                "{position}"
            );
        }
        let mut bytes = header();
        let alignment = 24 + 8 + 17 + 4;
        bytes[alignment..alignment + 4].fill(0);
        assert!(matches!(Told::by(read, &bytes), Err(HeaderError::Malformed { .. })));
    }

    #[test]
    fn detection_takes_both_byte_orders() {
        assert!(detect(*b"GGUF\x03\0\0\0") && detect(*b"GGUF\0\0\0\x02"));
        assert!(!detect(*b"GGUF\x09\0\0\0") && !detect(*b"GGML\x03\0\0\0"));
        let read_big = Told::by(read, &b"GGUF\0\0\0\x03".to_vec());
        assert!(matches!(read_big, Err(HeaderError::Malformed { .. })));
    }
}
