//! Sentence embeddings over HTTP, as a `wasi:http/proxy` component.
//!
//! `POST /embed` tokenizes in the guest, runs the model named [`MODEL`] through wasi-nn, and pools and
//! normalises in the guest. Nothing a client sends makes it panic; see README.md for the requests and limits.

pub mod batch;
// What talks to the host exists only in the component; the rest is tested natively.
#[cfg(target_family = "wasm")]
mod model;
pub mod pooling;
pub mod request;
#[cfg(target_family = "wasm")]
mod service;
pub mod tokenizer;

/// Name under which the model is opened and its files are found.
pub const MODEL: &str = "default";

/// Where the host shows the model's vocabulary to the guest.
pub const VOCABULARY: &str = "/models/default/vocab.txt";

/// Most tokens of one text that are looked at, `[CLS]` and `[SEP]` included: what the model was trained with.
pub const MAX_TOKENS: usize = 256;

/// Most texts in one request.
pub const MAX_TEXTS: usize = 64;

/// Most bytes in the body of one request.
pub const MAX_BODY: usize = 1 << 20;
