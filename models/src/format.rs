//! What a file is, by its content: WebAssembly, ONNX, GGUF or safetensors. Extensions are never believed alone.

use std::io::{self, Read, Seek, SeekFrom};

use serde::de::IgnoredAny;

/// Formats of weights.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelFormat {
    /// ONNX (`ModelProto`).
    Onnx,
    /// GGUF.
    Gguf,
    /// safetensors.
    Safetensors,
    /// What the artifact's config calls it, or `unknown`.
    Other(String),
}

impl ModelFormat {
    /// The name that ModelPack configs use.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Onnx => "onnx",
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
            Self::Other(name) => name,
        }
    }

    /// The format of that name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name.to_ascii_lowercase().as_str() {
            "onnx" => Self::Onnx,
            "gguf" => Self::Gguf,
            "safetensors" => Self::Safetensors,
            "" => Self::Other("unknown".to_owned()),
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// A core WebAssembly module, version 1.
    Module,
    /// A WebAssembly component.
    Component,
    /// WebAssembly of another version.
    OtherWasm,
    /// A native object: what wasmtime's precompiled modules are.
    Native,
    /// Weights.
    Weights(ModelFormat),
    /// None of these.
    Unknown,
}

const WASM_MAGIC: &[u8] = b"\0asm";
const MODULE_VERSION: &[u8] = &[1, 0, 0, 0];
const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
const ELF_MAGIC: &[u8] = b"\x7fELF";
const GGUF_MAGIC: &[u8] = b"GGUF";
/// Versions of GGUF in use, in either byte order.
const GGUF_VERSIONS: std::ops::RangeInclusive<u32> = 1..=3;
/// The format's own limit for its header, in bytes.
const MAX_SAFETENSORS_HEADER: u64 = 100_000_000;
/// Fields of `ModelProto` that are looked through for the graph.
const MAX_PROTO_FIELDS: usize = 4096;

/// Looks at the content of `reader`, which has `len` bytes, from its start. Reads little and allocates next to nothing,
/// whatever the content claims.
///
/// # Errors
/// When reading fails; content that merely ends too early is [`Content::Unknown`].
pub fn detect<R: Read + Seek>(mut reader: R, len: u64) -> io::Result<Content> {
    reader.seek(SeekFrom::Start(0))?;
    let mut head = Vec::with_capacity(8);
    reader.by_ref().take(8).read_to_end(&mut head)?;
    let (magic, rest) = head.split_at(head.len().min(4));
    Ok(match (magic, rest) {
        (WASM_MAGIC, MODULE_VERSION) => Content::Module,
        (WASM_MAGIC, COMPONENT_VERSION) => Content::Component,
        (WASM_MAGIC, _) => Content::OtherWasm,
        (ELF_MAGIC, _) => Content::Native,
        (GGUF_MAGIC, version) if is_gguf_version(version) => Content::Weights(ModelFormat::Gguf),
        _ if is_safetensors(&head, &mut reader, len)? => Content::Weights(ModelFormat::Safetensors),
        _ if is_onnx(&mut reader, len)? => Content::Weights(ModelFormat::Onnx),
        _ => Content::Unknown,
    })
}

fn is_gguf_version(bytes: &[u8]) -> bool {
    <[u8; 4]>::try_from(bytes).is_ok_and(|bytes| {
        GGUF_VERSIONS.contains(&u32::from_le_bytes(bytes)) || GGUF_VERSIONS.contains(&u32::from_be_bytes(bytes))
    })
}

/// Eight bytes of length, then a JSON object of that length, which fits in the file.
fn is_safetensors<R: Read>(head: &[u8], reader: &mut R, len: u64) -> io::Result<bool> {
    let Ok(header_len) = <[u8; 8]>::try_from(head).map(u64::from_le_bytes) else {
        return Ok(false);
    };
    if !(2..=MAX_SAFETENSORS_HEADER.min(len.saturating_sub(8))).contains(&header_len) {
        return Ok(false);
    }
    let header = io::BufReader::new(reader.take(header_len));
    match serde_json::from_reader::<_, JsonObject>(header) {
        Ok(JsonObject) => Ok(true),
        Err(error) if error.is_io() => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// Any JSON object, of which nothing is kept.
struct JsonObject;

impl<'de> serde::Deserialize<'de> for JsonObject {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> serde::de::Visitor<'de> for JsonObject {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Self, A::Error> {
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

/// Top-level fields of a `ModelProto` (onnx.proto): an IR version from 1 to 99, and a graph.
fn is_onnx<R: Read + Seek>(reader: &mut R, len: u64) -> io::Result<bool> {
    const IR_VERSION: u64 = 1;
    const GRAPH: u64 = 7;
    const KNOWN: [u64; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26];
    let mut reader = io::BufReader::new(reader);
    let mut position = 0;
    reader.seek(SeekFrom::Start(0))?;
    let (mut has_version, mut has_graph) = (false, false);
    for _ in 0..MAX_PROTO_FIELDS {
        if position >= len {
            return Ok(position == len && has_version && has_graph);
        }
        let Some((tag, tag_len)) = read_varint(&mut reader)? else {
            return Ok(false);
        };
        let Some((value, value_len)) = read_varint(&mut reader)? else {
            return Ok(false);
        };
        position += tag_len + value_len;
        let (field, wire_type) = (tag >> 3, tag & 7);
        match (field, wire_type) {
            (IR_VERSION, 0) if (1..100).contains(&value) => has_version = true,
            (field, 0) if field != IR_VERSION && KNOWN.contains(&field) => {}
            (field, 2) if KNOWN.contains(&field) && value <= len.saturating_sub(position) => {
                let Ok(skip) = i64::try_from(value) else {
                    return Ok(false);
                };
                reader.seek_relative(skip)?;
                position += value;
                has_graph |= field == GRAPH && value > 0;
            }
            _ => return Ok(false),
        }
    }
    Ok(has_version && has_graph)
}

/// A protobuf varint and its length; `None` when there is none.
fn read_varint<R: Read>(reader: &mut R) -> io::Result<Option<(u64, u64)>> {
    let mut value = 0_u64;
    for position in 0..10_u32 {
        let mut byte = [0];
        if reader.read(&mut byte)? == 0 {
            return Ok(None);
        }
        let [byte] = byte;
        let bits = u64::from(byte & 0x7f);
        let Some(shifted) = bits
            .checked_shl(7 * position)
            .filter(|shifted| shifted >> (7 * position) == bits)
        else {
            return Ok(None);
        };
        value |= shifted;
        if byte & 0x80 == 0 {
            return Ok(Some((value, u64::from(position) + 1)));
        }
    }
    Ok(None)
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Cursor;

    use super::*;

    /// The smallest file that is ONNX: IR version 8 and a graph with a name.
    pub(crate) const ONNX: &[u8] = &[0x08, 0x08, 0x3a, 0x03, 0x12, 0x01, b'g', 0x42, 0x02, 0x10, 0x11];

    pub(crate) fn safetensors() -> Vec<u8> {
        let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
        let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 4]);
        bytes
    }

    fn content(bytes: &[u8]) -> Content {
        detect(Cursor::new(bytes), u64::try_from(bytes.len()).unwrap()).unwrap()
    }

    #[test]
    fn knows_its_formats() {
        assert_eq!(content(b"\0asm\x01\0\0\0"), Content::Module);
        assert_eq!(content(b"\0asm\x0d\0\x01\0"), Content::Component);
        assert_eq!(content(b"\0asm\x02\0\0\0"), Content::OtherWasm);
        assert_eq!(content(b"\x7fELF\x02\x01\x01\0rest"), Content::Native);
        assert_eq!(content(b"GGUF\x03\0\0\0rest"), Content::Weights(ModelFormat::Gguf));
        assert_eq!(content(&safetensors()), Content::Weights(ModelFormat::Safetensors));
        assert_eq!(content(ONNX), Content::Weights(ModelFormat::Onnx));
    }

    #[test]
    fn is_not_fooled() {
        let mut cut = safetensors();
        cut.truncate(20);
        let mut huge = safetensors();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        let cases: &[&[u8]] = &[
            b"",
            b"\0",
            b"\0as",
            b"GGUF\x09\0\0\0",
            b"hello, world",
            b"{\"json\": true}",
            &cut,
            &huge,
            &[0xff; 64],
            &ONNX[..5],
            &ONNX[2..],
            &ONNX[..2],
            &[0x08, 0x08, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &[0; 32],
        ];
        for case in cases {
            assert_eq!(content(case), Content::Unknown, "{case:?}");
        }
    }
}
