//! How a prepared model becomes a graph: typed with symbols where tract can do that, else parsed and tried with small
//! shapes, so that a model that tract does not take is refused when it is loaded and not when it is first used.

use std::{collections::HashMap, sync::Arc};

use tract_onnx::{
    prelude::{DatumType, InferenceModel, TDim, TractResult, TypedModel},
    tract_hir::internal::{DimLike as _, TractErrorContext as _, anyhow, bail},
    tract_hir::ops::unimpl::UnimplementedOp,
};

use super::{
    TRACT, conditional, convert, faults,
    graph::{TractGraph, caught},
    guard, shapes, switches,
    template::{Key, Template},
};
use crate::{
    backend::{EngineFault, LoadError},
    engines::ModelLimits,
    onnx::prepare::{DeclaredOutput, Prepared},
    signature::{Dim, Signature, TensorSpec},
    tensor::Tensor,
};

/// Sizes to try for open dimensions, smallest first: enough for windows and strides of convolutions to fit. The first
/// dimension of each input is taken for a batch, and stays 1.
const TRIAL_SIZES: [usize; 8] = [1, 2, 16, 64, 128, 256, 512, 1024];

/// A model that tract takes.
pub(super) struct Loaded {
    pub(super) graph: TractGraph,
    /// Whether the graph could be typed already, for all shapes or for one. Where it could not, the first compute tells.
    pub(super) tried: bool,
}

/// Loads a prepared model.
pub(super) fn load(name: &str, prepared: Prepared, limits: &ModelLimits) -> Result<Loaded, LoadError> {
    let Prepared {
        proto,
        inputs,
        outputs,
        metadata,
    } = prepared;
    let refused = |fault| LoadError::Engine {
        engine: TRACT,
        model: name.to_owned(),
        source: EngineFault::new(fault),
    };
    // Another engine may well have what tract lacks, so this is tract's refusal and not the model's.
    if let Some(input) = inputs
        .iter()
        .find(|input| convert::datum_type(input.element_type).is_none())
    {
        return Err(refused(anyhow!(
            "input `{}` is of type {}",
            input.name,
            input.element_type
        )));
    }
    proto.graph.as_ref().map_or(Ok(()), faults::check).map_err(refused)?;
    let switches = proto
        .graph
        .as_ref()
        .map(|graph| switches::find(graph, &inputs))
        .unwrap_or_default();
    let open = inputs.iter().any(is_open);
    let decided_by_shape = open && proto.graph.as_ref().is_some_and(shapes::decide);
    let parsed = parse(&proto).map_err(refused)?;
    drop(proto);
    let typed = (!decided_by_shape).then(|| Template::typed(parsed.clone(), limits.tensor_bytes));
    let (template, facts) = match typed {
        Some(Ok(Template::Typed(model))) => {
            let facts = output_facts(&model).map_err(refused)?;
            (Template::Typed(model), Some(facts))
        }
        _ => {
            let template = Template::Parsed {
                model: Box::new(parsed),
                switches,
            };
            match try_out(&template, &inputs, limits.tensor_bytes) {
                Ok(facts) => (template, Some(facts)),
                // No guess may fit inputs that decide the form of the graph; only real ones can tell.
                Err(_) if !template.switches().is_empty() => (template, None),
                Err(fault) => return Err(refused(fault)),
            }
        }
    };
    let tried = facts.is_some();
    let signature = Signature {
        outputs: output_specs(name, outputs, facts)?,
        inputs,
        metadata,
    };
    let graph = TractGraph::new(signature, template, limits).map_err(refused)?;
    Ok(Loaded { graph, tried })
}

fn parse(proto: &tract_onnx::pb::ModelProto) -> TractResult<InferenceModel> {
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    onnx.op_register.insert("If", conditional::parse);
    let mut parsed = onnx.parse(proto, None)?;
    if let Some(missing) = parsed.unresolved_inputs.first() {
        bail!("nothing makes the tensor `{missing}`");
    }
    let mut unknown: Vec<_> = parsed
        .model
        .nodes()
        .iter()
        .filter(|node| node.op_is::<UnimplementedOp>())
        .map(|node| node.op.name().into_owned())
        .collect();
    if unknown.is_empty() {
        guard::guard(&mut parsed.model);
        return Ok(parsed.model);
    }
    unknown.sort();
    unknown.dedup();
    bail!("there are operators that it does not have: {}", unknown.join(", "))
}

/// What tract found out about an output.
struct OutputFact {
    datum_type: DatumType,
    dims: Option<Vec<Dim>>,
}

fn output_facts(model: &TypedModel) -> TractResult<Vec<OutputFact>> {
    let fact = |index: usize| {
        let fact = model.output_fact(index)?;
        let dim = |dim: &TDim| match dim.to_usize() {
            Ok(size) => Dim::Fixed(size),
            Err(_) => Dim::Symbol(dim.to_string()),
        };
        Ok(OutputFact {
            datum_type: fact.datum_type,
            dims: Some(fact.shape.iter().map(dim).collect()),
        })
    };
    (0..model.outputs.len()).map(fact).collect()
}

/// Types the graph for small shapes until one fits.
fn try_out(template: &Template, inputs: &[TensorSpec], max_tensor_bytes: u64) -> TractResult<Vec<OutputFact>> {
    let sizes = if inputs.iter().any(is_open) {
        &TRIAL_SIZES[..]
    } else {
        &TRIAL_SIZES[..1]
    };
    let values: &[u8] = if template.switches().is_empty() { &[0] } else { &[0, 1] };
    let mut first_error = None;
    for (&size, &value) in sizes
        .iter()
        .flat_map(|size| values.iter().map(move |value| (size, value)))
    {
        let key = trial_key(inputs, template.switches(), size, value)?;
        match caught(|| template.model_for(&key, max_tensor_bytes)).and_then(|model| output_facts(&model)) {
            // The shapes are those of the trial, and say nothing of others.
            Ok(facts) => {
                return Ok(facts
                    .into_iter()
                    .map(|fact| OutputFact { dims: None, ..fact })
                    .collect());
            }
            Err(error) => _ = first_error.get_or_insert(error),
        }
    }
    Err(first_error.unwrap_or_else(|| anyhow!("no shape was tried")))
}

fn is_open(spec: &TensorSpec) -> bool {
    spec.dims.iter().flatten().any(|dim| matches!(dim, Dim::Symbol(_)))
}

fn trial_key(inputs: &[TensorSpec], switches: &[usize], size: usize, value: u8) -> TractResult<Key> {
    let mut sizes: HashMap<&str, usize> = HashMap::new();
    for dims in inputs.iter().filter_map(|spec| spec.dims.as_ref()) {
        if let Some(Dim::Symbol(batch)) = dims.first() {
            sizes.insert(batch, 1);
        }
    }
    let shape = |spec: &TensorSpec| {
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Symbol(symbol) => sizes.get(symbol.as_str()).copied().unwrap_or(size),
        };
        let dims = spec
            .dims
            .as_ref()
            .with_context(|| format!("the rank of input `{}` is open", spec.name))?;
        TractResult::Ok(dims.iter().map(dim).collect::<Vec<_>>())
    };
    let switch = |&index: &usize| {
        let spec = &inputs[index];
        let mut bytes = vec![0; spec.element_type.size_bytes()];
        bytes[0] = value;
        TractResult::Ok(Tensor::new(spec.element_type, shape(spec)?, Arc::new(bytes))?)
    };
    Ok(Key {
        shapes: inputs.iter().map(shape).collect::<TractResult<_>>()?,
        switches: switches.iter().map(switch).collect::<TractResult<_>>()?,
    })
}

fn output_specs(
    model: &str,
    declared: Vec<DeclaredOutput>,
    facts: Option<Vec<OutputFact>>,
) -> Result<Vec<TensorSpec>, LoadError> {
    let facts = facts
        .into_iter()
        .flatten()
        .map(Some)
        .chain(std::iter::repeat_with(|| None));
    let spec = |(declared, fact): (DeclaredOutput, Option<OutputFact>)| {
        let unsupported = |given: String| LoadError::UnsupportedTensor {
            model: model.to_owned(),
            tensor: declared.name.clone(),
            given,
        };
        let Some(fact) = fact else {
            let element_type = declared
                .element_type
                .ok_or_else(|| unsupported("a type that nothing declares".to_owned()))?;
            return Ok(TensorSpec {
                name: declared.name,
                element_type,
                dims: declared.dims,
            });
        };
        let element_type =
            convert::element_type(fact.datum_type).ok_or_else(|| unsupported(format!("{:?}", fact.datum_type)))?;
        Ok(TensorSpec {
            dims: merge(declared.dims, fact.dims),
            name: declared.name,
            element_type,
        })
    };
    declared.into_iter().zip(facts).map(spec).collect()
}

/// Sizes that tract worked out, under the names that the file gives to what is open.
fn merge(declared: Option<Vec<Dim>>, found: Option<Vec<Dim>>) -> Option<Vec<Dim>> {
    match (declared, found) {
        (Some(declared), Some(found)) if declared.len() == found.len() => {
            let dim = |(declared, found)| {
                if matches!(found, Dim::Fixed(_)) {
                    found
                } else {
                    declared
                }
            };
            Some(declared.into_iter().zip(found).map(dim).collect())
        }
        (_, Some(found)) => Some(found),
        (declared, None) => declared,
    }
}
