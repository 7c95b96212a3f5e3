//! An HTTP component that answers by path, or misbehaves.
//!
//! - `/`: a greeting
//! - `/echo`: the request's body, streamed back
//! - `/count`: how many requests this instance has served
//! - `/env`, `/fs`, `/connect`, `/fetch`: what the host granted, as `granted: ...` or `refused: ...`
//! - `/log`: a line on each output of the guest
//! - `/stream?N`: N MiB in pieces of 64 KiB
//! - `/status?CODE`: an empty answer with it
//! - `/panic`, `/panic-late`: traps before, and after, the head of the answer
//! - `/spin`: never ends; `/sleep?MS`: waits without computing
//! - `/grow`: takes memory until it is refused, and says how much it got

// Its exports have names that only a linker for WebAssembly takes.
#[cfg(target_family = "wasm")]
mod routes;
