//! Modules that are no files of a root file system: an artifact of the node's store, named by the annotation
//! `dunlin.dev/module`, or a layer of an image whose config says `wasm`, in containerd's own content store. Both are opened
//! only as what a verdict covers, and hashed.

use std::{
    collections::HashMap,
    io::{self, Read as _},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use dunlin_models::{
    Descriptor, Digest, Reference, Store, Verified,
    artifact::{self, Artifact, BundleArtifact},
    verify::VerifiedDocument,
};
use prost::Message;
use serde::Deserialize;

use super::{ImageError, identify, judge};
use crate::{grpc::Grpc, pod::Pod, spec::Spec};

/// Names an artifact of the node's store as the container's program.
pub(crate) const MODULE_ANNOTATION: &str = "dunlin.dev/module";

/// Layers that are a module as they lie.
const MODULE_LAYERS: [&str; 3] = [
    "application/wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];
/// Manifests and configs are small.
const MAX_DOCUMENT_BYTES: u64 = 4 << 20;

#[derive(Clone, PartialEq, Message)]
struct PluginsRequest {
    #[prost(string, repeated, tag = "1")]
    filters: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct PluginsResponse {
    #[prost(message, repeated, tag = "1")]
    plugins: Vec<Plugin>,
}

#[derive(Clone, PartialEq, Message)]
struct Plugin {
    #[prost(map = "string, string", tag = "5")]
    exports: HashMap<String, String>,
}

/// The part of an image's config that says what it is for.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    architecture: String,
}

/// A module that was opened, and the digest that its bytes must have.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) wasm: OwnedFd,
    pub(crate) digest: Digest,
}

/// The module that the annotation names; `None` without one.
pub(crate) fn annotated(pod: &Pod, spec: &Spec) -> Result<Option<Opened>, ImageError> {
    let Some(name) = spec.annotations.get(MODULE_ANNOTATION) else {
        return Ok(None);
    };
    let reference: Reference = name.parse().map_err(|source| ImageError::Name {
        name: name.clone(),
        source,
    })?;
    let stored = |source| ImageError::Store {
        name: name.clone(),
        source: Box::new(source),
    };
    let store = Store::open(&pod.config.store, false).map_err(stored)?;
    let descriptor = store.resolve(&reference).map_err(stored)?;
    let verified = judge(pod, Some(&store), &reference, &descriptor)?;
    let opened = artifact::open(&store, verified).map_err(|source| ImageError::Artifact {
        name: name.clone(),
        source: Box::new(source),
    })?;
    let module = match opened {
        Artifact::Module(module) | Artifact::Bundle(BundleArtifact { module, .. }) => module,
        Artifact::Model(_) => return Err(ImageError::NotWasm { name: name.clone() }),
    };
    // Mapped, hashed and compared by the store.
    let blob = store.open_blob(&module.module).map_err(stored)?;
    open(blob.path(), module.module.digest).map(Some)
}

/// The module layer of the container's image; `None` for an image that is not WebAssembly.
pub(crate) async fn layer(pod: &Pod, id: &str, spec: &Spec) -> Result<Option<Opened>, ImageError> {
    let (reference, descriptor) = identify(pod, id, spec).await?;
    let content = content_folder(pod).await?;
    let store = Store::open_layout(&pod.config.store).ok();
    // Linux images are asked about too, and are no business of the policy: a refusal counts only for what would be run.
    let verdict = judge(pod, store.as_ref(), &reference, &descriptor);
    let verified = match verdict {
        Ok(verified) => verified,
        Err(refusal) if looks_wasm(&content, &descriptor) => return Err(refusal),
        Err(_) => return Ok(None),
    };
    let Some(manifest) = manifest(&content, &verified)? else {
        return Ok(None);
    };
    let VerifiedDocument::Manifest(manifest) = manifest else {
        return Ok(None);
    };
    let config: Config = parse(&content, &manifest.config_blob())?;
    if config.architecture != "wasm" {
        return Ok(None);
    }
    let layers: Vec<_> = manifest
        .layer_blobs()
        .into_iter()
        .filter(|layer| MODULE_LAYERS.contains(&layer.media_type.as_str()))
        .collect();
    match layers.as_slice() {
        [one] => open(&blob(&content, &one.digest), one.digest).map(Some),
        _ => Err(ImageError::Layers { found: layers.len() }),
    }
}

/// Whether a refused image would have been run as WebAssembly: its claimed manifest says so.
fn looks_wasm(content: &Path, descriptor: &Descriptor) -> bool {
    read(content, &descriptor.digest).is_ok_and(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        MODULE_LAYERS.iter().any(|layer| text.contains(layer)) || text.contains("\"wasm\"")
    })
}

/// The manifest of an image, or of the WebAssembly member of an index.
fn manifest(content: &Path, descriptor: &Verified<Descriptor>) -> Result<Option<VerifiedDocument>, ImageError> {
    match document(content, descriptor)? {
        VerifiedDocument::Index(index) => {
            let member = index.manifest_blobs().into_iter().find(|member| {
                let platform = member.platform.as_ref();
                platform.is_some_and(|platform| platform.architecture == "wasm")
            });
            member.map(|member| document(content, &member)).transpose()
        }
        manifest => Ok(Some(manifest)),
    }
}

fn document(content: &Path, descriptor: &Verified<Descriptor>) -> Result<VerifiedDocument, ImageError> {
    let bytes = read(content, &descriptor.digest)?;
    descriptor.document(&bytes).map_err(|source| ImageError::Content {
        digest: descriptor.digest,
        source: Box::new(source),
    })
}

fn parse<T: for<'de> Deserialize<'de>>(content: &Path, descriptor: &Verified<Descriptor>) -> Result<T, ImageError> {
    let bytes = read(content, &descriptor.digest)?;
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| ImageError::Content {
        digest: descriptor.digest,
        source,
    };
    if Digest::of(&bytes) != descriptor.digest {
        return Err(wrong("its bytes are others".into()));
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(error.into()))
}

fn blob(content: &Path, digest: &Digest) -> PathBuf {
    content.join("blobs/sha256").join(digest.hex())
}

fn read(content: &Path, digest: &Digest) -> Result<Vec<u8>, ImageError> {
    let unread = |source: io::Error| ImageError::Content {
        digest: *digest,
        source: source.into(),
    };
    let mut bytes = Vec::new();
    let file = fs_err::File::open(blob(content, digest)).map_err(unread)?;
    file.take(MAX_DOCUMENT_BYTES).read_to_end(&mut bytes).map_err(unread)?;
    Ok(bytes)
}

fn open(path: &Path, digest: Digest) -> Result<Opened, ImageError> {
    let file = fs_err::File::open(path).map_err(|source| ImageError::Content {
        digest,
        source: source.into(),
    })?;
    Ok(Opened {
        wasm: file.into_file().into(),
        digest,
    })
}

/// Where containerd keeps its blobs, by its own account.
async fn content_folder(pod: &Pod) -> Result<PathBuf, ImageError> {
    let unknown = |source| ImageError::Unknown {
        what: "the content store".to_owned(),
        source,
    };
    let mut grpc = Grpc::connect(&pod.containerd.address, &pod.namespace)
        .await
        .map_err(unknown)?;
    let request = PluginsRequest {
        filters: vec!["type==io.containerd.content.v1".to_owned()],
    };
    let response: PluginsResponse = grpc
        .call(
            "containerd.services.introspection.v1.Introspection",
            "Plugins",
            &request,
        )
        .await
        .map_err(unknown)?;
    let root = response
        .plugins
        .into_iter()
        .find_map(|mut plugin| plugin.exports.remove("root"));
    root.map(PathBuf::from).ok_or(ImageError::NoContent)
}
