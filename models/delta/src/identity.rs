//! What a file is: [`Identity`], its SHA-256 and its size.

use std::{fmt, io, ops::Range};

use sha2::{Digest as _, Sha256};

use crate::ReadAt;

/// Bytes read at once where a file is only passed through.
const BLOCK: usize = 1 << 20;

/// The SHA-256 and the size of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The SHA-256 of all bytes.
    pub sha256: [u8; 32],
    /// How many bytes.
    pub size: u64,
}

impl Identity {
    /// Hashes `source`.
    ///
    /// # Errors
    /// When reading fails.
    pub fn of(source: &dyn ReadAt) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        each_block(source, 0..source.size(), |block| hasher.update(block))?;
        Ok(Self {
            sha256: hasher.finalize().into(),
            size: source.size(),
        })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{} ({} bytes)", hex::encode(self.sha256), self.size)
    }
}

/// Hands the bytes of `range` to `take`, block by block.
pub(crate) fn each_block(source: &dyn ReadAt, range: Range<u64>, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK.min(usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(BLOCK))];
    let mut position = range.start;
    while position < range.end {
        let len = usize::try_from(range.end - position).map_or(buffer.len(), |left| left.min(buffer.len()));
        let block = &mut buffer[..len];
        source.read_exact_at(block, position)?;
        take(block);
        position += len as u64;
    }
    Ok(())
}
