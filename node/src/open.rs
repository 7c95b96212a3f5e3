//! Opens what a user named, verified or not at all: the one way from a [`Target`] to a [`Module`] or a [`Model`].

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use dunlin_host_gpu::ModelBytes;
use dunlin_models::{
    Descriptor, Digest, Reference, Store, Verified,
    artifact::{self, Artifact, ArtifactError, BundleArtifact, Capabilities, ModelArtifact, ModelLink, ModuleArtifact},
    reference::ReferenceError,
    registry::Links,
    store::StoreError,
    verify::{Verdict, VerifyError},
};
use thiserror::Error;

use crate::{
    Node,
    local::{LocalFile, LocalFileError},
    model::{Model, ModelError},
    pull::PullFault,
    target::Target,
};

/// The reference under which a layout that names nothing is matched against the policy.
const LAYOUT_NAME: &str = "layout";
/// The first bytes of every WebAssembly binary.
const WASM_MAGIC: &[u8] = b"\0asm";

/// Why a target cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store does not have it, or cannot be read.
    #[error("cannot open {target}")]
    Store {
        /// What the user named.
        target: String,
        /// What the store says.
        #[source]
        source: StoreError,
    },
    /// The policy does not admit it.
    #[error(transparent)]
    Refused(Box<VerifyError>),
    /// It is not in the store and could not be pulled.
    #[error("cannot pull {target}")]
    Pull {
        /// What the user named.
        target: String,
        /// Why not.
        #[source]
        source: Box<PullFault>,
    },
    /// It is verified, and not an artifact that Dunlin understands.
    #[error("{target} is not a usable artifact")]
    Artifact {
        /// What the user named.
        target: String,
        /// Why not.
        #[source]
        source: ArtifactError,
    },
    /// Its model cannot be used.
    #[error("{target} has no usable model")]
    Model {
        /// What the user named.
        target: String,
        /// Why not.
        #[source]
        source: ModelError,
    },
    /// A model that the module lists, and does not call optional, is not there.
    #[error("{target} lists model `{name}` ({digest}), which is neither in the bundle nor in the store")]
    LinkedModelMissing {
        /// What the user named.
        target: String,
        /// The name under which the module opens it.
        name: String,
        /// Its digest in the signed list.
        digest: Digest,
    },
    /// A bare file cannot be opened.
    #[error(transparent)]
    File(#[from] LocalFileError),
    /// The name within a layout is no name for the policy.
    #[error("{target} cannot be matched against a trust policy")]
    Name {
        /// What the user named.
        target: String,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// A bare file carries no signature.
    #[error("the file {} is not signed: a bare file never is", path.display())]
    UnsignedFile {
        /// The file.
        path: PathBuf,
    },
}

impl OpenError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store { source, .. } => source.hint(),
            Self::Refused(source) => source.hint(),
            Self::File(error) => error.hint(),
            Self::Name { source, .. } => source.hint(),
            Self::Pull { source, .. } => source.hint(),
            Self::Artifact { source, .. } => source.hint(),
            Self::Model { source, .. } => source.hint(),
            Self::LinkedModelMissing { .. } => Some("pull the bundle, or pack the model into this store".to_owned()),
            Self::UnsignedFile { .. } => {
                Some("pack and sign it (`dunlin pack`, `dunlin sign`), or say --allow-unsigned".to_owned())
            }
        }
    }
}

/// How to open.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenOptions {
    /// Admit what no trusted key has signed, where the policy does not forbid it.
    pub allow_unsigned: bool,
}

/// What a target turned out to be.
#[derive(Debug)]
pub enum Opened {
    /// A WebAssembly module or component, with the models it lists.
    Module(Module),
    /// A model.
    Model(Model),
}

/// A verified module, and the models that its signed list names.
pub struct Module {
    /// What the user called it.
    pub name: String,
    /// Digest of the wasm bytes.
    pub digest: Digest,
    /// The wasm bytes (or text, for a bare `.wat` file), mapped and hashed.
    pub code: ModelBytes,
    /// Whether the bytes are WebAssembly text: for bare files only, an artifact holds binaries.
    pub is_text: bool,
    /// Why it may be used.
    pub verdict: Verdict,
    /// What it asks for; `None` for a bare file, which cannot ask.
    pub capabilities: Option<Capabilities>,
    /// The models of its list that are there, by name.
    pub models: BTreeMap<String, Model>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.name)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Opens `target`: pulls it first where it is a registry reference that the store does not have, and verifies it before
    /// anything of it is parsed.
    ///
    /// # Errors
    /// See [`OpenError`]. The store is left as it was, but for what a finished pull added.
    pub async fn open(&self, target: &Target, options: OpenOptions) -> Result<Opened, OpenError> {
        match target {
            Target::File(path) => self.open_file(path, options),
            Target::Layout { folder, tag } => {
                let name = folder.display().to_string();
                let at = |source| OpenError::Store {
                    target: name.clone(),
                    source,
                };
                let store = Store::open_layout(folder).map_err(at)?;
                let descriptor = store.layout_entry(tag.as_deref()).map_err(at)?;
                let reference = layout_reference(tag.as_deref()).map_err(|source| OpenError::Name {
                    target: name.clone(),
                    source,
                })?;
                self.open_stored(&store, &reference, &descriptor, options, &name)
            }
            Target::Reference(reference) => {
                let name = reference.to_string();
                let (store, descriptor) = self.resolve(reference, options).await?;
                self.open_stored(&store, reference, &descriptor, options, &name)
            }
        }
    }

    /// Finds `reference` in the store, pulling it where it names a registry and is not there.
    async fn resolve(&self, reference: &Reference, options: OpenOptions) -> Result<(Store, Descriptor), OpenError> {
        let target = || reference.to_string();
        let store = self.store().map_err(|source| OpenError::Store {
            target: target(),
            source,
        })?;
        match store.resolve(reference) {
            Ok(descriptor) => Ok((store, descriptor)),
            Err(StoreError::UnknownReference { .. } | StoreError::BlobMissing { .. })
                if reference.registry().is_some() =>
            {
                let descriptor = self
                    .pull(reference, options.allow_unsigned, Links::Required)
                    .await
                    .map_err(|source| OpenError::Pull {
                        target: target(),
                        source: Box::new(source),
                    })?
                    .descriptor;
                Ok((store, Descriptor::clone(&descriptor)))
            }
            Err(source) => Err(OpenError::Store {
                target: target(),
                source,
            }),
        }
    }

    fn open_stored(
        &self,
        store: &Store,
        reference: &Reference,
        descriptor: &Descriptor,
        options: OpenOptions,
        target: &str,
    ) -> Result<Opened, OpenError> {
        let verified = self
            .admit(store, reference, descriptor, options)
            .map_err(|refusal| OpenError::Refused(Box::new(refusal)))?;
        let artifact = artifact::open(store, verified).map_err(|source| OpenError::Artifact {
            target: target.to_owned(),
            source,
        })?;
        match artifact {
            Artifact::Model(model) => Model::of_artifact(target, store, &model)
                .map(Opened::Model)
                .map_err(|source| OpenError::Model {
                    target: target.to_owned(),
                    source,
                }),
            Artifact::Module(module) => open_module(store, module, &[], target).map(Opened::Module),
            Artifact::Bundle(BundleArtifact { module, models }) => {
                open_module(store, module, &models, target).map(Opened::Module)
            }
        }
    }

    /// The verdict on `descriptor`: the policy's, or the user's where it has none to give and the user said so.
    pub(crate) fn admit(
        &self,
        store: &Store,
        reference: &Reference,
        descriptor: &Descriptor,
        options: OpenOptions,
    ) -> Result<Verified<Descriptor>, VerifyError> {
        match self.verifier().verify(store, reference, descriptor) {
            Err(_refusal) if options.allow_unsigned => self.verifier().allow_unsigned(reference, descriptor),
            verdict => verdict,
        }
    }

    fn open_file(&self, path: &Path, options: OpenOptions) -> Result<Opened, OpenError> {
        if !options.allow_unsigned {
            return Err(OpenError::UnsignedFile { path: path.to_owned() });
        }
        let file = LocalFile::admit(self.verifier(), path)?;
        let file = match module_of_file(file, path) {
            Ok(module) => return Ok(Opened::Module(module)),
            Err(file) => *file,
        };
        let external = file.external_data()?;
        let model = Model::of_file(file, external).map_err(|source| OpenError::Model {
            target: path.display().to_string(),
            source,
        })?;
        Ok(Opened::Model(model))
    }
}

/// The module in `file`, or the file again when it is none.
pub(crate) fn module_of_file(file: LocalFile, path: &Path) -> Result<Module, Box<LocalFile>> {
    let is_text = path.extension().is_some_and(|extension| extension == "wat");
    if !is_text && !(*file.bytes).as_ref().starts_with(WASM_MAGIC) {
        return Err(Box::new(file));
    }
    Ok(Module {
        name: path.display().to_string(),
        digest: file.admitted.digest,
        verdict: file.admitted.verdict().clone(),
        code: file.bytes,
        is_text,
        capabilities: None,
        models: BTreeMap::new(),
    })
}

/// A module of `store` without its models.
pub(crate) fn module_alone(store: &Store, module: ModuleArtifact, target: &str) -> Result<Module, OpenError> {
    let code = store.open_blob(&module.module).map_err(|source| OpenError::Store {
        target: target.to_owned(),
        source,
    })?;
    Ok(Module {
        name: target.to_owned(),
        digest: module.module.digest,
        verdict: module.descriptor.verdict().clone(),
        code: Arc::new(code),
        is_text: false,
        capabilities: Some(module.capabilities),
        models: BTreeMap::new(),
    })
}

fn open_module(
    store: &Store,
    module: ModuleArtifact,
    bundled: &[ModelArtifact],
    target: &str,
) -> Result<Module, OpenError> {
    let mut models = BTreeMap::new();
    for link in &module.models {
        if let Some(model) = linked_model(store, &module, link, bundled, target)? {
            models.insert(link.name.clone(), model);
        }
    }
    Ok(Module {
        models,
        ..module_alone(store, module, target)?
    })
}

/// The model behind one entry of a module's signed list: from the bundle, else from the store; the digest is pinned by the
/// list, so the module's verdict covers it.
fn linked_model(
    store: &Store,
    module: &ModuleArtifact,
    link: &ModelLink,
    bundled: &[ModelArtifact],
    target: &str,
) -> Result<Option<Model>, OpenError> {
    let model_fault = |source| OpenError::Model {
        target: target.to_owned(),
        source,
    };
    if let Some(model) = bundled.iter().find(|model| model.descriptor.digest == link.digest) {
        return Model::of_artifact(&link.name, store, model)
            .map(Some)
            .map_err(model_fault);
    }
    match artifact::open_linked(store, module, &link.name) {
        Ok(model) => Model::of_artifact(&link.name, store, &model)
            .map(Some)
            .map_err(model_fault),
        Err(error) if is_missing(&error) && link.optional => Ok(None),
        Err(error) if is_missing(&error) => Err(OpenError::LinkedModelMissing {
            target: target.to_owned(),
            name: link.name.clone(),
            digest: link.digest,
        }),
        Err(source) => Err(OpenError::Artifact {
            target: target.to_owned(),
            source,
        }),
    }
}

fn is_missing(error: &ArtifactError) -> bool {
    matches!(error, ArtifactError::Store { source, .. } if matches!(**source, StoreError::BlobMissing { .. }))
}

/// What the policy's patterns are compared with: the name in the layout where it is a whole reference, else `layout`.
pub(crate) fn layout_reference(tag: Option<&str>) -> Result<Reference, ReferenceError> {
    match tag {
        None => LAYOUT_NAME.parse(),
        Some(tag) if tag.contains('/') => tag.parse(),
        Some(tag) => format!("{LAYOUT_NAME}:{tag}").parse(),
    }
}
