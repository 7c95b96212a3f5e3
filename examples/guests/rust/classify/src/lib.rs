//! Image classification over HTTP, as a `wasi:http/proxy` component.
//!
//! `POST /classify` decodes a picture in the guest, runs the model named [`MODEL`] through wasi-nn, and gives the likeliest
//! classes. Nothing a client sends makes it panic; see README.md for the requests and limits.

pub mod picture;
pub mod ranking;
// What talks to the host exists only in the component; the rest is tested natively.
#[cfg(target_family = "wasm")]
mod service;

/// Name under which the model is opened and its files are found.
pub const MODEL: &str = "default";

/// Where the host shows the names of the classes, a list in JSON; a model without it has numbered classes.
pub const LABELS: &str = "/models/default/labels.json";

/// Most bytes in the body of one request.
pub const MAX_BODY: usize = 8 << 20;
