//! Content-defined cut points: FastCDC (Xia et al., USENIX ATC 2016) with normalised chunking. Where a file is cut
//! depends on the 64 bytes before the cut alone, so that an insertion moves the cuts with the bytes.
//!
//! Gear table, masks and ratios are part of the chunk manifest's format: two files share chunks only if both were cut
//! by the same rule.

use std::{io, ops::Range};

use crate::ReadAt;

/// How long chunks are: on average, at least, and at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSize {
    average_log2: u32,
}

impl ChunkSize {
    /// The smallest average, 4 KiB, as a power of two.
    pub const MIN_LOG2: u32 = 12;
    /// The largest average, 4 MiB, as a power of two: cutting holds two of the longest chunks.
    pub const MAX_LOG2: u32 = 22;

    /// Chunks of 2^`average_log2` bytes on average; `None` outside [`MIN_LOG2`](Self::MIN_LOG2) to
    /// [`MAX_LOG2`](Self::MAX_LOG2).
    #[must_use]
    pub const fn new(average_log2: u32) -> Option<Self> {
        if average_log2 < Self::MIN_LOG2 || average_log2 > Self::MAX_LOG2 {
            return None;
        }
        Some(Self { average_log2 })
    }

    /// The smallest average of at least 2^`least_log2` bytes that cuts `size` bytes into about `chunks` chunks or
    /// fewer.
    pub(crate) fn for_file(size: u64, least_log2: u32, chunks: u64) -> Self {
        let fits = |log2: &u32| size >> log2 <= chunks;
        let average_log2 = (least_log2..Self::MAX_LOG2).find(fits).unwrap_or(Self::MAX_LOG2);
        Self { average_log2 }
    }

    /// The average as a power of two.
    #[must_use]
    pub const fn average_log2(self) -> u32 {
        self.average_log2
    }

    /// The average, in bytes: a power of two.
    #[must_use]
    pub const fn average(self) -> usize {
        1 << self.average_log2
    }

    /// The least length of a chunk that is not the last, in bytes.
    #[must_use]
    pub const fn min(self) -> usize {
        self.average() / 4
    }

    /// The greatest length of a chunk, in bytes.
    #[must_use]
    pub const fn max(self) -> usize {
        self.average() * 4
    }

    /// The highest bits of the hash, two more or two less than the average asks for.
    const fn masks(self) -> (u64, u64) {
        (
            !(u64::MAX >> (self.average_log2 + 2)),
            !(u64::MAX >> (self.average_log2 - 2)),
        )
    }

    /// The length of the chunk at the start of `bytes`; all of it where it ends before a cut.
    fn cut(self, bytes: &[u8]) -> usize {
        let end = bytes.len().min(self.max());
        let normal = end.min(self.average());
        let (strict, loose) = self.masks();
        let mut hash = 0_u64;
        let mut position = end.min(self.min());
        for (limit, mask) in [(normal, strict), (end, loose)] {
            for &byte in &bytes[position.min(limit)..limit] {
                hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
                position += 1;
                if hash & mask == 0 {
                    return position;
                }
            }
        }
        end
    }
}

/// A random number per byte value: the first 256 outputs of SplitMix64 from the state 0.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut state = 0_u64;
    let mut index = 0;
    while index < table.len() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = state;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[index] = value ^ (value >> 31);
        index += 1;
    }
    table
};

/// Cuts `range` of `source` and hands each chunk with its offset in the file to `take`.
pub(crate) fn each_chunk<E: From<io::Error>>(
    source: &dyn ReadAt,
    range: Range<u64>,
    size: ChunkSize,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let left = |position: u64| usize::try_from(range.end.saturating_sub(position)).unwrap_or(usize::MAX);
    let mut buffer = vec![0; (2 * size.max()).max(1 << 20).min(left(range.start))];
    let (mut position, mut held) = (range.start, 0);
    while position < range.end {
        let want = buffer.len().min(left(position));
        source.read_exact_at(&mut buffer[held..want], position + held as u64)?;
        let is_last = want == left(position);
        let mut used = 0;
        while used < want && (is_last || want - used >= size.max()) {
            let len = size.cut(&buffer[used..want]);
            take(position + used as u64, &buffer[used..used + len])?;
            used += len;
        }
        buffer.copy_within(used..want, 0);
        held = want - used;
        position += used as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::noise::Noise;

    fn cuts(bytes: &[u8], size: ChunkSize) -> Vec<usize> {
        let mut lengths = Vec::new();
        each_chunk::<io::Error>(&bytes, 0..bytes.size(), size, |offset, chunk| {
            assert_eq!(offset, lengths.iter().map(|len| *len as u64).sum::<u64>());
            lengths.push(chunk.len());
            Ok(())
        })
        .unwrap();
        lengths
    }

    #[test]
    fn covers_everything_within_the_limits() {
        let size = ChunkSize::new(12).unwrap();
        for len in [0, 1, 1023, 1024, 4096, 16_384, 16_385, 3_000_001] {
            let bytes = Noise::new(7).bytes(len);
            let lengths = cuts(&bytes, size);
            assert_eq!(lengths.iter().sum::<usize>(), len);
            let (last, rest) = lengths.split_last().map_or((0, &[][..]), |(last, rest)| (*last, rest));
            assert!(last <= size.max());
            assert!(rest.iter().all(|len| (size.min()..=size.max()).contains(len)));
        }
        let lengths = cuts(&vec![0; 1 << 20], size);
        assert!(lengths.iter().all(|len| *len <= size.max()));
    }

    #[test]
    fn the_average_is_about_what_was_asked_for() {
        let size = ChunkSize::new(14).unwrap();
        let lengths = cuts(&Noise::new(1).bytes(16 << 20), size);
        let average = (16 << 20) / lengths.len();
        assert!((size.average() / 2..size.average() * 2).contains(&average), "{average}");
    }

    #[test]
    fn an_insertion_moves_the_cuts_with_the_bytes() {
        let bytes = Noise::new(3).bytes(1 << 20);
        let size = ChunkSize::new(12).unwrap();
        let mut longer = b"inserted".to_vec();
        longer.extend_from_slice(&bytes);
        let (before, after) = (cuts(&bytes, size), cuts(&longer, size));
        assert_eq!(before.last_chunk::<100>(), after.last_chunk::<100>());
    }

    #[test]
    fn the_rule_never_changes() {
        let lengths = cuts(&Noise::new(0).bytes(100_000), ChunkSize::new(13).unwrap());
        assert_eq!(lengths, GOLDEN);
    }

    /// What this rule gave when manifests were first written: a change makes old manifests worthless.
    const GOLDEN: [usize; 10] = [17646, 9987, 20005, 2622, 8624, 8623, 10846, 3434, 9843, 8370];
}
