//! Bare files: read whole, hashed, and admitted by hand or not at all, since nothing signs them.
//!
//! They are read, not mapped: whoever owns a file may truncate it, and a mapping of it would then end this process.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dunlin_host_gpu::{ModelBytes, external_files};
use dunlin_models::{Descriptor, Digest, Reference, Verified, Verifier, verify::VerifyError};
use fs_err as fs;
use thiserror::Error;

/// Largest bare file that is read; larger models belong into an artifact, which is mapped.
const MAX_FILE: u64 = 4 << 30;
/// The name that policies and logs see.
const NAME: &str = "file";
/// Media type of a file of which nothing is known.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Why a bare file is not opened.
#[derive(Debug, Error)]
pub enum LocalFileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The file system's answer.
        #[source]
        source: io::Error,
    },
    /// It is too large.
    #[error("{} has {size} bytes; bare files of at most {MAX_FILE} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// The policy forbids what is unsigned.
    #[error("the file {} is refused", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<VerifyError>,
    },
}

impl LocalFileError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { .. } => None,
            Self::TooLarge { .. } => {
                Some("pack it with `dunlin pack`: weights in the store are mapped, not read".to_owned())
            }
            Self::Refused { source, .. } => source.hint(),
        }
    }
}

/// A file that was admitted.
pub(crate) struct LocalFile {
    /// Its name, without the folder.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) bytes: ModelBytes,
    /// Its digest, with the verdict.
    pub(crate) admitted: Verified<Descriptor>,
    folder: PathBuf,
}

impl fmt::Debug for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalFile")
            .field("name", &self.name)
            .field("admitted", &self.admitted)
            .finish_non_exhaustive()
    }
}

impl LocalFile {
    /// Reads and hashes `path`, and asks `verifier` whether it may be used unsigned.
    pub(crate) fn admit(verifier: &Verifier, path: &Path) -> Result<Self, LocalFileError> {
        let bytes = read(path)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let descriptor = Descriptor::new(MEDIA_TYPE, Digest::of(&bytes), size);
        let refused = |source| LocalFileError::Refused {
            path: path.to_owned(),
            source: Box::new(source),
        };
        let admitted = verifier.allow_unsigned(&reference(), &descriptor).map_err(refused)?;
        let name = path
            .file_name()
            .map_or_else(|| NAME.into(), |name| name.to_string_lossy());
        Ok(Self {
            name: name.into_owned(),
            bytes: Arc::new(bytes),
            admitted,
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
        })
    }

    /// The files beside this ONNX model that it keeps tensors in, by the names that it uses. A model that cannot be parsed
    /// has none; the engine will say what is wrong with it. A file that is not there is left to the engine too.
    pub(crate) fn external_data(&self) -> Result<Vec<(String, ModelBytes)>, LocalFileError> {
        let mut external = Vec::new();
        for name in external_files((*self.bytes).as_ref()).unwrap_or_default() {
            let path = self.folder.join(&name);
            if path.is_file() {
                external.push((name, Arc::new(read(&path)?) as ModelBytes));
            }
        }
        Ok(external)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, LocalFileError> {
    let fault = |source| LocalFileError::Read {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(fault)?.len();
    if size > MAX_FILE {
        return Err(LocalFileError::TooLarge {
            path: path.to_owned(),
            size,
        });
    }
    fs::read(path).map_err(fault)
}

fn reference() -> Reference {
    NAME.parse()
        .unwrap_or_else(|_| unreachable!("`{NAME}` is in the grammar of names"))
}
