//! Why files cannot be packed.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::digest::Digest;
use crate::manifest::ManifestError;
use crate::store::StoreError;

/// Something that cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file cannot be read.
    #[error("cannot read a file to pack")]
    Read(#[source] std::io::Error),
    /// The store cannot take it.
    #[error("cannot keep the artifact in the store")]
    Store(#[from] StoreError),
    /// A module larger than any that is compiled.
    #[error("module {title:?} has more than {limit} bytes")]
    ModuleTooLarge {
        /// Its title.
        title: String,
        /// Most bytes of a module.
        limit: u64,
    },
    /// Native code, such as `.cwasm`.
    #[error("{title:?} is precompiled native code, which is never distributed")]
    Precompiled {
        /// Its title.
        title: String,
    },
    /// Something else than WebAssembly.
    #[error("{title:?} is not a WebAssembly module or component")]
    NotWasm {
        /// Its title.
        title: String,
    },
    /// WebAssembly that does not validate.
    #[error("{title:?} is not valid WebAssembly")]
    InvalidWasm {
        /// Its title.
        title: String,
        /// Where and why not.
        #[source]
        source: wasmparser::BinaryReaderError,
    },
    /// The list of models breaks a rule.
    #[error("the module's list of models cannot be used")]
    Links(#[source] Box<ArtifactError>),
    /// A model without files.
    #[error("the model has no weights")]
    NoWeights,
    /// A path that leaves the model, or is used twice.
    #[error("{path:?} cannot be a path inside a model")]
    Path {
        /// The path.
        path: String,
    },
    /// A file that is named as weights but is not, or whose content is of another format.
    #[error("{} is called {claimed}, but its content is {found}", file.display())]
    WrongContent {
        /// The file.
        file: PathBuf,
        /// What its name or the caller says.
        claimed: String,
        /// What it is.
        found: String,
    },
    /// A file that neither content nor name explains.
    #[error("cannot tell what {} is for", file.display())]
    UnknownFile {
        /// The file.
        file: PathBuf,
    },
    /// Something else than a file, or a link to it.
    #[error("{} is neither a file nor a folder of files", path.display())]
    NotAFile {
        /// Where it is.
        path: PathBuf,
    },
    /// A link that leaves the model's folder.
    #[error("{} leads out of its folder, to {}", file.display(), place.display())]
    Outside {
        /// The link.
        file: PathBuf,
        /// Where it leads.
        place: PathBuf,
    },
    /// More files than a manifest lists.
    #[error("the model has more than {limit} files")]
    TooManyFiles {
        /// Most files of a model.
        limit: usize,
    },
    /// Folders within folders.
    #[error("{} lies more than {limit} folders deep", folder.display())]
    TooDeep {
        /// The folder.
        folder: PathBuf,
        /// Most levels of a model's folder.
        limit: usize,
    },
    /// An ONNX model with tensors in a place outside its folder.
    #[error("{} keeps tensors in {location:?}, which is no file in its folder", model.display())]
    ExternalPath {
        /// The model.
        model: PathBuf,
        /// The place, as the model names it.
        location: String,
    },
    /// An ONNX model without the file that its tensors are in.
    #[error("{} keeps tensors in {}, which is not there", model.display(), file.display())]
    ExternalMissing {
        /// The model.
        model: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// A description that ModelPack does not allow.
    #[error("the model's description is not valid: {}", faults.join("; "))]
    Metadata {
        /// One line for each field.
        faults: Vec<String>,
    },
    /// A fat artifact whose module lists models.
    #[error("the module lists the model {name:?} by digest, but a fat artifact has its one inside")]
    FatLink {
        /// The name that the module opens.
        name: String,
    },
    /// A bundle part that is not what it should be.
    #[error("{digest} is not {expected}")]
    WrongPart {
        /// The part.
        digest: Digest,
        /// What it should be.
        expected: &'static str,
    },
    /// A bundle without a model that its module cannot do without.
    #[error("the module needs the model {name:?} ({digest}), which is not in the bundle")]
    MissingModel {
        /// The name.
        name: String,
        /// The digest that the module pins.
        digest: Digest,
    },
    /// More parts than a manifest holds.
    #[error("the artifact has too many parts")]
    TooManyParts(#[source] ManifestError),
    /// A structure could not be written as JSON.
    #[error("cannot encode the {what}")]
    Encode {
        /// Which one.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl PackError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Precompiled { .. } => {
                Some("pack the .wasm it was made from; nodes compile for themselves".to_owned())
            }
            Self::NotWasm { .. } => Some("pack the output of a wasm32-wasip1 or wasm32-wasip2 build".to_owned()),
            Self::NoWeights => Some("add an .onnx, .gguf, .safetensors or .tflite file".to_owned()),
            Self::Path { .. } => Some("use a relative path without '..', once".to_owned()),
            Self::UnknownFile { .. } => Some("say what it is: weight, config, doc, code or dataset".to_owned()),
            Self::Outside { .. } => Some("copy the file there, or name it by itself".to_owned()),
            Self::TooManyFiles { .. } | Self::TooDeep { .. } => {
                Some("pack the folder that has the model's files, or name these".to_owned())
            }
            Self::ExternalPath { .. } => Some("save the model again, with its tensors in a file beside it".to_owned()),
            Self::ExternalMissing { .. } => Some("put the file beside the model".to_owned()),
            Self::FatLink { .. } => Some("make a bundle of a module with several models".to_owned()),
            Self::MissingModel { .. } => Some("add the model to the bundle, or link it as optional".to_owned()),
            _ => None,
        }
    }
}
