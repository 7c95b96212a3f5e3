//! The shim under real containerd: every test starts a containerd of its own (folders, sockets and namespace of its own), drives
//! it with `ctr` and, where `ctr` has no word for it, talks to the shim's own socket. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests"
)]

mod archive;
mod leftovers;
mod node;

mod http;
mod linux;
mod sweep;
mod task_api;
mod trust;
mod wasm;
