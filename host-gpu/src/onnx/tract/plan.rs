//! [`Plan`]: a graph optimised for one set of input shapes, and how it runs: node by node, so that a compute can be
//! stopped and no node makes a tensor over the limit.

use std::sync::Arc;

use tract_onnx::{
    prelude::{DatumType, IntoTValue as _, SymbolValues, TDim, TValue, TVec, TractResult, TypedModel, TypedSimplePlan},
    tract_core::{
        model::{Node, TypedFact},
        ops::TypedOp,
        plan::{EvalContext, SimpleState},
    },
};

use super::{TRACT, allocation, weights::Weights};
use crate::{
    backend::{ComputeError, EngineFault},
    cancel::CancelToken,
};

/// A graph ready to run with inputs of fixed shapes.
#[derive(Debug)]
pub(super) struct Plan {
    plan: Arc<TypedSimplePlan>,
    max_tensor_bytes: u64,
}

impl Plan {
    /// Optimises `model` and lays out the order of its nodes.
    pub(super) fn build(model: TypedModel, weights: &Weights, max_tensor_bytes: u64) -> TractResult<Self> {
        let mut model = model.into_optimized()?;
        weights.share(&mut model)?;
        Ok(Self {
            plan: TypedSimplePlan::new(model)?,
            max_tensor_bytes,
        })
    }

    /// Runs the plan once, on state of its own.
    pub(super) fn run(&self, inputs: TVec<TValue>, cancel: &CancelToken) -> Result<TVec<TValue>, ComputeError> {
        let sizes = self.sizes(&inputs);
        let mut stopped = None;
        let eval = |context: &EvalContext<'_>,
                    state: Option<&mut (dyn tract_onnx::tract_core::ops::OpState + 'static)>,
                    node: &Node<TypedFact, Box<dyn TypedOp>>,
                    inputs: TVec<TValue>| {
            let allowed = match cancel.check() {
                Ok(()) => {
                    allocation::check(node, &inputs, context.symbols, self.max_tensor_bytes).map_err(ComputeError::from)
                }
                Err(stop) => Err(stop.into()),
            };
            if let Err(error) = allowed {
                stopped = Some(error);
                return Err(tract_onnx::tract_hir::internal::anyhow!("stopped"));
            }
            tract_onnx::tract_core::plan::eval(context, state, node, inputs)
        };
        let outputs = SimpleState::new(&self.plan)
            .and_then(|mut state| state.run_plan_with_eval(inputs, eval))
            .and_then(|outputs| outputs.into_iter().map(|output| settled(output, &sizes)).collect());
        outputs.map_err(|fault| {
            stopped.unwrap_or_else(|| ComputeError::Engine {
                engine: TRACT,
                step: "running the graph".to_owned(),
                source: EngineFault::new(fault),
            })
        })
    }
}

impl Plan {
    /// The sizes that the symbols of the inputs' facts stand for in this compute.
    fn sizes(&self, inputs: &[TValue]) -> SymbolValues {
        let mut sizes = SymbolValues::default();
        for (index, input) in inputs.iter().enumerate() {
            let Ok(fact) = self.plan.model().input_fact(index) else {
                continue;
            };
            for (dim, &size) in fact.shape.iter().zip(input.shape()) {
                if let (TDim::Sym(symbol), Ok(size)) = (dim, i64::try_from(size)) {
                    sizes.set(symbol, size);
                }
            }
        }
        sizes
    }
}

/// `output` with the sizes in it as numbers: a graph typed with symbols gives shapes in terms of them.
fn settled(output: TValue, sizes: &SymbolValues) -> TractResult<TValue> {
    if output.datum_type() != DatumType::TDim {
        return Ok(output);
    }
    let dims = output.to_plain_array_view::<TDim>()?.mapv(|dim| dim.eval(sizes));
    Ok(tract_onnx::prelude::Tensor::from(dims).into_tvalue())
}
