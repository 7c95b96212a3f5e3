//! What can go wrong with chunk manifests: [`ChunkError`].

use std::io;

/// Why a chunk manifest could not be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The file that is to be cut cannot be read.
    #[error("cannot read the file to cut into chunks")]
    ReadFile(#[from] io::Error),
    /// The manifest cannot be read.
    #[error("cannot read a chunk manifest")]
    Read(#[source] io::Error),
    /// The manifest cannot be written.
    #[error("cannot write a chunk manifest")]
    Write(#[source] io::Error),
    /// The manifest ends too early.
    #[error("the chunk manifest ends too early")]
    Truncated,
    /// This is not a chunk manifest.
    #[error("the content is not a Dunlin chunk manifest")]
    Magic,
    /// A manifest of another version.
    #[error("version {version} of Dunlin chunk manifests is unknown")]
    Version {
        /// What the manifest says.
        version: u32,
    },
    /// Bytes of the header that must be zero are not.
    #[error("a reserved byte of the chunk manifest is not zero")]
    Reserved,
    /// The average length of chunks is out of range.
    #[error("chunks of 2^{log2} bytes on average are not among the 2^12 to 2^22 of chunk manifests")]
    Average {
        /// What the manifest says.
        log2: u32,
    },
    /// There are more chunks than a manifest may have.
    #[error("a chunk manifest of {count} chunks has more than 524288")]
    Count {
        /// How many.
        count: u64,
    },
    /// A chunk is empty or longer than the rule by which the file was cut allows.
    #[error("chunk {index} of the manifest has {len} bytes")]
    Length {
        /// Which one, from 0.
        index: u32,
        /// How long it claims to be.
        len: u32,
    },
    /// The chunks do not add up to the file.
    #[error("the chunks of the manifest have {sum} bytes and the file has {size}")]
    Sum {
        /// Of the chunks together.
        sum: u64,
        /// Of the file.
        size: u64,
    },
    /// There is more after the last chunk.
    #[error("the chunk manifest goes on after its last chunk")]
    Trailing,
}

impl ChunkError {
    /// An error of reading a manifest, where its end is one of its faults.
    pub(super) fn reading(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Read(error),
        }
    }

    /// One line that tells what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ReadFile(_) | Self::Read(_) | Self::Write(_) => None,
            Self::Version { .. } => {
                Some("the manifest was made by a newer release: update, or pull the whole file".to_owned())
            }
            _ => Some("the chunk manifest is damaged or hostile: pull the whole file instead".to_owned()),
        }
    }
}
