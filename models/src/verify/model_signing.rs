//! OpenSSF model signatures (predicate `https://model_signing/signature/v1.0`), checked against a manifest's layers: with
//! raw layers, the digests of its files are those of the layers, so that nothing is hashed again.
//!
//! Such a signature binds files by name and digest, not the manifest. So it counts for models only: a module's capabilities
//! and links stand in annotations, which it does not cover.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::annotation;
use crate::artifact::is_plain_document;
use crate::digest::{Digest, Hasher};
use crate::manifest::{MAX_ENTRIES, Manifest};
use crate::media_type;

/// Type of the predicate.
pub(super) const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";

#[derive(Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    ignore_paths: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    digest: String,
    algorithm: String,
}

/// Checks that `predicate`, whose statement's subject is `root`, lists the layers of `manifest`: all of them, under their
/// names, and nothing else. What the signer ignored may be extra documentation, never weights or code.
pub(super) fn check(predicate: &Value, root: &Digest, manifest: &Manifest) -> Result<(), String> {
    let predicate: Predicate = Deserialize::deserialize(predicate).map_err(|error| error.to_string())?;
    let serialization = &predicate.serialization;
    if (serialization.method.as_str(), serialization.hash_type.as_str()) != ("files", "sha256") {
        return Err("it hashes files in another way than by SHA-256 as a whole".to_owned());
    }
    let mut resources = resources(&predicate, root)?;
    let bound = [annotation::MODELS, annotation::CAPABILITIES];
    if bound.iter().any(|name| manifest.annotations.contains_key(*name)) {
        return Err("a model signature does not cover what a module asks for".to_owned());
    }
    for layer in &manifest.layers {
        if layer.media_type == media_type::WASM {
            return Err("a model signature does not cover modules".to_owned());
        }
        let path = path(layer)?;
        let listed = path.and_then(|path| resources.remove(path));
        let is_ignored = |path: &str| is_ignored(path, serialization.ignore_paths.as_deref().unwrap_or_default());
        match listed {
            Some(digest) if digest == layer.digest => {}
            Some(_) => return Err(format!("{:?} has another digest", path.unwrap_or_default())),
            None if path.is_some_and(|path| is_ignored(path) && is_plain_document(layer, path)) => {}
            None => return Err(format!("it does not list the layer {}", layer.digest)),
        }
    }
    match resources.keys().next() {
        Some(missing) => Err(format!("the artifact lacks {missing:?}")),
        None => Ok(()),
    }
}

/// The files by name, after their digests have matched `root`: SHA-256 over the digests in the order of the list.
fn resources<'a>(predicate: &'a Predicate, root: &Digest) -> Result<BTreeMap<&'a str, Digest>, String> {
    if predicate.resources.len() > MAX_ENTRIES {
        return Err("it lists more files than an artifact has".to_owned());
    }
    let mut hasher = Hasher::default();
    let mut files = BTreeMap::new();
    for resource in &predicate.resources {
        let digest = format!("{}:{}", resource.algorithm, resource.digest).parse::<Digest>();
        let digest = digest.map_err(|error| error.to_string())?;
        hasher.update(digest.as_bytes());
        if files.insert(resource.name.as_str(), digest).is_some() {
            return Err(format!("it lists {:?} twice", resource.name));
        }
    }
    if files.is_empty() || hasher.finish() != *root {
        return Err("its files do not have the digest of its subject".to_owned());
    }
    Ok(files)
}

/// The path that the layer states; all its statements must agree.
fn path(layer: &crate::descriptor::Descriptor) -> Result<Option<&str>, String> {
    let keys = [
        annotation::MODEL_FILEPATH,
        annotation::MODEL_FILEPATH_OLD,
        annotation::TITLE,
    ];
    let mut stated = keys.iter().filter_map(|key| layer.annotations.get(*key));
    let first = stated.next();
    if stated.any(|other| Some(other) != first) {
        return Err(format!("the layer {} has two names", layer.digest));
    }
    Ok(first.map(String::as_str))
}

/// Whether `path` is one of `ignored` or inside of it.
fn is_ignored(path: &str, ignored: &[String]) -> bool {
    let inside = |folder: &String| {
        let folder = folder.trim_end_matches('/');
        path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    ignored.iter().any(inside)
}
