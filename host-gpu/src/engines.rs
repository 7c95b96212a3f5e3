//! [`Engines`]: chooses the engine for each model. `tract` is built in and comes first; onnxruntime is a library that
//! the caller may name, and takes over what tract does not load. Reads no environment: it looks only where it is told.

mod config;
mod error;
mod report;

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
};

pub use config::{EngineChoice, EngineConfig, ModelLimits, UnknownEngine};
pub use error::EngineError;
pub use report::{Candidate, EngineReport};

use crate::{
    backend::{Backend, Encoding, Graph, LoadError, ModelSource, chain},
    onnx::{ORT, OrtBackend, TRACT, TractBackend},
};

/// The engines of this process, set up once and shared.
#[derive(Debug)]
pub struct Engines {
    choice: EngineChoice,
    tract: Option<TractBackend>,
    ort: Option<LazyOrt>,
}

impl Engines {
    /// Sets the engines up. A library that was named must exist; onnxruntime is started here when it is the choice, and
    /// with the first model that needs it otherwise.
    ///
    /// # Errors
    /// When the device has no backend in this build, when a named library does not exist, and, with
    /// [`EngineChoice::Ort`], when there is no library that loads.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        config.device.ensure_available()?;
        let library = match &config.ort_library {
            Some(path) if !path.is_file() => return Err(EngineError::LibraryNotFound { path: path.clone() }),
            Some(path) => Some(path.clone()),
            None => OrtBackend::find(&config.ort_search),
        };
        let tract = match config.choice {
            EngineChoice::Ort => None,
            EngineChoice::Auto | EngineChoice::Tract => Some(TractBackend::new(config.limits)),
        };
        let choice = config.choice;
        let ort = match (choice, library) {
            (EngineChoice::Tract, _) | (EngineChoice::Auto, None) => None,
            (EngineChoice::Auto, Some(library)) => Some(LazyOrt::new(library, config)),
            (EngineChoice::Ort, None) => {
                return Err(EngineError::NoLibrary {
                    searched: config.ort_search,
                });
            }
            (EngineChoice::Ort, Some(library)) => Some(LazyOrt::started(library, config)?),
        };
        Ok(Self { choice, tract, ort })
    }

    /// Loads a model with the engine that fits it. Takes milliseconds to seconds of CPU time: never call it on an async
    /// executor's thread.
    ///
    /// # Errors
    /// When the format has no engine, and when every engine that may try refuses; the error says what each refused.
    pub fn load(&self, source: &ModelSource) -> Result<Arc<dyn Graph>, LoadError> {
        check_encoding(source)?;
        let refused = match self.tract.as_ref().map(|tract| tract.try_load(source)) {
            Some(Ok((graph, tried))) => return Ok(self.settle(source, graph, tried)),
            Some(Err(refused)) => Some(refused),
            None => None,
        };
        match (refused, &self.ort) {
            (Some(refused), Some(ort)) if refused.concerns_one_engine() => {
                tracing::info!(
                    model = source.name,
                    "tract does not load this model: trying onnxruntime"
                );
                let builtin = chain(&refused);
                ort.load(source).map_err(|fallback| LoadError::AllRefused {
                    model: source.name.clone(),
                    builtin,
                    source: Box::new(fallback),
                })
            }
            (Some(refused), None) if self.choice == EngineChoice::Auto && refused.concerns_one_engine() => {
                Err(LoadError::NoFallback {
                    model: source.name.clone(),
                    source: Box::new(refused),
                })
            }
            (Some(refused), _) => Err(refused),
            (None, Some(ort)) => ort.load(source),
            (None, None) => Err(LoadError::UnsupportedEncoding {
                model: source.name.clone(),
                encoding: source.encoding,
            }),
        }
    }

    /// A graph that tract could not try out goes to onnxruntime where that loads it.
    fn settle(&self, source: &ModelSource, graph: Arc<dyn Graph>, tried: bool) -> Arc<dyn Graph> {
        match &self.ort {
            Some(ort) if !tried => ort.load(source).unwrap_or(graph),
            _ => graph,
        }
    }

    /// Tries every engine that may load the model, and says which one [`load`](Self::load) would use. As slow as loading
    /// with each of them.
    #[must_use]
    pub fn explain(&self, source: &ModelSource) -> EngineReport {
        if let Err(error) = check_encoding(source) {
            return EngineReport {
                chosen: None,
                reason: chain(&error),
                candidates: Vec::new(),
            };
        }
        let signature = |loaded: Result<Arc<dyn Graph>, LoadError>| {
            loaded
                .map(|graph| graph.signature().clone())
                .map_err(|error| chain(&error))
        };
        let tract = self.tract.as_ref().map(|tract| tract.try_load(source));
        let ort = self.ort.as_ref().map(|ort| signature(ort.load(source)));
        let tried = tract.as_ref().map(|loaded| matches!(loaded, Ok((_, true))));
        let tract = tract.map(|loaded| signature(loaded.map(|(graph, _)| graph)));
        let (chosen, reason) = match (&tract, &ort) {
            (Some(Ok(_)), _) if tried == Some(true) => (Some(TRACT), "the built-in engine loads it"),
            (Some(Ok(_)), Some(Ok(_))) => (
                Some(ORT),
                "its form depends on the values of inputs, which onnxruntime bears better",
            ),
            (Some(Ok(_)), _) => (
                Some(TRACT),
                "its form depends on the values of inputs: the first compute will tell",
            ),
            (Some(Err(_)), Some(Ok(_))) => (Some(ORT), "the built-in engine does not load it, and onnxruntime does"),
            (None, Some(Ok(_))) => (Some(ORT), "onnxruntime was chosen, and loads it"),
            (Some(Err(_)), None) => (
                None,
                "the built-in engine does not load it, and no libonnxruntime was named or found",
            ),
            _ => (None, "no engine loads it"),
        };
        let candidate = |engine, outcome: Option<_>| outcome.map(|outcome| Candidate { engine, outcome });
        let candidates = candidate(TRACT, tract).into_iter().chain(candidate(ORT, ort)).collect();
        EngineReport {
            chosen,
            reason: reason.to_owned(),
            candidates,
        }
    }
}

fn check_encoding(source: &ModelSource) -> Result<(), LoadError> {
    match source.encoding {
        Encoding::Onnx | Encoding::Autodetect => Ok(()),
        encoding => Err(LoadError::UnsupportedEncoding {
            model: source.name.clone(),
            encoding,
        }),
    }
}

/// onnxruntime is mapped and started only when a model needs it: that takes tens of megabytes and of milliseconds.
#[derive(Debug)]
struct LazyOrt {
    library: PathBuf,
    config: EngineConfig,
    backend: OnceLock<Result<OrtBackend, Arc<EngineError>>>,
}

impl LazyOrt {
    fn new(library: PathBuf, config: EngineConfig) -> Self {
        Self {
            library,
            config,
            backend: OnceLock::new(),
        }
    }

    fn started(library: PathBuf, config: EngineConfig) -> Result<Self, EngineError> {
        let backend = OrtBackend::open(&library, config.threads, config.limits)?;
        Ok(Self {
            library,
            config,
            backend: OnceLock::from(Ok(backend)),
        })
    }

    fn load(&self, source: &ModelSource) -> Result<Arc<dyn Graph>, LoadError> {
        let open = || OrtBackend::open(&self.library, self.config.threads, self.config.limits).map_err(Arc::new);
        match self.backend.get_or_init(open) {
            Ok(backend) => backend.load(source),
            Err(error) => Err(LoadError::EngineUnavailable {
                engine: ORT,
                model: source.name.clone(),
                source: Arc::clone(error),
            }),
        }
    }
}
