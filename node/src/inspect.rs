//! What an artifact or a model file is made of, whether this node admits it, and which engine would run it.
//!
//! The manifest is shown for unsigned artifacts too: looking is how one finds out what is missing. Layers are opened only
//! after the verdict.

use dunlin_host_gpu::{EngineReport, Engines};
use dunlin_models::{Descriptor, Store, annotation, manifest::Document, store::StoreError};
use dunlin_runtime::WasmKind;
use serde::Serialize;

use crate::{
    Node, OpenOptions, Opened,
    code::{self, CodeError},
    error_chain,
    model::Model,
    open::{Module, OpenError},
    target::Target,
};

/// How deep indexes within indexes are shown.
const MAX_DEPTH: usize = 3;

/// Everything that `dunlin inspect` shows.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// What the user named.
    pub target: String,
    /// The manifest or index, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<DocumentView>,
    /// Signatures that the store keeps for it.
    pub signatures: Vec<String>,
    /// Whether it is admitted, and why.
    pub verdict: VerdictView,
    /// The module, once admitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<ModuleView>,
    /// The models, once admitted.
    pub models: Vec<ModelView>,
}

/// The verdict, in words.
#[derive(Debug, Serialize)]
pub struct VerdictView {
    /// Whether it may be used.
    pub admitted: bool,
    /// Why, or why not.
    pub reason: String,
}

/// A manifest or an index.
#[derive(Debug, Serialize)]
pub struct DocumentView {
    /// Its digest.
    pub digest: String,
    /// Its kind: artifact type, or the config's media type.
    pub kind: String,
    /// Its layers (of a manifest).
    pub layers: Vec<LayerView>,
    /// Its entries (of an index).
    pub manifests: Vec<DocumentView>,
}

/// A layer.
#[derive(Debug, Serialize)]
pub struct LayerView {
    /// File name, where an annotation gives one.
    pub title: Option<String>,
    /// Media type.
    pub media_type: String,
    /// Digest.
    pub digest: String,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// A wasm module.
#[derive(Debug, Serialize)]
pub struct ModuleView {
    /// Digest of the wasm bytes.
    pub digest: String,
    /// `component` or `module`.
    pub kind: String,
    /// What it is: a command, an HTTP handler...
    pub world: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// What it asks for.
    pub capabilities: serde_json::Value,
}

/// A model.
#[derive(Debug, Serialize)]
pub struct ModelView {
    /// Name under which the module opens it, or the target.
    pub name: String,
    /// Digest of its manifest or file.
    pub digest: String,
    /// The engine that runs it; `None` when none does.
    pub engine: Option<&'static str>,
    /// Why that one.
    pub reason: String,
    /// What each engine says: the signature's inputs and outputs, or why it refuses.
    pub candidates: Vec<CandidateView>,
}

/// What one engine says of a model.
#[derive(Debug, Serialize)]
pub struct CandidateView {
    /// The engine.
    pub engine: &'static str,
    /// Inputs as `name: type[dims]`.
    pub inputs: Vec<String>,
    /// Outputs likewise.
    pub outputs: Vec<String>,
    /// Why it does not load the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

impl Node {
    /// Looks at `target`. Nothing is pulled: what is not here is not found.
    ///
    /// # Errors
    /// It is not in the store, or its manifest cannot be read.
    pub async fn inspect(
        &self,
        target: &Target,
        options: OpenOptions,
        engines: &Engines,
    ) -> Result<Inspection, OpenError> {
        let name = match target {
            Target::Reference(reference) => reference.to_string(),
            Target::Layout { folder, .. } => folder.display().to_string(),
            Target::File(path) => path.display().to_string(),
        };
        let at = |source| OpenError::Store {
            target: name.clone(),
            source,
        };
        let stored = match target {
            Target::File(_) => None,
            Target::Layout { folder, tag } => {
                let store = Store::open_layout(folder).map_err(at)?;
                let descriptor = store.layout_entry(tag.as_deref()).map_err(at)?;
                Some((store, descriptor))
            }
            Target::Reference(reference) => {
                let store = self.store().map_err(at)?;
                let descriptor = store.resolve(reference).map_err(at)?;
                Some((store, descriptor))
            }
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
        if let Some((store, descriptor)) = &stored {
            inspection.document = Some(document(store, descriptor, MAX_DEPTH).map_err(at)?);
            let referrers = store.referrers(&descriptor.digest).map_err(at)?;
            inspection.signatures = referrers.iter().map(|referrer| referrer.digest.to_string()).collect();
        }
        match self.open(target, options).await {
            Ok(opened) => self.look_inside(opened, engines, &mut inspection),
            Err(refused @ (OpenError::Refused(_) | OpenError::UnsignedFile { .. })) => {
                inspection.verdict.reason = error_chain(&refused);
            }
            Err(error) => return Err(error),
        }
        Ok(inspection)
    }

    fn look_inside(&self, opened: Opened, engines: &Engines, inspection: &mut Inspection) {
        inspection.verdict.admitted = true;
        match opened {
            Opened::Model(model) => {
                inspection.verdict.reason = model.verdict().to_string();
                inspection.models.push(model_view(&inspection.target, &model, engines));
            }
            Opened::Module(module) => {
                inspection.verdict.reason = module.verdict.to_string();
                inspection.models = module
                    .models
                    .iter()
                    .map(|(name, model)| model_view(name, model, engines))
                    .collect();
                inspection.module = Some(self.module_view(&module));
            }
        }
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

fn model_view(name: &str, model: &Model, engines: &Engines) -> ModelView {
    let report = match model.source() {
        Ok(source) => engines.explain(&source),
        Err(error) => EngineReport {
            chosen: None,
            reason: error_chain(&error),
            candidates: Vec::new(),
        },
    };
    let candidates = report.candidates.into_iter().map(|candidate| match candidate.outcome {
        Ok(signature) => CandidateView {
            engine: candidate.engine,
            inputs: signature.inputs.iter().map(ToString::to_string).collect(),
            outputs: signature.outputs.iter().map(ToString::to_string).collect(),
            refusal: None,
        },
        Err(refusal) => CandidateView {
            engine: candidate.engine,
            inputs: Vec::new(),
            outputs: Vec::new(),
            refusal: Some(refusal),
        },
    });
    ModelView {
        name: name.to_owned(),
        digest: model.digest().to_string(),
        engine: report.chosen,
        reason: report.reason,
        candidates: candidates.collect(),
    }
}
