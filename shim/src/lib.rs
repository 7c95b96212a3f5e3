//! `containerd-shim-dunlin-v1`: pods whose containers are WebAssembly, beside Linux containers, under any containerd from 1.6.
//!
//! One process per pod, the shim, answers containerd's Task API on one thread ([`serve()`]); it never runs guest code and has
//! no compiler. A WebAssembly container is a worker: a process in the container's namespaces and control group, without
//! capabilities, behind a system call filter, with nothing of the node in its file system. Linux containers of the same pod
//! (pause, sidecars) are run by the node's runc or crun. Code is compiled once per node, outside of any pod, by
//! `dunlin-shim-compile`. Before anything of an image is read, the node's trust policy has passed its digest.

mod sys;

mod args;
mod bootstrap;
mod config;
mod delete;
mod info;
mod serve;

mod error;
mod events;
mod message;
mod service;

mod container;
mod pod;
mod process;

mod cgroup;
mod console;
mod exit;
mod mount;
mod reaper;
mod spec;
mod stdio;

mod linux;
mod runc;

mod code_cache;
mod grpc;
mod image;
mod wasm;
mod worker;

pub use args::{Action, Args, ArgsError};
pub use bootstrap::{BootstrapError, start};
pub use config::{Config, ConfigError, DEFAULT_PATH};
pub use delete::delete;
pub use info::print as print_info;
pub use serve::{ServeError, serve};

/// Runs a worker: the inside of a WebAssembly container. Only a shim starts one, with its socket at descriptor 3.
pub fn work() -> ! {
    worker::inside::run()
}
