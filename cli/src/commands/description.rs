//! What can be said of a model when it is packed without a recipe: the fields of its ModelPack config.

use clap::Args;
use dunlin_models::artifact::{ModelCapabilities, ModelDescription, ModelParameters};

/// Options that describe a model. What is left out is read from the files.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct DescriptionArgs {
    /// Name of the model
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Version of the model
    #[arg(long, value_name = "TEXT")]
    model_version: Option<String>,
    /// Model family, as llama or bert
    #[arg(long, value_name = "TEXT")]
    family: Option<String>,
    /// What the model does
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The organisation that distributes it
    #[arg(long, value_name = "TEXT")]
    vendor: Option<String>,
    /// Who made it
    #[arg(long = "author", value_name = "TEXT")]
    authors: Vec<String>,
    /// A licence, as an SPDX expression
    #[arg(long = "license", value_name = "SPDX")]
    licenses: Vec<String>,
    /// Where more is told about it
    #[arg(long, value_name = "URL")]
    doc_url: Option<String>,
    /// Where its source is
    #[arg(long, value_name = "URL")]
    source_url: Option<String>,
    /// Revision of its source
    #[arg(long, value_name = "TEXT")]
    revision: Option<String>,
    /// When it was made, as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    created: Option<String>,
    /// Architecture, as transformer or llama
    #[arg(long, value_name = "TEXT")]
    architecture: Option<String>,
    /// Number of parameters, as 8b or 22.7m
    #[arg(long, value_name = "N")]
    param_size: Option<String>,
    /// Precision, as bf16
    #[arg(long, value_name = "TYPE")]
    precision: Option<String>,
    /// Quantization, as Q4_K_M or gptq
    #[arg(long, value_name = "TEXT")]
    quantization: Option<String>,
    /// What it takes: text, image, audio, video, embedding, other
    #[arg(long = "input-type", value_name = "TYPE")]
    input_types: Vec<String>,
    /// What it gives, likewise
    #[arg(long = "output-type", value_name = "TYPE")]
    output_types: Vec<String>,
    /// A language that it speaks, as en
    #[arg(long = "language", value_name = "CODE")]
    languages: Vec<String>,
}

impl DescriptionArgs {
    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        self.description() == ModelDescription::default() && self.parameters() == ModelParameters::default()
    }

    pub(crate) fn description(&self) -> ModelDescription {
        ModelDescription {
            created_at: self.created.clone(),
            authors: self.authors.clone(),
            vendor: self.vendor.clone(),
            family: self.family.clone(),
            name: self.name.clone(),
            version: self.model_version.clone(),
            description: self.description.clone(),
            doc_url: self.doc_url.clone(),
            source_url: self.source_url.clone(),
            revision: self.revision.clone(),
            licenses: self.licenses.clone(),
            ..ModelDescription::default()
        }
    }

    pub(crate) fn parameters(&self) -> ModelParameters {
        ModelParameters {
            architecture: self.architecture.clone(),
            param_size: self.param_size.clone(),
            precision: self.precision.clone(),
            quantization: self.quantization.clone(),
            capabilities: ModelCapabilities {
                input_types: self.input_types.clone(),
                output_types: self.output_types.clone(),
                languages: self.languages.clone(),
                ..ModelCapabilities::default()
            },
            ..ModelParameters::default()
        }
    }
}
