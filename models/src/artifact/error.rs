//! Why an artifact cannot be understood.

use crate::digest::Digest;
use crate::store::{ExtractError, StoreError};
use crate::verify::PinError;

/// An artifact that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// The store cannot give a part of it.
    #[error("a part of artifact {digest} cannot be read")]
    Store {
        /// The manifest.
        digest: Digest,
        /// Why not.
        #[source]
        source: Box<StoreError>,
    },
    /// A part is not what its digest or media type says.
    #[error("artifact {digest} is not what it claims to be")]
    Pin {
        /// The manifest.
        digest: Digest,
        /// In which way.
        #[source]
        source: Box<PinError>,
    },
    /// Neither a module nor a model nor a bundle of them.
    #[error("artifact {digest} of type {kind:?} holds neither a WebAssembly module nor model weights")]
    Unknown {
        /// The manifest.
        digest: Digest,
        /// Its artifact type.
        kind: String,
    },
    /// The config is not valid.
    #[error("the config of artifact {digest} is not a valid {what}")]
    Config {
        /// The manifest.
        digest: Digest,
        /// Which kind of config.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The config describes something that is not run here.
    #[error("the config of artifact {digest} says {field} {value:?}, which is not run here")]
    Platform {
        /// The manifest.
        digest: Digest,
        /// `architecture` or `os`.
        field: &'static str,
        /// What it says.
        value: String,
    },
    /// A module artifact has exactly one module; a fat one has it first.
    #[error("artifact {digest} has {found} WebAssembly layers where one was expected")]
    ModuleCount {
        /// The manifest.
        digest: Digest,
        /// How many there are.
        found: usize,
    },
    /// The layer is WebAssembly of a version that does not exist here, or not WebAssembly at all.
    #[error("layer {digest} is not a WebAssembly module or component")]
    NotWasm {
        /// The layer.
        digest: Digest,
    },
    /// An annotation of ours is malformed.
    #[error("the annotation {key} is malformed")]
    Annotation {
        /// Its key.
        key: &'static str,
        /// In which way.
        #[source]
        source: serde_json::Error,
    },
    /// More models than any module opens.
    #[error("the module lists {links} models, more than the {limit} allowed")]
    TooManyLinks {
        /// How many it lists.
        links: usize,
        /// How many it may.
        limit: usize,
    },
    /// A model name that is empty, too long, not printable, or used twice.
    #[error("the module lists a model under the unusable name {name:?}")]
    LinkName {
        /// The name, cut to 128 bytes.
        name: String,
    },
    /// A file path that leaves its model, or is used twice.
    #[error("artifact {digest} has the unsafe file path {path:?}")]
    UnsafePath {
        /// The manifest.
        digest: Digest,
        /// The path, cut to 256 characters.
        path: String,
    },
    /// A tar layer cannot be unpacked.
    #[error("layer {layer} of artifact {digest} cannot be unpacked")]
    Unpack {
        /// The manifest.
        digest: Digest,
        /// The layer.
        layer: Digest,
        /// Why not.
        #[source]
        source: Box<ExtractError>,
    },
    /// A container image without a module to run.
    #[error("image {digest} has no WebAssembly module as its entry point")]
    NoEntryPoint {
        /// The manifest.
        digest: Digest,
    },
    /// The layer is packed, so the stored blob is not the file.
    #[error("layer {layer} of artifact {digest} is of type {media_type:?}, which cannot be used as it lies")]
    PackedLayer {
        /// The manifest.
        digest: Digest,
        /// The layer.
        layer: Digest,
        /// Its type.
        media_type: String,
    },
    /// An index inside an index.
    #[error("bundle {digest} contains another index, {entry}")]
    NestedIndex {
        /// The bundle.
        digest: Digest,
        /// The entry.
        entry: Digest,
    },
    /// A bundle is one module and its models.
    #[error("bundle {digest} has {found} modules where one was expected")]
    BundleModules {
        /// The bundle.
        digest: Digest,
        /// How many there are.
        found: usize,
    },
    /// The module has no model of that name.
    #[error("the module lists no model called {name:?}")]
    UnknownLink {
        /// The name.
        name: String,
    },
    /// What a link pins is something else than a model.
    #[error("{digest}, linked as {name:?}, is not a model")]
    NotAModel {
        /// The name.
        name: String,
        /// What it pins.
        digest: Digest,
    },
}

impl ArtifactError {
    /// A part of `digest` that the store cannot give.
    pub(super) fn store(digest: Digest) -> impl Fn(StoreError) -> Self {
        move |source| Self::Store {
            digest,
            source: Box::new(source),
        }
    }

    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store { source, .. } => source.hint(),
            Self::Unknown { .. } => Some("pack the files with `dunlin pack`".to_owned()),
            Self::Unpack { source, .. } => source.hint(),
            Self::PackedLayer { .. } => Some("pack the model with raw layers, as `dunlin pack` does".to_owned()),
            Self::NestedIndex { .. } | Self::BundleModules { .. } => {
                Some("name one of its manifests by digest".to_owned())
            }
            _ => None,
        }
    }
}
