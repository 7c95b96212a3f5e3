//! Tensors of a safetensors file: eight bytes of length, a JSON object of names, types and offsets, then the data.
//! (<https://github.com/huggingface/safetensors>, "Format")

use std::io::{BufReader, Read as _};

use serde::{
    Deserialize,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};

use super::{
    MAX_TENSORS, Tensor, key,
    walk::{Stop, Walk},
};
use crate::ReadAt;

/// The longest header that is looked at, in bytes. The format allows 100 MB, which would not fit the memory bound.
const MAX_HEADER: u64 = 32 << 20;
/// The one key that names no tensor.
const METADATA: &str = "__metadata__";

pub(super) fn tensors(source: &dyn ReadAt) -> Result<Vec<Tensor>, Stop> {
    let mut walk = Walk::new(source);
    let len = walk.u64()?;
    if !(2..=MAX_HEADER).contains(&len) || len > walk.left() {
        return Err(Stop::Malformed);
    }
    let data = walk.position() + len;
    let header = BufReader::new(walk.take(len));
    let Header(entries) = serde_json::from_reader(header).map_err(|error| match error.is_io() {
        true => Stop::Io(error.into()),
        false => Stop::Malformed,
    })?;
    entries
        .into_iter()
        .map(|tensor| {
            let at = |offset: u64| data.checked_add(offset).ok_or(Stop::Malformed);
            Ok(Tensor {
                start: at(tensor.start)?,
                end: at(tensor.end)?,
                ..tensor
            })
        })
        .collect()
}

/// The tensors of a header, with offsets from the start of the data.
struct Header(Vec<Tensor>);

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Header, A::Error> {
        let mut tensors = Vec::new();
        while let Some(name) = access.next_key::<String>()? {
            if name == METADATA {
                access.next_value::<IgnoredAny>()?;
                continue;
            }
            let Entry { dtype, data_offsets } = access.next_value()?;
            if tensors.len() == MAX_TENSORS {
                return Err(A::Error::custom("too many tensors"));
            }
            tensors.push(Tensor {
                key: key(name.as_bytes(), &dtype),
                start: data_offsets.0,
                end: data_offsets.1,
                width: width(&dtype),
            });
        }
        Ok(Header(tensors))
    }
}

fn width(dtype: &str) -> u16 {
    match dtype {
        "F64" | "I64" | "U64" | "C64" => 8,
        "F32" | "I32" | "U32" => 4,
        "F16" | "BF16" | "I16" | "U16" => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    #[test]
    fn finds_tensors() {
        let header = r#"{"__metadata__":{"a":"b"},"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
        let found = tensors(&file(header, 8)).unwrap();
        let data = 8 + header.len() as u64;
        let spans: Vec<_> = found
            .iter()
            .map(|tensor| (tensor.start - data, tensor.end - data, tensor.width))
            .collect();
        assert_eq!(spans, [(0, 4, 2), (4, 8, 4)]);
        assert_eq!(found[0].key, key(b"w", "BF16"));
    }

    #[test]
    fn refuses_what_is_not() {
        let huge = r#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}}"#;
        let mut long = file("{}", 0);
        long[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        for bytes in [
            vec![],
            vec![0; 7],
            vec![0; 64],
            long,
            file("[]", 8),
            file("{\"w\":1}", 8),
            file(huge, 8),
            file(&"[".repeat(100_000), 0),
        ] {
            assert!(matches!(tensors(&bytes), Err(Stop::Malformed)), "{bytes:.40?}");
        }
    }
}
