//! Between the types of models and those that wasi-nn can name. wasi-nn has seven element types and writes a single value
//! as shape `[1]`; types that it lacks travel bit for bit in its integer of the same width. Nothing is copied.

use dunlin_host_gpu::{ElementType, NamedTensor, Signature, Tensor};

use super::error::NnError;

/// The wasi-nn type that carries `element_type`; `None` when there is none of that width.
fn carrier(element_type: ElementType) -> Option<ElementType> {
    use ElementType as E;
    match element_type {
        E::F16 | E::Bf16 | E::F32 | E::F64 | E::U8 | E::I32 | E::I64 => Some(element_type),
        E::Bool | E::I8 => Some(E::U8),
        E::U32 => Some(E::I32),
        E::U64 => Some(E::I64),
        E::U16 | E::I16 => None,
    }
}

/// What the graph takes, from what the guest gave. Everything else is left for the engine to judge.
pub(super) fn input(signature: &Signature, input: NamedTensor) -> Result<NamedTensor, NnError> {
    let Some(spec) = signature.input(&input.name) else {
        return Ok(input);
    };
    let given = input.tensor.element_type();
    let element_type = if carrier(spec.element_type) == Some(given) {
        spec.element_type
    } else {
        given
    };
    let scalar = spec.dims.as_ref().is_some_and(Vec::is_empty) && input.tensor.shape() == [1];
    if element_type == given && !scalar {
        return Ok(input);
    }
    let (_, shape, data) = input.tensor.into_parts();
    let shape = if scalar { Vec::new() } else { shape };
    Ok(NamedTensor {
        name: input.name,
        tensor: Tensor::new(element_type, shape, data)?,
    })
}

/// What the guest gets, from what the graph gave.
pub(super) fn output(output: NamedTensor) -> Result<NamedTensor, NnError> {
    let (element_type, shape, data) = output.tensor.into_parts();
    let Some(carried) = carrier(element_type) else {
        return Err(NnError::UnsupportedOutput {
            output: output.name,
            element_type,
        });
    };
    let shape = if shape.is_empty() { vec![1] } else { shape };
    Ok(NamedTensor {
        name: output.name,
        tensor: Tensor::new(carried, shape, data)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use dunlin_host_gpu::TensorSpec;

    use super::*;

    fn named(element_type: ElementType, shape: &[usize], len: usize) -> NamedTensor {
        let tensor = Tensor::new(element_type, shape.to_vec(), Arc::new(vec![1; len])).unwrap();
        NamedTensor {
            name: "x".into(),
            tensor,
        }
    }

    fn signature(element_type: ElementType, scalar: bool) -> Signature {
        let dims = scalar.then(Vec::new);
        Signature {
            inputs: vec![TensorSpec {
                name: "x".into(),
                element_type,
                dims,
            }],
            ..Signature::default()
        }
    }

    #[test]
    fn carried_types_and_scalars_reach_the_model_as_it_declares_them() {
        let adapted = input(&signature(ElementType::Bool, false), named(ElementType::U8, &[3], 3)).unwrap();
        assert_eq!(adapted.tensor.element_type(), ElementType::Bool);
        let adapted = input(&signature(ElementType::I64, true), named(ElementType::I64, &[1], 8)).unwrap();
        assert!(adapted.tensor.shape().is_empty());
    }

    #[test]
    fn a_wrong_type_is_left_for_the_engine_to_refuse() {
        let adapted = input(&signature(ElementType::F32, false), named(ElementType::I32, &[1], 4)).unwrap();
        assert_eq!(adapted.tensor.element_type(), ElementType::I32);
    }

    #[test]
    fn outputs_use_types_that_guests_know() {
        let given = output(named(ElementType::U32, &[], 4)).unwrap();
        assert_eq!(
            (given.tensor.element_type(), given.tensor.shape()),
            (ElementType::I32, &[1_usize][..])
        );
        assert!(matches!(
            output(named(ElementType::U16, &[1], 2)),
            Err(NnError::UnsupportedOutput { .. })
        ));
    }
}
