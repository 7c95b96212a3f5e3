//! [`OrtGraph`]: a session of onnxruntime as a graph. The wrapper's author warns that sessions do not bear concurrent
//! runs, so the contexts of one graph take turns.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use ort::{
    session::{RunOptions, Session, SessionInputValue},
    value::{Outlet, ValueType},
};

use super::{ORT, convert, watchdog::Watchdog};
use crate::{
    backend::{ComputeError, ContextError, EngineFault, ExecutionContext, Graph, LoadError},
    cancel::CancelToken,
    onnx::inputs,
    signature::{Dim, Signature, TensorSpec},
    tensor::NamedTensor,
};

/// How often one that waits for its turn looks whether its caller still waits.
const TURN_INTERVAL: Duration = Duration::from_millis(5);

/// A model loaded by onnxruntime.
#[derive(Debug)]
pub(super) struct OrtGraph {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    signature: Signature,
    turns: Turns,
    watchdog: Arc<Watchdog>,
    file_bytes: u64,
    max_tensor_bytes: u64,
}

/// The session, while nobody runs it.
#[derive(Debug)]
struct Turns {
    idle: Mutex<Option<Session>>,
    freed: Condvar,
}

/// The session, given back on drop.
struct Turn<'a> {
    turns: &'a Turns,
    session: Option<Session>,
}

impl Turns {
    fn take(&self, cancel: &CancelToken) -> Result<Turn<'_>, ComputeError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            cancel.check()?;
            if let Some(session) = idle.take() {
                return Ok(Turn {
                    turns: self,
                    session: Some(session),
                });
            }
            idle = self
                .freed
                .wait_timeout(idle, TURN_INTERVAL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.turns.idle.lock().unwrap_or_else(PoisonError::into_inner) = self.session.take();
        self.turns.freed.notify_one();
    }
}

impl OrtGraph {
    pub(super) fn new(
        model: String,
        session: Session,
        watchdog: Arc<Watchdog>,
        file_bytes: usize,
        max_tensor_bytes: u64,
    ) -> Result<Self, LoadError> {
        let mut unnamed = 0;
        let mut specs = |outlets: &[Outlet]| -> Result<Vec<TensorSpec>, LoadError> {
            outlets
                .iter()
                .map(|outlet| spec(&model, outlet, &mut unnamed))
                .collect()
        };
        let signature = Signature {
            inputs: specs(session.inputs())?,
            outputs: specs(session.outputs())?,
            metadata: metadata(&session),
        };
        let turns = Turns {
            idle: Mutex::new(Some(session)),
            freed: Condvar::new(),
        };
        let file_bytes = u64::try_from(file_bytes).unwrap_or(u64::MAX);
        Ok(Self {
            inner: Arc::new(Inner {
                signature,
                turns,
                watchdog,
                file_bytes,
                max_tensor_bytes,
            }),
        })
    }
}

fn spec(model: &str, outlet: &Outlet, unnamed: &mut usize) -> Result<TensorSpec, LoadError> {
    let name = outlet.name().to_owned();
    let ValueType::Tensor {
        ty,
        shape,
        dimension_symbols,
    } = outlet.dtype()
    else {
        let given = outlet.dtype().to_string();
        return Err(LoadError::UnsupportedTensor {
            model: model.to_owned(),
            tensor: name,
            given,
        });
    };
    let element_type = convert::element_type(*ty).ok_or_else(|| LoadError::UnsupportedTensor {
        model: model.to_owned(),
        tensor: name.clone(),
        given: ty.to_string(),
    })?;
    let mut dim = |(&size, symbol): (&i64, &str)| match usize::try_from(size) {
        Ok(size) => Dim::Fixed(size),
        Err(_) if symbol.is_empty() => {
            *unnamed += 1;
            Dim::Symbol(format!("unk__{}", *unnamed - 1))
        }
        Err(_) => Dim::Symbol(symbol.to_owned()),
    };
    let symbols = dimension_symbols
        .iter()
        .map(String::as_str)
        .chain(std::iter::repeat(""));
    let dims = shape.iter().zip(symbols).map(&mut dim).collect();
    Ok(TensorSpec {
        name,
        element_type,
        dims: Some(dims),
    })
}

/// The library keeps metadata in no order; by key is as good as any, and the same every time.
fn metadata(session: &Session) -> Vec<(String, String)> {
    let Ok(metadata) = session.metadata() else {
        return Vec::new();
    };
    let mut keys = metadata.custom_keys().unwrap_or_default();
    keys.sort();
    keys.into_iter()
        .filter_map(|key| metadata.custom(&key).map(|value| (key, value)))
        .collect()
}

impl Graph for OrtGraph {
    fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    fn engine(&self) -> &'static str {
        ORT
    }

    fn init_execution_context(&self) -> Result<Box<dyn ExecutionContext>, ContextError> {
        Ok(Box::new(OrtContext {
            graph: Arc::clone(&self.inner),
        }))
    }

    fn resident_bytes(&self) -> u64 {
        self.inner.file_bytes
    }
}

struct OrtContext {
    graph: Arc<Inner>,
}

impl ExecutionContext for OrtContext {
    fn compute(&mut self, inputs: Vec<NamedTensor>, cancel: &CancelToken) -> Result<Vec<NamedTensor>, ComputeError> {
        let graph = &self.graph;
        let fault = |step: &str, fault: ort::Error| ComputeError::Engine {
            engine: ORT,
            step: step.to_owned(),
            source: EngineFault::new(fault),
        };
        let bound = inputs::bind(&graph.signature, inputs, graph.max_tensor_bytes)?;
        let mut values = Vec::with_capacity(bound.len());
        for (spec, tensor) in graph.signature.inputs.iter().zip(bound) {
            let value = convert::to_ort(&tensor).map_err(|error| fault("reading the inputs", error))?;
            values.push((spec.name.as_str(), SessionInputValue::from(value)));
        }
        let options = RunOptions::new().map_err(|error| fault("preparing the run", error))?;
        let options = Arc::new(options);
        let mut turn = graph.turns.take(cancel)?;
        let Some(session) = turn.session.as_mut() else {
            return Err(ComputeError::Poisoned);
        };
        let watched = graph.watchdog.watch(cancel, &options);
        let outputs = session.run_with_options(values, &*options);
        drop(watched);
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(error) => {
                // A run that was told to stop fails like any other.
                cancel.check()?;
                return Err(fault("running the graph", error));
            }
        };
        graph.collect(|name| outputs.get(name).map(convert::from_ort), &fault)
    }
}

impl Inner {
    fn collect<'a>(
        &self,
        output: impl Fn(&str) -> Option<ort::Result<Option<crate::tensor::Tensor>>> + 'a,
        fault: &impl Fn(&str, ort::Error) -> ComputeError,
    ) -> Result<Vec<NamedTensor>, ComputeError> {
        let named = |spec: &TensorSpec| {
            let unsupported = |given: &str| ComputeError::UnsupportedOutput {
                output: spec.name.clone(),
                given: given.to_owned(),
            };
            let tensor = output(&spec.name)
                .ok_or_else(|| unsupported("nothing"))?
                .map_err(|error| fault("writing the outputs", error))?
                .ok_or_else(|| unsupported("neither numbers nor booleans"))?;
            let bytes = u64::try_from(tensor.data().len()).ok();
            if bytes.is_none_or(|bytes| bytes > self.max_tensor_bytes) {
                let (tensor, limit) = (spec.name.clone(), self.max_tensor_bytes);
                return Err(ComputeError::TensorTooLarge {
                    tensor,
                    asked: bytes,
                    limit,
                });
            }
            Ok(NamedTensor {
                name: spec.name.clone(),
                tensor,
            })
        };
        self.signature.outputs.iter().map(named).collect()
    }
}
