//! [`ChunkManifest`]: made of a file, written, and read back under caps. It proves nothing of the file it names.

use std::io::{Read, Write};

use sha2::{Digest as _, Sha256};

use super::ChunkError;
use crate::{Identity, ReadAt, gear::ChunkSize, gear::each_chunk, header::take};

const MAGIC: &[u8; 8] = b"\x89DLNCHNK";
const VERSION: u32 = 1;
const HEADER_LEN: usize = 64;
const ENTRY_LEN: usize = 4 + 32;
/// Chunks of one manifest, at most: 18 MiB as a blob, 24 MiB in memory.
const MAX_CHUNKS: usize = 1 << 19;
/// The number of chunks at which a larger average is chosen: half of what is allowed, because averages vary.
const USUAL_CHUNKS: u64 = 1 << 18;
/// The average for files of up to 16 GiB, 64 KiB: what other tools of the field use, too.
const USUAL_LOG2: u32 = 16;

/// One chunk of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it starts in the file.
    pub offset: u64,
    /// How many bytes; never 0.
    pub len: u32,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// The chunks of a file in order; together they are the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkManifest {
    file: Identity,
    size: ChunkSize,
    chunks: Vec<Chunk>,
}

impl ChunkManifest {
    /// The longest manifest that [`read`](Self::read) takes, in bytes.
    pub const MAX_LEN: u64 = (HEADER_LEN + MAX_CHUNKS * ENTRY_LEN) as u64;

    /// Cuts `source` into chunks: of 64 KiB on average, or of as much more as keeps the list short. Files are
    /// comparable when their chunks have the same average, so that a later version is best cut with `size` of an
    /// earlier one.
    ///
    /// # Errors
    /// When reading fails, or `size` is too small for a file of this length.
    pub fn of(source: &dyn ReadAt, size: Option<ChunkSize>) -> Result<Self, ChunkError> {
        let size = size.unwrap_or_else(|| ChunkSize::for_file(source.size(), USUAL_LOG2, USUAL_CHUNKS));
        let mut hasher = Sha256::new();
        let mut chunks = Vec::new();
        each_chunk(source, 0..source.size(), size, |offset, bytes| {
            if chunks.len() == MAX_CHUNKS {
                return Err(ChunkError::Count {
                    count: MAX_CHUNKS as u64 + 1,
                });
            }
            hasher.update(bytes);
            chunks.push(Chunk {
                offset,
                len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
                sha256: Sha256::digest(bytes).into(),
            });
            Ok(())
        })?;
        Ok(Self {
            file: Identity {
                sha256: hasher.finalize().into(),
                size: source.size(),
            },
            size,
            chunks,
        })
    }

    /// The file that the manifest claims to describe.
    #[must_use]
    pub fn file(&self) -> &Identity {
        &self.file
    }

    /// By what average the file was cut.
    #[must_use]
    pub fn chunk_size(&self) -> ChunkSize {
        self.size
    }

    /// The chunks, in order.
    #[must_use]
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Writes the manifest.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), ChunkError> {
        let mut bytes = Vec::with_capacity(HEADER_LEN + self.chunks.len() * ENTRY_LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.size.average_log2().to_le_bytes());
        bytes.extend_from_slice(&self.file.sha256);
        bytes.extend_from_slice(&self.file.size.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(self.chunks.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        for chunk in &self.chunks {
            bytes.extend_from_slice(&chunk.len.to_le_bytes());
            bytes.extend_from_slice(&chunk.sha256);
        }
        out.write_all(&bytes).map_err(ChunkError::Write)
    }

    /// Reads a manifest to its end, of which [`MAX_LEN`](Self::MAX_LEN) bytes at most.
    ///
    /// # Errors
    /// When reading fails, or the manifest is malformed.
    pub fn read(mut reader: impl Read) -> Result<Self, ChunkError> {
        let mut header = [0; HEADER_LEN];
        reader.read_exact(&mut header).map_err(ChunkError::reading)?;
        let (mut manifest, count) = Self::parse_header(&header)?;
        let mut sum = 0_u64;
        for index in 0..count {
            let mut entry = [0; ENTRY_LEN];
            reader.read_exact(&mut entry).map_err(ChunkError::reading)?;
            let mut rest = &entry[..];
            let len = u32::from_le_bytes(take(&mut rest));
            if !(1..=manifest.size.max()).contains(&(len as usize)) {
                return Err(ChunkError::Length { index, len });
            }
            manifest.chunks.push(Chunk {
                offset: sum,
                len,
                sha256: take(&mut rest),
            });
            // No overflow: 2^19 chunks of at most 2^24 bytes.
            sum += u64::from(len);
        }
        let size = manifest.file.size;
        if sum != size {
            return Err(ChunkError::Sum { sum, size });
        }
        match reader.read_exact(&mut [0]).map_err(ChunkError::reading) {
            Ok(()) => Err(ChunkError::Trailing),
            Err(ChunkError::Truncated) => Ok(manifest),
            Err(error) => Err(error),
        }
    }

    /// The manifest without its chunks, and their number.
    fn parse_header(header: &[u8; HEADER_LEN]) -> Result<(Self, u32), ChunkError> {
        let mut rest = &header[..];
        if take(&mut rest) != *MAGIC {
            return Err(ChunkError::Magic);
        }
        let version = u32::from_le_bytes(take(&mut rest));
        if version != VERSION {
            return Err(ChunkError::Version { version });
        }
        let log2 = u32::from_le_bytes(take(&mut rest));
        let size = ChunkSize::new(log2).ok_or(ChunkError::Average { log2 })?;
        let file = Identity {
            sha256: take(&mut rest),
            size: u64::from_le_bytes(take(&mut rest)),
        };
        let count = u32::from_le_bytes(take(&mut rest));
        if count as usize > MAX_CHUNKS {
            return Err(ChunkError::Count { count: count.into() });
        }
        if take(&mut rest) != [0; 4] {
            return Err(ChunkError::Reserved);
        }
        let chunks = Vec::new();
        Ok((Self { file, size, chunks }, count))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::noise::Noise;

    fn written(manifest: &ChunkManifest) -> Vec<u8> {
        let mut bytes = Vec::new();
        manifest.write(&mut bytes).unwrap();
        bytes
    }

    fn manifest() -> ChunkManifest {
        let bytes = Noise::new(4).bytes(300_000);
        ChunkManifest::of(&bytes, ChunkSize::new(13)).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        for manifest in [manifest(), ChunkManifest::of(&Vec::new(), None).unwrap()] {
            assert_eq!(ChunkManifest::read(&written(&manifest)[..]).unwrap(), manifest);
        }
        let manifest = manifest();
        assert!(manifest.chunks().len() > 10);
        let sum: u64 = manifest.chunks().iter().map(|chunk| u64::from(chunk.len)).sum();
        assert_eq!(sum, 300_000);
        assert_eq!(manifest.file().size, 300_000);
    }

    #[test]
    fn every_truncation_and_any_addition_is_refused() {
        let mut bytes = written(&manifest());
        for len in 0..bytes.len() {
            assert!(
                matches!(ChunkManifest::read(&bytes[..len]), Err(ChunkError::Truncated)),
                "{len}"
            );
        }
        bytes.push(0);
        assert!(matches!(ChunkManifest::read(&bytes[..]), Err(ChunkError::Trailing)));
    }

    #[test]
    fn every_field_is_held_to_its_rule() {
        let refused = |position: usize, change: &[u8]| {
            let mut bytes = written(&manifest());
            bytes[position..position + change.len()].copy_from_slice(change);
            ChunkManifest::read(&bytes[..]).unwrap_err()
        };
        assert!(matches!(refused(0, &[0]), ChunkError::Magic));
        assert!(matches!(refused(8, &[2]), ChunkError::Version { version: 2 }));
        assert!(matches!(refused(12, &[11]), ChunkError::Average { log2: 11 }));
        assert!(matches!(
            refused(12, &[0xff; 4]),
            ChunkError::Average { log2: u32::MAX }
        ));
        assert!(matches!(
            refused(48, &[0xff; 8]),
            ChunkError::Sum { size: u64::MAX, .. }
        ));
        assert!(matches!(refused(56, &[0xff; 4]), ChunkError::Count { .. }));
        assert!(matches!(refused(60, &[1]), ChunkError::Reserved));
        assert!(matches!(refused(64, &[0; 4]), ChunkError::Length { index: 0, len: 0 }));
        assert!(matches!(
            refused(64, &[0xff; 4]),
            ChunkError::Length {
                index: 0,
                len: u32::MAX
            }
        ));
    }
}
