//! Artifacts as their users see them: a module, a model, or a bundle of both, whatever layout they came in.
//!
//! Read are the CNCF Wasm artifact, ModelPack, bundles, fat manifests with both in one, container images with a module,
//! Docker's models, KitOps' kits, ollama's manifests, and what a plain `oras push` makes. Every part handed out is pinned by the verified manifest; nothing is parsed that is not.

mod bundle;
mod classify;
mod error;
mod image;
mod link;
mod model;
mod model_config;
mod module;
mod packed;

use serde::de::DeserializeOwned;

pub use bundle::{BundleArtifact, open_linked};
pub use error::ArtifactError;
pub use image::{ImageConfig, ImageRootFs, ImageStart};
pub use link::{Capabilities, Dir, ModelLink};
pub use model::{FileKind, ModelArtifact, ModelFile};
pub(crate) use model::{is_safe, model_of};
pub use model_config::{ModelCapabilities, ModelConfig, ModelDescription, ModelFs, ModelParameters};
pub(crate) use model_config::{is_language, param_size};
pub use module::{ModuleArtifact, WasmComponent, WasmConfig, WasmOs};

use classify::Role;
pub(crate) use classify::is_plain_document;

use crate::descriptor::Descriptor;
use crate::manifest::Manifest;
use crate::store::Store;
use crate::verify::{Verified, VerifiedDocument};

/// What a verified descriptor turned out to be.
#[derive(Debug, Clone)]
pub enum Artifact {
    /// A WebAssembly module or component.
    Module(ModuleArtifact),
    /// A model.
    Model(ModelArtifact),
    /// A module with its models.
    Bundle(BundleArtifact),
}

/// Opens the manifest or index that `descriptor` names. Layers are not read, except where only their content tells what
/// they are.
///
/// # Errors
/// When a part is missing, damaged, malformed, or of a kind that is not used here.
pub fn open(store: &Store, descriptor: Verified<Descriptor>) -> Result<Artifact, ArtifactError> {
    let opener = Opener {
        store,
        descriptor: &descriptor,
    };
    store.mark_used(&descriptor.digest);
    match opener.document()? {
        VerifiedDocument::Manifest(manifest) => opener.manifest(manifest),
        VerifiedDocument::Index(index) => opener.bundle(&index).map(Artifact::Bundle),
    }
}

/// One manifest being opened.
struct Opener<'a> {
    store: &'a Store,
    descriptor: &'a Verified<Descriptor>,
}

impl Opener<'_> {
    fn document(&self) -> Result<VerifiedDocument, ArtifactError> {
        let digest = self.descriptor.digest;
        let bytes = self
            .store
            .read_document(self.descriptor)
            .map_err(ArtifactError::store(digest))?;
        self.descriptor.document(&bytes).map_err(|source| ArtifactError::Pin {
            digest,
            source: Box::new(source),
        })
    }

    fn config<T: DeserializeOwned>(
        &self,
        manifest: &Verified<Manifest>,
        what: &'static str,
    ) -> Result<T, ArtifactError> {
        let digest = self.descriptor.digest;
        let bytes = self
            .store
            .read_document(&manifest.config)
            .map_err(ArtifactError::store(digest))?;
        serde_json::from_slice(&bytes).map_err(|source| ArtifactError::Config { digest, what, source })
    }

    fn manifest(&self, manifest: Verified<Manifest>) -> Result<Artifact, ArtifactError> {
        let digest = self.descriptor.digest;
        if self.is_image(&manifest) {
            return self.image(manifest);
        }
        let mut modules = Vec::new();
        let mut files = Vec::new();
        for layer in manifest.layer_blobs() {
            let role = classify::classify(self.store, &layer).map_err(ArtifactError::store(digest))?;
            match role {
                Role::Module => modules.push(layer),
                Role::File(..) => files.push((layer, role)),
                Role::Packed(kind) => files.extend(self.unpack(layer, kind)?),
                Role::Image | Role::Other => {}
            }
        }
        let found = modules.len();
        let has_weights = files.iter().any(|(_, role)| role.is_weight());
        match (modules.pop(), has_weights) {
            (Some(_), _) if found > 1 => Err(ArtifactError::ModuleCount { digest, found }),
            (Some(layer), false) => self.module(manifest, layer).map(Artifact::Module),
            (Some(layer), true) => self.fat(manifest, layer, files).map(Artifact::Bundle),
            (None, true) => self.model(manifest, files).map(Artifact::Model),
            (None, false) => Err(ArtifactError::Unknown {
                digest,
                kind: manifest.kind().to_owned(),
            }),
        }
    }

    /// A module and the files of one model in one manifest, whose digest is the model's too: the verdict covers it.
    fn fat(
        &self,
        manifest: Verified<Manifest>,
        layer: Verified<Descriptor>,
        files: Vec<(Verified<Descriptor>, Role)>,
    ) -> Result<BundleArtifact, ArtifactError> {
        let mut module = self.module(manifest.clone(), layer)?;
        if module.models.is_empty() {
            module
                .models
                .push(ModelLink::inside(&manifest, self.descriptor.digest)?);
        }
        let model = self.model(manifest, files)?;
        Ok(BundleArtifact {
            module,
            models: vec![model],
        })
    }
}
