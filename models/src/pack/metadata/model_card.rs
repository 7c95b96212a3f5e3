//! The front matter of a `README.md`, where model hubs keep licence, languages and task of a model.

use serde::Deserialize;
use serde_saphyr::{Budget, Options};

use super::{Said, licence::spdx};
use crate::artifact::is_language;

const FENCE: &str = "---";
/// Longest front matter that is read, in bytes: some list every result of an evaluation.
const MAX_BYTES: usize = 256 << 10;
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 20_000;

/// What models of a task take and give, by the hubs' name of the task.
const TASKS: [(&str, &[&str], &[&str]); 21] = [
    ("text-generation", &["text"], &["text"]),
    ("text2text-generation", &["text"], &["text"]),
    ("translation", &["text"], &["text"]),
    ("summarization", &["text"], &["text"]),
    ("question-answering", &["text"], &["text"]),
    ("fill-mask", &["text"], &["text"]),
    ("feature-extraction", &["text"], &["embedding"]),
    ("sentence-similarity", &["text"], &["embedding"]),
    ("text-classification", &["text"], &["other"]),
    ("token-classification", &["text"], &["other"]),
    ("text-ranking", &["text"], &["other"]),
    ("image-classification", &["image"], &["other"]),
    ("object-detection", &["image"], &["other"]),
    ("image-segmentation", &["image"], &["other"]),
    ("image-to-text", &["image"], &["text"]),
    ("image-text-to-text", &["image", "text"], &["text"]),
    ("image-feature-extraction", &["image"], &["embedding"]),
    ("text-to-image", &["text"], &["image"]),
    ("automatic-speech-recognition", &["audio"], &["text"]),
    ("text-to-speech", &["text"], &["audio"]),
    ("audio-classification", &["audio"], &["other"]),
];

/// The fields that are used; of others, nothing is asked.
#[derive(Debug, Default, Deserialize)]
struct Card {
    #[serde(default)]
    license: Texts,
    #[serde(default)]
    language: Texts,
    #[serde(default)]
    pipeline_tag: Texts,
}

/// A text or several.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
    #[default]
    None,
}

impl Texts {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
            Self::None => &[],
        };
        texts.iter().map(String::as_str)
    }
}

/// What the front matter of a `README.md` says; `None` when the text has none that can be read.
#[must_use]
pub fn read(text: &str) -> Option<Said> {
    let rest = text.strip_prefix(FENCE)?;
    let rest = rest.strip_prefix('\r').unwrap_or(rest).strip_prefix('\n')?;
    let end = rest.find("\n---")?;
    let matter = rest.get(..end).filter(|matter| matter.len() <= MAX_BYTES)?;
    let mut budget = Budget::default();
    budget.max_depth = MAX_DEPTH;
    budget.max_nodes = MAX_NODES;
    budget.max_anchors = 0;
    budget.max_aliases = 0;
    budget.max_merge_keys = 0;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.with_snippet = false;
    let card: Card = serde_saphyr::from_str_with_options(matter, options).ok()?;
    let mut said = Said::default();
    said.description.licenses = card.license.iter().filter_map(spdx).collect();
    let capabilities = &mut said.parameters.capabilities;
    let languages = card.language.iter().filter(|language| is_language(language));
    capabilities.languages = languages.map(str::to_owned).collect();
    let task = card.pipeline_tag.iter().next();
    if let Some((_, inputs, outputs)) = TASKS.iter().find(|(name, ..)| Some(*name) == task) {
        capabilities.input_types = inputs.iter().copied().map(str::to_owned).collect();
        capabilities.output_types = outputs.iter().copied().map(str::to_owned).collect();
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn licence_languages_and_task_are_read() {
        let card = "---\nlicense: apache-2.0\nlanguage:\n- en\n- multilingual\n- de\ntags: [a, b]\npipeline_tag: feature-extraction\n---\n# Title\n";
        let said = read(card).unwrap();
        assert_eq!(said.description.licenses, ["Apache-2.0"]);
        let capabilities = said.parameters.capabilities;
        assert_eq!(capabilities.languages, ["en", "de"]);
        assert_eq!(capabilities.output_types, ["embedding"]);
        let said = read("---\r\nlanguage: en\r\n---\r\n").unwrap();
        assert_eq!(said.parameters.capabilities.languages, ["en"]);
    }

    #[test]
    fn what_is_no_card_says_nothing() {
        let bomb = format!("---\na: {}\n---\n", "[".repeat(10_000));
        for text in [
            "",
            "# Title",
            "---",
            "---\nlicense: mit",
            "---\n- a\n---\n",
            "---\nlicense: {a: b}\n---\n",
            "---\na: &x 1\nlicense: *x\n---\n",
            bomb.as_str(),
        ] {
            assert!(read(text).is_none(), "{text:.60}");
        }
    }
}
