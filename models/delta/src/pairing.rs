//! Which range of the new file resembles which range of the base: [`regions`]. Tensors are paired by name and type,
//! the bytes around them with the bytes around their counterparts, and what remains by content.

use std::{io, ops::Range};

use crate::{
    EncodeError, ReadAt,
    layout::{Layout, Tensor},
    match_content::BaseIndex,
    region::{FRAME, Likeness, Region, Regions},
};

/// The least number of unpaired bytes for which the base is cut into chunks.
const MIN_UNPAIRED: u64 = 32 << 10;

/// Covers `new` with regions.
pub(crate) fn regions(base: &dyn ReadAt, new: &dyn ReadAt) -> Result<Regions, EncodeError> {
    let layout_of = |file: &dyn ReadAt, side| Layout::of(file).map_err(|source| EncodeError::Read { side, source });
    let base_layout = layout_of(base, "base")?;
    let new_layout = layout_of(new, "new")?;
    let paired = pair(&base_layout, &new_layout, base.size(), new.size());
    by_content(base, new, paired).map_err(EncodeError::Compare)
}

/// Pairs tensors, and the gaps between them.
fn pair(base: &Layout, new: &Layout, base_size: u64, new_size: u64) -> Regions {
    let counterparts = Counterparts::new(base, base_size);
    let mut regions = Regions::default();
    let mut base_end = Some(0);
    for tensor in new.tensors() {
        regions.push_gap(tensor.start, base_end.map(|end| counterparts.gap_from(end)));
        let counterpart = counterparts.of(tensor);
        if let Some(counterpart) = counterpart {
            let len = (tensor.end - tensor.start).min(counterpart.end - counterpart.start);
            regions.push(tensor.start + len, Likeness::Aligned(counterpart.start), tensor.width);
        }
        regions.push(tensor.end, Likeness::Nothing, tensor.width);
        base_end = counterpart.map(|counterpart| counterpart.end);
    }
    regions.push_gap(new_size, base_end.map(|end| counterparts.gap_from(end)));
    regions
}

impl Regions {
    /// Bytes that belong to no tensor, which resemble the bytes at `base` when both are few.
    fn push_gap(&mut self, end: u64, base: Option<Range<u64>>) {
        let is_short = end.saturating_sub(self.end()) <= FRAME;
        let likeness = match base {
            Some(base) if is_short && base.start < base.end && base.end - base.start <= 4 * FRAME => {
                Likeness::Similar {
                    offset: base.start,
                    len: base.end - base.start,
                }
            }
            _ => Likeness::Nothing,
        };
        self.push(end, likeness, 0);
    }
}

/// The tensors of the base, by key and by place.
struct Counterparts<'a> {
    tensors: &'a [Tensor],
    by_key: Vec<(u64, usize)>,
    size: u64,
}

impl<'a> Counterparts<'a> {
    fn new(layout: &'a Layout, size: u64) -> Self {
        let keys = layout.tensors().iter().enumerate();
        let mut by_key: Vec<_> = keys.map(|(index, tensor)| (tensor.key, index)).collect();
        by_key.sort_unstable();
        Self {
            tensors: layout.tensors(),
            by_key,
            size,
        }
    }

    fn of(&self, tensor: &Tensor) -> Option<&'a Tensor> {
        let first = self.by_key.partition_point(|(key, _)| *key < tensor.key);
        let (key, index) = *self.by_key.get(first)?;
        (key == tensor.key).then(|| self.tensors.get(index)).flatten()
    }

    /// The bytes from `end` to the next tensor.
    fn gap_from(&self, end: u64) -> Range<u64> {
        let next = self.tensors.partition_point(|tensor| tensor.start < end);
        end..self.tensors.get(next).map_or(self.size, |tensor| tensor.start)
    }
}

/// Looks for the content of regions without a counterpart in all of the base.
fn by_content(base: &dyn ReadAt, new: &dyn ReadAt, paired: Regions) -> io::Result<Regions> {
    let is_unpaired = |region: &&Region| region.likeness == Likeness::Nothing;
    let unpaired: u64 = paired.iter().filter(is_unpaired).map(Region::len).sum();
    if base.size() == 0 || unpaired < MIN_UNPAIRED {
        return Ok(paired);
    }
    let index = BaseIndex::new(base)?;
    let mut regions = Regions::default();
    for region in paired.iter() {
        match region.likeness {
            Likeness::Nothing => index.regions(new, region.new.clone(), region.width, &mut regions)?,
            likeness => regions.push(region.new.end, likeness, region.width),
        }
    }
    Ok(regions)
}
