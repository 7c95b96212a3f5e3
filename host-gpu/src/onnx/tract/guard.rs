//! A bound on what tract computes while it only types a graph: it evaluates a node as soon as it knows the node's inputs,
//! however large the outputs, so that a model of a few bytes could ask for all the memory there is.

use std::collections::HashMap;

use tract_onnx::{
    prelude::{InferenceFact, InferenceModel, OutletId, SpecialOps as _, TValue, TVec, TractResult, TypedModel},
    tract_core::{
        as_op, not_a_typed_op,
        ops::{OpState, konst::Const, unimpl::UnimplementedOp},
    },
    tract_hir::internal::{
        DimLike as _, EvalContext, EvalOp, Factoid as _, InferenceModelPatch, InferenceNode, InferenceOp, Op,
        StaticName, Tensor, TypedOp, bail,
    },
};

use super::conditional;

/// Constants of real models that are worth computing early are weights, and the largest weights are a few hundred MiB.
const MAX_CONSTANT_BYTES: u64 = 1 << 30;
/// The widest element, for outputs whose type is not known yet.
const MAX_ELEMENT_BYTES: u64 = 8;

type Facts = (TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>);

/// Puts every operator of `model` that computes under guard.
pub(super) fn guard(model: &mut InferenceModel) {
    for node in model.nodes_mut() {
        let computes = !InferenceModel::is_source(&node.op)
            && !node.op_is::<Const>()
            && !node.op_is::<UnimplementedOp>()
            && !conditional::is_conditional(node.op.as_ref());
        if computes {
            let op = node.op.clone();
            node.op = Box::new(Guarded { op });
        }
    }
}

#[derive(Clone, Debug)]
struct Guarded {
    op: Box<dyn InferenceOp>,
}

impl PartialEq for Guarded {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Guarded {}

impl Op for Guarded {
    fn name(&self) -> StaticName {
        self.op.name()
    }

    not_a_typed_op!();
}

impl EvalOp for Guarded {
    fn eval(&self, context: &EvalContext<'_>, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.op.eval(context, inputs)
    }

    fn eval_out_of_plan(&self, inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        self.op.eval_out_of_plan(inputs)
    }

    fn state(&self, context: &EvalContext<'_>) -> TractResult<Option<Box<dyn OpState>>> {
        self.op.state(context)
    }
}

impl InferenceOp for Guarded {
    fn infer(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Facts> {
        // Only then does tract evaluate the node.
        if !inputs.is_empty() && inputs.iter().all(|input| input.value.is_concrete()) {
            let (_, inferred, _) = self.op.infer_facts(inputs.clone(), outputs.clone(), observed.clone())?;
            for output in &inferred {
                check(output)?;
            }
            if self.op.name() == "Range" {
                check_range(&inputs)?;
            }
        }
        self.op.infer(inputs, outputs, observed)
    }

    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Facts> {
        self.op.infer_facts(inputs, outputs, observed)
    }

    fn observe_outlets(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Vec<OutletId>> {
        self.op.observe_outlets(model, node)
    }

    fn incorporate(&self, model: &InferenceModel, node: &InferenceNode) -> TractResult<Option<InferenceModelPatch>> {
        self.op.incorporate(model, node)
    }

    fn nboutputs(&self) -> TractResult<usize> {
        self.op.nboutputs()
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        self.op.to_typed(source, node, target, mapping)
    }

    as_op!();
}

fn check(output: &InferenceFact) -> TractResult<()> {
    let Some(shape) = output.shape.concretize() else {
        return Ok(());
    };
    let element = output
        .datum_type
        .concretize()
        .and_then(|kind| u64::try_from(kind.size_of()).ok());
    let mut bytes = Some(element.unwrap_or(MAX_ELEMENT_BYTES));
    for dim in shape.iter() {
        let Ok(dim) = dim.to_usize() else { return Ok(()) };
        bytes = bytes
            .zip(u64::try_from(dim.max(1)).ok())
            .and_then(|(bytes, dim)| bytes.checked_mul(dim));
    }
    match bytes {
        Some(bytes) if bytes <= MAX_CONSTANT_BYTES => Ok(()),
        _ => bail!("a constant {output:?} would be larger than {MAX_CONSTANT_BYTES} bytes"),
    }
}

/// The length of a range is in its values, and its shape is known only after it is computed.
fn check_range(inputs: &[&InferenceFact]) -> TractResult<()> {
    let number = |fact: &&InferenceFact| {
        let value = fact.value.concretize()?;
        let value: &Tensor = &value;
        value.cast_to_scalar::<f64>().ok()
    };
    let numbers: Option<Vec<f64>> = inputs.iter().map(number).collect();
    let Some([start, end, step]) = numbers.as_deref() else {
        return Ok(());
    };
    if ((end - start) / step).abs() * 8.0 > MAX_CONSTANT_BYTES as f64 {
        bail!("a constant range from {start} to {end} by {step} would be larger than {MAX_CONSTANT_BYTES} bytes");
    }
    Ok(())
}
