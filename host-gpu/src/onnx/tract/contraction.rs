//! Dimensions that a contraction multiplies along must be equal. tract takes two different symbols for equal, and its
//! kernels then read as far as the longer one says; so a graph is only run when its contractions are proven.

use std::collections::HashSet;

use tract_onnx::{
    prelude::{Symbol, TDim, TractResult, TypedModel},
    tract_core::ops::{einsum::EinSum, logic::IfThenElse, scan::Scan},
    tract_hir::internal::{TypedNode, bail},
};

/// Refuses a model with a contraction over dimensions that are not the same. Symbols of the model's inputs may differ:
/// [`Template::model_for`](super::template::Template::model_for) puts numbers in their place before each set of shapes is
/// run for the first time.
pub(super) fn check(model: &TypedModel) -> TractResult<()> {
    let mut known: HashSet<Symbol> = HashSet::new();
    for index in 0..model.input_outlets()?.len() {
        known.extend(model.input_fact(index)?.shape.iter().flat_map(TDim::symbols));
    }
    for node in model.nodes() {
        if let Some(einsum) = node.op_as::<EinSum>() {
            check_einsum(model, node, einsum, &known)?;
        }
        if let Some(scan) = node.op_as::<Scan>() {
            check(&scan.body)?;
        }
        if let Some(branches) = node.op_as::<IfThenElse>() {
            check(&branches.then_body)?;
            check(&branches.else_body)?;
        }
    }
    Ok(())
}

fn check_einsum(model: &TypedModel, node: &TypedNode, einsum: &EinSum, known: &HashSet<Symbol>) -> TractResult<()> {
    let facts = model.node_input_facts(node.id)?;
    let shapes = einsum.actual_input_shapes_from_facts(&facts)?;
    for axis in einsum.axes.iter_all_axes() {
        let dims = shapes
            .iter()
            .zip(&axis.inputs)
            .flat_map(|(shape, positions)| positions.iter().filter_map(|&position| shape.get(position)));
        let mut first: Option<&TDim> = None;
        for dim in dims.filter(|dim| **dim != TDim::Val(1)) {
            let first = *first.get_or_insert(dim);
            let provable_later = [first, dim]
                .iter()
                .all(|dim| dim.symbols().iter().all(|symbol| known.contains(symbol)))
                && !(first.symbols().is_empty() && dim.symbols().is_empty());
            if first != dim && !provable_later {
                bail!(
                    "`{}` multiplies along {first} and {dim}, which are not the same",
                    node.name
                );
            }
        }
    }
    Ok(())
}
