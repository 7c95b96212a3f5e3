//! [`CommandApp`]: a program that runs from start to end: a component of WASI 0.2 or 0.3, or a preview 1 module. Every run
//! is a fresh instance; nothing of one is visible to the next.

mod error;

use std::{fmt, sync::Arc};

use dunlin_host_gpu::Scheduler;
pub use error::RunError;
use wasmtime::{AsContextMut as _, Store};
use wasmtime_wasi::{I32Exit, p2::bindings::CommandPre, p3::bindings::CommandPre as CommandPre03};

use crate::{
    code::{Code, Compiled, World},
    engine::Engine,
    grants::Grants,
    limits::Limits,
    link::{self, LinkError, LinkOptions},
    meter::{Exceeded, TimeLimits, bounded},
    stats::{Counters, InstanceStats},
    store::{State, StoreParts, new_store},
};

const RUN_02: &str = "wasi:cli/run@0.2.";

/// How a command ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ExitStatus(i32);

impl ExitStatus {
    /// The exit code: 0 for success, and 0 to 255 whatever the guest.
    #[must_use]
    pub fn code(self) -> i32 {
        self.0
    }

    /// Whether the code is 0.
    #[must_use]
    pub fn success(self) -> bool {
        self.0 == 0
    }
}

/// A linked command, ready to be run any number of times, also at once.
pub struct CommandApp {
    engine: Engine,
    code: Code,
    pre: Pre,
    counters: Arc<Counters>,
}

enum Pre {
    Component(CommandPre<State>),
    Component03(CommandPre03<State>),
    Module(wasmtime::InstancePre<State>),
}

impl CommandApp {
    /// Links `code` and resolves its imports.
    ///
    /// # Errors
    /// When `code` is not a command, and when it imports what the host does not provide or `options` do not grant.
    pub fn new(engine: &Engine, code: Code, options: &LinkOptions) -> Result<Self, LinkError> {
        if code.world() != World::Command {
            return Err(LinkError::WrongWorld {
                digest: code.digest().to_owned(),
                wanted: World::Command,
                world: code.world(),
                kind: code.kind(),
            });
        }
        let pre = match code.compiled() {
            Compiled::Component(component) => {
                let linked = link::component(engine, &code, component, *options)?;
                let is_02 = code.exports().iter().any(|export| export.starts_with(RUN_02));
                let pre = if is_02 {
                    CommandPre::new(linked).map(Pre::Component)
                } else {
                    CommandPre03::new(linked).map(Pre::Component03)
                };
                pre.map_err(|error| LinkError::Mismatch {
                    digest: code.digest().to_owned(),
                    source: error.into(),
                })?
            }
            Compiled::Module(module) => Pre::Module(link::module(engine, &code, module, *options)?),
        };
        Ok(Self {
            engine: engine.clone(),
            code,
            pre,
            counters: Arc::default(),
        })
    }

    /// Runs the command once, in a new instance.
    ///
    /// # Cancel safety
    /// Dropping the future stops the guest at its next yield and frees the instance; what it wrote stays written.
    ///
    /// # Errors
    /// When a grant cannot be given, every instance of the engine is taken, the guest traps or reaches a time limit. An
    /// exit code other than 0 is no error.
    ///
    /// # Panics
    /// Outside a tokio runtime with a timer.
    pub async fn run(
        &self,
        grants: Grants,
        limits: Limits,
        scheduler: &Arc<Scheduler>,
    ) -> Result<ExitStatus, RunError> {
        let parts = StoreParts {
            engine: &self.engine,
            grants: &grants,
            limits: &limits,
            scheduler,
            counters: &self.counters,
        };
        if let Some(needed) = self
            .code
            .initial_memory_bytes()
            .filter(|&needed| needed > limits.memory_bytes)
        {
            return Err(RunError::InitialMemory {
                needed,
                limit: limits.memory_bytes,
            });
        }
        let mut store = new_store(parts)?;
        let time = TimeLimits {
            wall: limits.wall,
            cpu: limits.cpu,
        };
        store.data_mut().session().set_deadline(time.deadline());
        self.counters.calls.up();
        let ticking = self.engine.ticker().running();
        let outcome = bounded(self.start(&mut store), time).await;
        drop(ticking);
        match outcome {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => self.classify(&store, error, &limits),
            Err(Exceeded { kind, limit }) => {
                self.counters.deadlines_hit.up();
                Err(RunError::Deadline { kind, limit })
            }
        }
    }

    /// Counters since the app was linked.
    #[must_use]
    pub fn stats(&self) -> InstanceStats {
        self.counters.snapshot()
    }

    /// The code that it runs.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    async fn start(&self, store: &mut Store<State>) -> wasmtime::Result<ExitStatus> {
        match &self.pre {
            Pre::Component(pre) => {
                let command = pre.instantiate_async(store.as_context_mut()).await?;
                store.data().instance_started();
                let ended = command.wasi_cli_run().call_run(store).await?;
                Ok(ExitStatus(ended.map_or(1, |()| 0)))
            }
            Pre::Component03(pre) => {
                let command = pre.instantiate_async(store.as_context_mut()).await?;
                store.data().instance_started();
                let run = async |accessor: &_| command.wasi_cli_run().call_run(accessor).await;
                let ended = store.run_concurrent(run).await??;
                Ok(ExitStatus(ended.map_or(1, |()| 0)))
            }
            Pre::Module(pre) => {
                let instance = pre.instantiate_async(store.as_context_mut()).await?;
                store.data().instance_started();
                let start = instance.get_typed_func::<(), ()>(store.as_context_mut(), "_start")?;
                start.call_async(store, ()).await?;
                Ok(ExitStatus(0))
            }
        }
    }

    fn classify(&self, store: &Store<State>, error: wasmtime::Error, limits: &Limits) -> Result<ExitStatus, RunError> {
        if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
            return Ok(ExitStatus(*code));
        }
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            self.counters.busy_refusals.up();
            return Err(RunError::Busy { source: error.into() });
        }
        if let Some(needed) = store.data().refused_initial_memory() {
            return Err(RunError::InitialMemory {
                needed,
                limit: limits.memory_bytes,
            });
        }
        self.counters.traps.up();
        Err(RunError::Trap { source: error.into() })
    }
}

impl fmt::Debug for CommandApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandApp")
            .field("code", &self.code)
            .field("stats", &self.stats())
            .finish()
    }
}
