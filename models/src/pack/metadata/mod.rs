//! What a model's files say of it, for what its maker left unsaid: headers of weights, then a `config.json` and a `README.md` as
//! model hubs have them.
//!
//! All of it only informs. What cannot be read is left out, and nothing is guessed from names.

mod header;
mod licence;
mod model_card;
mod transformers;

pub use header::read as read_header;
pub use model_card::read as read_model_card;
pub use transformers::read as read_transformers_config;

use std::collections::BTreeSet;
use std::io::Read as _;

use dunlin_weights::Summary;

use super::model::ModelFile;
use crate::artifact::{FileKind, ModelDescription, ModelParameters, model_of};
use crate::format::{FileAt, ModelFormat};

/// Longest text that is taken over, in bytes.
const MAX_TEXT: usize = 512;

/// Fills what `description` and `parameters` do not say.
pub(super) fn complete(files: &[ModelFile], description: &mut ModelDescription, parameters: &mut ModelParameters) {
    let weights = main_weights(files, parameters.format.as_deref());
    if parameters.format.is_none() {
        parameters.format = weights.format.map(|format| format.as_str().to_owned());
    }
    let mut whole: Option<Summary> = None;
    for file in weights.files {
        let Some(shard) = summary(file) else {
            // Numbers of a part are not those of the whole.
            whole = None;
            break;
        };
        whole.get_or_insert_default().add(shard);
    }
    let transformers = beside(files, "config.json").map(|text| transformers::read(&text));
    let transformers = transformers.unwrap_or_default();
    if let Some(whole) = &whole {
        let mut said = header::read(whole);
        if transformers.parameters.quantization.is_some() && header::is_packed(whole) {
            // Several parameters share an element: how many, and of what precision, is the method's own business.
            (said.parameters.param_size, said.parameters.precision) = (None, None);
        }
        description.complete(said.description);
        parameters.complete(said.parameters);
    }
    description.complete(transformers.description);
    parameters.complete(transformers.parameters);
    if let Some(card) = beside(files, "README.md").and_then(|text| model_card::read(&text)) {
        description.complete(card.description);
        parameters.complete(card.parameters);
    }
}

/// What a file says of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Who made what.
    pub description: ModelDescription,
    /// How it is built.
    pub parameters: ModelParameters,
}

/// What the header of a file of weights says; `None`, and a warning, when it cannot be read.
pub(super) fn summary(file: &ModelFile) -> Option<Summary> {
    let format = file.format.as_ref()?;
    let path = &file.spec.source;
    let source = FileAt::open(path)
        .inspect_err(|error| tracing::warn!(%error, "cannot read a file of weights"))
        .ok()?;
    format
        .summary(&source)?
        .inspect_err(|error| {
            let (file, format) = (path.display(), format.as_str());
            tracing::warn!("the {format} header of {file} says nothing: {error}");
        })
        .ok()
}

/// The files of one set of weights.
struct MainWeights<'a> {
    format: Option<&'a ModelFormat>,
    files: Vec<&'a ModelFile>,
}

/// The weights that numbers can be given for: of the format that was named, else of the one found nearest the top; and only
/// when they are one file, or the shards of one. Variants of a model side by side have no common numbers.
fn main_weights<'a>(files: &'a [ModelFile], named: Option<&str>) -> MainWeights<'a> {
    let weights = || files.iter().filter(|file| file.kind == FileKind::Weight);
    let depth = |file: &&ModelFile| file.spec.path.matches('/').count();
    let format = match named {
        Some(named) => weights().find_map(|file| file.format.as_ref().filter(|format| format.as_str() == named)),
        None => weights()
            .filter(|file| file.format.is_some())
            .min_by_key(depth)
            .and_then(|file| file.format.as_ref()),
    };
    let of_format = weights().filter(|file| format.is_some() && file.format.as_ref() == format);
    let files: Vec<_> = of_format.collect();
    let models: BTreeSet<_> = files.iter().map(|file| model_of(&file.spec.path)).collect();
    MainWeights {
        format,
        files: if models.len() == 1 { files } else { Vec::new() },
    }
}

/// The text of a file at the top of the model, when it is of a reasonable length.
fn beside(files: &[ModelFile], path: &str) -> Option<String> {
    const MAX_FILE: u64 = 1 << 20;
    let file = files.iter().find(|file| file.spec.path == path)?;
    let mut text = String::new();
    let source = fs_err::File::open(&file.spec.source).ok()?;
    let read = source.take(MAX_FILE + 1).read_to_string(&mut text).ok()?;
    (u64::try_from(read).ok()? <= MAX_FILE).then_some(text)
}

/// A text fit to be shown in one line.
fn line(text: &str) -> Option<String> {
    let text = text.trim();
    let is_line = (1..=MAX_TEXT).contains(&text.len()) && !text.chars().any(char::is_control);
    is_line.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_lines_are_taken_over() {
        assert_eq!(line("  a name "), Some("a name".to_owned()));
        for wrong in ["", " ", "a\u{1b}[31m", "a\nb", &"x".repeat(513)] {
            assert_eq!(line(wrong), None, "{wrong:?}");
        }
    }
}
