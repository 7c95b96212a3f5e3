//! The model behind wasi-nn: opened by name once per instance, run once per request.

use std::sync::OnceLock;

use dunlin_guest::{Array, Model, ModelError, Tensor};

use crate::{MODEL, batch::Batch};

/// The output that is taken; models that call it otherwise have it as their first output of rank 3.
const OUTPUT: &str = "last_hidden_state";

/// Runs the model on a batch and returns its token vectors: texts x tokens x numbers.
pub(crate) fn run(batch: &Batch) -> Result<Array<f32>, ModelError> {
    let shape = [batch.rows(), batch.columns()];
    let outputs = model()?.run([
        ("input_ids", Tensor::new(&shape, batch.ids())?),
        ("attention_mask", Tensor::new(&shape, &batch.attention())?),
        ("token_type_ids", Tensor::new(&shape, &batch.types())?),
    ])?;
    let named_otherwise = || outputs.iter().find(|output| output.shape().len() == 3);
    match outputs.get(OUTPUT).or_else(named_otherwise) {
        Some(output) => output.array(),
        None => outputs.array(OUTPUT),
    }
}

/// The model, opened by the first request that an instance serves.
fn model() -> Result<&'static Model, ModelError> {
    static MODEL_ONCE: OnceLock<Model> = OnceLock::new();
    if let Some(model) = MODEL_ONCE.get() {
        return Ok(model);
    }
    let model = Model::open(MODEL)?;
    Ok(MODEL_ONCE.get_or_init(|| model))
}
