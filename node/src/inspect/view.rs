//! What `dunlin inspect` shows, as it is printed and serialised.

use std::collections::BTreeMap;

use dunlin_models::artifact::{ModelDescription, ModelParameters};
use serde::Serialize;

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
    /// Format of the weights.
    pub format: String,
    /// Who made what, as the artifact's config says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor: Option<ModelDescription>,
    /// How it is built, as the artifact's config says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ModelParameters>,
    /// What the weights' own headers say; `None` where they cannot be read, or are of several models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<WeightsView>,
    /// The engine that runs it; `None` when none does.
    pub engine: Option<&'static str>,
    /// Why that one.
    pub reason: String,
    /// What each engine says: the signature's inputs and outputs, or why it refuses.
    pub candidates: Vec<CandidateView>,
}

/// What the headers of weights say.
#[derive(Debug, Serialize)]
pub struct WeightsView {
    /// Number of tensors.
    pub tensors: u64,
    /// Number of parameters: elements of types that are learnt.
    pub parameters: u64,
    /// Number of elements by their type.
    pub elements: BTreeMap<&'static str, u64>,
    /// What else the header says; the values of a list are joined with commas.
    pub properties: BTreeMap<String, String>,
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
