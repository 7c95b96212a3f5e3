//! `If` as exporters write it: with a condition on shapes, and branches of different rank. tract's own operator unifies
//! both branches before it knows the condition, and so refuses such models. This one waits for the condition, follows
//! only the branch that it chooses, and leaves that branch in the graph in its own place.

use std::collections::HashMap;

use tract_onnx::{
    model::{ParseResult, ParsingContext},
    pb,
    tract_core::{as_op, not_a_typed_op, ops::logic::IfThenElse},
    tract_hir::internal::*,
};

use super::guard;

type Facts = (TVec<InferenceFact>, TVec<InferenceFact>, TVec<InferenceFact>);

/// Parses an `If` node: the operator, and the names of outer tensors that its branches use.
pub(super) fn parse(
    context: &ParsingContext<'_>,
    node: &pb::NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let then = context.parse_graph(node.get_attr("then_branch")?)?;
    let otherwise = context.parse_graph(node.get_attr("else_branch")?)?;
    ensure!(
        then.model.outputs.len() == otherwise.model.outputs.len(),
        "the branches of an If give {} and {} outputs",
        then.model.outputs.len(),
        otherwise.model.outputs.len()
    );
    let mut captured: Vec<String> = then
        .unresolved_inputs
        .iter()
        .chain(&otherwise.unresolved_inputs)
        .cloned()
        .collect();
    captured.sort();
    captured.dedup();
    let op = Conditional {
        then: Branch::new(then, &captured)?,
        otherwise: Branch::new(otherwise, &captured)?,
    };
    Ok((Box::new(op), captured))
}

#[derive(Clone, Debug)]
struct Branch {
    body: InferenceModel,
    /// For each input of the body, the input of the operator that feeds it; the first is the condition.
    feeds: Vec<usize>,
}

impl Branch {
    fn new(parsed: ParseResult, captured: &[String]) -> TractResult<Self> {
        let mut parsed = parsed;
        guard::guard(&mut parsed.model);
        let position = |name: &String| captured.iter().position(|captured| captured == name);
        let feed = |name| {
            position(name)
                .map(|index| index + 1)
                .context("a captured tensor has no place")
        };
        let feeds = parsed
            .unresolved_inputs
            .iter()
            .map(feed)
            .collect::<TractResult<Vec<_>>>()?;
        ensure!(
            parsed.model.input_outlets()?.len() == feeds.len(),
            "a branch of an If has inputs of its own"
        );
        Ok(Self {
            body: parsed.model,
            feeds,
        })
    }

    /// Exchanges what is known of the outer tensors with the body; gives what the body then knows of its outputs.
    fn infer(&mut self, inputs: &mut [InferenceFact], outputs: &mut [InferenceFact]) -> TractResult<()> {
        loop {
            let mut changed = false;
            for (index, &feed) in self.feeds.iter().enumerate() {
                changed |= self.body.input_fact_mut(index)?.unify_with_mut(&mut inputs[feed])?;
            }
            changed |= self.body.analyse(false)?;
            for (index, output) in outputs.iter_mut().enumerate() {
                changed |= self.body.output_fact_mut(index)?.unify_with_mut(output)?;
            }
            if !changed {
                return Ok(());
            }
        }
    }

    /// Puts the body in the place of the node.
    fn inline(&self, prefix: &str, inputs: &[OutletId], target: &mut TypedModel) -> TractResult<TVec<OutletId>> {
        let body = self.body.clone().into_typed()?;
        let mut mapping: HashMap<OutletId, OutletId> = body
            .input_outlets()?
            .iter()
            .copied()
            .zip(self.feeds.iter().map(|&feed| inputs[feed]))
            .collect();
        for id in body.eval_order()? {
            let node = body.node(id);
            if TypedModel::is_source(&node.op) {
                continue;
            }
            let inputs = node.inputs.iter().map(|input| mapping[input]).collect::<TVec<_>>();
            let name = target.unique_name(format!("{prefix}.{}", node.name)).into_owned();
            let wired = target.wire_node(name, node.op.clone(), &inputs)?;
            mapping.extend(
                wired
                    .iter()
                    .enumerate()
                    .map(|(slot, &outlet)| (OutletId::new(id, slot), outlet)),
            );
        }
        Ok(body.output_outlets()?.iter().map(|output| mapping[output]).collect())
    }
}

#[derive(Clone, Debug)]
struct Conditional {
    then: Branch,
    otherwise: Branch,
}

/// Whether `op` is the operator of this module.
pub(super) fn is_conditional(op: &dyn InferenceOp) -> bool {
    op.as_op().downcast_ref::<Conditional>().is_some()
}

impl PartialEq for Conditional {
    /// Two nodes are never merged on the ground of equal bodies.
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl Eq for Conditional {}

impl Conditional {
    /// With an unknown condition, only what both branches agree on is known. They are tried on copies: the branch that
    /// the condition will not choose may well be impossible.
    fn infer_common(&self, inputs: &[InferenceFact], outputs: &mut [InferenceFact]) -> TractResult<()> {
        let try_branch = |branch: &Branch| {
            let mut inferred: TVec<InferenceFact> = outputs.iter().map(|_| InferenceFact::default()).collect();
            branch
                .clone()
                .infer(&mut inputs.to_vec(), &mut inferred)
                .ok()
                .map(|()| inferred)
        };
        let (Some(then), Some(otherwise)) = (try_branch(&self.then), try_branch(&self.otherwise)) else {
            return Ok(());
        };
        for ((output, then), otherwise) in outputs.iter_mut().zip(then).zip(otherwise) {
            if then.datum_type == otherwise.datum_type {
                output.datum_type.unify_with(&then.datum_type)?;
            }
            if then.shape == otherwise.shape {
                output.shape.unify_with(&then.shape)?;
            }
        }
        Ok(())
    }
}

impl Op for Conditional {
    fn name(&self) -> StaticName {
        "If".into()
    }

    not_a_typed_op!();
}

impl EvalOp for Conditional {
    /// Never evaluated as it is: a known condition leaves one branch in its place, an unknown one becomes a typed operator.
    fn eval_out_of_plan(&self, _inputs: TVec<TValue>) -> TractResult<Option<TVec<TValue>>> {
        Ok(None)
    }
}

impl InferenceOp for Conditional {
    fn infer_facts(
        &mut self,
        inputs: TVec<&InferenceFact>,
        outputs: TVec<&InferenceFact>,
        observed: TVec<&InferenceFact>,
    ) -> TractResult<Facts> {
        let mut inputs: TVec<InferenceFact> = inputs.into_iter().cloned().collect();
        let mut outputs: TVec<InferenceFact> = outputs.into_iter().cloned().collect();
        inputs[0].datum_type.unify_with(&bool::datum_type().into())?;
        match inputs[0].value.concretize() {
            Some(condition) if condition.cast_to_scalar::<bool>()? => self.then.infer(&mut inputs, &mut outputs)?,
            Some(_) => self.otherwise.infer(&mut inputs, &mut outputs)?,
            None => self.infer_common(&inputs, &mut outputs)?,
        }
        Ok((inputs, outputs, observed.into_iter().cloned().collect()))
    }

    fn nboutputs(&self) -> TractResult<usize> {
        Ok(self.then.body.outputs.len())
    }

    fn to_typed(
        &self,
        source: &InferenceModel,
        node: &InferenceNode,
        target: &mut TypedModel,
        mapping: &HashMap<OutletId, OutletId>,
    ) -> TractResult<TVec<OutletId>> {
        let inputs: TVec<OutletId> = node.inputs.iter().map(|input| mapping[input]).collect();
        match source.outlet_fact(node.inputs[0])?.value.concretize() {
            Some(condition) if condition.cast_to_scalar::<bool>()? => self.then.inline(&node.name, &inputs, target),
            Some(_) => self.otherwise.inline(&node.name, &inputs, target),
            None => {
                let typed = |branch: &Branch| {
                    let mut branch = branch.clone();
                    let mut facts: TVec<InferenceFact> = node
                        .inputs
                        .iter()
                        .map(|input| source.outlet_fact(*input).cloned())
                        .collect::<TractResult<_>>()?;
                    let mut outputs: TVec<InferenceFact> =
                        node.outputs.iter().map(|_| InferenceFact::default()).collect();
                    branch.infer(&mut facts, &mut outputs)?;
                    branch.body.into_typed()
                };
                let op = IfThenElse {
                    then_body: typed(&self.then)?,
                    then_input_mapping: self.then.feeds.clone(),
                    else_body: typed(&self.otherwise)?,
                    else_input_mapping: self.otherwise.feeds.clone(),
                };
                target.wire_node(&node.name, op, &inputs)
            }
        }
    }

    as_op!();
}
