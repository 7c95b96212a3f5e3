//! Bytes that two files share at whatever offset: [`BaseIndex`], a table of the base's content-defined chunks, and
//! [`BaseIndex::regions`], which covers a range of the new file with copies and what lies between them.

use std::{
    hash::{DefaultHasher, Hasher as _},
    io,
    ops::Range,
};

use crate::{
    ReadAt,
    gear::{ChunkSize, each_chunk},
    region::{FRAME, Likeness, Regions},
};

/// Chunks of the base that are remembered, about: 16 bytes each.
const MAX_CHUNKS: u64 = 1 << 18;
/// The smallest average length of chunks, as a power of two: shorter ones find little more and take longer.
const MIN_CHUNK_LOG2: u32 = 14;
/// Bytes compared at a time where a match is extended.
const STEP: usize = 16 << 10;

/// The chunks of a base file by their hash.
pub(crate) struct BaseIndex<'a> {
    base: &'a dyn ReadAt,
    size: ChunkSize,
    /// Hash and offset, sorted.
    chunks: Vec<(u64, u64)>,
}

/// A range of the new file, a match in the base where there is one.
struct Found {
    new: Range<u64>,
    base: u64,
}

impl<'a> BaseIndex<'a> {
    pub(crate) fn new(base: &'a dyn ReadAt) -> io::Result<Self> {
        let size = ChunkSize::for_file(base.size(), MIN_CHUNK_LOG2, MAX_CHUNKS);
        let mut chunks = Vec::new();
        each_chunk::<io::Error>(base, 0..base.size(), size, |offset, chunk| {
            chunks.push((hash(chunk), offset));
            Ok(())
        })?;
        chunks.sort_unstable();
        chunks.dedup_by_key(|(hash, _)| *hash);
        Ok(Self { base, size, chunks })
    }

    /// Covers `range` of `new`, whose elements have `width` bytes, from the end of `regions` on.
    pub(crate) fn regions(
        &self,
        new: &dyn ReadAt,
        range: Range<u64>,
        width: u16,
        regions: &mut Regions,
    ) -> io::Result<()> {
        let mut base_end = (range.start == 0).then_some(0);
        for found in self.matches(new, range.clone())? {
            self.gap(found.new.start, base_end, Some(found.base), width, regions);
            regions.push(found.new.end, Likeness::Aligned(found.base), width);
            base_end = Some(found.base + (found.new.end - found.new.start));
        }
        let last = (range.end == new.size()).then(|| self.base.size());
        self.gap(range.end, base_end, last, width, regions);
        Ok(())
    }

    /// What lies before `end` and matches nothing: what stands between the same neighbours in the base may resemble it.
    fn gap(&self, end: u64, base_start: Option<u64>, base_end: Option<u64>, width: u16, regions: &mut Regions) {
        let len = end.saturating_sub(regions.end());
        let likeness = match (base_start, base_end) {
            (Some(from), Some(to)) if to > from && to - from == len => Likeness::Aligned(from),
            (Some(from), Some(to)) if to > from && len <= FRAME && to - from <= 4 * FRAME => Likeness::Similar {
                offset: from,
                len: to - from,
            },
            _ => Likeness::Nothing,
        };
        regions.push(end, likeness, width);
    }

    /// Ranges of `range` with the same bytes as in the base, in order, as long as they can be.
    fn matches(&self, new: &dyn ReadAt, range: Range<u64>) -> io::Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        let mut buffer = Vec::new();
        let mut same = |base: u64, chunk: &[u8]| -> io::Result<bool> {
            if base
                .checked_add(chunk.len() as u64)
                .is_none_or(|end| end > self.base.size())
            {
                return Ok(false);
            }
            buffer.resize(chunk.len(), 0);
            self.base.read_exact_at(&mut buffer, base)?;
            Ok(buffer == chunk)
        };
        each_chunk::<io::Error>(new, range.clone(), self.size, |offset, chunk| {
            let end = offset + chunk.len() as u64;
            // The next chunk of the base goes first: a chunk that occurs often would else be found anywhere.
            if let Some(last) = found.last_mut().filter(|last| last.new.end == offset) {
                let next = last.base + (offset - last.new.start);
                if same(next, chunk)? {
                    last.new.end = end;
                    return Ok(());
                }
            }
            if let Some(base) = self.lookup(hash(chunk))
                && same(base, chunk)?
            {
                found.push(Found { new: offset..end, base });
            }
            Ok(())
        })?;
        self.extend(new, range, &mut found)?;
        Ok(found)
    }

    fn lookup(&self, hash: u64) -> Option<u64> {
        let index = self.chunks.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
        self.chunks.get(index).map(|(_, offset)| *offset)
    }

    /// Extends every match backwards and forwards into the gaps beside it.
    fn extend(&self, new: &dyn ReadAt, range: Range<u64>, found: &mut [Found]) -> io::Result<()> {
        let mut free_from = range.start;
        for index in 0..found.len() {
            let free_to = found.get(index + 1).map_or(range.end, |next| next.new.start);
            let this = &mut found[index];
            let room = (this.new.start - free_from).min(this.base);
            let back = common(new, this.new.start - room, self.base, this.base - room, room, Side::End)?;
            this.new.start -= back;
            this.base -= back;
            let base_end = this.base + (this.new.end - this.new.start);
            let room = (free_to - this.new.end).min(self.base.size() - base_end);
            this.new.end += common(new, this.new.end, self.base, base_end, room, Side::Start)?;
            free_from = this.new.end;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Start,
    End,
}

/// How many bytes two ranges of `len` bytes have in common at one side; at most some chunks are compared.
fn common(a: &dyn ReadAt, a_start: u64, b: &dyn ReadAt, b_start: u64, len: u64, side: Side) -> io::Result<u64> {
    let (mut left, mut right) = (vec![0; STEP], vec![0; STEP]);
    let mut done = 0;
    while done < len {
        let step = usize::try_from(len - done).map_or(STEP, |rest| rest.min(STEP));
        let at = match side {
            Side::Start => done,
            Side::End => len - done - step as u64,
        };
        let (left, right) = (&mut left[..step], &mut right[..step]);
        a.read_exact_at(left, a_start + at)?;
        b.read_exact_at(right, b_start + at)?;
        let mut pairs = left.iter().zip(right.iter());
        let same = match side {
            Side::Start => pairs.position(|(a, b)| a != b),
            Side::End => pairs.rev().position(|(a, b)| a != b),
        };
        match same {
            Some(same) => return Ok(done + same as u64),
            None => done += step as u64,
        }
    }
    Ok(len)
}

fn hash(chunk: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(chunk);
    hasher.finish()
}
