//! Chunk manifests: [`ChunkManifest`], the content-defined chunks of a file by their digests, and [`plan`], which
//! finds what of a new file lies in files that are here.

mod error;
mod manifest;
mod plan;

pub use error::ChunkError;
pub use manifest::{Chunk, ChunkManifest};
pub use plan::{Segment, SegmentSource, plan};
