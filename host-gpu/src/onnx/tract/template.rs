//! [`Template`]: a graph before its shapes are known, and how a plan is made from it. A graph that can be typed with
//! symbols for its open dimensions is typed once; one that cannot (its branches differ in rank, its shapes depend on
//! values) is typed anew for each combination of shapes.

use std::collections::HashMap;

use tract_onnx::{
    prelude::{InferenceFact, InferenceModel, InferenceModelExt as _, Symbol, TDim, TractResult, TypedModel},
    tract_core::ops::konst::Const,
    tract_hir::internal::{Factoid as _, IntoArcTensor as _, SymbolValues, ToDim as _, TractErrorContext as _, ensure},
};

use super::{allocation, constants, contraction, convert, plan::Plan, weights::Weights};
use crate::tensor::Tensor;

/// What a plan is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The shape of every input.
    pub(super) shapes: Vec<Vec<usize>>,
    /// The values of those that switch branches, in the order of [`Template::switches`].
    pub(super) switches: Vec<Tensor>,
}

impl Key {
    pub(super) fn of(inputs: &[Tensor], switches: &[usize]) -> Self {
        Self {
            shapes: inputs.iter().map(|input| input.shape().to_vec()).collect(),
            switches: switches.iter().map(|&index| inputs[index].clone()).collect(),
        }
    }
}

/// A graph before its shapes are known.
#[derive(Debug)]
pub(super) enum Template {
    /// Typed, with symbols for open dimensions; constants are settled.
    Typed(Box<TypedModel>),
    /// Parsed only.
    Parsed {
        model: Box<InferenceModel>,
        /// Inputs that switch branches, by position.
        switches: Vec<usize>,
    },
}

impl Template {
    /// Types a parsed graph once and for all.
    pub(super) fn typed(model: InferenceModel, max_tensor_bytes: u64) -> TractResult<Self> {
        let mut typed = model.into_typed()?;
        allocation::check_model(&typed, &SymbolValues::default(), max_tensor_bytes)?;
        typed.declutter()?;
        constants::settle(&mut typed, max_tensor_bytes)?;
        typed.declutter()?;
        contraction::check(&typed)?;
        Ok(Self::Typed(Box::new(typed)))
    }

    /// Inputs whose values are part of a plan's key, by position.
    pub(super) fn switches(&self) -> &[usize] {
        match self {
            Self::Typed(_) => &[],
            Self::Parsed { switches, .. } => switches,
        }
    }

    /// Makes the plan for `key`.
    pub(super) fn specialise(&self, key: &Key, weights: &Weights, max_tensor_bytes: u64) -> TractResult<Plan> {
        Plan::build(self.model_for(key, max_tensor_bytes)?, weights, max_tensor_bytes)
    }

    /// The graph typed for `key`, not yet optimised: every operator has checked the sizes that it will meet.
    pub(super) fn model_for(&self, key: &Key, max_tensor_bytes: u64) -> TractResult<TypedModel> {
        let model = match self {
            Self::Typed(model) => substitute(model, key, max_tensor_bytes)?,
            Self::Parsed { model, switches } => type_for(model, switches, key, max_tensor_bytes)?,
        };
        for (index, shape) in key.shapes.iter().enumerate() {
            let fact = model.input_fact(index)?;
            ensure!(
                fact.shape.as_concrete() == Some(shape),
                "input {index} is {shape:?}, which does not fit {fact:?}"
            );
        }
        contraction::check(&model)?;
        Ok(model)
    }

    /// Bytes of the constants that the template itself holds.
    pub(super) fn constant_bytes(&self) -> u64 {
        let bytes = |tensor: &tract_onnx::prelude::Tensor| u64::try_from(tensor.as_bytes().len()).unwrap_or(u64::MAX);
        let constants: Vec<u64> = match self {
            Self::Typed(model) => model
                .nodes()
                .iter()
                .filter_map(|node| node.op_as::<Const>())
                .map(|konst| bytes(konst.val()))
                .collect(),
            Self::Parsed { model, .. } => model
                .nodes()
                .iter()
                .filter_map(|node| node.op_as::<Const>())
                .map(|konst| bytes(konst.val()))
                .collect(),
        };
        constants.into_iter().fold(0, u64::saturating_add)
    }
}

fn substitute(model: &TypedModel, key: &Key, max_tensor_bytes: u64) -> TractResult<TypedModel> {
    let mut sizes: HashMap<Symbol, TDim> = HashMap::new();
    let mut values = SymbolValues::default();
    for (index, shape) in key.shapes.iter().enumerate() {
        for (dim, &size) in model.input_fact(index)?.shape.iter().zip(shape) {
            if let TDim::Sym(symbol) = dim {
                sizes.insert(symbol.clone(), size.to_dim());
                values.set(symbol, i64::try_from(size)?);
            }
        }
    }
    allocation::check_model(model, &values, max_tensor_bytes)?;
    model.set_symbols(&sizes)
}

fn type_for(model: &InferenceModel, switches: &[usize], key: &Key, max_tensor_bytes: u64) -> TractResult<TypedModel> {
    let mut model = model.clone();
    for (index, shape) in key.shapes.iter().enumerate() {
        let datum_type = model
            .input_fact(index)?
            .datum_type
            .concretize()
            .context("an input has no type")?;
        model.set_input_fact(index, InferenceFact::dt_shape(datum_type, shape))?;
    }
    for (&index, value) in switches.iter().zip(&key.switches) {
        model.input_fact_mut(index)?.value = convert::to_tract(value)?.into_arc_tensor().into();
    }
    let mut typed = model.into_typed()?;
    allocation::check_model(&typed, &SymbolValues::default(), max_tensor_bytes)?;
    typed.declutter()?;
    constants::settle(&mut typed, max_tensor_bytes)?;
    Ok(typed)
}
