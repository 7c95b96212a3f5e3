//! [`plan`]: which ranges of a new file are here already, and which have to be fetched. It opens nothing.

use super::{Chunk, ChunkManifest};

/// Where the bytes of a segment come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentSource {
    /// A file that is here.
    Local {
        /// Which one, by its place in the list given to [`plan`].
        file: usize,
        /// Where the bytes start in it.
        offset: u64,
    },
    /// Wherever the new file can be had.
    Fetch,
}

/// A range of the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts in the new file.
    pub offset: u64,
    /// How many bytes; never 0.
    pub len: u64,
    /// Where they come from.
    pub source: SegmentSource,
}

/// Covers the file of `new` with segments, in order, that are as long as they can be. Local ranges shorter than
/// `min_local` bytes between two fetched ones are fetched with them: a request costs more than a few bytes.
///
/// Manifests may lie: a segment's local range is within the file that its manifest describes, and only the digest of
/// the whole proves that the bytes are right.
#[must_use]
pub fn plan(local: &[&ChunkManifest], new: &ChunkManifest, min_local: u64) -> Vec<Segment> {
    let index = Index::new(local);
    let mut segments: Vec<Segment> = Vec::new();
    let mut last = None;
    for chunk in new.chunks() {
        let place = index.find(chunk, last);
        last = place;
        let source = place.map_or(SegmentSource::Fetch, |place| SegmentSource::Local {
            file: place.file,
            offset: index.chunk(place).map_or(0, |chunk| chunk.offset),
        });
        push(
            &mut segments,
            Segment {
                offset: chunk.offset,
                len: chunk.len.into(),
                source,
            },
        );
    }
    without_short_ones(segments, min_local)
}

/// A chunk of a local file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    file: usize,
    chunk: usize,
}

/// The chunks of local files by the first bytes of their digests.
struct Index<'a> {
    local: &'a [&'a ChunkManifest],
    places: Vec<(u64, Place)>,
}

impl<'a> Index<'a> {
    fn new(local: &'a [&'a ChunkManifest]) -> Self {
        let mut places = Vec::with_capacity(local.iter().map(|manifest| manifest.chunks().len()).sum());
        for (file, manifest) in local.iter().enumerate() {
            let chunks = manifest.chunks().iter().enumerate();
            places.extend(chunks.map(|(index, chunk)| (prefix(chunk), Place { file, chunk: index })));
        }
        places.sort_unstable();
        // One place per digest: the first. Those that share a prefix only are told apart when they are looked up.
        places.dedup_by(|next, kept| next.0 == kept.0 && same(local, next.1, kept.1));
        Self { local, places }
    }

    fn chunk(&self, place: Place) -> Option<&'a Chunk> {
        self.local.get(place.file)?.chunks().get(place.chunk)
    }

    /// Where `chunk` is: after `last`, if it is there, so that ranges stay long.
    fn find(&self, chunk: &Chunk, last: Option<Place>) -> Option<Place> {
        let is_it = |place: &Place| {
            self.chunk(*place)
                .is_some_and(|found| (found.len, found.sha256) == (chunk.len, chunk.sha256))
        };
        let next = last.map(|last| Place {
            chunk: last.chunk + 1,
            ..last
        });
        next.filter(is_it).or_else(|| {
            let key = prefix(chunk);
            let first = self.places.partition_point(|(prefix, _)| *prefix < key);
            let candidates = self
                .places
                .get(first..)?
                .iter()
                .take_while(|(prefix, _)| *prefix == key);
            candidates.map(|(_, place)| *place).take(MAX_COLLISIONS).find(is_it)
        })
    }
}

/// Digests with the same first eight bytes that are looked at: more than one is found in hostile manifests only.
const MAX_COLLISIONS: usize = 4;

fn same(local: &[&ChunkManifest], a: Place, b: Place) -> bool {
    let digest = |place: Place| {
        local
            .get(place.file)?
            .chunks()
            .get(place.chunk)
            .map(|chunk| (chunk.len, chunk.sha256))
    };
    digest(a) == digest(b)
}

fn prefix(chunk: &Chunk) -> u64 {
    chunk.sha256.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Adds a segment, to the last one where it goes on.
fn push(segments: &mut Vec<Segment>, segment: Segment) {
    if let Some(last) = segments.last_mut() {
        let goes_on = match (last.source, segment.source) {
            (SegmentSource::Fetch, SegmentSource::Fetch) => true,
            (
                SegmentSource::Local { file, offset },
                SegmentSource::Local {
                    file: next,
                    offset: start,
                },
            ) => file == next && offset + last.len == start,
            _ => false,
        };
        if goes_on {
            last.len += segment.len;
            return;
        }
    }
    segments.push(segment);
}

/// Fetches local ranges that are shorter than `min_local` and stand between fetched ones.
fn without_short_ones(segments: Vec<Segment>, min_local: u64) -> Vec<Segment> {
    let is_fetched = |segment: Option<&Segment>| segment.is_some_and(|segment| segment.source == SegmentSource::Fetch);
    let mut out: Vec<Segment> = Vec::with_capacity(segments.len());
    for (index, segment) in segments.iter().enumerate() {
        let is_between = is_fetched(out.last()) && is_fetched(segments.get(index + 1));
        let source = match is_between && segment.len < min_local {
            true => SegmentSource::Fetch,
            false => segment.source,
        };
        push(&mut out, Segment { source, ..*segment });
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{ChunkSize, noise::Noise};

    fn manifest(bytes: &[u8]) -> ChunkManifest {
        ChunkManifest::of(&bytes, ChunkSize::new(12)).unwrap()
    }

    /// What the plan makes of the local files and the new one.
    fn carry_out(segments: &[Segment], local: &[&[u8]], new: &[u8]) -> (Vec<u8>, usize) {
        let (mut out, mut fetched) = (Vec::new(), 0);
        for segment in segments {
            assert_eq!(segment.offset, out.len() as u64);
            let len = usize::try_from(segment.len).unwrap();
            let (from, offset) = match segment.source {
                SegmentSource::Local { file, offset } => (local[file], offset),
                SegmentSource::Fetch => {
                    fetched += len;
                    (new, segment.offset)
                }
            };
            let offset = usize::try_from(offset).unwrap();
            out.extend_from_slice(&from[offset..offset + len]);
        }
        (out, fetched)
    }

    #[test]
    fn fetches_only_what_changed() {
        let mut noise = Noise::new(9);
        let (a, b) = (noise.bytes(1 << 20), noise.bytes(1 << 20));
        let mut new = noise.bytes(1000);
        new.extend_from_slice(&b);
        new.extend_from_slice(&a[100_000..]);
        new[1_200_000] ^= 1;
        let (manifests, of_new) = ([manifest(&a), manifest(&b)], manifest(&new));
        let segments = plan(&[&manifests[0], &manifests[1]], &of_new, 0);
        let (made, fetched) = carry_out(&segments, &[&a, &b], &new);
        assert!(made == new);
        assert!(fetched < 80_000, "{fetched}");
        assert!(segments.len() < 10, "{segments:?}");
    }

    #[test]
    fn nothing_here_is_one_fetch_and_everything_here_none() {
        let bytes = Noise::new(2).bytes(200_000);
        let all = plan(&[], &manifest(&bytes), 0);
        let whole = |source| Segment {
            offset: 0,
            len: 200_000,
            source,
        };
        assert_eq!(all, [whole(SegmentSource::Fetch)]);
        let none = plan(&[&manifest(&bytes)], &manifest(&bytes), 0);
        assert_eq!(none, [whole(SegmentSource::Local { file: 0, offset: 0 })]);
        assert_eq!(plan(&[], &manifest(&[]), 0), []);
    }

    #[test]
    fn short_local_ranges_are_fetched_with_their_neighbours() {
        let segment = |offset, len, source| Segment { offset, len, source };
        let local = SegmentSource::Local { file: 0, offset: 7 };
        let segments = vec![
            segment(0, 10, SegmentSource::Fetch),
            segment(10, 5, local),
            segment(15, 10, SegmentSource::Fetch),
            segment(25, 5, local),
        ];
        let expected = [segment(0, 25, SegmentSource::Fetch), segment(25, 5, local)];
        assert_eq!(without_short_ones(segments.clone(), 6), expected);
        assert_eq!(without_short_ones(segments.clone(), 5), segments);
    }
}
