//! Bundles: one module and its models, signed, copied and deployed as one.

use super::{Artifact, ArtifactError, ModelArtifact, ModuleArtifact, Opener};
use crate::manifest::Index;
use crate::store::Store;
use crate::verify::{Verified, VerifiedDocument};

/// A module and the models that came with it.
#[derive(Debug, Clone)]
pub struct BundleArtifact {
    /// The module.
    pub module: ModuleArtifact,
    /// The models, in the order of the index. A link of the module is resolved among them by digest.
    pub models: Vec<ModelArtifact>,
}

impl BundleArtifact {
    /// The model that the module opens as `name`, if the bundle has it.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&ModelArtifact> {
        let link = self.module.link(name)?;
        self.models.iter().find(|model| model.descriptor.digest == link.digest)
    }
}

impl Opener<'_> {
    pub(super) fn bundle(&self, index: &Verified<Index>) -> Result<BundleArtifact, ArtifactError> {
        let digest = self.descriptor.digest;
        let mut modules = Vec::new();
        let mut models = Vec::new();
        for entry in index.manifest_blobs() {
            let opener = Opener {
                store: self.store,
                descriptor: &entry,
            };
            match opener.document()? {
                VerifiedDocument::Index(_) => {
                    return Err(ArtifactError::NestedIndex {
                        digest,
                        entry: entry.digest,
                    });
                }
                VerifiedDocument::Manifest(manifest) => match opener.manifest(manifest)? {
                    Artifact::Module(module) => modules.push(module),
                    Artifact::Model(model) => models.push(model),
                    Artifact::Bundle(fat) => {
                        modules.push(fat.module);
                        models.extend(fat.models);
                    }
                },
            }
        }
        let found = modules.len();
        match modules.pop() {
            Some(module) if found == 1 => Ok(BundleArtifact { module, models }),
            _ => Err(ArtifactError::BundleModules { digest, found }),
        }
    }
}

/// Opens the model that `module` links as `name` and the store holds, covered by the module's own verdict.
///
/// # Errors
/// When there is no such link, the store lacks the model, or it is none.
pub fn open_linked(store: &Store, module: &ModuleArtifact, name: &str) -> Result<ModelArtifact, ArtifactError> {
    let unknown = || ArtifactError::UnknownLink { name: name.to_owned() };
    let link = module.link(name).ok_or_else(unknown)?;
    let failed = ArtifactError::store(link.digest);
    let descriptor = store.describe(&link.digest).map_err(&failed)?;
    let descriptor = module.manifest.linked(descriptor).ok_or_else(unknown)?;
    match super::open(store, descriptor)? {
        Artifact::Model(model) => Ok(model),
        _ => Err(ArtifactError::NotAModel {
            name: name.to_owned(),
            digest: link.digest,
        }),
    }
}
