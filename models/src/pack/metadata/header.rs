//! What headers of weights say, in ModelPack's terms.

use dunlin_weights::{Element, Summary};

use super::{Said, licence::spdx, line};
use crate::artifact::{ModelDescription, ModelParameters, is_language, param_size};

/// Names of whole-file quantisations by number (llama.h, `enum llama_ftype`).
const FILE_TYPES: [(u32, &str); 32] = [
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (33, "Q4_0_4_4"),
    (34, "Q4_0_4_8"),
    (35, "Q4_0_8_8"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
];
/// Bit of a file type that says that it was guessed.
const GUESSED: u32 = 1024;

/// What the headers of a model's weights say of it. Keys are those of GGUF; other formats have none of them, only numbers.
#[must_use]
pub fn read(summary: &Summary) -> Said {
    let text = |key| summary.value(key).and_then(line);
    let architecture = text("general.architecture");
    let description = ModelDescription {
        name: text("general.name"),
        version: text("general.version"),
        authors: summary.values("general.author").filter_map(line).collect(),
        vendor: text("general.organization"),
        description: text("general.description"),
        doc_url: text("general.url"),
        source_url: text("general.source.url"),
        licenses: summary.values("general.license").filter_map(spdx).collect(),
        family: architecture.clone(),
        ..ModelDescription::default()
    };
    let mut parameters = ModelParameters {
        architecture,
        param_size: param_size(summary.parameters()),
        precision: precision(summary),
        quantization: quantization(summary),
        ..ModelParameters::default()
    };
    let capabilities = &mut parameters.capabilities;
    let languages = summary.values("general.languages").filter(|text| is_language(text));
    capabilities.languages = languages.map(str::to_owned).collect();
    if summary.value("tokenizer.ggml.model").is_some() {
        capabilities.input_types = vec!["text".to_owned()];
        let is_pooled = summary
            .properties()
            .iter()
            .any(|(key, _)| key.ends_with(".pooling_type"));
        capabilities.output_types = vec![if is_pooled { "embedding" } else { "text" }.to_owned()];
    }
    Said {
        description,
        parameters,
    }
}

/// The type of two thirds of all parameters, or none of them has it.
fn precision(summary: &Summary) -> Option<String> {
    let (element, count) = main_element(summary)?;
    if element.is_quantised() {
        return None;
    }
    let is_most = u128::from(count) * 3 >= u128::from(summary.parameters()) * 2;
    let precision = if is_most { element.precision()? } else { "mixed" };
    Some(precision.to_owned())
}

/// As the whole file is called, else as the type of most parameters is.
fn quantization(summary: &Summary) -> Option<String> {
    let (element, _) = main_element(summary).filter(|(element, _)| element.is_quantised())?;
    let file_type = summary.value("general.file_type");
    let number = file_type.and_then(|text| text.parse::<u32>().ok());
    let named = number.and_then(|number| {
        let named = FILE_TYPES.iter().find(|(known, _)| *known == number & !GUESSED);
        named.map(|(_, name)| *name)
    });
    Some(named.unwrap_or_else(|| element.name()).to_owned())
}

fn main_element(summary: &Summary) -> Option<(Element, u64)> {
    summary.main_element().filter(|(_, count)| *count > 0)
}

/// Whether most elements are integers that hold several parameters each, as quantisation methods of safetensors store them.
pub(super) fn is_packed(summary: &Summary) -> bool {
    main_element(summary).is_some_and(|(element, _)| matches!(element.name(), "I32" | "U32" | "U8"))
}

#[cfg(test)]
mod tests {
    use dunlin_weights::{Format, Visitor as _};

    use super::*;

    fn summary(tensors: &[(&[u8], u64)]) -> Summary {
        // A header of each type is the one way to an element's type.
        let mut whole = Summary::default();
        for (dtype, elements) in tensors {
            let dtype = String::from_utf8_lossy(dtype);
            let header = format!(r#"{{"w":{{"dtype":"{dtype}","shape":[{elements}],"data_offsets":[0,0]}}}}"#);
            let len = u64::try_from(header.len()).unwrap_or_default().to_le_bytes();
            let file = [&len[..], header.as_bytes()].concat();
            whole.add(Summary::read(Format::Safetensors, &file).unwrap_or_default());
        }
        whole
    }

    #[test]
    fn precision_is_that_of_most_parameters() {
        type Tensors = [(&'static [u8], u64)];
        let cases: [(&Tensors, _); 5] = [
            (&[(b"BF16", 100), (b"F32", 10)], Some("bf16")),
            (&[(b"F32", 200), (b"I64", 5000)], Some("fp32")),
            (&[(b"F16", 100), (b"F32", 100)], Some("mixed")),
            (&[(b"I64", 100)], None),
            (&[], None),
        ];
        for (tensors, expected) in cases {
            assert_eq!(precision(&summary(tensors)).as_deref(), expected, "{tensors:?}");
        }
        assert!(is_packed(&summary(&[(b"I32", 100), (b"F16", 10)])));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(read(&Summary::default()), Said::default());
        let mut odd = Summary::default();
        odd.property("general.name", "a\u{7}b");
        odd.property("general.languages", "Klingon");
        odd.add(summary(&[(b"F32", 2_000)]));
        let said = read(&odd);
        assert_eq!(said.description, ModelDescription::default());
        assert_eq!(said.parameters.param_size.as_deref(), Some("2k"));
    }
    #[test]
    fn a_quantised_language_model_is_described() {
        let mut header = Summary::default();
        for (key, value) in [
            ("general.architecture", "llama"),
            ("general.name", "Tiny"),
            ("general.license", "apache-2.0"),
            ("general.languages", "en"),
            ("general.file_type", "1039"),
            ("llama.context_length", "2048"),
            ("tokenizer.ggml.model", "gpt2"),
        ] {
            header.property(key, value);
        }
        let tensor = quantised();
        header.add(tensor);
        let Said {
            description,
            parameters,
        } = read(&header);
        assert_eq!(description.name.as_deref(), Some("Tiny"));
        assert_eq!(description.family.as_deref(), Some("llama"));
        assert_eq!(description.licenses, ["Apache-2.0"]);
        assert_eq!(
            parameters.quantization.as_deref(),
            Some("Q4_K_M"),
            "1039 is 15, guessed"
        );
        assert_eq!(
            (parameters.param_size.as_deref(), parameters.precision),
            (Some("0.3k"), None)
        );
        assert_eq!(parameters.capabilities.output_types, ["text"]);
        header.property("general.file_type", "0");
        header.property("llama.pooling_type", "1");
        assert_eq!(read(&header).parameters.capabilities.output_types, ["embedding"]);
        assert_eq!(
            read(&quantised()).parameters.quantization.as_deref(),
            Some("Q4_K"),
            "without a type of the file"
        );
    }

    /// A GGUF file of one Q4_K tensor of 256 elements.
    fn quantised() -> Summary {
        let mut file = b"GGUF\x03\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0w".to_vec();
        file.extend_from_slice(&[1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0]);
        file.extend_from_slice(&[0; 8]);
        Summary::read(Format::Gguf, &file).unwrap_or_default()
    }
}
