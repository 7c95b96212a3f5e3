//! [`Model`]: a verified model as named parts, ready to be handed to an engine. Bytes are mapped and hashed only when an
//! engine asks for them.

use std::{collections::BTreeMap, fmt, path::Path, sync::Arc};

use dunlin_host_gpu::{Encoding, ModelBytes, ModelSource};
use dunlin_models::{
    Descriptor, Digest, Store, Verified,
    artifact::{FileKind, ModelArtifact},
    format::{self, Content, ModelFormat},
    store::StoreError,
    verify::Verdict,
};
use thiserror::Error;

use crate::local::LocalFile;

/// Why a verified model cannot be handed to an engine.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The artifact has no weights.
    #[error("model {name} has no file of weights")]
    NoWeights {
        /// The model.
        name: String,
    },
    /// More than one file could be the model.
    #[error("model {name} has several model files: {}", files.join(", "))]
    Ambiguous {
        /// The model.
        name: String,
        /// The candidates.
        files: Vec<String>,
    },
    /// No engine of this build reads the format.
    #[error("model {name} is {format}, which no engine of this build runs")]
    NoEngine {
        /// The model.
        name: String,
        /// Its format.
        format: String,
    },
    /// A part cannot be read from the store.
    #[error("cannot open `{file}` of model {name}")]
    Open {
        /// The model.
        name: String,
        /// The file within the model.
        file: String,
        /// What the store says.
        #[source]
        source: Box<StoreError>,
    },
}

impl ModelError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoWeights { .. } => Some("`dunlin inspect` lists what the artifact holds".to_owned()),
            Self::Ambiguous { .. } => Some("pack each model into an artifact of its own".to_owned()),
            Self::NoEngine { .. } => Some("this build runs ONNX models".to_owned()),
            Self::Open { source, .. } => source.hint(),
        }
    }
}

/// One file of a model.
#[derive(Clone)]
struct Part {
    path: String,
    bytes: PartBytes,
}

#[derive(Clone)]
enum PartBytes {
    /// In a store: mapped and hashed at each opening.
    Stored(Store, Verified<Descriptor>),
    /// A file that was admitted by hand, read already.
    Read(ModelBytes),
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A verified model.
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    digest: Digest,
    verdict: Verdict,
    encoding: Encoding,
    main: Part,
    external: Vec<Part>,
    side_files: Vec<Part>,
}

impl Model {
    /// The model of a verified artifact in `store`.
    ///
    /// # Errors
    /// It has no weights, several models, or a format that no engine of this build runs.
    pub fn of_artifact(name: &str, store: &Store, artifact: &ModelArtifact) -> Result<Self, ModelError> {
        if artifact.format != ModelFormat::Onnx {
            let format = artifact.format.as_str().to_owned();
            return Err(ModelError::NoEngine {
                name: name.to_owned(),
                format,
            });
        }
        let part = |file: &dunlin_models::artifact::ModelFile| Part {
            path: file.path.clone(),
            bytes: PartBytes::Stored(store.clone(), file.blob.clone()),
        };
        let (weights, side_files): (Vec<_>, Vec<_>) =
            artifact.files.iter().partition(|file| file.kind == FileKind::Weight);
        let (mut mains, external): (Vec<_>, Vec<_>) = match weights.as_slice() {
            [only] => (vec![*only], Vec::new()),
            several => several.iter().copied().partition(|file| is_onnx_name(&file.path)),
        };
        let main = match (mains.pop(), mains.is_empty()) {
            (Some(main), true) => main,
            (None, _) => return Err(ModelError::NoWeights { name: name.to_owned() }),
            (Some(last), false) => {
                let files = mains.into_iter().chain([last]).map(|file| file.path.clone()).collect();
                return Err(ModelError::Ambiguous {
                    name: name.to_owned(),
                    files,
                });
            }
        };
        Ok(Self {
            name: name.to_owned(),
            digest: artifact.descriptor.digest,
            verdict: artifact.descriptor.verdict().clone(),
            encoding: Encoding::Onnx,
            main: part(main),
            external: external.into_iter().map(part).collect(),
            side_files: side_files.into_iter().map(part).collect(),
        })
    }

    /// A model that is one file, admitted by hand; `external` are the files beside it that it may refer to. What is of no
    /// known format goes to the engine, which says what is wrong with it.
    ///
    /// # Errors
    /// It is of a format that no engine of this build runs.
    pub(crate) fn of_file(file: LocalFile, external: Vec<(String, ModelBytes)>) -> Result<Self, ModelError> {
        match format::detect(&(*file.bytes).as_ref()) {
            Ok(Content::Weights(format)) if format != ModelFormat::Onnx => {
                return Err(ModelError::NoEngine {
                    name: file.name,
                    format: format.as_str().to_owned(),
                });
            }
            _ => {}
        }
        let read = |path: String, bytes: ModelBytes| Part {
            path,
            bytes: PartBytes::Read(bytes),
        };
        Ok(Self {
            name: file.name.clone(),
            digest: file.admitted.digest,
            verdict: file.admitted.verdict().clone(),
            encoding: Encoding::Onnx,
            main: read(file.name, file.bytes),
            external: external.into_iter().map(|(name, bytes)| read(name, bytes)).collect(),
            side_files: Vec::new(),
        })
    }

    /// What the model is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest that names it: of the manifest, or of the file. Equal digests are the same model.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Why it may be used.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Maps and hashes the weights, for an engine.
    ///
    /// # Errors
    /// The store does not have a part, or its bytes are not what the digest names.
    pub fn source(&self) -> Result<ModelSource, ModelError> {
        let external = self
            .external
            .iter()
            .map(|part| Ok((part.path.clone(), self.bytes(part)?)))
            .collect::<Result<BTreeMap<_, _>, ModelError>>()?;
        Ok(ModelSource {
            name: self.name.clone(),
            encoding: self.encoding,
            bytes: self.bytes(&self.main)?,
            external,
        })
    }

    /// The files beside the weights (tokenizer, labels, documents): path within the model and bytes.
    ///
    /// # Errors
    /// As [`source`](Self::source).
    pub fn side_files(&self) -> impl Iterator<Item = Result<(&str, ModelBytes), ModelError>> {
        self.side_files
            .iter()
            .map(|part| Ok((part.path.as_str(), self.bytes(part)?)))
    }

    fn bytes(&self, part: &Part) -> Result<ModelBytes, ModelError> {
        match &part.bytes {
            PartBytes::Read(bytes) => Ok(Arc::clone(bytes)),
            PartBytes::Stored(store, descriptor) => store
                .open_blob(descriptor)
                .map(|blob| Arc::new(blob) as ModelBytes)
                .map_err(|source| ModelError::Open {
                    name: self.name.clone(),
                    file: part.path.clone(),
                    source: Box::new(source),
                }),
        }
    }
}

fn is_onnx_name(path: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}
