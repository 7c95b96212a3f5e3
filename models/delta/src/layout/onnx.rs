//! Tensors of an ONNX file: the initializers of its graph, where they lie in the protobuf (onnx.proto). External data
//! has no header of its own and is compared by its content.

use super::{
    MAX_TENSORS, Tensor, key,
    walk::{Stop, Walk},
};
use crate::ReadAt;

/// Fields that are walked through in one file.
const MAX_FIELDS: u64 = 1 << 22;
const MAX_NAME: usize = 65_535;

mod field {
    pub(super) const MODEL_GRAPH: u64 = 7;
    pub(super) const GRAPH_INITIALIZER: u64 = 5;
    pub(super) const TENSOR_TYPE: u64 = 2;
    pub(super) const TENSOR_FLOATS: u64 = 4;
    pub(super) const TENSOR_NAME: u64 = 8;
    pub(super) const TENSOR_RAW: u64 = 9;
    pub(super) const TENSOR_DOUBLES: u64 = 10;
    /// The highest number of a field of `ModelProto`.
    pub(super) const MODEL_LAST: u64 = 26;
}

pub(super) fn tensors(source: &dyn ReadAt) -> Result<Vec<Tensor>, Stop> {
    let mut reader = Reader {
        walk: Walk::new(source),
        fields: MAX_FIELDS,
        tensors: Vec::new(),
    };
    let end = source.size();
    let mut has_graph = false;
    while let Some((number, value)) = reader.field(end)? {
        if number > field::MODEL_LAST {
            return Err(Stop::Malformed);
        }
        if let (field::MODEL_GRAPH, Value::Bytes(len)) = (number, value) {
            has_graph = true;
            reader.graph(len)?;
        } else {
            reader.skip(value)?;
        }
    }
    match has_graph {
        true => Ok(reader.tensors),
        false => Err(Stop::Malformed),
    }
}

/// A field's value, of which nothing but the length has been read.
#[derive(Clone, Copy)]
enum Value {
    Varint(u64),
    Bytes(u64),
}

struct Reader<'a> {
    walk: Walk<'a>,
    fields: u64,
    tensors: Vec<Tensor>,
}

impl Reader<'_> {
    /// The next field before `end`, and its value.
    fn field(&mut self, end: u64) -> Result<Option<(u64, Value)>, Stop> {
        if self.walk.position() >= end {
            return match self.walk.position() == end {
                true => Ok(None),
                false => Err(Stop::Malformed),
            };
        }
        self.fields = self.fields.checked_sub(1).ok_or(Stop::Malformed)?;
        let tag = self.walk.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.walk.varint()?),
            1 => Value::Bytes(8),
            2 => Value::Bytes(self.walk.varint()?),
            5 => Value::Bytes(4),
            _ => return Err(Stop::Malformed),
        };
        if tag >> 3 == 0 {
            return Err(Stop::Malformed);
        }
        Ok(Some((tag >> 3, value)))
    }

    fn skip(&mut self, value: Value) -> Result<(), Stop> {
        match value {
            Value::Varint(_) => Ok(()),
            Value::Bytes(len) => self.walk.skip(len),
        }
    }

    /// Where a message of `len` bytes at the position ends.
    fn end(&self, len: u64) -> Result<u64, Stop> {
        match len <= self.walk.left() {
            true => Ok(self.walk.position() + len),
            false => Err(Stop::Malformed),
        }
    }

    fn graph(&mut self, len: u64) -> Result<(), Stop> {
        let end = self.end(len)?;
        while let Some((number, value)) = self.field(end)? {
            if let (field::GRAPH_INITIALIZER, Value::Bytes(len)) = (number, value) {
                self.tensor(len)?;
            } else {
                self.skip(value)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, len: u64) -> Result<(), Stop> {
        let end = self.end(len)?;
        let (mut name, mut dtype, mut data) = (Vec::new(), 0, None);
        while let Some((number, value)) = self.field(end)? {
            match (number, value) {
                (field::TENSOR_TYPE, Value::Varint(value)) => dtype = value,
                (field::TENSOR_NAME, Value::Bytes(len)) => name = self.walk.bytes(len, MAX_NAME)?,
                (field::TENSOR_RAW, Value::Bytes(len)) => data = Some((self.data(len)?, None)),
                (field::TENSOR_FLOATS, Value::Bytes(len)) => data = Some((self.data(len)?, Some(4))),
                (field::TENSOR_DOUBLES, Value::Bytes(len)) => data = Some((self.data(len)?, Some(8))),
                (_, value) => self.skip(value)?,
            }
        }
        if let Some(((start, end), packed)) = data {
            if self.tensors.len() == MAX_TENSORS {
                return Err(Stop::Malformed);
            }
            self.tensors.push(Tensor {
                key: key(&name, dtype),
                start,
                end,
                width: packed.unwrap_or_else(|| width(dtype)),
            });
        }
        Ok(())
    }

    fn data(&mut self, len: u64) -> Result<(u64, u64), Stop> {
        let start = self.walk.position();
        self.walk.skip(len)?;
        Ok((start, start + len))
    }
}

/// Bytes of an element of a `TensorProto.DataType`.
fn width(dtype: u64) -> u16 {
    match dtype {
        1 | 6 | 12 => 4,
        4 | 5 | 10 | 16 => 2,
        7 | 11 | 13 | 14 => 8,
        15 => 16,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn message(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    /// IR version 8 and a graph of one bf16 initializer of four bytes.
    fn model() -> Vec<u8> {
        let mut tensor = vec![0x10, 16];
        tensor.extend(message(8, b"w"));
        tensor.extend(message(9, b"\x01\x02\x03\x04"));
        let mut graph = message(2, b"g");
        graph.extend(message(5, &tensor));
        let mut model = vec![0x08, 8];
        model.extend(message(7, &graph));
        model
    }

    #[test]
    fn finds_initializers() {
        let found = tensors(&model()).unwrap();
        let [tensor] = found[..] else { panic!("{found:?}") };
        assert_eq!((tensor.key, tensor.width), (key(b"w", 16_u64), 2));
        assert_eq!(
            (tensor.start, tensor.end),
            (model().len() as u64 - 4, model().len() as u64)
        );
    }

    #[test]
    fn refuses_what_is_not() {
        let model = model();
        for len in (0..model.len()).filter(|len| *len != 2) {
            assert!(matches!(tensors(&model[..len].to_vec()), Err(Stop::Malformed)), "{len}");
        }
        let mut endless = vec![0x3a];
        endless.extend([0xff; 12]);
        for bytes in [endless, vec![0xff; 100], vec![0; 100], b"hello, world".to_vec()] {
            assert!(matches!(tensors(&bytes), Err(Stop::Malformed)), "{bytes:?}");
        }
    }
}
