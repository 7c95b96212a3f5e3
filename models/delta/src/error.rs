//! What can go wrong: [`EncodeError`] and [`DecodeError`]. Errors of chunk manifests stand beside them.

use std::io;

use crate::{Identity, frame::FrameFault};

/// Why no delta was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The compression level is not one of zstd's.
    #[error("the compression level {level} of a delta is not in 1 to 19")]
    Level {
        /// What was asked for.
        level: i32,
    },
    /// A file cannot be read.
    #[error("cannot read the {side} file of a delta")]
    Read {
        /// `base` or `new`.
        side: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The files cannot be compared, because one of them cannot be read.
    #[error("cannot compare the files of a delta")]
    Compare(#[source] io::Error),
    /// The delta cannot be written.
    #[error("cannot write a delta")]
    Write(#[source] io::Error),
    /// zstd failed, which it does when memory runs out.
    #[error("cannot compress a frame of a delta: {reason}")]
    Compress {
        /// zstd's name of the error.
        reason: &'static str,
    },
    /// The delta would be longer than what the caller finds worth having.
    #[error("the delta is longer than {max_size} bytes")]
    TooLong {
        /// What the caller allowed.
        max_size: u64,
    },
    /// The new file did not have the same bytes when it was read again.
    #[error("the new file of a delta changed while it was read")]
    Changed,
}

impl EncodeError {
    /// One line that tells what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Level { .. } => Some("choose a level from 1 (fast) to 19 (small)".to_owned()),
            Self::TooLong { .. } => Some("the files have little in common: push without a delta".to_owned()),
            Self::Changed => Some("push from the store, where files do not change".to_owned()),
            Self::Read { .. } | Self::Compare(_) | Self::Write(_) | Self::Compress { .. } => None,
        }
    }
}

/// Why a delta was refused or could not be applied. What was written until then is worthless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The delta cannot be read.
    #[error("cannot read a delta")]
    Read(#[source] io::Error),
    /// The delta ends before the new file is whole.
    #[error("the delta ends too early")]
    Truncated,
    /// This is not a delta.
    #[error("the content is not a Dunlin delta")]
    Magic,
    /// A delta of another version.
    #[error("version {version} of Dunlin deltas is unknown")]
    Version {
        /// What the delta says.
        version: u32,
    },
    /// Bytes of the header that must be zero are not.
    #[error("a reserved byte of the delta's header is not zero")]
    Reserved,
    /// The delta claims to make more than the caller wants.
    #[error("the delta makes {size} bytes where at most {max_size} are wanted")]
    NewTooLarge {
        /// What the delta claims.
        size: u64,
        /// What the caller allowed.
        max_size: u64,
    },
    /// The base that was given is not the one that the delta needs.
    #[error("the delta needs a base of {expected} bytes and was given one of {found}")]
    BaseSize {
        /// What the delta needs.
        expected: u64,
        /// What it was given.
        found: u64,
    },
    /// A frame breaks a rule of the format.
    #[error("frame {index} of the delta is refused: {fault}")]
    Frame {
        /// Which one, from 0.
        index: u64,
        /// The rule it breaks.
        fault: FrameFault,
    },
    /// A frame's payload is not what zstd makes, or of another length than the frame says.
    #[error("frame {index} of the delta cannot be decompressed: {reason}")]
    Decompress {
        /// Which one, from 0.
        index: u64,
        /// zstd's name of the error.
        reason: &'static str,
    },
    /// The base cannot be read.
    #[error("cannot read the base of a delta")]
    ReadBase(#[source] io::Error),
    /// The new file cannot be written.
    #[error("cannot write the file that a delta makes")]
    Write(#[source] io::Error),
    /// There is more after the last frame.
    #[error("the delta goes on after its last frame")]
    Trailing,
    /// The result is not the file that the delta promises: the base is another file, or the delta is wrong.
    #[error("the delta made {found:?} instead of {expected:?}")]
    Digest {
        /// What the delta promises.
        expected: Identity,
        /// What came out.
        found: Identity,
    },
}

impl DecodeError {
    /// An error of reading the delta, where its end is one of its faults.
    pub(crate) fn reading(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            _ => Self::Read(error),
        }
    }

    /// One line that tells what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Version { .. } => {
                Some("the delta was made by a newer release: update, or pull the whole file".to_owned())
            }
            Self::BaseSize { .. } => Some("give the file whose digest the delta names as its base".to_owned()),
            Self::Read(_) | Self::ReadBase(_) | Self::Write(_) => None,
            _ => Some("the delta is damaged or hostile: pull the whole file instead".to_owned()),
        }
    }
}
