//! An HTTP service of WASI 0.3 that answers by path.
//!
//! - `/`: a greeting; `/count`: how many requests this instance has served
//! - `/late`: the head at once, the body from a task of its own, in two parts
//! - `/trap`: traps before the head; `/trap-late`: traps after it
//! - anything else: 404

// Its exports have names that only a linker for WebAssembly takes.
#[cfg(target_family = "wasm")]
mod service;
