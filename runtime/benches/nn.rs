//! What wasi-nn costs beside the model's own work: `cargo bench -p dunlin-runtime --bench nn`. The model hands its input back,
//! so all that is measured is the host's. Each figure is the best of several runs of a guest with many calls, less those of
//! a guest with none. Needs the guests `nn_bench` and `nn_bench_witx` (`cargo xtask guests`).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for one reader"
)]

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use dunlin_host_gpu::{
    CancelToken, ComputeError, ContextError, Dim, ElementType, Encoding, ExecutionContext, Graph, NamedTensor,
    Scheduler, SchedulerConfig, Signature, TensorSpec,
};
use dunlin_runtime::{
    CommandApp, Engine, EngineConfig, ExecutionTarget, Grants, Limits, LinkOptions, ModelProvider, OpenModelError,
};
use sha2::{Digest as _, Sha256};

const TRIALS: usize = 5;
const MIB: usize = 1 << 20;

fn main() {
    let host = Host::new();
    for (name, dialect) in [("nn_bench", "wasi:nn"), ("nn_bench_witx", "wasi_ephemeral_nn")] {
        let Some(app) = host.app(name) else {
            eprintln!("guest {name} is missing: build guests with `cargo xtask guests`");
            continue;
        };
        if name == "nn_bench" {
            host.report(&app, dialect, "tensor, 4 B: new, read, drop", ["tensor", "4"], 20_000);
            host.report(&app, dialect, "open a resident model, drop", ["open", "0"], 20_000);
        }
        host.report(&app, dialect, "inference, 4 B", ["compute", "4"], 20_000);
        host.report(&app, dialect, "round trip, 1 MiB", ["compute", "1048576"], 200);
        host.report(&app, dialect, "round trip, 64 MiB", ["compute", "67108864"], 8);
    }
    for bytes in [MIB, 64 * MIB] {
        let (from, mut to) = (vec![7_u8; bytes], vec![1_u8; bytes]);
        let best = (0..20).map(|_| {
            let start = Instant::now();
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&to);
            start.elapsed()
        });
        println!("memcpy of {} MiB, warm: {:?}", bytes / MIB, best.min().unwrap());
    }
}

struct Host {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    scheduler: Arc<Scheduler>,
}

impl Host {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            engine: Engine::new(EngineConfig::default()).unwrap(),
            scheduler: Arc::new(Scheduler::new(SchedulerConfig::default()).unwrap()),
        }
    }

    fn app(&self, guest: &str) -> Option<CommandApp> {
        let folder = std::env::var_os("DUNLIN_GUESTS").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/dunlin/guests")))?;
        let wasm = fs_err::read(folder.join(format!("{guest}.wasm"))).ok()?;
        let code = self.engine.compile(&wasm, &hex::encode(Sha256::digest(&wasm))).unwrap();
        Some(CommandApp::new(&self.engine, code, &LinkOptions { models: true }).unwrap())
    }

    /// The best of some trials, in time per call, and the bytes that were copied for one call.
    fn report(&self, app: &CommandApp, dialect: &str, what: &str, [mode, bytes]: [&str; 2], count: u32) {
        let empty = (0..TRIALS).map(|_| self.run(app, mode, 0, bytes)).min().unwrap();
        let before = app.stats();
        let full = (0..TRIALS).map(|_| self.run(app, mode, count, bytes)).min().unwrap();
        let after = app.stats();
        let calls = u64::from(count) * TRIALS as u64;
        let copied = |after: u64, before: u64| (after - before) / calls;
        println!(
            "{dialect}: {what}: {:?} per call, {} B copied in, {} B out",
            full.saturating_sub(empty) / count,
            copied(after.tensor_bytes_in, before.tensor_bytes_in),
            copied(after.tensor_bytes_out, before.tensor_bytes_out),
        );
    }

    fn run(&self, app: &CommandApp, mode: &str, count: u32, bytes: &str) -> Duration {
        let grants = Grants {
            args: vec!["guest".into(), mode.into(), count.to_string(), bytes.into()],
            models: Some(Arc::new(Models(Arc::new(Echo::new())))),
            ..Grants::default()
        };
        let limits = Limits {
            hostcall_bytes: 256 * MIB,
            host_tensor_bytes: 512 << 20,
            ..Limits::default()
        };
        let start = Instant::now();
        let status = self.runtime.block_on(app.run(grants, limits, &self.scheduler)).unwrap();
        assert!(status.success());
        start.elapsed()
    }
}

/// `C = A`.
#[derive(Debug)]
struct Echo(Signature);

impl Echo {
    fn new() -> Self {
        let spec = |name: &str| TensorSpec {
            name: name.into(),
            element_type: ElementType::U8,
            dims: Some(vec![Dim::Symbol("N".into())]),
        };
        Self(Signature {
            inputs: vec![spec("A")],
            outputs: vec![spec("C")],
            metadata: vec![],
        })
    }
}

impl Graph for Echo {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn engine(&self) -> &'static str {
        "echo"
    }

    fn init_execution_context(&self) -> Result<Box<dyn ExecutionContext>, ContextError> {
        Ok(Box::new(EchoContext))
    }

    fn resident_bytes(&self) -> u64 {
        0
    }
}

struct EchoContext;

impl ExecutionContext for EchoContext {
    fn compute(&mut self, inputs: Vec<NamedTensor>, _: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
        let outputs = inputs.into_iter().map(|input| NamedTensor {
            name: "C".into(),
            tensor: input.tensor,
        });
        Ok(outputs.collect())
    }
}

struct Models(Arc<Echo>);

#[async_trait::async_trait]
impl ModelProvider for Models {
    async fn open(&self, _name: &str) -> Result<Arc<dyn Graph>, OpenModelError> {
        Ok(Arc::clone(&self.0) as _)
    }

    async fn load(
        &self,
        _encoding: Encoding,
        _bytes: Vec<u8>,
        _target: ExecutionTarget,
    ) -> Result<Arc<dyn Graph>, OpenModelError> {
        Err(OpenModelError::Denied)
    }
}
