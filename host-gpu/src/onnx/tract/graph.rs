//! [`TractGraph`]: a loaded model, and the contexts that compute on it. Contexts hold nothing of their own: each compute
//! runs on fresh state, so that nothing of it is left for the next, and a panic costs nobody else anything.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tract_onnx::{
    prelude::{IntoTValue as _, TValue, TVec, TractResult, TypedModel},
    tract_hir::internal::anyhow,
};

use super::{
    TRACT,
    allocation::TooLarge,
    cache::PlanCache,
    convert,
    plan::Plan,
    template::{Key, Template},
    weights::Weights,
};
use crate::{
    backend::{ComputeError, ContextError, EngineFault, ExecutionContext, Graph},
    cancel::CancelToken,
    engines::ModelLimits,
    onnx::inputs,
    panics,
    signature::Signature,
    tensor::NamedTensor,
};

/// A model loaded by tract.
#[derive(Debug)]
pub(super) struct TractGraph {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    signature: Signature,
    plans: Plans,
    weights: Weights,
    max_tensor_bytes: u64,
}

#[derive(Debug)]
enum Plans {
    /// Every dimension is fixed: one plan, and no template any more.
    One(Arc<Plan>),
    Many {
        template: Template,
        template_bytes: u64,
        /// For any shape, and slower than a plan made for one.
        general: Option<Arc<Plan>>,
        cache: PlanCache,
    },
}

impl TractGraph {
    pub(super) fn new(signature: Signature, template: Template, limits: &ModelLimits) -> TractResult<Self> {
        let weights = Weights::default();
        let max_tensor_bytes = limits.tensor_bytes;
        let plans = match template {
            Template::Typed(model) if is_fixed(&signature) => {
                Plans::One(Arc::new(Plan::build(*model, &weights, max_tensor_bytes)?))
            }
            Template::Typed(model) => {
                let general = if has_windows(&model) {
                    None
                } else {
                    Some(Arc::new(Plan::build((*model).clone(), &weights, max_tensor_bytes)?))
                };
                Plans::many(Template::Typed(model), general, limits)
            }
            parsed @ Template::Parsed { .. } => Plans::many(parsed, None, limits),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                signature,
                plans,
                weights,
                max_tensor_bytes,
            }),
        })
    }
}

/// Convolutions and poolings over open dimensions run several times slower than over fixed ones: slower than making a plan.
fn has_windows(model: &TypedModel) -> bool {
    let over_windows = |name: &str| matches!(name, "Conv" | "Deconv" | "MaxPool" | "SumPool");
    model.nodes().iter().any(|node| over_windows(&node.op.name()))
}

fn is_fixed(signature: &Signature) -> bool {
    let fixed = |dim: &crate::signature::Dim| matches!(dim, crate::signature::Dim::Fixed(_));
    signature
        .inputs
        .iter()
        .all(|spec| spec.dims.as_ref().is_some_and(|dims| dims.iter().all(fixed)))
}

impl Plans {
    fn many(template: Template, general: Option<Arc<Plan>>, limits: &ModelLimits) -> Self {
        let template_bytes = template.constant_bytes();
        Self::Many {
            template,
            template_bytes,
            general,
            cache: PlanCache::new(limits.plans),
        }
    }
}

impl Graph for TractGraph {
    fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    fn engine(&self) -> &'static str {
        TRACT
    }

    fn init_execution_context(&self) -> Result<Box<dyn ExecutionContext>, ContextError> {
        Ok(Box::new(TractContext {
            graph: Arc::clone(&self.inner),
        }))
    }

    fn resident_bytes(&self) -> u64 {
        let template = match &self.inner.plans {
            Plans::One(_) => 0,
            Plans::Many { template_bytes, .. } => *template_bytes,
        };
        template.saturating_add(self.inner.weights.bytes())
    }
}

struct TractContext {
    graph: Arc<Inner>,
}

impl ExecutionContext for TractContext {
    fn compute(&mut self, inputs: Vec<NamedTensor>, cancel: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
        // Plans are immutable and state is dropped with the unwinding stack: nothing is left half done.
        catch_unwind(AssertUnwindSafe(|| self.graph.compute(inputs, cancel))).unwrap_or_else(|payload| {
            Err(ComputeError::EnginePanicked {
                message: panics::message(payload.as_ref()),
            })
        })
    }
}

/// tract asserts what its operators find out about sizes, too.
pub(super) fn caught<T>(prepare: impl FnOnce() -> TractResult<T>) -> TractResult<T> {
    catch_unwind(AssertUnwindSafe(prepare))
        .unwrap_or_else(|payload| Err(anyhow!("tract panicked: {}", panics::message(payload.as_ref()))))
}

impl Inner {
    fn compute(&self, inputs: Vec<NamedTensor>, cancel: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
        let fault = |step: &str, fault| ComputeError::Engine {
            engine: TRACT,
            step: step.to_owned(),
            source: EngineFault::new(fault),
        };
        let inputs = inputs::bind(&self.signature, inputs, self.max_tensor_bytes)?;
        cancel.check()?;
        let plan = match &self.plans {
            Plans::One(plan) => Arc::clone(plan),
            Plans::Many {
                template,
                general,
                cache,
                ..
            } => {
                let key = Key::of(&inputs, template.switches());
                let check = || caught(|| template.model_for(&key, self.max_tensor_bytes).map(drop));
                let build = || caught(|| template.specialise(&key, &self.weights, self.max_tensor_bytes));
                cache
                    .get(&key, general.as_ref(), check, build)
                    .map_err(|error| match error.downcast::<TooLarge>() {
                        Ok(too_large) => too_large.into(),
                        Err(error) => fault("preparing the graph for these input shapes", error),
                    })?
            }
        };
        let values = inputs
            .iter()
            .map(|input| convert::to_tract(input).map(|tensor| tensor.into_tvalue()))
            .collect::<TractResult<TVec<TValue>>>()
            .map_err(|error| fault("reading the inputs", error))?;
        drop(inputs);
        let outputs = plan.run(values, cancel)?;
        let named = |(spec, value): (&crate::signature::TensorSpec, TValue)| {
            let name = spec.name.clone();
            let given = value.datum_type();
            match convert::from_tract(&value).map_err(|error| fault("writing the outputs", error))? {
                Some(tensor) => Ok(NamedTensor { name, tensor }),
                None => Err(ComputeError::UnsupportedOutput {
                    output: name,
                    given: format!("{given:?}"),
                }),
            }
        };
        self.signature.outputs.iter().zip(outputs).map(named).collect()
    }
}
