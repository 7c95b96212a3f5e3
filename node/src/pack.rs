//! From a [`Recipe`] to an artifact in the store.

use dunlin_models::{
    Descriptor, Reference, Store, annotation,
    artifact::{Capabilities, ModelLink},
    pack::{self, ImageSpec, ModelFileSpec, ModelSpec, ModuleSpec, PackError},
    store::StoreError,
};
use thiserror::Error;

use crate::{
    Node,
    recipe::{Content, Form, LinkedModel, ModelRecipe, ModelSource, ModuleRecipe, Recipe},
};

/// What the model in a module's own manifest is called unless it is named.
const UNNAMED_MODEL: &str = "default";

/// A packed artifact.
#[derive(Debug, Clone)]
pub struct Packed {
    /// `module`, `bundle`, `fat`, `image` or `model`.
    pub kind: &'static str,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

/// Why nothing was packed.
#[derive(Debug, Error)]
pub enum PackFault {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A linked model is not in the store.
    #[error("cannot link the model {name:?}")]
    Link {
        /// The name that the guest opens.
        name: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// An image has its models as files.
    #[error("an image cannot link the model {name:?}: it takes files")]
    ImageModel {
        /// The name that the guest opens.
        name: String,
    },
    /// A fat artifact has one model, and no list to say more of it in.
    #[error("a fat artifact has exactly one model, which is not optional and has the encoding of its format")]
    FatModels,
    /// The files do not make an artifact.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl PackFault {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) | Self::Link { source: error, .. } => error.hint(),
            Self::ImageModel { .. } => Some("give the model's `files` in the recipe, or make a bundle".to_owned()),
            Self::FatModels => Some("name one model, or make a bundle".to_owned()),
            Self::Pack(error) => error.hint(),
        }
    }
}

impl Node {
    /// Packs `recipe` into the store; `progress` gets the number of bytes of each step. The tag is written last.
    ///
    /// # Errors
    /// See [`PackFault`].
    pub fn pack(&self, recipe: &Recipe, progress: &dyn Fn(u64)) -> Result<Packed, PackFault> {
        let store = self.store()?;
        let packed = match &recipe.content {
            Content::Model(model) => Packed {
                kind: "model",
                descriptor: pack::pack_model(
                    &store,
                    ModelSpec {
                        annotations: recipe.annotations.clone(),
                        ..spec(model)?
                    },
                    progress,
                )?,
            },
            Content::Module(module) => self::module(&store, recipe, module, progress)?,
        };
        if let Some(tag) = &recipe.tag {
            store.tag(tag, &packed.descriptor)?;
        }
        Ok(packed)
    }
}

fn module(store: &Store, recipe: &Recipe, module: &ModuleRecipe, progress: &dyn Fn(u64)) -> Result<Packed, PackFault> {
    match module.form {
        Form::Image => return image(store, recipe, module, progress),
        Form::Fat => return fat(store, recipe, module, progress),
        Form::Module | Form::Bundle => {}
    }
    let mut links = Vec::new();
    let mut models = Vec::new();
    for linked in &module.models {
        let (descriptor, reference) = linked_model(store, linked, progress)?;
        links.push(ModelLink {
            name: linked.name.clone(),
            digest: descriptor.digest,
            reference: reference
                .filter(|reference| reference.registry().is_some())
                .map(|reference| reference.to_string()),
            encoding: linked.encoding.clone(),
            optional: linked.optional,
        });
        models.push(descriptor);
    }
    let spec = ModuleSpec {
        models: links,
        ..module_spec(recipe, module)?
    };
    let packed = pack::pack_module(store, spec)?;
    Ok(if module.form == Form::Bundle {
        Packed {
            kind: "bundle",
            descriptor: pack::pack_bundle(store, &packed, &models)?,
        }
    } else {
        Packed {
            kind: "module",
            descriptor: packed,
        }
    })
}

/// A container image: the module is its entry point, the models are files under `models/<name>/`.
fn image(store: &Store, recipe: &Recipe, module: &ModuleRecipe, progress: &dyn Fn(u64)) -> Result<Packed, PackFault> {
    let mut files = Vec::new();
    for linked in &module.models {
        let ModelSource::Files(model, _) = &linked.source else {
            return Err(PackFault::ImageModel {
                name: linked.name.clone(),
            });
        };
        files.extend(model.listed()?.into_iter().map(|file| ModelFileSpec {
            path: format!("models/{}/{}", linked.name, file.path),
            ..file
        }));
    }
    let spec = module_spec(recipe, module)?;
    let spec = ImageSpec {
        module: match module.models.as_slice() {
            [only] => naming(only, spec),
            _ => spec,
        },
        files,
    };
    Ok(Packed {
        kind: "image",
        descriptor: pack::pack_image(store, spec, progress)?,
    })
}

/// One manifest: the module, then the files of its model or the layers of one that was packed before.
fn fat(store: &Store, recipe: &Recipe, module: &ModuleRecipe, progress: &dyn Fn(u64)) -> Result<Packed, PackFault> {
    let [linked] = module.models.as_slice() else {
        return Err(PackFault::FatModels);
    };
    if linked.optional || linked.encoding.is_some() {
        return Err(PackFault::FatModels);
    }
    let spec = naming(linked, module_spec(recipe, module)?);
    let layers = match &linked.source {
        ModelSource::Files(model, _) => pack::model_layers(store, model.listed()?, progress)?,
        ModelSource::Packed(reference) => {
            let descriptor = store.resolve(reference).map_err(|source| PackFault::Link {
                name: linked.name.clone(),
                source,
            })?;
            pack::packed_model_layers(store, &descriptor)?
        }
    };
    Ok(Packed {
        kind: "fat",
        descriptor: pack::pack_fat(store, &spec, layers)?,
    })
}

/// `spec` with the name of the one model that lies in the same manifest.
fn naming(model: &LinkedModel, mut spec: ModuleSpec) -> ModuleSpec {
    if model.name != UNNAMED_MODEL {
        let key = annotation::MODEL_NAME.to_owned();
        spec.annotations.insert(key, model.name.clone());
    }
    spec
}

/// The module with everything but its models.
fn module_spec(recipe: &Recipe, module: &ModuleRecipe) -> Result<ModuleSpec, PackError> {
    let capabilities = &module.capabilities;
    Ok(ModuleSpec {
        capabilities: (*capabilities != Capabilities::default()).then(|| capabilities.clone()),
        annotations: recipe.annotations.clone(),
        ..ModuleSpec::from_file(&module.file)?
    })
}

/// The linked model's manifest, and its name in the store or a registry.
fn linked_model(
    store: &Store,
    linked: &LinkedModel,
    progress: &dyn Fn(u64),
) -> Result<(Descriptor, Option<Reference>), PackFault> {
    match &linked.source {
        ModelSource::Packed(reference) => {
            let descriptor = store.resolve(reference).map_err(|source| PackFault::Link {
                name: linked.name.clone(),
                source,
            })?;
            Ok((descriptor, Some(reference.clone())))
        }
        ModelSource::Files(model, tag) => {
            let descriptor = pack::pack_model(store, spec(model)?, progress)?;
            if let Some(tag) = tag {
                store.tag(tag, &descriptor)?;
            }
            Ok((descriptor, tag.clone()))
        }
    }
}

fn spec(model: &ModelRecipe) -> Result<ModelSpec, PackError> {
    Ok(ModelSpec {
        files: model.listed()?,
        description: model.description.clone(),
        parameters: model.parameters.clone(),
        ..ModelSpec::default()
    })
}
