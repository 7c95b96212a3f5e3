//! The wasmtime embedding of Dunlin: [`Engine`] compiles and caches code, [`CommandApp`] runs commands, [`HttpApp`] serves
//! requests, and guests reach models through wasi-nn over `dunlin-host-gpu`. A guest gets nothing that its [`Grants`] do
//! not name and nothing beyond its [`Limits`]. This crate never reads configuration files or the environment, and knows
//! nothing of registries or signatures: code arrives here already trusted.

mod code;
mod code_cache;
mod engine;

mod grants;
mod limits;
mod models;
mod stats;
mod stdio;

mod link;
mod meter;
mod nn;
mod store;

mod command;
mod http;

pub use code::{Code, WasmKind, World};
pub use command::{CommandApp, ExitStatus, RunError};
pub use engine::{
    CompileError, Engine, EngineConfig, EngineError, MAX_WASM_BYTES, OpenCodeError, PoolConfig, WatError,
};
pub use grants::{GrantError, Grants, Preopen};
pub use http::{HttpApp, HttpConfig, OutboundHost, OutboundHostError, RequestError, ResponseBody, ResponseBodyError};
pub use limits::Limits;
pub use link::{LinkError, LinkOptions, MissingImport};
pub use meter::DeadlineKind;
pub use models::{ExecutionTarget, ModelProvider, OpenModelError};
pub use stats::InstanceStats;
pub use stdio::{GuestLine, GuestStream, InstanceId, LineSink, OutputSink, Stdin, Stdout};

/// An error of a layer below, kept as the source of the error that names the operation.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
