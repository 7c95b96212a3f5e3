//! ONNX types to ours: element types, input specs and declared outputs. Strings, sequences, maps and optionals have no
//! place on this side of the seam, and are refused by name.

use tract_onnx::pb::{
    self,
    tensor_proto::DataType,
    tensor_shape_proto::dimension::Value as DimValue,
    type_proto::{self, Value},
};

use super::{DeclaredOutput, PrepareError};
use crate::{
    signature::{Dim, TensorSpec},
    tensor::ElementType,
};

/// The element type of an ONNX data type, where there is one.
pub(super) fn element_type(data_type: DataType) -> Option<ElementType> {
    Some(match data_type {
        DataType::Float => ElementType::F32,
        DataType::Uint8 => ElementType::U8,
        DataType::Int8 => ElementType::I8,
        DataType::Uint16 => ElementType::U16,
        DataType::Int16 => ElementType::I16,
        DataType::Int32 => ElementType::I32,
        DataType::Int64 => ElementType::I64,
        DataType::Bool => ElementType::Bool,
        DataType::Float16 => ElementType::F16,
        DataType::Double => ElementType::F64,
        DataType::Uint32 => ElementType::U32,
        DataType::Uint64 => ElementType::U64,
        DataType::Bfloat16 => ElementType::Bf16,
        _ => return None,
    })
}

pub(super) fn input_spec(input: &pb::ValueInfoProto) -> Result<TensorSpec, PrepareError> {
    let name = input.name.clone();
    match tensor_type(input) {
        Some(tensor) => Ok(TensorSpec {
            element_type: named_type(&name, tensor)?,
            dims: dims(tensor),
            name,
        }),
        None => Err(PrepareError::UnsupportedType {
            name,
            given: "sequence, map or optional".to_owned(),
        }),
    }
}

pub(super) fn declared_output(output: &pb::ValueInfoProto) -> Result<DeclaredOutput, PrepareError> {
    let name = output.name.clone();
    match (tensor_type(output), &output.r#type) {
        // Exporters leave the type of outputs of sub-graphs undefined.
        (Some(tensor), _) if tensor.elem_type != DataType::Undefined as i32 => Ok(DeclaredOutput {
            element_type: Some(named_type(&name, tensor)?),
            dims: dims(tensor),
            name,
        }),
        (Some(_), _) | (None, None) => Ok(DeclaredOutput {
            name,
            element_type: None,
            dims: None,
        }),
        (None, Some(_)) => Err(PrepareError::UnsupportedType {
            name,
            given: "sequence, map or optional".to_owned(),
        }),
    }
}

fn tensor_type(info: &pb::ValueInfoProto) -> Option<&type_proto::Tensor> {
    match info.r#type.as_ref()?.value.as_ref()? {
        Value::TensorType(tensor) => Some(tensor),
    }
}

fn named_type(name: &str, tensor: &type_proto::Tensor) -> Result<ElementType, PrepareError> {
    let data_type = DataType::try_from(tensor.elem_type).ok();
    data_type
        .and_then(element_type)
        .ok_or_else(|| PrepareError::UnsupportedType {
            name: name.to_owned(),
            given: type_name(tensor.elem_type),
        })
}

/// What to call an ONNX data type in a message.
pub(super) fn type_name(data_type: i32) -> String {
    match DataType::try_from(data_type) {
        Ok(known) => known.as_str_name().to_ascii_lowercase(),
        Err(_) => format!("number {data_type}"),
    }
}

fn dims(tensor: &type_proto::Tensor) -> Option<Vec<Dim>> {
    let shape = tensor.shape.as_ref()?;
    Some(
        shape
            .dim
            .iter()
            .map(|dim| match &dim.value {
                Some(DimValue::DimValue(size)) => match usize::try_from(*size) {
                    Ok(size) => Dim::Fixed(size),
                    Err(_) => Dim::Symbol(String::new()),
                },
                Some(DimValue::DimParam(name)) => Dim::Symbol(name.clone()),
                None => Dim::Symbol(String::new()),
            })
            .collect(),
    )
}
