//! [`ModelError`]: why a model gave no answer, in the terms of who can do something about it.

use crate::bindings::wasi::nn::errors::{Error, ErrorCode};

/// Why a model was not opened or gave no result. The texts are for the log, not for a client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The artifact lists no model of that name, and the operator grants none.
    #[error("model {model}: not found: {text}")]
    NotFound {
        /// The name.
        model: String,
        /// What the host says.
        text: String,
    },
    /// The tensors do not fit into what this guest may use.
    #[error("model {model}: too large: {text}")]
    TooLarge {
        /// The model.
        model: String,
        /// What the host says.
        text: String,
    },
    /// The host gave up waiting.
    #[error("model {model}: timed out: {text}")]
    Timeout {
        /// The model.
        model: String,
        /// What the host says.
        text: String,
    },
    /// The host could not run it: the inputs do not fit the model, or the engine failed.
    #[error("model {model}: {code}: {text}")]
    Failed {
        /// The model.
        model: String,
        /// The error code of wasi-nn.
        code: String,
        /// What the host says.
        text: String,
    },
    /// The numbers handed to a tensor are not as many as its shape says, or a dimension has more than 32 bits.
    #[error("{length} numbers do not make a tensor of shape {shape:?}")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
        /// How many numbers there were.
        length: usize,
    },
    /// The model ran, and its outputs are not those that were expected.
    #[error("model {model}: {text}")]
    Output {
        /// The model.
        model: String,
        /// What is there instead.
        text: String,
    },
}

impl ModelError {
    pub(crate) fn from_host(model: &str, error: &Error) -> Self {
        let (model, text) = (model.to_owned(), error.data());
        match error.code() {
            ErrorCode::NotFound => Self::NotFound { model, text },
            ErrorCode::TooLarge => Self::TooLarge { model, text },
            ErrorCode::Timeout => Self::Timeout { model, text },
            code => Self::Failed {
                code: format!("{code:?}"),
                model,
                text,
            },
        }
    }
}
