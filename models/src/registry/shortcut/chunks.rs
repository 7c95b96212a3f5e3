//! Filling a partial blob with what older blobs have of it, by its list of chunks. The rest is fetched as ranges.

use bytes::Bytes;
use dunlin_delta::{ChunkManifest, FileAt, ReadAt as _, Segment, SegmentSource, plan};

use super::{ChunksWay, ShortcutError, Stop, StopOnDrop};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::registry::download::{Alive, Downloads, died};
use crate::registry::progress::{Event, Means};
use crate::registry::route::Route;
use crate::store::{Partial, Store, Writer};
use crate::update::MIN_LOCAL_BYTES;

/// Ranges that are fetched of one blob, each with a request. Where there are more, those near each other become one.
const MAX_RANGES: usize = 1024;
/// Bytes copied at a time.
const PIECE_BYTES: u64 = 1 << 20;
/// What part of a blob its list of chunks may be at most: the smallest chunks of the format need a hundredth.
const MAX_SHARE: u64 = 16;

/// Whether a list of chunks is short enough to be held in memory and to save anything.
pub(super) fn is_short(list: &Descriptor, blob: &Descriptor) -> bool {
    list.size <= ChunkManifest::MAX_LEN.min(blob.size / MAX_SHARE)
}

/// What older blobs gave.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::registry) struct Found {
    /// Bytes of the blob.
    pub(in crate::registry) bytes: u64,
    /// Bytes of the list of chunks.
    pub(in crate::registry) list_bytes: u64,
}

impl Downloads<'_> {
    /// Writes into `partial` what older blobs have of it.
    ///
    /// # Cancel safety
    /// Dropping the future ends the work within a few pieces; what has been written by then is kept.
    pub(in crate::registry) async fn reuse(
        &self,
        route: &Route,
        blob: &Descriptor,
        partial: &Partial,
        way: &ChunksWay,
    ) -> Result<Found, ShortcutError> {
        let _permit = self.rebuilds.acquire().await;
        let list = route.small_blob(&way.blob, ChunkManifest::MAX_LEN).await?;
        self.progress.event(&Event::Rebuilding {
            blob,
            by: Means::Chunks,
        });
        let stop = Stop::default();
        let _waiting = StopOnDrop(stop.clone());
        let work = Work {
            store: self.store.clone(),
            blob: blob.clone(),
            local: way.local.clone(),
            writer: partial.writer(),
            stop,
            _alive: self.alive.clone(),
        };
        let list_bytes = way.blob.size;
        let bytes = tokio::task::spawn_blocking(move || work.fill(&list))
            .await
            .map_err(died)??;
        Ok(Found { bytes, list_bytes })
    }
}

/// What the thread needs that looks for chunks.
struct Work {
    store: Store,
    blob: Descriptor,
    local: Vec<Descriptor>,
    writer: Writer,
    stop: Stop,
    _alive: Alive,
}

impl Work {
    /// Copies what is here; returns how many bytes.
    fn fill(&self, list: &[u8]) -> Result<u64, ShortcutError> {
        let new = ChunkManifest::read(list)?;
        if new.file().size != self.blob.size || Digest::from(new.file().sha256) != self.blob.digest {
            return Err(ShortcutError::Other);
        }
        let mut files = Vec::new();
        let mut lists = Vec::new();
        for blob in &self.local {
            let (file, _) = self.store.open_sized(blob)?;
            let file = FileAt::new(file).map_err(ShortcutError::Read)?;
            // One that has too many chunks of this size is not like the new one.
            if let Ok(list) = ChunkManifest::of(&file, Some(new.chunk_size())) {
                files.push(file);
                lists.push(list);
            }
        }
        let segments = segments(&lists.iter().collect::<Vec<_>>(), &new);
        let mut copied = 0;
        for segment in segments {
            if let SegmentSource::Local { file, offset } = segment.source
                && let Some(file) = files.get(file)
            {
                copied += self.copy(file, offset, &segment)?;
            }
        }
        Ok(copied)
    }

    fn copy(&self, file: &FileAt, offset: u64, segment: &Segment) -> Result<u64, ShortcutError> {
        let (mut done, mut copied) = (0, 0);
        while done < segment.len {
            self.stop.check().map_err(ShortcutError::Read)?;
            let len = PIECE_BYTES.min(segment.len - done);
            let mut piece = vec![0; usize::try_from(len).unwrap_or_default()];
            // The list of a file that is here names ranges within it only.
            let at = offset.saturating_add(done);
            file.read_exact_at(&mut piece, at).map_err(ShortcutError::Read)?;
            let target = segment.offset.saturating_add(done);
            copied += self.writer.write(target, &[Bytes::from(piece)])?;
            done += len;
        }
        Ok(copied)
    }
}

/// The plan with at most [`MAX_RANGES`] ranges to fetch.
fn segments(local: &[&ChunkManifest], new: &ChunkManifest) -> Vec<Segment> {
    let mut min_local = MIN_LOCAL_BYTES;
    loop {
        let segments = plan(local, new, min_local);
        let fetched = segments.iter().filter(|segment| segment.source == SegmentSource::Fetch);
        // At the latest when it is longer than the blob, all local ranges between fetched ones are fetched.
        if fetched.count() <= MAX_RANGES {
            return segments;
        }
        min_local = min_local.saturating_mul(2);
    }
}
