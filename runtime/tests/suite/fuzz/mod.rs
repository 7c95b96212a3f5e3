//! Guests that call every function of every dialect with arguments of chance: handles, pointers, lengths, names, shapes,
//! encodings. Shared by the tests, which run a few, and `examples/nn_fuzz.rs`, which runs as many as one likes. A guest may
//! trap; the host may not panic, keep anything, or answer with a number that there is not.

mod module;
mod numbers;

use std::sync::Arc;

use dunlin_host_gpu::{MemoryBudget, Scheduler};
use dunlin_runtime::{Code, CommandApp, Engine, Grants, Limits, LinkOptions, RunError};

use crate::support::{Adder, Models, Mood, compile, engine, guest, scheduler};

/// Tight, so that a run reaches every limit, and small, so that it is quick.
fn limits() -> Limits {
    Limits {
        host_tensor_bytes: 1 << 20,
        host_tensors: 32,
        contexts: 8,
        open_models: 8,
        load_bytes: 1 << 16,
        handles: 256,
        ..Limits::default()
    }
}

/// One guest, run again and again with other seeds.
pub(crate) struct Fuzz {
    app: CommandApp,
    scheduler: Arc<Scheduler>,
    models: Arc<Models>,
    budget: MemoryBudget,
}

/// How runs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) ended: u64,
    pub(crate) trapped: u64,
}

impl Fuzz {
    /// A core module over `wasi_ephemeral_nn`. Every run makes `calls` calls.
    pub(crate) fn module(calls: u32) -> Self {
        let engine = engine();
        let code = compile(&engine, &wat::parse_str(module::text(calls)).unwrap());
        Self::new(&engine, code)
    }

    /// A component over `wasi:nn`; `None` when it was not built. Every run makes up to 64 calls.
    pub(crate) fn wasi_nn() -> Option<Self> {
        Self::component("nn_chance_wit")
    }

    /// A component over `dunlin:inference`; `None` when it was not built. Every run makes up to 64 calls.
    pub(crate) fn inference() -> Option<Self> {
        Self::component("nn_chance_inference")
    }

    fn component(name: &str) -> Option<Self> {
        let engine = engine();
        Some(Self::new(&engine, compile(&engine, &guest(name)?)))
    }

    fn new(engine: &Engine, code: Code) -> Self {
        Self {
            app: CommandApp::new(engine, code, &LinkOptions { models: true }).unwrap(),
            scheduler: scheduler(),
            models: Arc::new(Models(Arc::new(Adder::new(Mood::Adds)))),
            budget: MemoryBudget::new(1 << 30),
        }
    }

    /// Runs once per seed.
    pub(crate) async fn run(&self, seeds: std::ops::Range<u64>) -> Tally {
        let mut tally = Tally::default();
        for seed in seeds {
            let grants = Grants {
                args: vec![format!("{seed:016x}"), format!("{seed:016x}")],
                models: Some(Arc::clone(&self.models) as _),
                tensor_budget: Some(self.budget.clone()),
                ..Grants::default()
            };
            match self.app.run(grants, limits(), &self.scheduler).await {
                Ok(status) => {
                    assert!(status.success(), "seed {seed}: exit code {}", status.code());
                    tally.ended += 1;
                }
                Err(RunError::Trap { .. }) => tally.trapped += 1,
                Err(error) => panic!("seed {seed}: {error}"),
            }
            assert_eq!(self.budget.in_use(), 0, "seed {seed} left tensors behind");
        }
        assert_eq!(self.app.stats().live_instances, 0);
        assert!(self.budget.peak() <= limits().host_tensor_bytes);
        tally
    }

    /// Computes that came through: chance finds the right call now and then, else the run shows little.
    pub(crate) fn computes(&self) -> u64 {
        self.app.stats().computes
    }
}
