//! The model behind wasi-nn: opened by name once per instance, run once per request.

use std::{fmt, sync::OnceLock};

use self::bindings::wasi::nn::{
    errors::{Error, ErrorCode},
    graph::{self, Graph},
    tensor::{Tensor, TensorType},
};
use crate::{MODEL, batch::Batch, pooling::Hidden};

mod bindings {
    #![allow(
        unsafe_code,
        missing_docs,
        reason = "generated: the calling convention of components"
    )]
    wit_bindgen::generate!({ world: "ml", path: "wit/deps/wasi-nn" });
}

/// The output that is taken; models that call it otherwise have it as their first output of rank 3.
const OUTPUT: &str = "last_hidden_state";

/// Why there is no result. The text is for the log.
#[derive(Debug)]
pub(crate) enum ModelError {
    /// The host has no model of that name for this guest.
    NotFound(String),
    /// The tensors do not fit into what this guest may use.
    TooLarge(String),
    /// The host gave up waiting.
    Timeout(String),
    /// The host could not run it.
    Failed(String),
    /// It ran and returned something else than token vectors.
    Output(String),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(text) => write!(f, "not found: {text}"),
            Self::TooLarge(text) => write!(f, "too large: {text}"),
            Self::Timeout(text) => write!(f, "timed out: {text}"),
            Self::Failed(text) => write!(f, "failed: {text}"),
            Self::Output(text) => write!(f, "unexpected output: {text}"),
        }
    }
}

impl From<Error> for ModelError {
    fn from(error: Error) -> Self {
        let text = error.data();
        match error.code() {
            ErrorCode::NotFound => Self::NotFound(text),
            ErrorCode::TooLarge => Self::TooLarge(text),
            ErrorCode::Timeout => Self::Timeout(text),
            code => Self::Failed(format!("{code:?}: {text}")),
        }
    }
}

/// Runs the model on a batch and returns its token vectors, one per cell of the batch.
pub(crate) fn run(batch: &Batch) -> Result<Hidden, ModelError> {
    let shape = [size(batch.rows())?, size(batch.columns())?];
    let input = |name: &str, data: Vec<u8>| {
        let tensor = Tensor::new(&shape, TensorType::I64, &data);
        (name.to_owned(), tensor)
    };
    let inputs = vec![
        input("input_ids", batch.ids_bytes()),
        input("attention_mask", batch.mask_bytes()),
        input("token_type_ids", batch.type_bytes()),
    ];
    let context = graph()?.init_execution_context()?;
    let outputs = context.compute(inputs)?;
    hidden(outputs, shape)
}

/// The model, opened by the first request that an instance serves.
fn graph() -> Result<&'static Graph, ModelError> {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    if let Some(graph) = GRAPH.get() {
        return Ok(graph);
    }
    let graph = graph::load_by_name(MODEL)?;
    Ok(GRAPH.get_or_init(|| graph))
}

fn hidden(outputs: Vec<(String, Tensor)>, shape: [u32; 2]) -> Result<Hidden, ModelError> {
    let described: Vec<_> = outputs
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.dimensions()))
        .collect();
    let chosen = described
        .iter()
        .position(|(name, _)| *name == OUTPUT)
        .or_else(|| described.iter().position(|(_, shape)| shape.len() == 3));
    let unexpected = || ModelError::Output(format!("{described:?} for an input of {shape:?}"));
    let chosen = chosen.ok_or_else(unexpected)?;
    let [rows, columns, width] = *described[chosen].1 else {
        return Err(unexpected());
    };
    let tensor = &outputs[chosen].1;
    if [rows, columns] != shape || tensor.ty() != TensorType::Fp32 {
        return Err(unexpected());
    }
    let number = |size: u32| usize::try_from(size).map_err(|_| unexpected());
    Ok(Hidden {
        rows: number(rows)?,
        columns: number(columns)?,
        width: number(width)?,
        data: tensor.data(),
    })
}

fn size(number: usize) -> Result<u32, ModelError> {
    u32::try_from(number).map_err(|_| ModelError::TooLarge(format!("{number} in one dimension")))
}
