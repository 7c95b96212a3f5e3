//! Binds the inputs of one compute to a signature, before any engine sees them: every input once, of the right element
//! type and shape, with each symbol one size.

use std::collections::HashMap;

use crate::{
    backend::ComputeError,
    signature::{Dim, Signature, TensorSpec},
    tensor::{NamedTensor, Tensor},
};

/// The tensors in the signature's order.
///
/// # Errors
/// Names the first input that does not fit.
pub(super) fn bind(
    signature: &Signature,
    inputs: Vec<NamedTensor>,
    max_tensor_bytes: u64,
) -> Result<Vec<Tensor>, ComputeError> {
    let mut slots: Vec<Option<Tensor>> = vec![None; signature.inputs.len()];
    for NamedTensor { name, tensor } in inputs {
        let Some(index) = signature.inputs.iter().position(|spec| spec.name == name) else {
            let known = signature.inputs.iter().map(|spec| spec.name.clone()).collect();
            return Err(ComputeError::UnknownInput {
                input: name.chars().take(128).collect(),
                known,
            });
        };
        if slots[index].replace(tensor).is_some() {
            return Err(ComputeError::DuplicateInput { input: name });
        }
    }
    let mut sizes = HashMap::new();
    let mut bound = Vec::with_capacity(slots.len());
    for (spec, slot) in signature.inputs.iter().zip(slots) {
        let tensor = slot.ok_or_else(|| ComputeError::MissingInput {
            input: spec.name.clone(),
        })?;
        check(spec, &tensor, &mut sizes)?;
        let bytes = u64::try_from(tensor.data().len()).ok();
        if bytes.is_none_or(|bytes| bytes > max_tensor_bytes) {
            let tensor = spec.name.clone();
            return Err(ComputeError::TensorTooLarge {
                tensor,
                asked: bytes,
                limit: max_tensor_bytes,
            });
        }
        bound.push(tensor);
    }
    Ok(bound)
}

fn check<'a>(spec: &'a TensorSpec, tensor: &Tensor, sizes: &mut HashMap<&'a str, usize>) -> Result<(), ComputeError> {
    let input = || spec.name.clone();
    if tensor.element_type() != spec.element_type {
        let (expected, given) = (spec.element_type, tensor.element_type());
        return Err(ComputeError::WrongElementType {
            input: input(),
            expected,
            given,
        });
    }
    let Some(dims) = &spec.dims else { return Ok(()) };
    if dims.len() != tensor.shape().len() {
        let (expected, given) = (dims.len(), tensor.shape().to_vec());
        return Err(ComputeError::WrongRank {
            input: input(),
            expected,
            given,
        });
    }
    for (axis, (dim, &given)) in dims.iter().zip(tensor.shape()).enumerate() {
        match dim {
            Dim::Fixed(expected) if *expected == given => {}
            Dim::Fixed(expected) => {
                return Err(ComputeError::WrongDim {
                    input: input(),
                    axis,
                    expected: *expected,
                    given,
                });
            }
            Dim::Symbol(symbol) => {
                let bound = *sizes.entry(symbol).or_insert(given);
                if bound != given {
                    let symbol = symbol.clone();
                    return Err(ComputeError::SymbolConflict {
                        input: input(),
                        axis,
                        symbol,
                        bound,
                        given,
                    });
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;
    use crate::tensor::ElementType;

    fn signature() -> Signature {
        let spec = |name: &str, dims| TensorSpec {
            name: name.into(),
            element_type: ElementType::U8,
            dims,
        };
        let n = || Dim::Symbol("n".into());
        Signature {
            inputs: vec![
                spec("a", Some(vec![n(), Dim::Fixed(3)])),
                spec("b", Some(vec![n()])),
                spec("c", None),
            ],
            ..Signature::default()
        }
    }

    fn tensor(name: &str, shape: &[usize]) -> NamedTensor {
        let data = Arc::new(vec![0; shape.iter().product()]);
        NamedTensor {
            name: name.into(),
            tensor: Tensor::new(ElementType::U8, shape.to_vec(), data).unwrap(),
        }
    }

    fn bound(inputs: Vec<NamedTensor>) -> Result<Vec<Tensor>, ComputeError> {
        bind(&signature(), inputs, 100)
    }

    #[test]
    fn inputs_come_out_in_signature_order() {
        let bound = bound(vec![tensor("c", &[1, 1]), tensor("b", &[2]), tensor("a", &[2, 3])]).unwrap();
        let shapes: Vec<_> = bound.iter().map(|tensor| tensor.shape().to_vec()).collect();
        assert_eq!(shapes, [vec![2, 3], vec![2], vec![1, 1]]);
    }

    #[test]
    fn names_must_match_one_to_one() {
        let good = || vec![tensor("a", &[2, 3]), tensor("b", &[2]), tensor("c", &[])];
        let mut missing = good();
        missing.remove(1);
        assert!(matches!(bound(missing), Err(ComputeError::MissingInput { input }) if input == "b"));
        let mut unknown = good();
        unknown[1].name = "x".repeat(1_000);
        let error = bound(unknown).unwrap_err();
        assert!(
            matches!(&error, ComputeError::UnknownInput { input, known } if input.len() == 128 && known.len() == 3)
        );
        assert_eq!(error.hint().unwrap(), "the model's inputs are: a, b, c");
        let mut twice = good();
        twice.push(tensor("b", &[2]));
        assert!(matches!(bound(twice), Err(ComputeError::DuplicateInput { input }) if input == "b"));
    }

    #[test]
    fn shapes_must_fit() {
        let with = |a: &[usize], b: &[usize]| bound(vec![tensor("a", a), tensor("b", b), tensor("c", &[])]);
        assert!(matches!(
            with(&[2], &[2]),
            Err(ComputeError::WrongRank { expected: 2, .. })
        ));
        assert!(matches!(
            with(&[2, 4], &[2]),
            Err(ComputeError::WrongDim {
                axis: 1,
                expected: 3,
                given: 4,
                ..
            })
        ));
        let conflict = with(&[2, 3], &[5]).unwrap_err();
        assert!(matches!(&conflict, ComputeError::SymbolConflict { symbol, bound: 2, given: 5, .. } if symbol == "n"));
        assert!(conflict.is_invalid_input());
        assert!(matches!(
            with(&[40, 3], &[40]),
            Err(ComputeError::TensorTooLarge { asked: Some(120), .. })
        ));
    }

    #[test]
    fn element_types_must_match() {
        let mut wrong = tensor("a", &[2, 3]);
        let data = Arc::new(vec![0; 24]);
        wrong.tensor = Tensor::new(ElementType::F32, vec![2, 3], data).unwrap();
        let error = bound(vec![wrong, tensor("b", &[2]), tensor("c", &[])]).unwrap_err();
        assert_eq!(error.to_string(), "input `a` takes u8, but f32 was given");
    }
}
