//! [`ResidentModels`]: one loaded copy of each model for the whole process, however many sandboxes use it; and
//! [`GrantedModels`], the names under which one module may open some of them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use dunlin_host_gpu::{Encoding, Engines, Graph, LoadError, ModelSource};
use dunlin_models::Digest;
use dunlin_runtime::{ExecutionTarget, ModelProvider, OpenModelError};
use thiserror::Error;
use tokio::sync::OnceCell;
use tracing::info;

use crate::model::{Model, ModelError};

/// Why a model could not be made resident.
#[derive(Debug, Error)]
pub enum ResidentError {
    /// It cannot be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No engine loads it.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The loading thread died; the process is going down or the engine has a fault of its own.
    #[error("loading model {name} did not finish")]
    Lost {
        /// The model.
        name: String,
    },
}

impl ResidentError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Load(error) => error.hint(),
            Self::Lost { .. } => None,
        }
    }
}

type Cell = Arc<OnceCell<Arc<dyn Graph>>>;

/// The models that this process has loaded, by digest.
#[derive(Debug)]
pub struct ResidentModels {
    engines: Arc<Engines>,
    cells: Mutex<HashMap<Digest, Cell>>,
}

impl ResidentModels {
    /// No model yet; `engines` will load them.
    #[must_use]
    pub fn new(engines: Arc<Engines>) -> Self {
        Self {
            engines,
            cells: Mutex::new(HashMap::new()),
        }
    }

    /// The graph of `model`: loaded now by the first caller, awaited by those who come meanwhile, shared from then on.
    ///
    /// # Cancel safety
    /// A load goes on without the caller that began it; its result serves the next one.
    ///
    /// # Errors
    /// The model cannot be opened or loaded; the next call tries again.
    pub async fn graph(&self, model: &Model) -> Result<Arc<dyn Graph>, ResidentError> {
        let cell = Arc::clone(
            self.cells
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(*model.digest())
                .or_default(),
        );
        cell.get_or_try_init(|| self.load(model.clone(), &cell)).await.cloned()
    }

    async fn load(&self, model: Model, cell: &Cell) -> Result<Arc<dyn Graph>, ResidentError> {
        let (engines, name) = (Arc::clone(&self.engines), model.name().to_owned());
        let started = std::time::Instant::now();
        let abandoned = Arc::downgrade(cell);
        let loaded = tokio::task::spawn_blocking(move || {
            let graph = engines.load(&model.source()?)?;
            if let Some(cell) = abandoned.upgrade() {
                // Takes effect only when the caller gave up meanwhile: its work then serves the next one.
                drop(cell.set(Arc::clone(&graph)));
            }
            Ok::<_, ResidentError>(graph)
        });
        let graph = loaded
            .await
            .map_err(|_lost| ResidentError::Lost { name: name.clone() })??;
        info!(
            model = name,
            engine = graph.engine(),
            resident_mib = graph.resident_bytes() >> 20,
            millis = started.elapsed().as_millis(),
            "model loaded"
        );
        Ok(graph)
    }

    /// Loads bytes that a guest brought itself.
    ///
    /// # Errors
    /// No engine loads them.
    pub async fn load_bytes(&self, encoding: Encoding, bytes: Vec<u8>) -> Result<Arc<dyn Graph>, ResidentError> {
        let engines = Arc::clone(&self.engines);
        let source = ModelSource::new("guest-model", encoding, Arc::new(bytes));
        tokio::task::spawn_blocking(move || engines.load(&source))
            .await
            .map_err(|_lost| ResidentError::Lost {
                name: "guest-model".to_owned(),
            })?
            .map_err(ResidentError::from)
    }
}

/// What one module may open, by the names of its own signed list.
#[derive(Debug)]
pub struct GrantedModels {
    resident: Arc<ResidentModels>,
    granted: BTreeMap<String, Model>,
}

impl GrantedModels {
    /// Grants `models` by name.
    #[must_use]
    pub fn new(resident: Arc<ResidentModels>, granted: BTreeMap<String, Model>) -> Self {
        Self { resident, granted }
    }

    /// Loads every granted model now instead of at its first use.
    ///
    /// # Errors
    /// The first model that cannot be loaded.
    pub async fn preload(&self) -> Result<(), ResidentError> {
        for model in self.granted.values() {
            self.resident.graph(model).await?;
        }
        Ok(())
    }

    /// The granted models by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Model)> {
        self.granted.iter().map(|(name, model)| (name.as_str(), model))
    }
}

#[async_trait]
impl ModelProvider for GrantedModels {
    async fn open(&self, name: &str) -> Result<Arc<dyn Graph>, OpenModelError> {
        let model = self.granted.get(name).ok_or(OpenModelError::NotFound)?;
        self.resident
            .graph(model)
            .await
            .map_err(|error| OpenModelError::Failed(error.into()))
    }

    async fn load(
        &self,
        encoding: Encoding,
        bytes: Vec<u8>,
        _target: ExecutionTarget,
    ) -> Result<Arc<dyn Graph>, OpenModelError> {
        self.resident
            .load_bytes(encoding, bytes)
            .await
            .map_err(|error| match error {
                ResidentError::Load(_) => OpenModelError::InvalidEncoding,
                other => OpenModelError::Failed(other.into()),
            })
    }
}
