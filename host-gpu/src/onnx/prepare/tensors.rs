//! Tensors inside ONNX files: wherever their data lies (raw bytes, typed fields, another file), it is checked against
//! their shape and rewritten to raw little-endian bytes, so that engines meet one form only.

use std::sync::Arc;

use tract_onnx::pb::{self, tensor_proto::DataType};

use super::{ExternalData, PrepareError, types};
use crate::{
    engines::ModelLimits,
    tensor::{ElementType, NamedTensor, Tensor},
};

/// Normalises every tensor of a graph and of its sub-graphs: initialisers and attributes.
pub(super) fn normalise(
    graph: &mut pb::GraphProto,
    external: &ExternalData<'_>,
    limits: &ModelLimits,
) -> Result<(), PrepareError> {
    let mut graphs = vec![graph];
    while let Some(graph) = graphs.pop() {
        for tensor in &mut graph.initializer {
            normalise_one(tensor, external, limits)?;
        }
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                normalise_one(tensor, external, limits)?;
            }
            graphs.extend(attribute.g.iter_mut().chain(&mut attribute.graphs));
        }
    }
    Ok(())
}

fn normalise_one(
    tensor: &mut pb::TensorProto,
    external: &ExternalData<'_>,
    limits: &ModelLimits,
) -> Result<(), PrepareError> {
    let Some(element_type) = DataType::try_from(tensor.data_type).ok().and_then(types::element_type) else {
        // Strings and sub-byte numbers go to the engine as they are; it says itself what it does not take.
        return check_unsupported(tensor);
    };
    let shape = shape(tensor)?;
    let expected = byte_len(tensor, element_type, &shape)?;
    if u64::try_from(expected).is_ok_and(|bytes| bytes > limits.tensor_bytes) {
        return Err(PrepareError::TensorTooLarge {
            tensor: tensor.name.clone(),
            asked: expected,
            limit: limits.tensor_bytes,
        });
    }
    let already_raw = !tensor.raw_data.is_empty() && tensor.raw_data.len() == expected && external_of(tensor).is_none();
    if !already_raw {
        tensor.raw_data = bytes(tensor, element_type, expected, external)?;
    }
    tensor.float_data = Vec::new();
    tensor.int32_data = Vec::new();
    tensor.int64_data = Vec::new();
    tensor.double_data = Vec::new();
    tensor.uint64_data = Vec::new();
    tensor.external_data = Vec::new();
    tensor.data_location = None;
    Ok(())
}

/// A tensor that stands alone, as test data sets keep them.
///
/// # Errors
/// When its type cannot cross the seam, when its data does not match its shape, and when it refers to another file.
pub(crate) fn tensor_from_proto(proto: &pb::TensorProto) -> Result<NamedTensor, PrepareError> {
    read(proto, &ExternalData::refused())
}

/// The initialisers of a graph whose data lies in other files.
pub(super) fn external(graph: &pb::GraphProto, files: &ExternalData<'_>) -> Result<Vec<NamedTensor>, PrepareError> {
    let elsewhere = graph.initializer.iter().filter(|tensor| external_of(tensor).is_some());
    elsewhere.map(|tensor| read(tensor, files)).collect()
}

fn read(proto: &pb::TensorProto, files: &ExternalData<'_>) -> Result<NamedTensor, PrepareError> {
    let element_type = DataType::try_from(proto.data_type)
        .ok()
        .and_then(types::element_type)
        .ok_or_else(|| PrepareError::UnsupportedType {
            name: proto.name.clone(),
            given: types::type_name(proto.data_type),
        })?;
    let shape = shape(proto)?;
    let expected = byte_len(proto, element_type, &shape)?;
    let data = bytes(proto, element_type, expected, files)?;
    let tensor = Tensor::new(element_type, shape, Arc::new(data)).map_err(|source| PrepareError::Shape {
        tensor: proto.name.clone(),
        source,
    })?;
    Ok(NamedTensor {
        name: proto.name.clone(),
        tensor,
    })
}

fn shape(tensor: &pb::TensorProto) -> Result<Vec<usize>, PrepareError> {
    let dim = |&dim: &i64| {
        usize::try_from(dim).map_err(|_| PrepareError::NegativeDim {
            tensor: tensor.name.clone(),
            dim,
        })
    };
    tensor.dims.iter().map(dim).collect()
}

fn byte_len(tensor: &pb::TensorProto, element_type: ElementType, shape: &[usize]) -> Result<usize, PrepareError> {
    Tensor::byte_len(element_type, shape).map_err(|source| PrepareError::Shape {
        tensor: tensor.name.clone(),
        source,
    })
}

fn external_of(tensor: &pb::TensorProto) -> Option<i32> {
    tensor.data_location.filter(|&location| location != 0)
}

fn bytes(
    tensor: &pb::TensorProto,
    element_type: ElementType,
    expected: usize,
    external: &ExternalData<'_>,
) -> Result<Vec<u8>, PrepareError> {
    let check = |given: usize| {
        let wrong = PrepareError::DataLength {
            tensor: tensor.name.clone(),
            expected,
            given,
        };
        if given == expected { Ok(()) } else { Err(wrong) }
    };
    if let Some(bytes) = external.resolve(tensor)? {
        check(bytes.len())?;
        return Ok(bytes.to_vec());
    }
    if !tensor.raw_data.is_empty() {
        check(tensor.raw_data.len())?;
        return Ok(tensor.raw_data.clone());
    }
    let size = element_type.size_bytes();
    // The schema stores small integers, booleans and half floats in the low bytes of wider fields.
    let typed = match element_type {
        ElementType::F32 => low_bytes(&tensor.float_data, size, |value| value.to_le_bytes()),
        ElementType::F64 => low_bytes(&tensor.double_data, size, |value| value.to_le_bytes()),
        ElementType::I64 => low_bytes(&tensor.int64_data, size, |value| value.to_le_bytes()),
        ElementType::U32 | ElementType::U64 => low_bytes(&tensor.uint64_data, size, |value| value.to_le_bytes()),
        _ => low_bytes(&tensor.int32_data, size, |value| value.to_le_bytes()),
    };
    check(typed.len())?;
    Ok(typed)
}

fn low_bytes<T: Copy, const N: usize>(values: &[T], size: usize, to_bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|&value| to_bytes(value).into_iter().take(size))
        .collect()
}

fn check_unsupported(tensor: &pb::TensorProto) -> Result<(), PrepareError> {
    shape(tensor)?;
    let external_or_raw = external_of(tensor).is_some() || !tensor.raw_data.is_empty();
    if tensor.data_type == DataType::String as i32 && external_or_raw {
        return Err(PrepareError::UnsupportedType {
            name: tensor.name.clone(),
            given: "string as raw data".to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use super::*;

    fn proto(data_type: DataType, dims: &[i64]) -> pb::TensorProto {
        pb::TensorProto {
            name: "t".into(),
            data_type: data_type as i32,
            dims: dims.to_vec(),
            ..Default::default()
        }
    }

    fn data(proto: &pb::TensorProto) -> Vec<u8> {
        tensor_from_proto(proto).unwrap().tensor.data().to_vec()
    }

    #[test]
    fn typed_fields_become_little_endian_bytes() {
        let mut float = proto(DataType::Float, &[2]);
        float.float_data = vec![1.0, -2.0];
        assert_eq!(data(&float), [0, 0, 128, 63, 0, 0, 0, 192]);
        let mut byte = proto(DataType::Int8, &[2]);
        byte.int32_data = vec![-1, 5];
        assert_eq!(data(&byte), [255, 5]);
        let mut half = proto(DataType::Float16, &[1]);
        half.int32_data = vec![0x3c00];
        assert_eq!(data(&half), [0, 0x3c]);
        let mut word = proto(DataType::Uint32, &[1]);
        word.uint64_data = vec![0xffff_fffe];
        assert_eq!(data(&word), [254, 255, 255, 255]);
        let mut bool = proto(DataType::Bool, &[]);
        bool.int32_data = vec![1];
        assert_eq!(data(&bool), [1]);
    }

    #[test]
    fn data_must_match_the_shape_exactly() {
        for given in [0, 7, 9] {
            let mut tensor = proto(DataType::Float, &[2]);
            tensor.raw_data = vec![0; given];
            let error = tensor_from_proto(&tensor).unwrap_err();
            assert!(matches!(error, PrepareError::DataLength { expected: 8, given: g, .. } if g == given));
        }
        let negative = tensor_from_proto(&proto(DataType::Float, &[-1])).unwrap_err();
        assert!(matches!(negative, PrepareError::NegativeDim { dim: -1, .. }));
        let overflow = tensor_from_proto(&proto(DataType::Float, &[i64::MAX, 16])).unwrap_err();
        assert!(matches!(overflow, PrepareError::Shape { .. }));
        let string = tensor_from_proto(&proto(DataType::String, &[1])).unwrap_err();
        assert!(matches!(string, PrepareError::UnsupportedType { ref given, .. } if given == "string"));
        let unknown = pb::TensorProto {
            data_type: 999,
            ..Default::default()
        };
        assert!(
            tensor_from_proto(&unknown)
                .unwrap_err()
                .to_string()
                .contains("number 999")
        );
    }

    #[test]
    fn sub_graphs_are_normalised_too() {
        let mut inner = proto(DataType::Float, &[1]);
        inner.float_data = vec![1.0];
        let graph = pb::GraphProto {
            initializer: vec![inner],
            ..Default::default()
        };
        let attribute = pb::AttributeProto {
            g: Some(graph),
            ..Default::default()
        };
        let node = pb::NodeProto {
            attribute: vec![attribute],
            ..Default::default()
        };
        let mut outer = pb::GraphProto {
            node: vec![node],
            ..Default::default()
        };
        let files = BTreeMap::new();
        normalise(&mut outer, &ExternalData::new(&files), &ModelLimits::default()).unwrap();
        let tensor = &outer.node[0].attribute[0].g.as_ref().unwrap().initializer[0];
        assert_eq!(
            (tensor.raw_data.as_slice(), tensor.float_data.len()),
            (&[0, 0, 128, 63][..], 0)
        );
    }
}
