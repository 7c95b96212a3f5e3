//! safetensors: eight bytes of length, a JSON object of names, types, shapes and offsets, then the data.
//! (<https://github.com/huggingface/safetensors>, "Format")

use std::fmt;
use std::io::{self, BufReader, Read as _};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess};
use serde::{Deserialize, de};

use crate::walk::Walk;
use crate::{Element, HeaderError, MAX_TENSORS, MAX_TEXT, ReadAt, Tensor, Visitor};

/// The longest header that is looked at, in bytes. The format allows 100 MB, which would not fit the memory bound.
const MAX_HEADER: u64 = 32 << 20;
/// The format's own limit for its header, in bytes.
const MAX_FORMAT_HEADER: u64 = 100_000_000;
/// The one key that names no tensor.
const METADATA: &str = "__metadata__";

/// Whether `source` starts with the length of a JSON object that fits in it. Keeps nothing of the object.
pub(crate) fn detect(source: &dyn ReadAt) -> io::Result<bool> {
    let mut walk = Walk::new(source);
    let Ok(len) = walk.u64() else { return Ok(false) };
    if !(2..=MAX_FORMAT_HEADER.min(walk.left())).contains(&len) {
        return Ok(false);
    }
    match serde_json::from_reader::<_, Object>(BufReader::new(walk.take(len))) {
        Ok(Object) => Ok(true),
        Err(error) if error.is_io() => Err(error.into()),
        Err(_) => Ok(false),
    }
}

pub(crate) fn read(source: &dyn ReadAt, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
    let mut walk = Walk::new(source);
    let len = walk.u64()?;
    if !(2..=MAX_HEADER).contains(&len) || len > walk.left() {
        return Err(walk.malformed());
    }
    let header = Header {
        data: walk.position() + len,
        visitor,
    };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(walk.take(len)));
    header
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| match error.is_io() {
            true => HeaderError::Read(error.into()),
            false => HeaderError::Malformed {
                offset: 8 + u64::try_from(error.column()).unwrap_or_default(),
            },
        })
}

/// Any JSON object.
struct Object;

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> de::Visitor<'de> for Object {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self, A::Error> {
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

/// The object of a header, whose tensors are told as they are read.
struct Header<'v> {
    /// Where the data starts: what offsets count from.
    data: u64,
    visitor: &'v mut dyn Visitor,
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Elements,
    data_offsets: (u64, u64),
}

impl<'de> DeserializeSeed<'de> for Header<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> de::Visitor<'de> for Header<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let mut left = MAX_TENSORS;
        while let Some(name) = access.next_key::<String>()? {
            if name == METADATA {
                access.next_value_seed(Metadata(self.visitor))?;
                continue;
            }
            let entry: Entry = access.next_value()?;
            left = left
                .checked_sub(1)
                .ok_or_else(|| A::Error::custom("too many tensors"))?;
            let at = |offset: u64| {
                let sum = self.data.checked_add(offset);
                sum.ok_or_else(|| A::Error::custom("an offset is out of range"))
            };
            self.visitor.tensor(&Tensor {
                name: name.as_bytes(),
                element: Element::of_safetensors(&entry.dtype),
                elements: entry.shape.0,
                bytes: at(entry.data_offsets.0)?..at(entry.data_offsets.1)?,
            });
        }
        Ok(())
    }
}

/// The product of a shape.
struct Elements(u64);

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(1))
    }
}

impl<'de> de::Visitor<'de> for Elements {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a shape")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Self, A::Error> {
        while let Some(dimension) = access.next_element::<u64>()? {
            let product = self.0.checked_mul(dimension);
            self.0 = product.ok_or_else(|| A::Error::custom("a shape is out of range"))?;
        }
        Ok(self)
    }
}

/// The texts beside the tensors, each a property.
struct Metadata<'v>(&'v mut dyn Visitor);

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Other(IgnoredAny),
}

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> de::Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            match value {
                Value::Text(text) if u64::try_from(text.len()).is_ok_and(|len| len <= MAX_TEXT) => {
                    self.0.property(&key, &text);
                }
                Value::Text(_) | Value::Other(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{Format, Summary, visitor::Told};

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn finds_tensors_and_texts() {
        let header = r#"{"__metadata__":{"format":"pt","odd":7},"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#;
        let file = file(header, 8);
        assert!(detect(&file).unwrap());
        let told = Told::by(read, &file).unwrap();
        let data = 8 + header.len() as u64;
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
            [("w", "BF16", 2, data..data + 4), ("b", "F32", 1, data + 4..data + 8)]
        );
        let summary = Summary::read(Format::Safetensors, &file).unwrap();
        assert_eq!((summary.parameters(), summary.value("format")), (3, Some("pt")));
    }

    #[test]
    fn refuses_what_is_not() {
        let offset = r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}}"#;
        let shape = r#"{"w":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,1]}}"#;
        let mut long = file("{}", 0);
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        for bytes in [
            vec![],
            vec![0; 7],
            vec![0; 64],
            long,
            file("[]", 8),
            file("{\"w\":1}", 8),
            file("{\"__metadata__\":[]}", 8),
            file("{}{}", 8),
            file(offset, 8),
            file(shape, 8),
            file(&"[".repeat(100_000), 0),
            file(&"{\"a\":".repeat(100_000), 0),
        ] {
            assert!(
                matches!(Told::by(read, &bytes), Err(HeaderError::Malformed { .. })),
                "{bytes:.40?}"
            );
        }
    }
}
