//! The config of a ModelPack model (model-spec, "Model Artifact Configuration"): [`ModelConfig`] and its parts.

use serde::{Deserialize, Deserializer, Serialize};

use crate::descriptor::null_as_default;
use crate::digest::Digest;

/// Letters that a number of parameters ends with (model-spec, `paramSize`), each a thousand times the one before.
const SCALES: [char; 5] = ['k', 'm', 'b', 't', 'q'];
/// What a model may take and give (config-schema.json, `Modality`).
const MODALITIES: [&str; 6] = ["text", "image", "audio", "video", "embedding", "other"];

/// A ModelPack config, as far as this crate uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Who made what.
    #[serde(default)]
    pub descriptor: ModelDescription,
    /// How it is built.
    #[serde(default)]
    pub config: ModelParameters,
    /// What it consists of.
    #[serde(default)]
    pub modelfs: ModelFs,
}

/// `descriptor` of a ModelPack config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelDescription {
    /// When the model was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Who made it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub authors: Vec<String>,
    /// The organisation that distributes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Model family, as `llama` or `bert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Name of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its name as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where more is told about it.
    #[serde(default, rename = "docURL", skip_serializing_if = "Option::is_none")]
    pub doc_url: Option<String>,
    /// Where its source is.
    #[serde(default, rename = "sourceURL", skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// Where the data is that it was trained on.
    #[serde(
        default,
        rename = "datasetsURL",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub datasets_url: Vec<String>,
    /// Revision of its source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// SPDX licence expressions.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
}

/// `config` of a ModelPack config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelParameters {
    /// Architecture, as `transformer`, `cnn` or `llama`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Format of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Number of parameters, as `8b` or `22.7m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_size: Option<String>,
    /// Element type, as `bf16`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Quantisation, as `Q4_K_M` or `gptq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// What the model can do.
    #[serde(
        default,
        deserialize_with = "unreadable_as_default",
        skip_serializing_if = "ModelCapabilities::is_empty"
    )]
    pub capabilities: ModelCapabilities,
}

/// `capabilities` of a model. Before they were renamed, its fields had underscores.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelCapabilities {
    /// What it takes: `text`, `image`, `audio`, `video`, `embedding`, `other`.
    #[serde(
        default,
        alias = "input_types",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub input_types: Vec<String>,
    /// What it gives, likewise.
    #[serde(
        default,
        alias = "output_types",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub output_types: Vec<String>,
    /// The time of the latest data that it was trained on, RFC 3339.
    #[serde(default, alias = "knowledge_cutoff", skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<String>,
    /// Whether it reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<bool>,
    /// Whether it uses tools.
    #[serde(default, alias = "tool_usage", skip_serializing_if = "Option::is_none")]
    pub tool_usage: Option<bool>,
    /// Whether it is a reward model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward: Option<bool>,
    /// Languages that it speaks, ISO 639-1.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
}

/// `modelfs` of a ModelPack config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelFs {
    /// Always `layers`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, in order.
    #[serde(default, alias = "diff_ids", deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

/// Capabilities inform people only: what others write there must not keep a model from being opened.
fn unreadable_as_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ModelCapabilities, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(ModelCapabilities::deserialize(value).unwrap_or_default())
}

fn complete<T>(slot: &mut Option<T>, other: Option<T>) {
    if slot.is_none() {
        *slot = other;
    }
}

fn complete_list(slot: &mut Vec<String>, other: Vec<String>) {
    if slot.is_empty() {
        *slot = other;
    }
}

impl ModelDescription {
    /// Fills what is not said with what `other` says.
    pub(crate) fn complete(&mut self, other: Self) {
        complete(&mut self.created_at, other.created_at);
        complete_list(&mut self.authors, other.authors);
        complete(&mut self.vendor, other.vendor);
        complete(&mut self.family, other.family);
        complete(&mut self.name, other.name);
        complete(&mut self.version, other.version);
        complete(&mut self.title, other.title);
        complete(&mut self.description, other.description);
        complete(&mut self.doc_url, other.doc_url);
        complete(&mut self.source_url, other.source_url);
        complete_list(&mut self.datasets_url, other.datasets_url);
        complete(&mut self.revision, other.revision);
        complete_list(&mut self.licenses, other.licenses);
    }

    /// What is not as ModelPack wants it: one line for each field.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(time_fault("created", self.created_at.as_deref()));
        if self.name.as_deref() == Some("") {
            faults.push("name: must not be empty".to_owned());
        }
        faults
    }
}

impl ModelParameters {
    /// Fills what is not said with what `other` says.
    pub(crate) fn complete(&mut self, other: Self) {
        complete(&mut self.architecture, other.architecture);
        complete(&mut self.format, other.format);
        complete(&mut self.param_size, other.param_size);
        complete(&mut self.precision, other.precision);
        complete(&mut self.quantization, other.quantization);
        let (own, other) = (&mut self.capabilities, other.capabilities);
        complete_list(&mut own.input_types, other.input_types);
        complete_list(&mut own.output_types, other.output_types);
        complete(&mut own.knowledge_cutoff, other.knowledge_cutoff);
        complete(&mut own.reasoning, other.reasoning);
        complete(&mut own.tool_usage, other.tool_usage);
        complete(&mut own.reward, other.reward);
        complete_list(&mut own.languages, other.languages);
    }

    /// What is not as ModelPack wants it: one line for each field.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.param_size.as_deref().is_some_and(|size| !is_param_size(size)) {
            faults.push("param_size: must be a number and one of k, m, b, t, q, as 8b or 22.7m".to_owned());
        }
        let capabilities = &self.capabilities;
        for (field, types) in [
            ("input_types", &capabilities.input_types),
            ("output_types", &capabilities.output_types),
        ] {
            if !types.iter().all(|kind| MODALITIES.contains(&kind.as_str())) {
                faults.push(format!("capabilities.{field}: must be among {}", MODALITIES.join(", ")));
            }
        }
        if !capabilities.languages.iter().all(|language| is_language(language)) {
            faults.push("capabilities.languages: must be of two letters, as en".to_owned());
        }
        let cutoff = capabilities.knowledge_cutoff.as_deref();
        faults.extend(time_fault("capabilities.knowledge_cutoff", cutoff));
        faults
    }
}

impl ModelCapabilities {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether `text` is an ISO 639-1 code.
pub(crate) fn is_language(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn time_fault(field: &str, time: Option<&str>) -> Option<String> {
    let fault = |_| format!("{field}: must be a time of RFC 3339, as 2026-01-01T00:00:00Z");
    time?.parse::<jiff::Timestamp>().err().map(fault)
}

/// `<count><scale>`, the count with at most one decimal digit.
fn is_param_size(text: &str) -> bool {
    let Some((count, scale)) = text.char_indices().next_back().map(|(at, scale)| (&text[..at], scale)) else {
        return false;
    };
    let (whole, tenths) = count.split_once('.').unwrap_or((count, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number(whole) && is_number(tenths) && tenths.len() == 1 && SCALES.contains(&scale.to_ascii_lowercase())
}

/// `count` parameters as ModelPack writes them, rounded to a tenth; `None` for so few that nothing is left.
pub(crate) fn param_size(count: u64) -> Option<String> {
    let mut unit = 1000_u64;
    let mut scale = 0;
    let tenths = |unit: u64| (u128::from(count) * 10 + u128::from(unit) / 2) / u128::from(unit);
    while scale + 1 < SCALES.len() && tenths(unit) >= 10_000 {
        unit *= 1000;
        scale += 1;
    }
    let tenths = tenths(unit);
    let letter = SCALES.get(scale)?;
    match (tenths / 10, tenths % 10) {
        (0, 0) => None,
        (whole, 0) => Some(format!("{whole}{letter}")),
        (whole, tenth) => Some(format!("{whole}.{tenth}{letter}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn parameters_are_counted_as_modelpack_writes_them() {
        let cases = [
            (0, None),
            (49, None),
            (50, Some("0.1k")),
            (999, Some("1k")),
            (22_713_728, Some("22.7m")),
            (999_949_999, Some("999.9m")),
            (999_950_000, Some("1b")),
            (8_030_261_248, Some("8b")),
            (70_553_706_496, Some("70.6b")),
            (u64::MAX, Some("18446.7q")),
        ];
        for (count, expected) in cases {
            let size = param_size(count);
            assert_eq!(size.as_deref(), expected, "{count}");
            assert!(size.is_none_or(|size| is_param_size(&size)));
        }
        for size in ["6.7B", "1.0t", "100m"] {
            assert!(is_param_size(size), "{size}");
        }
        for wrong in ["", "8", "b", "8bb", "1.25b", ".5b", "1.b", "-1b", "8\u{212a}", "8 b"] {
            assert!(!is_param_size(wrong), "{wrong}");
        }
    }

    #[test]
    fn faults_are_told_at_once() {
        let parameters = ModelParameters {
            param_size: Some("huge".to_owned()),
            capabilities: ModelCapabilities {
                input_types: vec!["smell".to_owned()],
                languages: vec!["English".to_owned()],
                knowledge_cutoff: Some("2024".to_owned()),
                ..ModelCapabilities::default()
            },
            ..ModelParameters::default()
        };
        let faults = parameters.faults();
        let fields: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(
            fields,
            [
                "param_size",
                "capabilities.input_types",
                "capabilities.languages",
                "capabilities.knowledge_cutoff"
            ]
        );
    }

    #[test]
    fn old_and_odd_configs_are_read() {
        let old = r#"{"config":{"capabilities":{"input_types":["text"],"tool_usage":true}},"modelfs":{"type":"layers","diff_ids":null}}"#;
        let config: ModelConfig = serde_json::from_str(old).unwrap();
        assert_eq!(config.config.capabilities.input_types, ["text"]);
        assert_eq!(config.config.capabilities.tool_usage, Some(true));
        let odd = r#"{"descriptor":{"docURL":"u","authors":null},"config":{"paramSize":"8b","capabilities":["text"]}}"#;
        let config: ModelConfig = serde_json::from_str(odd).unwrap();
        assert!(config.config.capabilities.is_empty());
        assert_eq!(config.descriptor.doc_url.as_deref(), Some("u"));
    }
}
