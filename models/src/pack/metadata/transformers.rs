//! The `config.json` of models in the layout of Hugging Face's transformers.

use serde_json::Value;

use super::{Said, line};

/// End of the class names of models that continue a text.
const TEXT_GENERATION: &str = "ForCausalLM";

/// What the text of a `config.json` says; nothing when it is something else.
#[must_use]
pub fn read(text: &str) -> Said {
    let config: Value = serde_json::from_str(text).unwrap_or_default();
    let text = |value: &Value| value.as_str().and_then(line);
    let mut said = Said::default();
    said.description.family = text(&config["model_type"]);
    let parameters = &mut said.parameters;
    parameters.architecture = text(&config["model_type"]);
    parameters.quantization = text(&config["quantization_config"]["quant_method"]);
    parameters.precision = ["dtype", "torch_dtype"]
        .iter()
        .find_map(|key| config[*key].as_str())
        .and_then(precision);
    let classes = config["architectures"].as_array();
    let mut classes = classes.into_iter().flatten().filter_map(Value::as_str);
    if classes.any(|class| class.ends_with(TEXT_GENERATION)) {
        parameters.capabilities.input_types = vec!["text".to_owned()];
        parameters.capabilities.output_types = vec!["text".to_owned()];
    }
    said
}

/// The name of a PyTorch type in ModelPack's terms.
fn precision(dtype: &str) -> Option<String> {
    let name = match dtype.strip_prefix("torch.").unwrap_or(dtype) {
        "float64" => "fp64",
        "float32" => "fp32",
        "float16" => "fp16",
        "bfloat16" => "bf16",
        "int8" => "int8",
        _ => return None,
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_model_is_described() {
        let said = read(
            r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","torch_dtype":"bfloat16",
                "quantization_config":{"quant_method":"gptq","bits":4}}"#,
        );
        assert_eq!(said.description.family.as_deref(), Some("llama"));
        let parameters = said.parameters;
        assert_eq!(parameters.architecture.as_deref(), Some("llama"));
        assert_eq!(parameters.precision.as_deref(), Some("bf16"));
        assert_eq!(parameters.quantization.as_deref(), Some("gptq"));
        assert_eq!(parameters.capabilities.output_types, ["text"]);
    }

    #[test]
    fn what_is_odd_says_nothing() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "null",
            "[]",
            "{}",
            deep.as_str(),
            r#"{"model_type":7,"architectures":"x","quantization_config":[],"dtype":{}}"#,
        ] {
            assert_eq!(read(text), Said::default(), "{text:.60}");
        }
    }
}
