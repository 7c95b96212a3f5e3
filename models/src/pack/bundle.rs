//! Packing bundles: an index of one module and its models.

use super::{PackError, encode};
use crate::artifact::{ModelLink, WasmConfig, WasmOs};
use crate::descriptor::{Descriptor, Platform};
use crate::manifest::{Document, Index, Manifest};
use crate::media_type;
use crate::store::{Store, StoreError};

/// Stores an index of `module` and `models`, which the store holds, and returns it. Annotations of the descriptors given
/// (such as a variant) are kept. Equal parts in equal order give equal digests.
///
/// # Errors
/// When a part is not what it should be, or a model that the module cannot do without is not among `models` and cannot be
/// pulled either; when the store fails.
pub fn pack_bundle(store: &Store, module: &Descriptor, models: &[Descriptor]) -> Result<Descriptor, PackError> {
    let manifest = part(store, module)?;
    let mut entry = module.clone();
    entry.platform = Some(platform(store, module, &manifest)?);
    entry.artifact_type = None;
    for link in ModelLink::list(&manifest).map_err(|source| PackError::Links(Box::new(source)))? {
        let present = models.iter().any(|model| model.digest == link.digest);
        if !present && !link.optional && link.reference.is_none() {
            return Err(PackError::MissingModel {
                name: link.name,
                digest: link.digest,
            });
        }
    }
    let mut entries = vec![entry];
    for model in models {
        if part(store, model)?.kind() != media_type::MODEL_MANIFEST {
            return Err(PackError::WrongPart {
                digest: model.digest,
                expected: "a model artifact",
            });
        }
        let mut entry = model.clone();
        entry.platform = None;
        entry.artifact_type = Some(media_type::MODEL_MANIFEST.to_owned());
        entries.push(entry);
    }
    let mut index = Index::new(entries);
    index.artifact_type = Some(media_type::BUNDLE.to_owned());
    let bytes = encode("bundle", &index)?;
    Document::parse(&bytes).map_err(PackError::TooManyParts)?;
    let mut descriptor = store.put_bytes(media_type::INDEX, &bytes)?;
    descriptor.artifact_type = index.artifact_type;
    Ok(descriptor)
}

fn part(store: &Store, descriptor: &Descriptor) -> Result<Manifest, PackError> {
    let digest = descriptor.digest;
    let bytes = store.read_document(descriptor)?;
    match Document::parse_as(&descriptor.media_type, &bytes) {
        Ok(Document::Manifest(manifest)) => Ok(manifest),
        Ok(Document::Index(_)) => Err(PackError::WrongPart {
            digest,
            expected: "a manifest",
        }),
        Err(source) => Err(StoreError::NotADocument { digest, source }.into()),
    }
}

fn platform(store: &Store, module: &Descriptor, manifest: &Manifest) -> Result<Platform, PackError> {
    let wrong = || PackError::WrongPart {
        digest: module.digest,
        expected: "a module artifact",
    };
    if manifest.config.media_type != media_type::WASM_CONFIG {
        return Err(wrong());
    }
    let config = store.read_document(&manifest.config)?;
    let config: WasmConfig = serde_json::from_slice(&config).map_err(|_| wrong())?;
    let known = [WasmOs::Wasip1, WasmOs::Wasip2]
        .iter()
        .any(|os| os.as_str() == config.os);
    known
        .then_some(Platform {
            architecture: config.architecture,
            os: config.os,
            variant: None,
        })
        .ok_or_else(wrong)
}
