//! How the new file is cut: [`Region`], a range of the new file with what of the base it probably resembles, and
//! [`Regions`], the list that covers the file in order.

use std::ops::Range;

use crate::frame::{self, patch_budget};

/// Bytes of the new file in one frame: large enough that headers do not matter, small enough that a few of them fit
/// in the cache and in the memory bound.
pub(crate) const FRAME: u64 = 1 << 20;
/// Base bytes around a frame's counterpart that a patch may use beyond twice its length.
const PATCH_MARGIN: u64 = 64 << 10;

/// What a range of the new file resembles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// Nothing that is known.
    Nothing,
    /// The range of the base from that offset on, element by element.
    Aligned(u64),
    /// A range of the base, of any length, with insertions and deletions.
    Similar { offset: u64, len: u64 },
}

/// A range of the new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) new: Range<u64>,
    pub(crate) likeness: Likeness,
    /// Bytes of an element; 0 where that is unknown, 1 where there are no elements.
    pub(crate) width: u16,
}

/// Regions that follow each other from the start of the new file on.
#[derive(Debug, Default)]
pub(crate) struct Regions(Vec<Region>);

impl Regions {
    /// Where the next region starts.
    pub(crate) fn end(&self) -> u64 {
        self.0.last().map_or(0, |region| region.new.end)
    }

    /// Adds the region from the end of the last one to `end`; nothing where that is no further.
    pub(crate) fn push(&mut self, end: u64, likeness: Likeness, width: u16) {
        let start = self.end();
        if end <= start {
            return;
        }
        if let Some(last) = self.0.last_mut()
            && last.width == width
            && continues(last, likeness)
        {
            last.new.end = end;
            return;
        }
        self.0.push(Region {
            new: start..end,
            likeness,
            width,
        });
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Region> {
        self.0.iter()
    }

    /// The frames of all regions, in order.
    pub(crate) fn frames(&self, new_size: u64) -> impl Iterator<Item = Region> {
        let mut budget = patch_budget(new_size);
        self.0
            .iter()
            .flat_map(Region::frames)
            .map(move |frame| frame.within(&mut budget))
    }
}

/// Whether a region with that likeness goes on where `last` ends.
fn continues(last: &Region, likeness: Likeness) -> bool {
    match (last.likeness, likeness) {
        (Likeness::Nothing, Likeness::Nothing) => true,
        (Likeness::Aligned(offset), Likeness::Aligned(next)) => offset + (last.new.end - last.new.start) == next,
        _ => false,
    }
}

impl Region {
    pub(crate) fn len(&self) -> u64 {
        self.new.end - self.new.start
    }

    /// The region in pieces of at most [`FRAME`] bytes, each of whole elements but the last.
    fn frames(&self) -> impl Iterator<Item = Self> {
        let width = u64::from(self.width.max(1));
        // Eight bytes are whole elements of every integer width.
        let unit = if self.width == 0 { 8 } else { width };
        let step = FRAME - FRAME % unit;
        let count = self.len().div_ceil(step);
        (0..count).map(move |index| {
            let start = index * step;
            let end = (start + step).min(self.len());
            Self {
                new: self.new.start + start..self.new.start + end,
                likeness: self.likeness_at(start, end),
                width: self.width,
            }
        })
    }

    /// What the part from `start` to `end`, counted from the region's start, resembles.
    fn likeness_at(&self, start: u64, end: u64) -> Likeness {
        match self.likeness {
            Likeness::Nothing => Likeness::Nothing,
            Likeness::Aligned(offset) => Likeness::Aligned(offset + start),
            Likeness::Similar { offset, len } => {
                let at = |position: u64| {
                    let scaled = u128::from(position) * u128::from(len) / u128::from(self.len());
                    u64::try_from(scaled).unwrap_or(len).min(len)
                };
                let margin = PATCH_MARGIN + (end - start) / 2;
                let from = at(start).saturating_sub(margin);
                let to = at(end)
                    .saturating_add(margin)
                    .min(len)
                    .min(from + u64::from(frame::MAX_LEN));
                if to <= from {
                    return Likeness::Nothing;
                }
                Likeness::Similar {
                    offset: offset + from,
                    len: to - from,
                }
            }
        }
    }

    /// The frame without its likeness where patches have used up what the format allows them to read.
    fn within(mut self, budget: &mut u64) -> Self {
        if let Likeness::Similar { len, .. } = self.likeness {
            match budget.checked_sub(len) {
                Some(left) => *budget = left,
                None => self.likeness = Likeness::Nothing,
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_that_go_on_are_one() {
        let mut regions = Regions::default();
        regions.push(10, Likeness::Aligned(5), 2);
        regions.push(20, Likeness::Aligned(15), 2);
        regions.push(20, Likeness::Nothing, 2);
        regions.push(30, Likeness::Aligned(26), 2);
        regions.push(40, Likeness::Aligned(36), 4);
        let found: Vec<_> = regions
            .iter()
            .map(|region| (region.new.clone(), region.likeness))
            .collect();
        let expected = [
            (0..20, Likeness::Aligned(5)),
            (20..30, Likeness::Aligned(26)),
            (30..40, Likeness::Aligned(36)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn frames_hold_whole_elements_and_cover_the_region() {
        let mut regions = Regions::default();
        regions.push(5 * FRAME + 7, Likeness::Aligned(100), 18);
        let frames: Vec<_> = regions.frames(5 * FRAME + 7).collect();
        let mut position = 0;
        for frame in &frames {
            assert_eq!(frame.new.start, position);
            assert_eq!(frame.new.start % 18, 0);
            assert!(frame.len() <= FRAME);
            assert_eq!(frame.likeness, Likeness::Aligned(100 + position));
            position = frame.new.end;
        }
        assert_eq!(position, 5 * FRAME + 7);
    }

    #[test]
    fn patches_stay_within_their_range_and_budget() {
        let mut regions = Regions::default();
        let base = 1000..1000 + 9 * FRAME;
        let likeness = Likeness::Similar {
            offset: base.start,
            len: 9 * FRAME,
        };
        regions.push(3 * FRAME, likeness, 1);
        let mut read = 0;
        for frame in regions.frames(3 * FRAME) {
            let Likeness::Similar { offset, len } = frame.likeness else {
                panic!("no likeness");
            };
            assert!(offset >= base.start && offset + len <= base.end && len <= u64::from(frame::MAX_LEN));
            read += len;
        }
        assert!(read <= patch_budget(3 * FRAME));
    }
}
