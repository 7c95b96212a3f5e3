//! Which parts of a file are there: a sorted set of byte ranges that neither touch nor overlap.

use std::ops::Range;

/// A set of bytes, by their offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extents(Vec<Range<u64>>);

impl Extents {
    /// The set of `ranges`, in any order.
    pub(crate) fn of(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut extents = Self::default();
        for range in ranges {
            extents.insert(range);
        }
        extents
    }

    /// Adds `range`; one without bytes changes nothing.
    pub(crate) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|known| known.end < range.start);
        let last = self.0.partition_point(|known| known.start <= range.end);
        let mut merged = range;
        for known in self.0.get(first..last).unwrap_or_default() {
            merged.start = merged.start.min(known.start);
            merged.end = merged.end.max(known.end);
        }
        self.0.splice(first..last, [merged]);
    }

    /// Bytes from the start of the file on without a gap.
    pub(crate) fn prefix(&self) -> u64 {
        self.0
            .first()
            .filter(|first| first.start == 0)
            .map_or(0, |first| first.end)
    }

    /// Bytes in the set.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// What of `within` is not in the set, in order.
    pub(crate) fn missing(&self, within: Range<u64>) -> Vec<Range<u64>> {
        let mut gaps = Vec::new();
        let mut at = within.start;
        let first = self.0.partition_point(|known| known.end <= within.start);
        for known in self.0.iter().skip(first) {
            if known.start >= within.end {
                break;
            }
            if known.start > at {
                gaps.push(at..known.start);
            }
            at = known.end;
        }
        if at < within.end {
            gaps.push(at..within.end);
        }
        gaps
    }

    /// The ranges, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<u64>> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init, reason = "sets of one range are what is tested")]
    use super::*;

    #[test]
    fn merges_what_touches() {
        let mut extents = Extents::of([10..20, 30..40]);
        assert_eq!((extents.prefix(), extents.total()), (0, 20));
        extents.insert(20..30);
        assert_eq!(extents, Extents::of([10..40]));
        extents.insert(0..5);
        extents.insert(4..11);
        extents.insert(7..7);
        assert_eq!(extents, Extents::of([0..40]));
        assert_eq!(extents.prefix(), 40);
        extents.insert(100..u64::MAX);
        assert_eq!(extents.iter().count(), 2);
    }

    #[test]
    fn names_the_gaps() {
        let extents = Extents::of([10..20, 30..40]);
        assert_eq!(extents.missing(0..50), [0..10, 20..30, 40..50]);
        assert_eq!(extents.missing(12..35), [20..30]);
        assert_eq!(extents.missing(12..18), []);
        assert_eq!(extents.missing(20..30), [20..30]);
        assert_eq!(extents.missing(45..45), []);
        assert_eq!(Extents::default().missing(3..9), [3..9]);
    }

    #[test]
    fn agrees_with_a_list_of_bytes() {
        let mut seed = 1_u64;
        let mut next = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % bound
        };
        for _ in 0..200 {
            let (mut extents, mut bytes) = (Extents::default(), [false; 64]);
            for _ in 0..8 {
                let start = next(60);
                let end = start + next(64 - start);
                extents.insert(start..end);
                (start..end).for_each(|at| bytes[usize::try_from(at).unwrap_or(0)] = true);
            }
            let listed: u64 = extents.missing(0..64).iter().map(|gap| gap.end - gap.start).sum();
            assert_eq!(listed, 64 - extents.total());
            assert_eq!(
                extents.total(),
                bytes.iter().filter(|known| **known).map(|_| 1).sum::<u64>()
            );
            let prefix = bytes.iter().take_while(|known| **known).map(|_| 1).sum::<u64>();
            assert_eq!(extents.prefix(), prefix);
        }
    }
}
