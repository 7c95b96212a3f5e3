//! Our own package, `dunlin:inference@0.1.0` (wit/inference.wit): tensors that stay on the host, borrowed inputs, models that
//! tell what they are. Over the same session and quotas as wasi-nn. Functions for language models answer `unsupported`.

mod error;
mod models;
mod tensors;
mod text;
mod types;

use std::collections::HashMap;

use wasmtime::component::Linker;

use super::NnView;

/// Everything before this in an import's name is the package.
pub(crate) const PACKAGE: &str = "dunlin:inference/";
pub(crate) const VERSION: &str = "0.1.0";
/// The package's interfaces, in the order in which a linker needs them.
pub(crate) const INTERFACES: &[&str] = &["types", "tensors", "models", "text"];

/// What the dialect keeps beside the session: the execution context of each open model, by the graph's number.
#[derive(Default)]
pub(crate) struct InferenceState {
    contexts: HashMap<u32, u32>,
}

/// Defines the package's interfaces.
pub(crate) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.instance(&interface("types"))?;
    tensors::add_to_linker(linker)?;
    models::add_to_linker(linker)?;
    text::add_to_linker(linker)
}

fn interface(name: &str) -> String {
    format!("{PACKAGE}{name}@{VERSION}")
}
