//! Tensors between the seam and tract: one copy each way. tract keeps its own alignment, so the seam's bytes cannot be
//! lent to it; booleans are made 0 or 1 on the way in, because tract reads them as Rust's.

use std::sync::Arc;

use tract_onnx::prelude::{DatumType, TractResult};

use crate::tensor::{ElementType, Tensor};

/// tract's type for an element type; tract has no bfloat16.
pub(super) fn datum_type(element_type: ElementType) -> Option<DatumType> {
    Some(match element_type {
        ElementType::F16 => DatumType::F16,
        ElementType::Bf16 => return None,
        ElementType::F32 => DatumType::F32,
        ElementType::F64 => DatumType::F64,
        ElementType::U8 => DatumType::U8,
        ElementType::I8 => DatumType::I8,
        ElementType::U16 => DatumType::U16,
        ElementType::I16 => DatumType::I16,
        ElementType::U32 => DatumType::U32,
        ElementType::I32 => DatumType::I32,
        ElementType::U64 => DatumType::U64,
        ElementType::I64 => DatumType::I64,
        ElementType::Bool => DatumType::Bool,
    })
}

/// The element type that a tract type crosses the seam as. Symbolic dimensions cross as the integers that they are.
pub(super) fn element_type(datum_type: DatumType) -> Option<ElementType> {
    Some(match datum_type.unquantized() {
        DatumType::F16 => ElementType::F16,
        DatumType::F32 => ElementType::F32,
        DatumType::F64 => ElementType::F64,
        DatumType::U8 => ElementType::U8,
        DatumType::I8 => ElementType::I8,
        DatumType::U16 => ElementType::U16,
        DatumType::I16 => ElementType::I16,
        DatumType::U32 => ElementType::U32,
        DatumType::I32 => ElementType::I32,
        DatumType::U64 => ElementType::U64,
        DatumType::I64 | DatumType::TDim => ElementType::I64,
        DatumType::Bool => ElementType::Bool,
        _ => return None,
    })
}

/// Copies a tensor in.
pub(super) fn to_tract(tensor: &Tensor) -> TractResult<tract_onnx::prelude::Tensor> {
    let datum_type = datum_type(tensor.element_type())
        .ok_or_else(|| tract_onnx::tract_hir::internal::anyhow!("tract has no {}", tensor.element_type()))?;
    let mut copy = tract_onnx::prelude::Tensor::zero_dt(datum_type, tensor.shape())?;
    let bytes = copy.as_bytes_mut();
    if tensor.element_type() == ElementType::Bool {
        for (to, from) in bytes.iter_mut().zip(tensor.data().iter()) {
            *to = u8::from(*from != 0);
        }
    } else if !bytes.is_empty() {
        bytes.copy_from_slice(tensor.data());
    }
    Ok(copy)
}

/// Copies a tensor out; `None` when its type cannot cross the seam.
pub(super) fn from_tract(tensor: &tract_onnx::prelude::Tensor) -> TractResult<Option<Tensor>> {
    let Some(element_type) = element_type(tensor.datum_type()) else {
        return Ok(None);
    };
    let cast;
    let plain = if tensor.datum_type() == DatumType::TDim {
        cast = tensor.cast_to::<i64>()?;
        &*cast
    } else {
        tensor
    };
    let bytes = plain.try_as_plain_ram()?.as_bytes().to_vec();
    Ok(Some(Tensor::new(
        element_type,
        plain.shape().to_vec(),
        Arc::new(bytes),
    )?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_type_that_tract_has_round_trips() {
        for kind in ElementType::ALL.into_iter().filter(|kind| datum_type(*kind).is_some()) {
            for shape in [vec![], vec![3, 2], vec![0, 2]] {
                let len = Tensor::byte_len(kind, &shape).unwrap();
                let data: Vec<u8> = (0..len).map(|byte| u8::try_from(byte % 2).unwrap()).collect();
                let tensor = Tensor::new(kind, shape, Arc::new(data)).unwrap();
                let there = to_tract(&tensor).unwrap();
                assert_eq!(from_tract(&there).unwrap().unwrap(), tensor);
            }
        }
    }

    #[test]
    fn any_nonzero_byte_is_true() {
        let odd = Tensor::new(ElementType::Bool, vec![3], Arc::new(vec![0, 1, 255])).unwrap();
        let there = to_tract(&odd).unwrap();
        assert_eq!(from_tract(&there).unwrap().unwrap().data().as_slice(), [0, 1, 1]);
    }

    #[test]
    fn what_tract_does_not_have_is_refused() {
        let brain = Tensor::new(ElementType::Bf16, vec![1], Arc::new(vec![0, 0])).unwrap();
        assert!(to_tract(&brain).unwrap_err().to_string().contains("bf16"));
    }
}
