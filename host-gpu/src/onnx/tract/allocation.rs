//! What a node is about to allocate, where that can be known before it runs: a guest's inputs must not make a node ask
//! for more memory than one tensor may take. Inputs drive sizes through shapes, and through values that become shapes.

use tract_onnx::{
    prelude::{TValue, Tensor, TypedModel},
    tract_core::{
        model::{Node, TypedFact},
        ops::{TypedOp, array::Range},
    },
    tract_hir::internal::SymbolValues,
};

use crate::backend::ComputeError;

/// A node that would make a tensor over the limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{tensor}` would be larger than {limit} bytes")]
pub(super) struct TooLarge {
    pub(super) tensor: String,
    /// Bytes that it would take; `None` when that overflows.
    pub(super) asked: Option<u64>,
    pub(super) limit: u64,
}

impl From<TooLarge> for ComputeError {
    fn from(TooLarge { tensor, asked, limit }: TooLarge) -> Self {
        Self::TensorTooLarge { tensor, asked, limit }
    }
}

/// Refuses a node whose outputs would be over the limit. Sizes that only the node itself finds out (`NonZero`, `Compress`)
/// are bounded by its inputs, and pass.
pub(super) fn check(
    node: &Node<TypedFact, Box<dyn TypedOp>>,
    inputs: &[TValue],
    symbols: &SymbolValues,
    limit: u64,
) -> Result<(), TooLarge> {
    check_outputs(node, symbols, limit)?;
    if node.op_is::<Range>() && range_is_longer(inputs, limit) {
        let tensor = node.name.clone();
        return Err(TooLarge {
            tensor,
            asked: None,
            limit,
        });
    }
    Ok(())
}

/// Refuses a graph with such a node. Before numbers are put in the place of its symbols, too: what then depends on
/// constants only is computed at once.
pub(super) fn check_model(model: &TypedModel, symbols: &SymbolValues, limit: u64) -> Result<(), TooLarge> {
    model
        .nodes()
        .iter()
        .try_for_each(|node| check_outputs(node, symbols, limit))
}

fn check_outputs(node: &Node<TypedFact, Box<dyn TypedOp>>, symbols: &SymbolValues, limit: u64) -> Result<(), TooLarge> {
    for output in &node.outputs {
        let asked = match bytes(&output.fact, symbols) {
            Size::Unknown => continue,
            Size::Bytes(bytes) if bytes <= limit => continue,
            Size::Bytes(bytes) => Some(bytes),
            Size::Uncountable => None,
        };
        let tensor = node.name.clone();
        return Err(TooLarge { tensor, asked, limit });
    }
    Ok(())
}

enum Size {
    Bytes(u64),
    Uncountable,
    Unknown,
}

fn bytes(fact: &TypedFact, symbols: &SymbolValues) -> Size {
    let mut bytes = u64::try_from(fact.datum_type.size_of()).ok();
    for dim in fact.shape.iter() {
        let Ok(dim) = dim.eval_to_i64(symbols) else {
            return Size::Unknown;
        };
        // A dimension of 0 does not excuse the others: strides overflow all the same.
        bytes = bytes
            .zip(u64::try_from(dim.max(1)).ok())
            .and_then(|(bytes, dim)| bytes.checked_mul(dim));
    }
    bytes.map_or(Size::Uncountable, Size::Bytes)
}

/// The length of a range is in the values of its inputs (start, end, step), eight bytes per element at most.
fn range_is_longer(inputs: &[TValue], limit: u64) -> bool {
    let [start, end, step] = inputs else { return false };
    let number = |value: &Tensor| value.cast_to_scalar::<f64>().ok();
    let (Some(start), Some(end), Some(step)) = (number(start), number(end), number(step)) else {
        // Symbolic values: the shape fact has told already.
        return false;
    };
    // A step of 0 gives an infinity or no number at all; the operator refuses both itself, after it has computed the length.
    ((end - start) / step).abs() * 8.0 > limit as f64
}
