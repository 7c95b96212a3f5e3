//! What the tests share: engines, guests, sinks, and models made in the test.

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dunlin_host_gpu::{
    CancelToken, ComputeError, ContextError, Dim, ElementType, Encoding, ExecutionContext, Graph, NamedTensor,
    Scheduler, SchedulerConfig, Signature, Tensor, TensorSpec,
};
use dunlin_runtime::{
    Code, Engine, EngineConfig, ExecutionTarget, GuestLine, LineSink, ModelProvider, OpenModelError, OutputSink,
    PoolConfig,
};
use sha2::{Digest as _, Sha256};

pub(crate) fn engine() -> Engine {
    pool_of(16)
}

pub(crate) fn pool_of(max_instances: u32) -> Engine {
    let pool = PoolConfig {
        max_instances,
        ..PoolConfig::default()
    };
    Engine::new(EngineConfig {
        pool,
        epoch_tick: Duration::from_millis(2),
        ..EngineConfig::default()
    })
    .unwrap()
}

pub(crate) fn scheduler() -> Arc<Scheduler> {
    let two = NonZeroUsize::new(2).unwrap();
    Arc::new(
        Scheduler::new(SchedulerConfig {
            workers: two,
            queue_depth: two,
        })
        .unwrap(),
    )
}

pub(crate) fn digest(wasm: &[u8]) -> String {
    hex::encode(Sha256::digest(wasm))
}

pub(crate) fn compile(engine: &Engine, wasm: &[u8]) -> Code {
    engine.compile(wasm, &digest(wasm)).unwrap()
}

pub(crate) fn compile_wat(engine: &Engine, wat: &str) -> Code {
    compile(engine, &Engine::wat_to_wasm(wat.as_bytes()).unwrap())
}

/// The built guest of that name; `None`, with a note, when guests were not built on this machine.
#[allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "found by the tools' conventions; a test not run says so"
)]
pub(crate) fn guest(name: &str) -> Option<Vec<u8>> {
    let var = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let folder = var("DUNLIN_GUESTS")
        .or_else(|| Some(var("XDG_CACHE_HOME")?.join("dunlin/guests")))
        .or_else(|| Some(var("HOME")?.join(".cache/dunlin/guests")))?;
    if let Ok(bytes) = fs_err::read(folder.join(format!("{name}.wasm"))) {
        return Some(bytes);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "guest {name} is missing: build guests with `cargo xtask guests`"
    );
    eprintln!("ignored: build guests with `cargo xtask guests`");
    None
}

/// An error and its causes on one line, as a reporter prints them.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Collects output as bytes and as lines.
#[derive(Default)]
pub(crate) struct Collected {
    bytes: Mutex<Vec<u8>>,
    lines: Mutex<Vec<(u64, String)>>,
}

impl Collected {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }

    /// Instance and text of every line.
    pub(crate) fn lines(&self) -> Vec<(u64, String)> {
        self.lines.lock().unwrap().clone()
    }
}

impl OutputSink for Collected {
    fn write(&self, bytes: &[u8]) {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
    }
}

impl LineSink for Collected {
    fn line(&self, line: &GuestLine<'_>) {
        self.lines
            .lock()
            .unwrap()
            .push((line.instance.get(), line.text.to_owned()));
    }
}

/// How the test's model computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Adds,
    Panics,
    NeverEnds,
}

/// `C = A + B` over vectors of f32.
#[derive(Debug)]
pub(crate) struct Adder {
    signature: Signature,
    mood: Mood,
    pub(crate) started: Arc<AtomicBool>,
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Adder {
    pub(crate) fn new(mood: Mood) -> Self {
        let spec = |name: &str| TensorSpec {
            name: name.into(),
            element_type: ElementType::F32,
            dims: Some(vec![Dim::Symbol("N".into())]),
        };
        let signature = Signature {
            inputs: vec![spec("A"), spec("B")],
            outputs: vec![spec("C")],
            metadata: vec![],
        };
        Self {
            signature,
            mood,
            started: Arc::default(),
            stopped: Arc::default(),
        }
    }
}

impl Graph for Adder {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn engine(&self) -> &'static str {
        "test"
    }

    fn init_execution_context(&self) -> Result<Box<dyn ExecutionContext>, ContextError> {
        Ok(Box::new(AdderContext {
            signature: self.signature.clone(),
            mood: self.mood,
            started: Arc::clone(&self.started),
            stopped: Arc::clone(&self.stopped),
        }))
    }

    fn resident_bytes(&self) -> u64 {
        0
    }
}

struct AdderContext {
    signature: Signature,
    mood: Mood,
    started: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
}

impl ExecutionContext for AdderContext {
    fn compute(&mut self, inputs: Vec<NamedTensor>, cancel: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
        self.started.store(true, Ordering::SeqCst);
        match self.mood {
            Mood::Adds => {}
            Mood::Panics => panic!("as asked"),
            Mood::NeverEnds => loop {
                if let Err(stopped) = cancel.check() {
                    self.stopped.store(true, Ordering::SeqCst);
                    return Err(stopped.into());
                }
                std::thread::sleep(Duration::from_millis(1));
            },
        }
        let a = self.take(&inputs, "A")?;
        let b = self.take(&inputs, "B")?;
        if let Some(input) = inputs.iter().find(|input| self.signature.input(&input.name).is_none()) {
            return Err(ComputeError::UnknownInput {
                input: input.name.clone(),
                known: vec!["A".into(), "B".into()],
            });
        }
        if a.len() != b.len() {
            return Err(ComputeError::SymbolConflict {
                input: "B".into(),
                axis: 0,
                symbol: "N".into(),
                bound: a.len(),
                given: b.len(),
            });
        }
        let sums: Vec<u8> = a.iter().zip(&b).flat_map(|(a, b)| (a + b).to_le_bytes()).collect();
        let tensor = Tensor::new(ElementType::F32, vec![a.len()], Arc::new(sums)).unwrap();
        Ok(vec![NamedTensor {
            name: "C".into(),
            tensor,
        }])
    }
}

impl AdderContext {
    fn take(&self, inputs: &[NamedTensor], name: &str) -> Result<Vec<f32>, ComputeError> {
        let mut named = inputs.iter().filter(|input| input.name == name);
        let Some(NamedTensor { tensor, .. }) = named.next() else {
            return Err(ComputeError::MissingInput { input: name.into() });
        };
        if named.next().is_some() {
            return Err(ComputeError::DuplicateInput { input: name.into() });
        }
        if tensor.element_type() != ElementType::F32 {
            return Err(ComputeError::WrongElementType {
                input: name.into(),
                expected: ElementType::F32,
                given: tensor.element_type(),
            });
        }
        Ok(tensor
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
            .collect())
    }
}

/// One model, called `add`; bytes that start with `add` are one too.
pub(crate) struct Models(pub(crate) Arc<Adder>);

#[async_trait::async_trait]
impl ModelProvider for Models {
    async fn open(&self, name: &str) -> Result<Arc<dyn Graph>, OpenModelError> {
        if name == "add" {
            Ok(Arc::clone(&self.0) as _)
        } else {
            Err(OpenModelError::NotFound)
        }
    }

    fn digest(&self, name: &str) -> Option<String> {
        Some(format!("sha256:{name}"))
    }

    async fn load(
        &self,
        _encoding: Encoding,
        bytes: Vec<u8>,
        _target: ExecutionTarget,
    ) -> Result<Arc<dyn Graph>, OpenModelError> {
        if bytes.starts_with(b"add") {
            Ok(Arc::clone(&self.0) as _)
        } else {
            Err(OpenModelError::InvalidEncoding)
        }
    }
}
