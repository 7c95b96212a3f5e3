//! Constants that tract leaves to every run, worked out once. Its own folding stops at a few MiB, so that a quantised
//! embedding table would be widened on every compute. Tables are gathered from first and widened after, which keeps them
//! small; everything else that depends on constants only is computed here.

use std::sync::Arc;

use tract_onnx::{
    prelude::{IntoTensor, OutletId, TVec, Tensor, TractResult, TypedModel, TypedModelPatch},
    tract_core::ops::{TypedOp, array::Gather, binary::TypedBinOp, cast::Cast, konst::Const},
    tract_hir::internal::{IntoTValue as _, SpecialOps as _, ToDim as _, TypedNode},
};

/// Rewrites `model` in place. No constant larger than `max_bytes` is made.
pub(super) fn settle(model: &mut TypedModel, max_bytes: u64) -> TractResult<()> {
    for id in model.eval_order()? {
        if let Some(patch) = gather_first(model, model.node(id))? {
            patch.apply(model)?;
        }
    }
    model.compact()?;
    for id in model.eval_order()? {
        if let Some(patch) = fold(model, model.node(id), max_bytes)? {
            patch.apply(model)?;
        }
    }
    model.compact()
}

/// A step between a constant table and the gather that reads it; each acts on every element alone.
enum Step {
    Cast(Box<dyn TypedOp>),
    /// An operation with a constant that broadcasts to the table: a number, one per row, one per column.
    Binary {
        op: Box<dyn TypedOp>,
        other: Arc<Tensor>,
        other_first: bool,
    },
}

/// Rows of a table that is a function of a constant, element by element: reads the rows first.
fn gather_first(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    let Some(gather) = node
        .op_as::<Gather>()
        .filter(|gather| gather.axis == 0 && gather.output_type.is_none())
    else {
        return Ok(None);
    };
    let mut steps = Vec::new();
    let mut table = node.inputs[0];
    while !model.node(table.node).op_is::<Const>() {
        if model.outlet_successors(table).len() != 1 {
            return Ok(None);
        }
        let Some((step, before)) = step(model, table)? else {
            return Ok(None);
        };
        steps.push(step);
        table = before;
    }
    let indices_rank = model.outlet_fact(node.inputs[1])?.rank();
    if steps.is_empty() || indices_rank == 0 {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::new("gathers rows before widening them");
    let table_rows = model.outlet_fact(table)?.shape[0].clone();
    let table = patch.tap_model(model, table)?;
    let indices = patch.tap_model(model, node.inputs[1])?;
    let mut rows = patch.wire_node(format!("{}.rows", node.name), gather.clone(), &[table, indices])?[0];
    for (index, step) in steps.into_iter().rev().enumerate() {
        let name = format!("{}.step{index}", node.name);
        rows = match step {
            Step::Cast(op) => patch.wire_node(name, op, &[rows])?[0],
            Step::Binary { op, other, other_first } => {
                let per_row = other.shape()[0].to_dim() == table_rows;
                let mut other = Arc::unwrap_or_clone(other);
                if !per_row {
                    (1..indices_rank).try_for_each(|_| other.insert_axis(0))?;
                }
                let mut other = patch.add_const(format!("{name}.other"), other)?;
                if per_row {
                    other = patch.wire_node(format!("{name}.rows"), gather.clone(), &[other, indices])?[0];
                }
                let inputs = if other_first { [other, rows] } else { [rows, other] };
                patch.wire_node(name, op, &inputs)?[0]
            }
        };
    }
    patch.shunt_outside(model, node.id.into(), rows)?;
    Ok(Some(patch))
}

fn step(model: &TypedModel, outlet: OutletId) -> TractResult<Option<(Step, OutletId)>> {
    let node = model.node(outlet.node);
    if node.op_is::<Cast>() {
        return Ok(Some((Step::Cast(node.op.clone()), node.inputs[0])));
    }
    if !node.op_is::<TypedBinOp>() {
        return Ok(None);
    }
    for (constant, table) in [(1, 0), (0, 1)] {
        let table_shape = &model.outlet_fact(node.inputs[table])?.shape;
        let fact = model.outlet_fact(node.inputs[constant])?;
        let broadcasts = *table_shape == node.outputs[0].fact.shape && fact.rank() == table_shape.rank();
        if let Some(other) = fact.konst.as_ref().filter(|other| broadcasts && other.is_plain_ram()) {
            let step = Step::Binary {
                op: node.op.clone(),
                other: Arc::clone(other),
                other_first: constant == 0,
            };
            return Ok(Some((step, node.inputs[table])));
        }
    }
    Ok(None)
}

/// A node whose inputs are all constant becomes its outputs.
fn fold(model: &TypedModel, node: &TypedNode, max_bytes: u64) -> TractResult<Option<TypedModelPatch>> {
    if node.inputs.is_empty() || node.op_is::<Const>() {
        return Ok(None);
    }
    let small = node.outputs.iter().all(|output| {
        let bytes = output
            .fact
            .mem_size()
            .to_i64()
            .ok()
            .and_then(|bytes| u64::try_from(bytes).ok());
        output.fact.exotic_fact.is_none() && bytes.is_some_and(|bytes| bytes <= max_bytes)
    });
    let inputs = model.node_input_facts(node.id)?;
    let constant = |konst: &Arc<Tensor>| konst.is_plain_ram().then(|| Arc::clone(konst).into_tvalue());
    let inputs: Option<TVec<_>> = inputs
        .iter()
        .map(|fact| fact.konst.as_ref().and_then(constant))
        .collect();
    let Some(inputs) = inputs.filter(|_| small) else {
        return Ok(None);
    };
    let Ok(Some(outputs)) = node.op.eval_out_of_plan(inputs) else {
        return Ok(None);
    };
    let mut patch = TypedModelPatch::new("computes constants once");
    for (slot, output) in outputs.into_iter().enumerate() {
        let constant = patch.add_const(format!("{}.{slot}", node.name), output.into_tensor())?;
        patch.shunt_outside(model, OutletId::new(node.id, slot), constant)?;
    }
    Ok(Some(patch))
}
