//! [`ModelProvider`]: how a guest's model names and bytes become graphs. Implemented above this crate, where models are
//! verified, fetched and shared; nothing here decides which model a name stands for.

use std::sync::Arc;

use async_trait::async_trait;
use dunlin_host_gpu::{Encoding, Graph};

use crate::BoxError;

/// Where a guest asks to compute. A wish: the host decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutionTarget {
    /// The host's processors.
    Cpu,
    /// A GPU.
    Gpu,
    /// A tensor processor.
    Tpu,
}

/// The models of one guest.
#[async_trait]
pub trait ModelProvider: Send + Sync {
    /// The graph called `name` in the guest's own scope: whatever it was granted under that name, nothing of others.
    /// `name` comes from the guest and may be any text.
    ///
    /// # Cancel safety
    /// Dropped when the guest reaches its deadline or goes away; a load that others wait for must go on without it.
    ///
    /// # Errors
    /// See [`OpenModelError`]; each becomes the wasi-nn code of the same meaning.
    async fn open(&self, name: &str) -> Result<Arc<dyn Graph>, OpenModelError>;

    /// The digest of the model called `name`, such as `sha256:...`: what identifies it beyond this host. `None` when it is
    /// not known. Asked after [`open`](Self::open) has given the model.
    fn digest(&self, _name: &str) -> Option<String> {
        None
    }

    /// A graph from bytes that the guest brought: untrusted, bounded by the guest's `load_bytes`, never shared.
    ///
    /// # Errors
    /// See [`OpenModelError`].
    async fn load(
        &self,
        encoding: Encoding,
        bytes: Vec<u8>,
        target: ExecutionTarget,
    ) -> Result<Arc<dyn Graph>, OpenModelError>;
}

/// Why a guest got no graph. The guest sees the code and a text of ours; sources go to the log only. Texts leave the
/// model's name to the caller, who has it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenModelError {
    /// The guest was granted no model of that name.
    #[error("no model of that name was granted")]
    NotFound,
    /// The guest may not do this: load bytes of its own, or use that target.
    #[error("the host's policy denies it")]
    Denied,
    /// The model does not fit what the guest or the host may use.
    #[error("the model is over a memory limit")]
    TooLarge,
    /// The bytes are not a model of the encoding given.
    #[error("the bytes are not a model of that encoding")]
    InvalidEncoding,
    /// No engine of this host runs it.
    #[error("no engine of this host runs the model")]
    Unsupported,
    /// The host failed to fetch or to load it.
    #[error("the host failed to load the model")]
    Failed(#[source] BoxError),
}

impl OpenModelError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound => Some("grant the model under the name that the guest opens".to_owned()),
            Self::Denied => Some("grant the model by name instead of loading bytes, or change the policy".to_owned()),
            Self::TooLarge => Some("use a smaller model, or raise the memory limit".to_owned()),
            Self::InvalidEncoding | Self::Unsupported => Some("give the model as ONNX".to_owned()),
            Self::Failed(_) => None,
        }
    }
}
