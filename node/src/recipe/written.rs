//! The recipe as it is written, before any value of it is believed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dunlin_models::{
    Reference,
    artifact::{Capabilities, Dir, ModelCapabilities, ModelDescription, ModelParameters},
};
use serde::Deserialize;

use super::{Content, Form, LinkedModel, ModelRecipe, ModelSource, ModuleRecipe, Recipe};
use crate::config::parse_size;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    tag: Option<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    module: Option<Module>,
    model: Option<Model>,
    #[serde(default)]
    models: BTreeMap<String, Linked>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Module {
    file: PathBuf,
    build: Option<String>,
    form: Option<String>,
    memory: Option<String>,
    instance_reuse: Option<u32>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    #[serde(default)]
    dirs: Vec<Dir>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    files: Vec<PathBuf>,
    name: Option<String>,
    version: Option<String>,
    title: Option<String>,
    family: Option<String>,
    description: Option<String>,
    vendor: Option<String>,
    #[serde(default)]
    authors: Vec<String>,
    #[serde(default)]
    licenses: Vec<String>,
    doc_url: Option<String>,
    source_url: Option<String>,
    #[serde(default)]
    datasets_url: Vec<String>,
    revision: Option<String>,
    created: Option<String>,
    architecture: Option<String>,
    format: Option<String>,
    param_size: Option<String>,
    precision: Option<String>,
    quantization: Option<String>,
    #[serde(default)]
    capabilities: Abilities,
}

/// What a model can do.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Abilities {
    #[serde(default)]
    input_types: Vec<String>,
    #[serde(default)]
    output_types: Vec<String>,
    knowledge_cutoff: Option<String>,
    reasoning: Option<bool>,
    tool_usage: Option<bool>,
    reward: Option<bool>,
    #[serde(default)]
    languages: Vec<String>,
}

/// A model that a module opens: packed before, or the fields of a [`Model`] beside these.
#[derive(Debug, Deserialize)]
struct Linked {
    #[serde(rename = "ref")]
    reference: Option<String>,
    tag: Option<String>,
    encoding: Option<String>,
    #[serde(default)]
    optional: bool,
    /// serde cannot refuse unknown fields of a flattened struct, so they become one in a second step.
    #[serde(flatten)]
    model: toml::Table,
}

type Faults = Vec<String>;

impl File {
    /// The recipe; `faults` gets a line for every value that makes none.
    pub(super) fn check(self, folder: &Path, faults: &mut Faults) -> Option<Recipe> {
        let tag = self.tag.and_then(|text| reference("tag", &text, faults));
        let content = match (self.module, self.model) {
            (Some(module), None) => {
                let models = self
                    .models
                    .into_iter()
                    .filter_map(|(name, linked)| linked.check(name, folder, faults))
                    .collect();
                Content::Module(Box::new(module.check(models, folder, faults)))
            }
            (None, Some(model)) => {
                if !self.models.is_empty() {
                    faults.push("models: go with a [module]".to_owned());
                }
                Content::Model(Box::new(model.check("model", folder, faults)))
            }
            _ => {
                faults.push("module: a recipe has either a [module] or a [model]".to_owned());
                return None;
            }
        };
        Some(Recipe {
            tag,
            annotations: self.annotations,
            content,
        })
    }
}

impl Module {
    fn check(self, models: Vec<LinkedModel>, folder: &Path, faults: &mut Faults) -> ModuleRecipe {
        let form = match self.form.as_deref() {
            None | Some("module") => Form::Module,
            Some("bundle") => Form::Bundle,
            Some("fat") => Form::Fat,
            Some("image") => Form::Image,
            Some(_) => {
                faults.push("module.form: must be module, bundle, fat or image".to_owned());
                Form::Module
            }
        };
        let memory_mib = self.memory.and_then(|text| {
            let mebibytes = parse_size(&text).and_then(|bytes| u32::try_from(bytes.div_ceil(1 << 20)).ok());
            if mebibytes.is_none() {
                faults.push("module.memory: must be a size such as 64M".to_owned());
            }
            mebibytes
        });
        ModuleRecipe {
            file: folder.join(self.file),
            build: self.build,
            folder: folder.to_owned(),
            capabilities: Capabilities {
                hosts: self.hosts,
                dirs: self.dirs,
                env: self.env,
                memory_mib,
                instance_reuse: self.instance_reuse,
            },
            models,
            form,
        }
    }
}

impl Model {
    fn check(self, field: &str, folder: &Path, faults: &mut Faults) -> ModelRecipe {
        if self.files.is_empty() {
            faults.push(format!("{field}.files: a model has at least one file"));
        }
        let description = ModelDescription {
            created_at: self.created,
            authors: self.authors,
            vendor: self.vendor,
            family: self.family,
            name: self.name,
            version: self.version,
            title: self.title,
            description: self.description,
            doc_url: self.doc_url,
            source_url: self.source_url,
            datasets_url: self.datasets_url,
            revision: self.revision,
            licenses: self.licenses,
        };
        let parameters = ModelParameters {
            architecture: self.architecture,
            format: self.format,
            param_size: self.param_size,
            precision: self.precision,
            quantization: self.quantization,
            capabilities: self.capabilities.into(),
        };
        let own = description.faults().into_iter().chain(parameters.faults());
        faults.extend(own.map(|fault| format!("{field}.{fault}")));
        ModelRecipe {
            files: self.files.iter().map(|file| folder.join(file)).collect(),
            description,
            parameters,
        }
    }
}

impl From<Abilities> for ModelCapabilities {
    fn from(written: Abilities) -> Self {
        Self {
            input_types: written.input_types,
            output_types: written.output_types,
            knowledge_cutoff: written.knowledge_cutoff,
            reasoning: written.reasoning,
            tool_usage: written.tool_usage,
            reward: written.reward,
            languages: written.languages,
        }
    }
}

impl Linked {
    fn check(self, name: String, folder: &Path, faults: &mut Faults) -> Option<LinkedModel> {
        let field = format!("models.{name}");
        let source = match self.reference {
            Some(text) if self.model.is_empty() && self.tag.is_none() => {
                ModelSource::Packed(reference(&format!("{field}.ref"), &text, faults)?)
            }
            None if self.model.contains_key("files") => {
                let tag = self.tag.map(|text| reference(&format!("{field}.tag"), &text, faults));
                let model = Model::deserialize(self.model)
                    .map_err(|error| faults.push(format!("{field}: {}", error.message())))
                    .ok()?;
                ModelSource::Files(Box::new(model.check(&field, folder, faults)), tag.flatten())
            }
            _ => {
                faults.push(format!(
                    "{field}: has either `ref`, a packed model, or `files` and what describes them"
                ));
                return None;
            }
        };
        Some(LinkedModel {
            name,
            source,
            encoding: self.encoding,
            optional: self.optional,
        })
    }
}

fn reference(field: &str, text: &str, faults: &mut Faults) -> Option<Reference> {
    text.parse()
        .map_err(|error| faults.push(format!("{field}: {error}")))
        .ok()
}
