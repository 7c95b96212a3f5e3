//! What an artifact or a model file is made of, whether this node admits it, and which engine would run it.
//!
//! The manifest is shown for unsigned artifacts too: looking is how one finds out what is missing. Layers are opened only
//! after the verdict. A model that nothing here runs, or that is not there, is shown as such and is no failure.

mod model;
mod view;

use std::path::Path;

use dunlin_host_gpu::Engines;
use dunlin_models::{
    Descriptor, Reference, Store, Verified, annotation,
    artifact::{self, Artifact, BundleArtifact, ModelArtifact, ModuleArtifact},
    manifest::Document,
    store::StoreError,
};
use dunlin_runtime::WasmKind;

pub use view::{CandidateView, DocumentView, Inspection, LayerView, ModelView, ModuleView, VerdictView, WeightsView};

use crate::{
    Node, OpenOptions,
    code::{self, CodeError},
    error_chain,
    local::LocalFile,
    open::{self, Module, OpenError},
    target::Target,
};

/// How deep indexes within indexes are shown.
const MAX_DEPTH: usize = 3;

impl Node {
    /// Looks at `target`. Nothing is pulled: what is not here is not found.
    ///
    /// # Errors
    /// It is not in the store, its manifest cannot be read, or it is no artifact of ours although it is admitted.
    pub fn inspect(&self, target: &Target, options: OpenOptions, engines: &Engines) -> Result<Inspection, OpenError> {
        let name = match target {
            Target::Reference(reference) => reference.to_string(),
            Target::Layout { folder, .. } => folder.display().to_string(),
            Target::File(path) => path.display().to_string(),
        };
        let at = |source| OpenError::Store {
            target: name.clone(),
            source,
        };
        let mut inspection = Inspection {
            target: name.clone(),
            document: None,
            signatures: Vec::new(),
            verdict: VerdictView {
                admitted: false,
                reason: String::new(),
            },
            module: None,
            models: Vec::new(),
        };
        let (store, reference, descriptor) = match target {
            Target::File(path) => {
                self.look_at_file(path, options, engines, &mut inspection)?;
                return Ok(inspection);
            }
            Target::Layout { folder, tag } => {
                let store = Store::open_layout(folder).map_err(at)?;
                let descriptor = store.layout_entry(tag.as_deref()).map_err(at)?;
                let reference = open::layout_reference(tag.as_deref()).map_err(|source| OpenError::Name {
                    target: name.clone(),
                    source,
                })?;
                (store, reference, descriptor)
            }
            Target::Reference(reference) => {
                let store = self.store().map_err(at)?;
                let descriptor = store.resolve(reference).map_err(at)?;
                (store, reference.clone(), descriptor)
            }
        };
        inspection.document = Some(document(&store, &descriptor, MAX_DEPTH).map_err(at)?);
        let referrers = store.referrers(&descriptor.digest).map_err(at)?;
        inspection.signatures = referrers.iter().map(|referrer| referrer.digest.to_string()).collect();
        self.look_inside(&store, &reference, &descriptor, options, engines, &mut inspection)?;
        Ok(inspection)
    }

    fn look_at_file(
        &self,
        path: &Path,
        options: OpenOptions,
        engines: &Engines,
        inspection: &mut Inspection,
    ) -> Result<(), OpenError> {
        if !options.allow_unsigned {
            let refusal = OpenError::UnsignedFile { path: path.to_owned() };
            inspection.verdict.reason = error_chain(&refusal);
            return Ok(());
        }
        let file = LocalFile::admit(self.verifier(), path)?;
        inspection.verdict = admitted(&file.admitted);
        match open::module_of_file(file, path) {
            Ok(module) => inspection.module = Some(self.module_view(&module)),
            Err(file) => inspection.models.push(model::of_file(*file, engines)?),
        }
        Ok(())
    }

    fn look_inside(
        &self,
        store: &Store,
        reference: &Reference,
        descriptor: &Descriptor,
        options: OpenOptions,
        engines: &Engines,
        inspection: &mut Inspection,
    ) -> Result<(), OpenError> {
        let verified = match self.admit(store, reference, descriptor, options) {
            Ok(verified) => verified,
            Err(refusal) => {
                inspection.verdict.reason = error_chain(&refusal);
                return Ok(());
            }
        };
        inspection.verdict = admitted(&verified);
        let target = inspection.target.clone();
        let artifact = artifact::open(store, verified).map_err(|source| OpenError::Artifact {
            target: target.clone(),
            source,
        })?;
        let (module, bundled) = match artifact {
            Artifact::Model(model) => {
                inspection
                    .models
                    .push(model::of_artifact(&target, store, &model, engines));
                return Ok(());
            }
            Artifact::Module(module) => (module, Vec::new()),
            Artifact::Bundle(BundleArtifact { module, models }) => (module, models),
        };
        inspection.models = linked(store, &module, &bundled, engines);
        let module = open::module_alone(store, module, &target)?;
        inspection.module = Some(self.module_view(&module));
        Ok(())
    }

    fn module_view(&self, module: &Module) -> ModuleView {
        let code = self
            .wasm_engine(1)
            .map_err(CodeError::from)
            .and_then(|engine| code::compile(&engine, module))
            .map_err(|error| error_chain(&error));
        let capabilities = serde_json::to_value(&module.capabilities).unwrap_or_default();
        let digest = module.digest.to_string();
        match code {
            Ok(code) => ModuleView {
                digest,
                kind: match code.kind() {
                    WasmKind::Component => "component".to_owned(),
                    WasmKind::CoreModule => "module".to_owned(),
                },
                world: code.world().to_string(),
                imports: code.imports().to_vec(),
                exports: code.exports().to_vec(),
                capabilities,
            },
            Err(error) => ModuleView {
                digest,
                kind: "unusable".to_owned(),
                world: error,
                imports: Vec::new(),
                exports: Vec::new(),
                capabilities,
            },
        }
    }
}

fn admitted(verified: &Verified<Descriptor>) -> VerdictView {
    VerdictView {
        admitted: true,
        reason: verified.verdict().to_string(),
    }
}

/// The models of a module's list, whether or not they are there.
fn linked(store: &Store, module: &ModuleArtifact, bundled: &[ModelArtifact], engines: &Engines) -> Vec<ModelView> {
    let view = |link: &artifact::ModelLink| {
        let bundled = bundled.iter().find(|model| model.descriptor.digest == link.digest);
        let stored = || artifact::open_linked(store, module, &link.name);
        match bundled.map_or_else(stored, |model| Ok(model.clone())) {
            Ok(model) => model::of_artifact(&link.name, store, &model, engines),
            Err(error) => model::missing(link, error_chain(&error)),
        }
    };
    module.models.iter().map(view).collect()
}

fn document(store: &Store, descriptor: &Descriptor, depth: usize) -> Result<DocumentView, StoreError> {
    let bytes = store.read_document(descriptor)?;
    let mut view = DocumentView {
        digest: descriptor.digest.to_string(),
        kind: descriptor.media_type.clone(),
        layers: Vec::new(),
        manifests: Vec::new(),
    };
    match Document::parse(&bytes) {
        Ok(Document::Manifest(manifest)) => {
            view.kind = manifest.kind().to_owned();
            view.layers = manifest.layers.iter().map(layer).collect();
        }
        Ok(Document::Index(index)) => {
            view.kind = index.artifact_type.clone().unwrap_or(view.kind);
            if let Some(depth) = depth.checked_sub(1) {
                for child in &index.manifests {
                    view.manifests.push(document(store, child, depth)?);
                }
            }
        }
        Err(source) => {
            return Err(StoreError::NotADocument {
                digest: descriptor.digest,
                source,
            });
        }
    }
    Ok(view)
}

fn layer(descriptor: &Descriptor) -> LayerView {
    let title = [annotation::TITLE, annotation::MODEL_FILEPATH]
        .iter()
        .find_map(|key| descriptor.annotations.get(*key).cloned());
    LayerView {
        title,
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size_bytes: descriptor.size,
    }
}
