//! Why a header cannot be read.

use std::io;

/// A header that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[from] io::Error),
    /// The file breaks its format's rules, or exceeds what is looked at.
    #[error("the header is malformed near byte {offset}")]
    Malformed {
        /// Where it was noticed.
        offset: u64,
    },
}
