//! Stores on the move: export to, and import from, an OCI image layout as a folder or a tar stream, with signatures,
//! linked models, and what a place without network needs to judge them.

mod export;
mod import;
pub(crate) mod tape;

use std::io;
use std::path::PathBuf;

pub use export::{ExportOptions, ExportReport};
pub use import::{ImportOptions, ImportReport};
pub use tape::TapeError;

use super::StoreError;
use crate::digest::Digest;
use crate::manifest::ManifestError;

/// Member with the trust anchors of keyless signatures.
const TRUSTED_ROOT: &str = "dunlin/trusted_root.json";
/// Member with the trust policy.
const POLICY: &str = "dunlin/policy.yaml";

/// A failed export or import. An import has changed no tag.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store cannot give or take something.
    #[error("the store cannot take part in the transfer")]
    Store(#[from] StoreError),
    /// The archive is broken or hostile.
    #[error("the archive is refused")]
    Tape(#[from] TapeError),
    /// The archive cannot be written.
    #[error("the archive cannot be written")]
    Write(#[source] io::Error),
    /// A file beside the blobs cannot be read or written.
    #[error("cannot read or write a file of the layout")]
    Layout(#[source] io::Error),
    /// The folder to export to has something in it.
    #[error("{path} is not empty")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A member that the layout cannot do without.
    #[error("the archive has no {member}")]
    MissingMember {
        /// Its path.
        member: &'static str,
    },
    /// A member larger than any of its kind.
    #[error("the archive member {member} has {size} bytes, more than the {limit} allowed")]
    MemberTooLarge {
        /// Its path.
        member: String,
        /// Its size.
        size: u64,
        /// Most bytes taken.
        limit: u64,
    },
    /// More bytes than the caller takes.
    #[error("the archive has more than the {limit} bytes allowed")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// `index.json` or `oci-layout` is not what it should be.
    #[error("{member} of the archive is not valid")]
    Invalid {
        /// Its path.
        member: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A blob is not what its name says.
    #[error("blob {digest} of the archive has the digest {found}")]
    WrongBlob {
        /// Its name.
        digest: Digest,
        /// What its bytes hash to.
        found: Digest,
    },
    /// What an entry names is not a manifest.
    #[error("{digest} in the archive is not a manifest")]
    NotADocument {
        /// The blob.
        digest: Digest,
        /// Why not.
        #[source]
        source: ManifestError,
    },
    /// A part of an artifact is not in the archive, nor in the store.
    #[error("{needed_by} needs blob {digest}, which the archive does not have in that size")]
    Incomplete {
        /// The part.
        digest: Digest,
        /// The manifest.
        needed_by: Digest,
    },
}

impl ArchiveError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::NotEmpty { .. } => Some("export to a new folder".to_owned()),
            Self::Tape(_) | Self::WrongBlob { .. } | Self::Incomplete { .. } => {
                Some("export it again; the archive was damaged or tampered with".to_owned())
            }
            Self::MissingMember { .. } => {
                Some("import takes OCI image layouts, as `dunlin export` makes them".to_owned())
            }
            _ => None,
        }
    }
}
