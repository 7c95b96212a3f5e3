//! ONNX: a `ModelProto` (onnx.proto), walked for its tensors wherever they are: initializers, constants of nodes, nested
//! graphs, functions. External data has no header of its own; only its file is told.

use std::io;

use crate::protobuf::{Fields, Value};
use crate::{Element, HeaderError, MAX_NAME, MAX_TENSORS, ReadAt, Tensor, Visitor};

/// Fields of `ModelProto` that are looked through for the graph when a file is merely recognised.
const MAX_DETECTED_FIELDS: usize = 4096;
/// Graphs within graphs.
const MAX_DEPTH: u32 = 32;
/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

mod model {
    pub(super) const IR_VERSION: u64 = 1;
    pub(super) const PRODUCER: u64 = 2;
    pub(super) const PRODUCER_VERSION: u64 = 3;
    pub(super) const DOMAIN: u64 = 4;
    pub(super) const VERSION: u64 = 5;
    pub(super) const DOC: u64 = 6;
    pub(super) const GRAPH: u64 = 7;
    pub(super) const OPSET: u64 = 8;
    pub(super) const METADATA: u64 = 14;
    pub(super) const TRAINING: u64 = 20;
    pub(super) const FUNCTION: u64 = 25;
    /// The highest number of a field.
    pub(super) const LAST: u64 = 26;
    pub(super) const ALL: [u64; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26];
}

mod graph {
    pub(super) const NODE: u64 = 1;
    pub(super) const NAME: u64 = 2;
    pub(super) const INITIALIZER: u64 = 5;
    pub(super) const SPARSE_INITIALIZER: u64 = 15;
}

mod tensor {
    pub(super) const DIMS: u64 = 1;
    pub(super) const TYPE: u64 = 2;
    pub(super) const FLOATS: u64 = 4;
    pub(super) const NAME: u64 = 8;
    pub(super) const RAW: u64 = 9;
    pub(super) const DOUBLES: u64 = 10;
    pub(super) const EXTERNAL_DATA: u64 = 13;
    pub(super) const LOCATION: u64 = 14;
}

/// What a message holds, as far as tensors can be below it. Numbers of fields are those of onnx.proto.
#[derive(Clone, Copy)]
enum Kind {
    Graph,
    Node,
    Attribute,
    Function,
    Training,
    Sparse,
}

/// What is in a field.
enum Child {
    Message(Kind),
    Tensor,
    Other,
}

impl Kind {
    fn child(self, field: u64) -> Child {
        match (self, field) {
            (Self::Graph, graph::NODE) | (Self::Function, 7) => Child::Message(Self::Node),
            (Self::Graph, graph::SPARSE_INITIALIZER) | (Self::Attribute, 22 | 23) => Child::Message(Self::Sparse),
            (Self::Node, 5) | (Self::Function, 11) => Child::Message(Self::Attribute),
            (Self::Attribute, 6 | 11) | (Self::Training, 1 | 2) => Child::Message(Self::Graph),
            (Self::Graph, graph::INITIALIZER) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Child::Tensor,
            _ => Child::Other,
        }
    }
}

/// Whether `source` consists of fields of a `ModelProto`: an IR version from 1 to 99, and a graph.
pub(crate) fn detect(source: &dyn ReadAt) -> io::Result<bool> {
    let mut fields = Fields::new(source);
    let end = source.size();
    let (mut has_version, mut has_graph) = (false, false);
    for _ in 0..MAX_DETECTED_FIELDS {
        let step = match fields.next(end) {
            Ok(None) => break,
            Ok(Some((model::IR_VERSION, Value::Varint(1..100)))) => {
                has_version = true;
                Ok(())
            }
            Ok(Some((field, value))) if field != model::IR_VERSION && model::ALL.contains(&field) => {
                has_graph |= field == model::GRAPH && matches!(value, Value::Bytes(1..));
                fields.skip(value)
            }
            Ok(Some(_)) => return Ok(false),
            Err(error) => Err(error),
        };
        match step {
            Ok(()) => {}
            Err(HeaderError::Read(error)) => return Err(error),
            Err(HeaderError::Malformed { .. }) => return Ok(false),
        }
    }
    Ok(has_version && has_graph)
}

pub(crate) fn read(source: &dyn ReadAt, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
    let mut reader = Reader {
        fields: Fields::new(source),
        tensors: MAX_TENSORS,
        visitor,
    };
    let end = source.size();
    let mut has_graph = false;
    while let Some((field, value)) = reader.fields.next(end)? {
        if field > model::LAST {
            return Err(reader.fields.walk.malformed());
        }
        match (field, value) {
            (model::GRAPH, Value::Bytes(len)) => {
                has_graph = true;
                reader.main_graph(len)?;
            }
            (model::TRAINING, Value::Bytes(len)) => reader.message(Kind::Training, len, MAX_DEPTH)?,
            (model::FUNCTION, Value::Bytes(len)) => reader.message(Kind::Function, len, MAX_DEPTH)?,
            _ => reader.property(field, value)?,
        }
    }
    match has_graph {
        true => Ok(()),
        false => Err(reader.fields.walk.malformed()),
    }
}

struct Reader<'a> {
    fields: Fields<'a>,
    /// How many tensors may still be told.
    tensors: u64,
    visitor: &'a mut dyn Visitor,
}

impl Reader<'_> {
    /// A field of the model that describes it.
    fn property(&mut self, field: u64, value: Value) -> Result<(), HeaderError> {
        let key = match field {
            model::IR_VERSION => "ir_version",
            model::PRODUCER => "producer",
            model::PRODUCER_VERSION => "producer_version",
            model::DOMAIN => "domain",
            model::VERSION => "model_version",
            model::DOC => "doc",
            model::OPSET => return self.pair("opset", value),
            model::METADATA => return self.pair("metadata", value),
            _ => return self.fields.skip(value),
        };
        let text = match value {
            Value::Varint(number) => Some(number.to_string()),
            Value::Bytes(len) => self.fields.walk.text(len)?,
        };
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.visitor.property(key, &text);
        }
        Ok(())
    }

    /// `prefix.<first>` is the second; the empty domain of operators is `prefix` alone.
    fn pair(&mut self, prefix: &str, value: Value) -> Result<(), HeaderError> {
        let Value::Bytes(len) = value else {
            return self.fields.skip(value);
        };
        let (first, second) = self.fields.pair(len)?;
        let Some(second) = second else { return Ok(()) };
        match first.filter(|first| !first.is_empty()) {
            Some(first) => self.visitor.property(&format!("{prefix}.{first}"), &second),
            None => self.visitor.property(prefix, &second),
        }
        Ok(())
    }

    /// The graph of the model, whose name is a property.
    fn main_graph(&mut self, len: u64) -> Result<(), HeaderError> {
        let end = self.fields.end(len)?;
        while let Some((field, value)) = self.fields.next(end)? {
            match (field, value) {
                (graph::NAME, Value::Bytes(len)) => {
                    if let Some(name) = self.fields.walk.text(len)?.filter(|name| !name.is_empty()) {
                        self.visitor.property("graph", &name);
                    }
                }
                _ => self.child(Kind::Graph, field, value, MAX_DEPTH)?,
            }
        }
        Ok(())
    }

    fn message(&mut self, kind: Kind, len: u64, depth: u32) -> Result<(), HeaderError> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.fields.walk.malformed())?;
        let end = self.fields.end(len)?;
        while let Some((field, value)) = self.fields.next(end)? {
            self.child(kind, field, value, depth)?;
        }
        Ok(())
    }

    fn child(&mut self, kind: Kind, field: u64, value: Value, depth: u32) -> Result<(), HeaderError> {
        match (kind.child(field), value) {
            (Child::Message(kind), Value::Bytes(len)) => self.message(kind, len, depth),
            (Child::Tensor, Value::Bytes(len)) => self.tensor(len),
            _ => self.fields.skip(value),
        }
    }

    fn tensor(&mut self, len: u64) -> Result<(), HeaderError> {
        let end = self.fields.end(len)?;
        let (mut name, mut element, mut elements) = (Vec::new(), Element::of_onnx(0), 1_u64);
        let (mut bytes, mut is_external, mut location) = (0..0, false, None);
        while let Some((field, value)) = self.fields.next(end)? {
            match (field, value) {
                (tensor::DIMS, Value::Varint(dimension)) => elements = self.times(elements, dimension)?,
                (tensor::DIMS, Value::Bytes(len)) => elements = self.dimensions(elements, len)?,
                (tensor::TYPE, Value::Varint(kind)) => element = Element::of_onnx(kind),
                (tensor::NAME, Value::Bytes(len)) => name = self.fields.walk.bytes(len, MAX_NAME)?,
                (tensor::RAW | tensor::FLOATS | tensor::DOUBLES, Value::Bytes(len)) => {
                    let start = self.fields.walk.position();
                    self.fields.walk.skip(len)?;
                    bytes = start..start + len;
                }
                (tensor::EXTERNAL_DATA, Value::Bytes(len)) => {
                    let (key, text) = self.fields.pair(len)?;
                    if key.as_deref() == Some("location") && text.is_some() {
                        location = text;
                    }
                }
                (tensor::LOCATION, Value::Varint(place)) => is_external = place == EXTERNAL,
                (_, value) => self.fields.skip(value)?,
            }
        }
        self.tensors = self
            .tensors
            .checked_sub(1)
            .ok_or_else(|| self.fields.walk.malformed())?;
        if is_external {
            // A file that is not named, or by a name longer than any path, cannot be found.
            let location = location.ok_or_else(|| self.fields.walk.malformed())?;
            self.visitor.external(&location);
        }
        self.visitor.tensor(&Tensor {
            name: &name,
            element,
            elements,
            bytes,
        });
        Ok(())
    }

    /// The dimensions in a packed field of `len` bytes.
    fn dimensions(&mut self, mut elements: u64, len: u64) -> Result<u64, HeaderError> {
        let end = self.fields.end(len)?;
        while self.fields.walk.position() < end {
            let dimension = self.fields.walk.varint()?;
            elements = self.times(elements, dimension)?;
        }
        Ok(elements)
    }

    /// Negative dimensions, which are no sizes, are beyond every product.
    fn times(&self, elements: u64, dimension: u64) -> Result<u64, HeaderError> {
        elements
            .checked_mul(dimension)
            .filter(|elements| *elements <= u64::MAX / 2)
            .ok_or_else(|| self.fields.walk.malformed())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::visitor::Told;

    fn message(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn external() -> Vec<u8> {
        let entry = [message(1, b"location"), message(2, b"w.data")].concat();
        [
            &[0x10, 1, 0x08, 5][..],
            &message(8, b"far"),
            &message(13, &entry),
            &[0x70, 1],
        ]
        .concat()
    }

    /// IR version 8, operator sets, and a graph of one bf16 initializer of four bytes, and a constant in external data.
    fn model() -> Vec<u8> {
        let mut tensor = vec![0x10, 16];
        tensor.extend(message(1, &[2, 1]));
        tensor.extend(message(8, b"w"));
        tensor.extend(message(9, b"\x01\x02\x03\x04"));
        let node = message(5, &message(5, &external()));
        let nested = message(5, &message(6, &message(1, &node)));
        let graph = [message(2, b"g"), message(5, &tensor), message(1, &nested)].concat();
        let mut model = vec![0x08, 8];
        model.extend(message(2, b"pytorch"));
        model.extend(message(8, &[&message(1, b"ai.onnx.ml")[..], &[0x10, 3]].concat()));
        model.extend(message(8, &[0x10, 17]));
        model.extend(message(7, &graph));
        model
    }

    #[test]
    fn finds_tensors_wherever_they_are() {
        let model = model();
        assert!(detect(&model).unwrap());
        let told = Told::by(read, &model).unwrap();
        let tensors: Vec<_> = told
            .tensors
            .iter()
            .map(|tensor| {
                (
                    tensor.name.as_str(),
                    tensor.element.name(),
                    tensor.elements,
                    tensor.bytes.end - tensor.bytes.start,
                )
            })
            .collect();
        assert_eq!(tensors, [("w", "BF16", 2, 4), ("far", "F32", 5, 0)]);
        let raw = usize::try_from(told.tensors[0].bytes.start).unwrap();
        assert_eq!(model[raw..raw + 4], [1, 2, 3, 4]);
        assert_eq!(told.external, ["w.data"]);
        let properties: Vec<_> = told
            .properties
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            properties,
            [
                ("ir_version", "8"),
                ("producer", "pytorch"),
                ("opset.ai.onnx.ml", "3"),
                ("opset", "17"),
                ("graph", "g")
            ]
        );
    }

    #[test]
    fn refuses_what_is_not() {
        let model = model();
        for len in 0..model.len() {
            let told = Told::by(read, &model[..len].to_vec());
            assert!(matches!(told, Err(HeaderError::Malformed { .. })), "{len}");
        }
        let mut endless = vec![0x3a];
        endless.extend([0xff; 12]);
        let negative = [
            0x3a, 0x0e, 0x2a, 0x0c, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x10,
        ];
        for bytes in [
            endless,
            negative.to_vec(),
            vec![0xff; 100],
            vec![0; 100],
            b"hello, world".to_vec(),
        ] {
            assert!(
                matches!(Told::by(read, &bytes), Err(HeaderError::Malformed { .. })),
                "{bytes:?}"
            );
            assert!(!detect(&bytes).unwrap());
        }
    }

    #[test]
    fn graphs_within_graphs_end() {
        let mut graph = message(2, b"g");
        let long = |number: u8, content: &[u8]| {
            let len = content.len();
            let low = u8::try_from(len & 0x7f).unwrap() | 0x80;
            let mut out = vec![number << 3 | 2, low, u8::try_from(len >> 7).unwrap()];
            out.extend_from_slice(content);
            out
        };
        for _ in 0..40 {
            graph = long(1, &long(5, &long(6, &graph)));
        }
        let model = [&[0x08, 8][..], &long(7, &graph)].concat();
        assert!(matches!(Told::by(read, &model), Err(HeaderError::Malformed { .. })));
    }
}
