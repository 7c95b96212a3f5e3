//! Model layers that are tar archives: what is in them becomes files of the model like any other.

use super::classify::{Role, by_path};
use super::{ArtifactError, FileKind, Opener};
use crate::annotation;
use crate::descriptor::Descriptor;
use crate::store::{ExtractError, PackedFile};
use crate::verify::Verified;

/// Media type of a file that came out of a layer; its path tells what it is.
const FILE: &str = "application/octet-stream";

impl Opener<'_> {
    /// The files of a packed layer. Weights are copied out; what only documents the model stays packed and is left out.
    pub(super) fn unpack(
        &self,
        layer: Verified<Descriptor>,
        kind: FileKind,
    ) -> Result<Vec<(Verified<Descriptor>, Role)>, ArtifactError> {
        if !matches!(kind, FileKind::Weight | FileKind::WeightConfig) {
            return Ok(Vec::new());
        }
        let files = self.packed(&layer)?;
        self.copy_out(&layer, &files)?;
        Ok(files
            .into_iter()
            .map(|file| {
                let role = by_path(&file.path, kind);
                (contained(&layer, FILE, &file), role)
            })
            .collect())
    }

    pub(super) fn packed(&self, layer: &Verified<Descriptor>) -> Result<Vec<PackedFile>, ArtifactError> {
        self.store
            .packed_files(layer)
            .map_err(|source| self.unpackable(layer, source))
    }

    pub(super) fn copy_out(&self, layer: &Verified<Descriptor>, files: &[PackedFile]) -> Result<(), ArtifactError> {
        self.store
            .extract(layer, files)
            .map_err(|source| self.unpackable(layer, source))
    }

    fn unpackable(&self, layer: &Descriptor, source: ExtractError) -> ArtifactError {
        let (digest, layer_digest) = (self.descriptor.digest, layer.digest);
        match source {
            ExtractError::Compression { media_type } => ArtifactError::PackedLayer {
                digest,
                layer: layer_digest,
                media_type,
            },
            source => ArtifactError::Unpack {
                digest,
                layer: layer_digest,
                source: Box::new(source),
            },
        }
    }
}

/// The blob of a file that was found in `layer`.
pub(super) fn contained(layer: &Verified<Descriptor>, media_type: &str, file: &PackedFile) -> Verified<Descriptor> {
    let blob = Descriptor::new(media_type, file.digest, file.size);
    layer.containing(blob.annotated(annotation::TITLE, &file.path))
}
