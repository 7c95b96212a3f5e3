//! What can be said of a model: its config, its weights' headers, and what the engines make of it.

use std::collections::BTreeMap;

use dunlin_host_gpu::{EngineReport, Engines};
use dunlin_models::{
    Store,
    artifact::{ModelArtifact, ModelLink},
    format::{self, Content, ModelFormat, Summary},
};

use super::{CandidateView, ModelView, WeightsView};
use crate::{
    error_chain,
    local::{LocalFile, LocalFileError},
    model::{Model, ModelError},
};

/// A verified model of `store`.
pub(super) fn of_artifact(name: &str, store: &Store, artifact: &ModelArtifact, engines: &Engines) -> ModelView {
    // A header that cannot be read is the engines' to complain about; damage is told by them as well.
    let summary = artifact.summary(store).ok().flatten();
    let config = artifact.config.clone();
    ModelView {
        format: artifact.format.as_str().to_owned(),
        descriptor: config.as_ref().map(|config| config.descriptor.clone()),
        config: config.map(|config| config.config),
        weights: summary.as_ref().map(weights),
        ..explained(
            name,
            &artifact.descriptor.digest.to_string(),
            &Model::of_artifact(name, store, artifact),
            engines,
        )
    }
}

/// A file that was admitted by hand.
pub(super) fn of_file(file: LocalFile, engines: &Engines) -> Result<ModelView, LocalFileError> {
    let bytes = std::sync::Arc::clone(&file.bytes);
    let bytes = (*bytes).as_ref();
    let format = match format::detect(&bytes) {
        Ok(Content::Weights(format)) => format,
        _ => ModelFormat::named(""),
    };
    let summary = format.summary(&bytes).and_then(Result::ok);
    let (name, digest) = (file.name.clone(), file.admitted.digest.to_string());
    let external = file.external_data()?;
    Ok(ModelView {
        format: format.as_str().to_owned(),
        weights: summary.as_ref().map(weights),
        ..explained(&name, &digest, &Model::of_file(file, external), engines)
    })
}

/// A model of a module's list that cannot be opened.
pub(super) fn missing(link: &ModelLink, reason: String) -> ModelView {
    ModelView {
        name: link.name.clone(),
        digest: link.digest.to_string(),
        format: ModelFormat::named("").as_str().to_owned(),
        descriptor: None,
        config: None,
        weights: None,
        engine: None,
        reason,
        candidates: Vec::new(),
    }
}

fn weights(summary: &Summary) -> WeightsView {
    let mut properties = BTreeMap::<String, String>::new();
    for (key, value) in summary.properties() {
        let joined = properties.entry(key.clone()).or_default();
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(value);
    }
    let mut elements = BTreeMap::new();
    for (element, count) in summary.elements() {
        *elements.entry(element.name()).or_default() += count;
    }
    WeightsView {
        tensors: summary.tensors(),
        parameters: summary.parameters(),
        elements,
        properties,
    }
}

/// What the engines say, or why they are not asked.
fn explained(name: &str, digest: &str, model: &Result<Model, ModelError>, engines: &Engines) -> ModelView {
    let unasked = |error: &ModelError| EngineReport {
        chosen: None,
        reason: error_chain(error),
        candidates: Vec::new(),
    };
    let report = match model.as_ref().map(Model::source) {
        Ok(Ok(source)) => engines.explain(&source),
        Ok(Err(error)) => unasked(&error),
        Err(error) => unasked(error),
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
        digest: digest.to_owned(),
        format: String::new(),
        descriptor: None,
        config: None,
        weights: None,
        engine: report.chosen,
        reason: report.reason,
        candidates: candidates.collect(),
    }
}
