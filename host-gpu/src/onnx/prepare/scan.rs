//! A walk over the wire format of an ONNX file, before anything is allocated for it: it bounds nodes, nesting and the
//! memory that decoding will take. A message of two bytes on the wire can cost hundreds once decoded.

use tract_onnx::pb;

use super::PrepareError;
use crate::engines::ModelLimits;

/// Decoding may take this much on top of a multiple of the file: small files of real models stay far below.
const DECODED_FLOOR_BYTES: usize = 64 << 20;
/// Graphs without weights decode to some ten times their size on the wire.
const DECODED_PER_FILE_BYTE: usize = 16;
/// Messages within messages. A level of sub-graph takes three: graph, node, attribute.
const MESSAGES_PER_SUBGRAPH: usize = 3;
const MESSAGES_BESIDE_SUBGRAPHS: usize = 12;

/// The messages of the ONNX schema that hold other messages, or that a model can hold many of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    TypeTensor,
    Shape,
    Training,
    Function,
    /// Messages without messages in them.
    Leaf,
}

/// What a length-delimited field holds.
enum Payload {
    Message(Kind),
    /// Packed variable-length integers: one byte becomes up to eight.
    Integers,
    /// Text, bytes or fixed-size numbers: as long decoded as on the wire.
    Bytes,
}

impl Kind {
    fn payload(self, field: u64) -> Payload {
        use Payload::{Bytes, Integers, Message};
        match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Message(Self::Graph),
            (Self::Model, 8 | 14) | (Self::Tensor, 3 | 13) | (Self::Graph, 14) => Message(Self::Leaf),
            (Self::Training, 3 | 4) | (Self::Function, 9) | (Self::Shape, 1) => Message(Self::Leaf),
            (Self::Model, 20) => Message(Self::Training),
            (Self::Model, 25) => Message(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Message(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Message(Self::Tensor),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Message(Self::Sparse),
            (Self::Graph, 11..=13) => Message(Self::ValueInfo),
            (Self::Node, 5) => Message(Self::Attribute),
            (Self::Attribute, 15) | (Self::ValueInfo, 2) => Message(Self::Type),
            (Self::Type, 1) => Message(Self::TypeTensor),
            (Self::TypeTensor, 2) => Message(Self::Shape),
            (Self::Attribute, 8) | (Self::Tensor, 1 | 5 | 7 | 11) | (Self::Sparse, 3) => Integers,
            _ => Bytes,
        }
    }

    fn decoded_bytes(self) -> usize {
        match self {
            Self::Model => size_of::<pb::ModelProto>(),
            Self::Graph => size_of::<pb::GraphProto>(),
            Self::Node => size_of::<pb::NodeProto>(),
            Self::Attribute => size_of::<pb::AttributeProto>(),
            Self::Tensor => size_of::<pb::TensorProto>(),
            Self::Sparse => size_of::<pb::SparseTensorProto>(),
            Self::ValueInfo => size_of::<pb::ValueInfoProto>(),
            Self::Type | Self::TypeTensor => size_of::<pb::TypeProto>(),
            Self::Shape => size_of::<pb::TensorShapeProto>(),
            Self::Training => size_of::<pb::TrainingInfoProto>(),
            Self::Function => size_of::<pb::FunctionProto>(),
            Self::Leaf => size_of::<pb::tensor_shape_proto::Dimension>().max(size_of::<pb::TensorAnnotation>()),
        }
    }
}

struct Open {
    kind: Kind,
    end: usize,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: usize,
    subgraphs: usize,
    decoded: usize,
    decoded_limit: usize,
}

/// Walks `bytes` as an ONNX model.
pub(super) fn scan(bytes: &[u8], limits: &ModelLimits) -> Result<(), PrepareError> {
    let decoded_limit = DECODED_FLOOR_BYTES.saturating_add(bytes.len().saturating_mul(DECODED_PER_FILE_BYTE));
    let mut walk = Walk {
        bytes,
        at: 0,
        nodes: 0,
        subgraphs: 0,
        decoded: 0,
        decoded_limit,
    };
    let max_open = limits.subgraph_depth.saturating_mul(MESSAGES_PER_SUBGRAPH) + MESSAGES_BESIDE_SUBGRAPHS;
    let mut open = vec![Open {
        kind: Kind::Model,
        end: bytes.len(),
    }];
    while let Some(&Open { kind, end }) = open.last() {
        if walk.at == end {
            open.pop();
            walk.subgraphs -= usize::from(kind == Kind::Graph);
            continue;
        }
        let Some(inner) = walk.field(kind, end)? else { continue };
        walk.enter(inner.kind, limits)?;
        if open.len() >= max_open {
            return Err(PrepareError::TooDeep {
                limit: limits.subgraph_depth,
            });
        }
        open.push(inner);
    }
    if walk.nodes == 0 && walk.decoded == 0 {
        return Err(PrepareError::NoGraph);
    }
    Ok(())
}

impl Walk<'_> {
    /// Reads one field of a message that ends at `end`; gives the message that it opens.
    fn field(&mut self, kind: Kind, end: usize) -> Result<Option<Open>, PrepareError> {
        let tag = self.varint(end)?;
        let field = tag >> 3;
        if field == 0 {
            return Err(PrepareError::Wire {
                what: "a field without a number",
                offset: self.at,
            });
        }
        match tag & 7 {
            0 => {
                self.varint(end)?;
                self.charge(size_of::<u64>())?;
            }
            1 => self.skip(8, end)?,
            5 => self.skip(4, end)?,
            2 => {
                let len = self.varint(end)?;
                let start = self.at;
                let payload = kind.payload(field);
                if let Payload::Message(kind) = payload {
                    let end = self.after(len, end)?;
                    return Ok(Some(Open { kind, end }));
                }
                self.at = self.after(len, end)?;
                let len = self.at - start;
                let factor = if matches!(payload, Payload::Integers) {
                    size_of::<u64>()
                } else {
                    1
                };
                self.charge(len.saturating_mul(factor).saturating_add(size_of::<String>()))?;
            }
            _ => {
                return Err(PrepareError::Wire {
                    what: "an unknown wire type",
                    offset: self.at,
                });
            }
        }
        Ok(None)
    }

    fn enter(&mut self, kind: Kind, limits: &ModelLimits) -> Result<(), PrepareError> {
        // A growing vector holds up to twice its elements.
        self.charge(kind.decoded_bytes().saturating_mul(2))?;
        if kind == Kind::Node {
            self.nodes += 1;
            if self.nodes > limits.nodes {
                return Err(PrepareError::TooManyNodes { limit: limits.nodes });
            }
        }
        if kind == Kind::Graph {
            self.subgraphs += 1;
            // The main graph is one of them.
            if self.subgraphs > limits.subgraph_depth.saturating_add(1) {
                return Err(PrepareError::TooDeep {
                    limit: limits.subgraph_depth,
                });
            }
        }
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<(), PrepareError> {
        self.decoded = self.decoded.saturating_add(bytes);
        if self.decoded > self.decoded_limit {
            return Err(PrepareError::TooLarge {
                limit: self.decoded_limit,
            });
        }
        Ok(())
    }

    fn varint(&mut self, end: usize) -> Result<u64, PrepareError> {
        let malformed = |what, offset| PrepareError::Wire { what, offset };
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = match self.bytes.get(self.at) {
                Some(&byte) if self.at < end => byte,
                _ => return Err(malformed("a truncated number", self.at)),
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed("an overlong number", self.at))
    }

    fn skip(&mut self, len: u64, end: usize) -> Result<(), PrepareError> {
        self.at = self.after(len, end)?;
        self.charge(size_of::<u64>())
    }

    fn after(&self, len: u64, end: usize) -> Result<usize, PrepareError> {
        usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len))
            .filter(|&after| after <= end)
            .ok_or(PrepareError::Wire {
                what: "a field that is longer than its message",
                offset: self.at,
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use prost::Message as _;

    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let mut graph = pb::GraphProto::default();
        for _ in 0..depth {
            let attribute = pb::AttributeProto {
                g: Some(graph),
                ..Default::default()
            };
            let node = pb::NodeProto {
                attribute: vec![attribute],
                ..Default::default()
            };
            graph = pb::GraphProto {
                node: vec![node],
                ..Default::default()
            };
        }
        pb::ModelProto {
            ir_version: 8,
            graph: Some(graph),
            ..Default::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn nesting_is_bounded_exactly() {
        let limits = ModelLimits {
            subgraph_depth: 3,
            ..ModelLimits::default()
        };
        assert!(scan(&nested(3), &limits).is_ok());
        assert!(matches!(
            scan(&nested(4), &limits),
            Err(PrepareError::TooDeep { limit: 3 })
        ));
    }

    #[test]
    fn nodes_are_counted_in_sub_graphs_too() {
        let limits = ModelLimits {
            nodes: 3,
            ..ModelLimits::default()
        };
        assert!(scan(&nested(3), &limits).is_ok());
        assert!(matches!(
            scan(&nested(4), &limits),
            Err(PrepareError::TooManyNodes { limit: 3 })
        ));
    }

    #[test]
    fn tiny_messages_that_decode_to_much_are_refused() {
        // A graph of empty value infos: two bytes each on the wire.
        let mut graph = Vec::new();
        for _ in 0..2_000_000 {
            graph.extend([13 << 3 | 2, 0]);
        }
        let mut model = vec![7 << 3 | 2];
        prost::encoding::encode_varint(graph.len() as u64, &mut model);
        model.extend(graph);
        assert!(matches!(
            scan(&model, &ModelLimits::default()),
            Err(PrepareError::TooLarge { .. })
        ));
    }

    #[test]
    fn every_truncation_is_an_error_or_a_shorter_model() {
        let whole = nested(2);
        for len in 0..whole.len() {
            // The only prefix that is a message of its own is the one before the graph.
            assert!(
                scan(&whole[..len], &ModelLimits::default()).is_err() || len == 2,
                "{len}"
            );
        }
    }

    #[test]
    fn flipped_bytes_never_panic() {
        let whole = nested(2);
        for index in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[index] ^= 1 << bit;
                let _ = scan(&flipped, &ModelLimits::default());
            }
        }
    }

    #[test]
    fn text_is_not_a_model() {
        for text in ["", "GGUF\0\0", "<html></html>", "\0asm\x01\0\0\0"] {
            assert!(scan(text.as_bytes(), &ModelLimits::default()).is_err(), "{text:?}");
        }
    }
}
