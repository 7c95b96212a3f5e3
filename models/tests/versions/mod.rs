//! Two signed versions of a model, prepared for updates at their publisher, and pulls of the second by who has the first.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dunlin_models::key::KeyPair;
use dunlin_models::manifest::Document;
use dunlin_models::pack::{self, ModelSpec};
use dunlin_models::registry::{
    Event, NoProgress, Progress, PullError, PullOptions, PullReport, Registry, RegistryConfig,
};
use dunlin_models::update::{self, Prepared};
use dunlin_models::{Descriptor, Digest, Store, Verifier};

use crate::files::{self, Change, Noise, Tensor};
use crate::fixture::{self, policy, reference, store};
use crate::server::{Content, Reply, Request, Server};

/// Tensors of the model, and bytes of each.
const TENSORS: usize = 20;
const TENSOR: usize = 256 << 10;

/// What becomes of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edit {
    /// The header grows.
    Header,
    /// A tenth of the tensors are others.
    Tenth,
    /// Every weight changes by about a thousandth.
    Dense,
}

pub(crate) fn weights(edit: Edit) -> (Vec<u8>, Vec<u8>) {
    let mut noise = Noise(11);
    let (before, mut after): (Vec<Tensor>, Vec<Tensor>) = (0..TENSORS)
        .map(|index| {
            let (before, after) = files::tuned(&mut noise, TENSOR, Change::OfWeight(1e-3));
            let tensor = |data| Tensor {
                name: format!("layers.{index}.weight"),
                data,
            };
            (tensor(before), tensor(after))
        })
        .unzip();
    if edit != Edit::Dense {
        after = before.clone();
    }
    if edit == Edit::Tenth {
        for tensor in after.iter_mut().step_by(10) {
            tensor.data = files::weights(&mut noise, TENSOR);
        }
    }
    let note = "longer ".repeat(40);
    (files::safetensors("", &before), files::safetensors(&note, &after))
}

/// A version as its publisher has it.
pub(crate) struct Version {
    pub(crate) root: Descriptor,
    pub(crate) weights: Descriptor,
    pub(crate) bytes: Vec<u8>,
}

/// Two versions at their publisher.
pub(crate) struct Versions {
    _folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) old: Version,
    pub(crate) new: Version,
    pub(crate) key: KeyPair,
    pub(crate) prepared: Vec<Prepared>,
}

pub(crate) fn versions(edit: Edit) -> Versions {
    let (old, new) = weights(edit);
    versions_of(old, new)
}

pub(crate) fn versions_of(old: Vec<u8>, new: Vec<u8>) -> Versions {
    let (folder, store) = store();
    let key = fixture::key();
    let [old, new] = [old, new].map(|bytes| version(&store, &key, bytes));
    let progress: Arc<dyn Progress> = Arc::new(NoProgress);
    let prepared = update::prepare(&store, &new.root, &old.root, &progress).unwrap();
    Versions {
        _folder: folder,
        store,
        old,
        new,
        key,
        prepared,
    }
}

fn version(store: &Store, key: &KeyPair, bytes: Vec<u8>) -> Version {
    let folder = tempfile::tempdir().unwrap();
    let spec = ModelSpec {
        files: vec![fixture::file(folder.path(), "model.safetensors", &bytes)],
        ..ModelSpec::default()
    };
    let root = pack::pack_model(store, spec, &|_| {}).unwrap();
    fixture::sign(store, &root, key);
    let weights = layers(store, &root).remove(0);
    Version { root, weights, bytes }
}

pub(crate) fn layers(store: &Store, manifest: &Descriptor) -> Vec<Descriptor> {
    match Document::parse(&store.read_document(manifest).unwrap()).unwrap() {
        Document::Manifest(manifest) => manifest.layers,
        Document::Index(_) => panic!("an index"),
    }
}

impl Versions {
    /// The one layer of the new version's referrer of this kind.
    pub(crate) fn update(&self, artifact_type: &str) -> Descriptor {
        let referrers = self.store.referrers(&self.new.root.digest).unwrap();
        let is_it = |referrer: &&Descriptor| referrer.artifact_type.as_deref() == Some(artifact_type);
        layers(&self.store, referrers.iter().find(is_it).unwrap()).remove(0)
    }

    pub(crate) fn content(&self, version: &Version) -> Content {
        Content::of(&self.store, &version.root)
    }
}

/// A server that counts the bytes of blobs that it sends.
pub(crate) struct Wire {
    pub(crate) server: Server,
    content: Arc<Mutex<Content>>,
    sent: Arc<AtomicU64>,
}

impl Wire {
    pub(crate) async fn start(content: Content) -> Self {
        let content = Arc::new(Mutex::new(content));
        let sent = Arc::new(AtomicU64::new(0));
        let (shared, counter) = (Arc::clone(&content), Arc::clone(&sent));
        let server = Server::start(move |request: &Request| {
            let reply = shared.lock().unwrap().answer(request);
            if let (Reply::Whole(200 | 206, _, body), true) = (&reply, request.path.contains("/blobs/")) {
                counter.fetch_add(body.len() as u64, Ordering::Relaxed);
            }
            reply
        })
        .await;
        Self { server, content, sent }
    }

    pub(crate) fn become_(&self, content: Content) {
        *self.content.lock().unwrap() = content;
    }

    /// Bytes sent since this was asked last.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }
}

/// Who has the first version.
pub(crate) struct Receiver {
    _folder: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) wire: Wire,
}

/// What an update came to.
pub(crate) struct Outcome {
    pub(crate) result: Result<PullReport, PullError>,
    /// Bytes of blobs that came over the wire.
    pub(crate) sent: u64,
    pub(crate) events: Vec<serde_json::Value>,
}

impl Outcome {
    pub(crate) fn has(&self, event: &str, by: &str) -> bool {
        self.events
            .iter()
            .any(|seen| seen["event"] == event && seen["by"] == by)
    }

    pub(crate) fn reason(&self) -> &str {
        let fallback = self.events.iter().find(|event| event["event"] == "fallback");
        fallback
            .and_then(|event| event["reason"].as_str())
            .unwrap_or("no fallback")
    }
}

/// Keeps events.
#[derive(Default)]
pub(crate) struct Watch(pub(crate) Mutex<Vec<serde_json::Value>>);

impl Progress for Watch {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }
}

impl Receiver {
    /// A store that pulled the first version.
    pub(crate) async fn of(versions: &Versions) -> Self {
        let (folder, store) = store();
        let wire = Wire::start(versions.content(&versions.old)).await;
        let receiver = Self {
            _folder: folder,
            store,
            wire,
        };
        let first = receiver.pull(versions, PullOptions::default()).await;
        assert_eq!(first.result.unwrap().saved, 0);
        assert!(first.sent >= versions.old.weights.size);
        receiver
    }

    /// The same with a store that has nothing.
    pub(crate) fn emptied(self) -> Self {
        let (folder, store) = store();
        Self {
            _folder: folder,
            store,
            wire: self.wire,
        }
    }

    /// Pulls what the registry has now under the tag.
    pub(crate) async fn pull(&self, versions: &Versions, options: PullOptions) -> Outcome {
        self.pull_with(crate::server::published::config(), versions, options)
            .await
    }

    pub(crate) async fn pull_with(&self, config: RegistryConfig, versions: &Versions, options: PullOptions) -> Outcome {
        let watch = Arc::new(Watch::default());
        let options = PullOptions {
            progress: Arc::clone(&watch) as Arc<dyn Progress>,
            ..options
        };
        let name = reference(&format!("{}/demo/echo:v1", self.wire.server.host));
        let verifier = Verifier::new(policy(&versions.key));
        let registry = Registry::new(config).unwrap();
        let result = registry.pull(&self.store, &name, &verifier, options).await;
        let events = std::mem::take(&mut *watch.0.lock().unwrap());
        Outcome {
            result,
            sent: self.wire.sent(),
            events,
        }
    }

    /// Updates to the new version as `content` has it, and checks that it came out right.
    pub(crate) async fn update(&self, versions: &Versions, content: Content) -> Outcome {
        self.wire.become_(content);
        let outcome = self.pull(versions, PullOptions::default()).await;
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        self.assert_is_new(versions);
        outcome
    }

    pub(crate) fn assert_is_new(&self, versions: &Versions) {
        assert!(self.blob(&versions.new.weights.digest) == versions.new.bytes);
        assert_eq!(fixture::ingest_files(&self.store), Vec::<String>::new());
    }

    pub(crate) fn blob(&self, digest: &Digest) -> Vec<u8> {
        fs_err::read(self.store.root().join("blobs/sha256").join(digest.hex())).unwrap()
    }
}
