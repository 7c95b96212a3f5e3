//! Files inside tar layers. They are copied out once, into blobs of their own, so that they can be mapped like any other
//! blob; whose they are is worked out anew from the layer's verified bytes each time, never read from a note.

use std::collections::BTreeSet;
use std::io::Read;

use super::archive::tape::{Tape, TapeError};
use super::{Store, StoreError};
use crate::descriptor::Descriptor;
use crate::digest::{Digest, Hasher};
use crate::verify::Verified;

const READ_BYTES: usize = 256 << 10;
/// What a compressed layer may become, beside a fixed part: weights do not shrink to less than this share.
const MAX_RATIO: u64 = 32;
const MAX_BASE_BYTES: u64 = 64 << 20;
/// Largest note of what was copied out.
const MAX_NOTE_BYTES: u64 = 16 << 20;

/// A file in a tar layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedFile {
    /// Path inside the layer, relative and safe.
    pub path: String,
    /// Its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A tar layer that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The store cannot give the layer, or take a file.
    #[error("the store cannot unpack the layer")]
    Store(#[from] StoreError),
    /// The archive is broken or hostile.
    #[error("the layer's archive is refused")]
    Tape(#[from] TapeError),
    /// The bytes are not those of the layer.
    #[error("the layer has the digest {found}")]
    WrongLayer {
        /// What its bytes hash to.
        found: Digest,
    },
    /// More bytes than a layer of that size has.
    #[error("the layer unpacks to more than {limit} bytes")]
    Bomb {
        /// Bytes allowed.
        limit: u64,
    },
    /// A compression that is not read.
    #[error("layers of type {media_type:?} are not unpacked")]
    Compression {
        /// The layer's type.
        media_type: String,
    },
}

impl ExtractError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Compression { .. } => Some("pack the model with raw layers, as `dunlin pack` does".to_owned()),
            _ => None,
        }
    }
}

/// The layer's bytes, hashed as they are read.
struct Hashing<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// What is done with a file's content; gets its path, its size, and a reader that ends with it.
type Visit<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> Result<(), ExtractError> + 'a;

impl Store {
    /// Lists the files of a tar layer. The whole layer is read, and must be what its digest says.
    ///
    /// # Errors
    /// When the layer is not there, is damaged, or its archive is hostile.
    pub fn packed_files(&self, layer: &Verified<Descriptor>) -> Result<Vec<PackedFile>, ExtractError> {
        let mut files = Vec::new();
        self.visit(layer, &mut |path, size, content| {
            let mut hasher = Hasher::default();
            pour(content, &mut |bytes| {
                hasher.update(bytes);
                Ok(())
            })?;
            files.push(PackedFile {
                path: path.to_owned(),
                digest: std::mem::take(&mut hasher).finish(),
                size,
            });
            Ok(())
        })?;
        Ok(files)
    }

    /// Makes sure that `wanted` files of the layer are blobs of the store. Those that are not are copied out.
    pub(crate) fn extract(&self, layer: &Verified<Descriptor>, wanted: &[PackedFile]) -> Result<(), ExtractError> {
        let is_there = |file: &&PackedFile| self.blob_size(&file.digest) == Some(file.size);
        let missing: BTreeSet<&str> = wanted
            .iter()
            .filter(|file| !is_there(file))
            .map(|file| file.path.as_str())
            .collect();
        let digests: Vec<Digest> = wanted.iter().map(|file| file.digest).collect();
        // Until the note is written, nothing else says that they are needed.
        let _lease = self.lease("unpacking a layer", &digests)?;
        if !missing.is_empty() {
            self.visit(layer, &mut |path, size, content| {
                let Some(file) = wanted.iter().find(|file| file.path == path && missing.contains(path)) else {
                    return Ok(());
                };
                self.check_space(size, 0)?;
                let mut ingest = self.ingest(size)?;
                pour(content, &mut |bytes| Ok(ingest.write(bytes)?))?;
                Ok(ingest.finish(&Descriptor::new("", file.digest, file.size))?)
            })?;
        }
        self.note_extracted(&layer.digest, &digests)
    }

    fn visit(&self, layer: &Verified<Descriptor>, visit: &mut Visit<'_>) -> Result<(), ExtractError> {
        let (file, _) = self.open_sized(layer)?;
        let mut hashing = Hashing {
            input: file.take(layer.size),
            hasher: Hasher::default(),
        };
        let limit = MAX_BASE_BYTES.saturating_add(layer.size.saturating_mul(MAX_RATIO));
        match compression(&layer.media_type) {
            Some(false) => members(&mut hashing, layer.size.max(1), visit)?,
            Some(true) => members(flate2::read::MultiGzDecoder::new(&mut hashing), limit, visit)?,
            None => {
                let media_type = layer.media_type.clone();
                return Err(ExtractError::Compression { media_type });
            }
        }
        // What lies behind the archive's end is part of the layer as well.
        pour(&mut hashing, &mut |_| Ok(()))?;
        let found = hashing.hasher.finish();
        if found == layer.digest {
            Ok(())
        } else {
            Err(ExtractError::WrongLayer { found })
        }
    }

    /// Notes what was copied out of a layer, so that it stays as long as the layer. Nothing else relies on it.
    fn note_extracted(&self, layer: &Digest, digests: &[Digest]) -> Result<(), ExtractError> {
        let folder = self.extracted_path();
        fs_err::create_dir_all(&folder).map_err(StoreError::io("create folder for notes"))?;
        let bytes = serde_json::to_vec(digests).map_err(|source| StoreError::Encode {
            what: "the note of unpacked files",
            source,
        })?;
        Ok(self.replace(&folder.join(layer.hex()), &bytes)?)
    }

    /// What was copied out of a layer, as noted.
    pub(super) fn extracted_from(&self, layer: &Digest) -> Vec<Digest> {
        let Ok(file) = super::blob::open_plain(&self.extracted_path().join(layer.hex())) else {
            return Vec::new();
        };
        let mut bytes = Vec::new();
        // A note that cannot be read keeps nothing; the files are copied out again when they are needed.
        match file.take(MAX_NOTE_BYTES).read_to_end(&mut bytes) {
            Ok(_) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

/// Whether a layer of this type is compressed with gzip; `None` for types that are not unpacked.
fn compression(media_type: &str) -> Option<bool> {
    let base = media_type.split(';').next().unwrap_or(media_type).trim();
    if base.ends_with(".tar+gzip") || base.ends_with(".tar.gzip") || base.ends_with(".tar+gz") {
        Some(true)
    } else if base.ends_with(".tar") {
        Some(false)
    } else {
        None
    }
}

fn members(input: impl Read, limit: u64, visit: &mut Visit<'_>) -> Result<(), ExtractError> {
    // One byte more than allowed is enough to tell.
    let mut capped = input.take(limit.saturating_add(1));
    let mut tape = Tape::new(&mut capped);
    let outcome = loop {
        match tape.next_member() {
            Ok(Some(member)) => {
                if member.size > limit {
                    return Err(ExtractError::Bomb { limit });
                }
                if let Err(error) = visit(&member.path, member.size, &mut tape) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
    };
    if capped.limit() == 0 {
        return Err(ExtractError::Bomb { limit });
    }
    outcome
}

fn pour(content: &mut dyn Read, sink: &mut dyn FnMut(&[u8]) -> Result<(), ExtractError>) -> Result<(), ExtractError> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let read = content.read(&mut buffer).map_err(TapeError::Read)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        sink(bytes)?;
    }
}
