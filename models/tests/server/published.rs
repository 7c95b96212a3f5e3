//! A signed module at its publisher, and pulls of it from a server that a test has told what to do.

use std::time::Duration;

use dunlin_models::key::KeyPair;
use dunlin_models::registry::{PullError, PullOptions, PullReport, Registry, RegistryConfig, RetryPolicy};
use dunlin_models::{Descriptor, Digest, Store, Verifier};

use super::{Content, Server};
use crate::fixture::{self, MODULE, ingest_files, key, module, policy, reference, store};

/// A signed module at its publisher.
pub(crate) struct Published {
    _folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) root: Descriptor,
    pub(crate) layer: Digest,
    pub(crate) key: KeyPair,
    pub(crate) content: Content,
}

pub(crate) fn published() -> Published {
    let (folder, store) = store();
    let root = module(&store);
    let key = key();
    fixture::sign(&store, &root, &key);
    let content = Content::of(&store, &root);
    Published {
        _folder: folder,
        store,
        root,
        layer: Digest::of(MODULE),
        key,
        content,
    }
}

/// A signed model at its publisher, whose one layer has `len` bytes that nothing compresses.
pub(crate) fn published_model(len: usize) -> Published {
    let (folder, store) = store();
    let mut weights = b"GGUF\x03\0\0\0".to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while weights.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        weights.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    weights.truncate(len);
    let spec = dunlin_models::pack::ModelSpec {
        files: vec![fixture::file(folder.path(), "model.gguf", &weights)],
        ..Default::default()
    };
    let root = dunlin_models::pack::pack_model(&store, spec, &|_| {}).unwrap();
    let key = key();
    fixture::sign(&store, &root, &key);
    let content = Content::of(&store, &root);
    Published {
        _folder: folder,
        store,
        root,
        layer: Digest::of(&weights),
        key,
        content,
    }
}

impl Published {
    /// The path of the layer.
    pub(crate) fn layer_path(&self) -> String {
        format!("/v2/demo/echo/blobs/{}", self.layer)
    }
}

pub(crate) fn config() -> RegistryConfig {
    RegistryConfig {
        plain_http_loopback: true,
        stall_timeout: Duration::from_secs(10),
        retry: RetryPolicy {
            retries: 2,
            base: Duration::from_millis(1),
            cap: Duration::from_millis(50),
        },
        ..RegistryConfig::default()
    }
}

/// For servers that are meant to stall.
pub(crate) fn impatient() -> RegistryConfig {
    RegistryConfig {
        stall_timeout: Duration::from_millis(300),
        ..config()
    }
}

pub(crate) async fn pull_with(
    config: RegistryConfig,
    server: &Server,
    store: &Store,
    key: &KeyPair,
) -> Result<PullReport, PullError> {
    let name = reference(&format!("{}/demo/echo:v1", server.host));
    let verifier = Verifier::new(policy(key));
    Registry::new(config)
        .unwrap()
        .pull(store, &name, &verifier, PullOptions::default())
        .await
}

pub(crate) async fn pull(server: &Server, store: &Store, key: &KeyPair) -> Result<PullReport, PullError> {
    pull_with(config(), server, store, key).await
}

/// Serves `content`, pulls into a fresh store, and checks that a failure left nothing visible.
pub(crate) async fn outcome(content: Content, key: &KeyPair) -> (Result<PullReport, PullError>, Server) {
    outcome_with(config(), content, key).await
}

/// The same with another configuration.
pub(crate) async fn outcome_with(
    config: RegistryConfig,
    content: Content,
    key: &KeyPair,
) -> (Result<PullReport, PullError>, Server) {
    let server = Server::start(move |request| content.answer(request)).await;
    let (_folder, store) = store();
    let result = pull_with(config, &server, &store, key).await;
    match &result {
        Ok(_) => assert_eq!(store.list().unwrap().len(), 1),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(store.list().unwrap(), []);
            assert_eq!(ingest_files(&store), Vec::<String>::new());
        }
    }
    (result, server)
}

pub(crate) async fn failure(content: Content, key: &KeyPair) -> PullError {
    outcome(content, key).await.0.unwrap_err()
}
