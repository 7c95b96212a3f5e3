//! Small ONNX models, written node by node, and the helpers that run them.

use std::sync::Arc;

use dunlin_host_gpu::{
    CancelToken, ComputeError, ElementType, Encoding, EngineConfig, Engines, Graph, LoadError, ModelSource,
    NamedTensor, Tensor,
};
use prost::Message as _;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// A dimension: fixed or named.
pub(crate) enum D {
    N(i64),
    S(&'static str),
}

/// The type of an input or output.
pub(crate) fn value(name: &str, data_type: DataType, dims: &[D]) -> ValueInfoProto {
    let dim = |dim: &D| tensor_shape_proto::Dimension {
        denotation: String::new(),
        value: Some(match dim {
            D::N(size) => tensor_shape_proto::dimension::Value::DimValue(*size),
            D::S(name) => tensor_shape_proto::dimension::Value::DimParam((*name).to_owned()),
        }),
    };
    let shape = Some(TensorShapeProto {
        dim: dims.iter().map(dim).collect(),
    });
    let tensor = type_proto::Tensor {
        elem_type: data_type as i32,
        shape,
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value,
        }),
        ..Default::default()
    }
}

/// A node without attributes.
pub(crate) fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto {
        op_type: op_type.to_owned(),
        name: outputs.join("+"),
        input: names(inputs),
        output: names(outputs),
        ..Default::default()
    }
}

/// Adds an attribute to a node.
pub(crate) trait With {
    fn int(self, name: &str, value: i64) -> Self;
    fn graph(self, name: &str, value: GraphProto) -> Self;
}

impl With for NodeProto {
    fn int(mut self, name: &str, value: i64) -> Self {
        let r#type = AttributeType::Int as i32;
        self.attribute.push(AttributeProto {
            name: name.to_owned(),
            i: value,
            r#type,
            ..Default::default()
        });
        self
    }

    fn graph(mut self, name: &str, value: GraphProto) -> Self {
        let r#type = AttributeType::Graph as i32;
        self.attribute.push(AttributeProto {
            name: name.to_owned(),
            g: Some(value),
            r#type,
            ..Default::default()
        });
        self
    }
}

/// An initialiser of 32-bit floats.
pub(crate) fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    initializer(name, DataType::Float, dims, raw_data)
}

/// An initialiser of 64-bit integers.
pub(crate) fn ints(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    initializer(name, DataType::Int64, dims, raw_data)
}

/// An initialiser of raw bytes.
pub(crate) fn initializer(name: &str, data_type: DataType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: data_type as i32,
        dims: dims.to_vec(),
        raw_data,
        ..Default::default()
    }
}

/// A graph of nodes, initialisers, inputs and outputs.
pub(crate) fn graph(
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    input: Vec<ValueInfoProto>,
    output: Vec<ValueInfoProto>,
) -> GraphProto {
    GraphProto {
        name: "g".to_owned(),
        node,
        initializer,
        input,
        output,
        ..Default::default()
    }
}

/// A model file.
pub(crate) fn file(graph: GraphProto) -> Vec<u8> {
    let opset = OperatorSetIdProto {
        domain: String::new(),
        version: 17,
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    }
    .encode_to_vec()
}

/// A model as the engines take it.
pub(crate) fn source(graph: GraphProto) -> ModelSource {
    ModelSource::new("test", Encoding::Onnx, Arc::new(file(graph)))
}

/// The built-in engine.
pub(crate) fn engines() -> Engines {
    Engines::new(EngineConfig::default()).unwrap()
}

/// Loads a graph with the built-in engine.
pub(crate) fn load(graph: GraphProto) -> Result<Arc<dyn Graph>, LoadError> {
    engines().load(&source(graph))
}

/// A tensor of 32-bit floats.
pub(crate) fn f32s(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    named(name, ElementType::F32, shape, data)
}

/// A tensor of 64-bit integers.
pub(crate) fn i64s(name: &str, shape: &[usize], values: &[i64]) -> NamedTensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    named(name, ElementType::I64, shape, data)
}

/// A tensor of bytes.
pub(crate) fn named(name: &str, element_type: ElementType, shape: &[usize], data: Vec<u8>) -> NamedTensor {
    NamedTensor {
        name: name.to_owned(),
        tensor: Tensor::new(element_type, shape.to_vec(), Arc::new(data)).unwrap(),
    }
}

/// Computes once on a context of its own.
pub(crate) fn compute(graph: &dyn Graph, inputs: Vec<NamedTensor>) -> Result<Vec<NamedTensor>, ComputeError> {
    graph
        .init_execution_context()
        .unwrap()
        .compute(inputs, &CancelToken::new())
}

/// The values of an output of 32-bit floats.
pub(crate) fn values(tensor: &NamedTensor) -> Vec<f32> {
    assert_eq!(tensor.tensor.element_type(), ElementType::F32);
    let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().unwrap());
    tensor.tensor.data().chunks_exact(4).map(float).collect()
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
