//! Differences in the order of the base's magnitudes. Training moves small weights by more of their last bits than
//! large ones; side by side, those that moved alike are coded alike. The order follows from the base alone, so that
//! it costs nothing.

/// The transform and its inverse for elements of one width.
macro_rules! by_magnitude {
    ($subtract:ident, $add:ident, $integer:ty) => {
        fn $subtract(new: &[u8], base: &[u8], out: &mut [u8]) {
            const WIDTH: usize = size_of::<$integer>();
            let (new, base) = (new.as_chunks::<WIDTH>().0, base.as_chunks::<WIDTH>().0);
            let magnitude = |element: &[u8; WIDTH]| (<$integer>::from_le_bytes(*element) << 1).to_be_bytes()[0];
            let mut next = starts(base.iter().map(magnitude));
            let count = new.len();
            for (new, base) in new.iter().zip(base) {
                let difference = <$integer>::from_le_bytes(*new).wrapping_sub(<$integer>::from_le_bytes(*base));
                let sign = (0 as $integer).wrapping_sub(difference >> (<$integer>::BITS - 1));
                let place = &mut next[usize::from(magnitude(base))];
                for (plane, byte) in ((difference << 1) ^ sign).to_le_bytes().into_iter().enumerate() {
                    out[plane * count + *place] = byte;
                }
                *place += 1;
            }
        }

        fn $add(coded: &[u8], base: &[u8], out: &mut [u8]) {
            const WIDTH: usize = size_of::<$integer>();
            let (out, base) = (out.as_chunks_mut::<WIDTH>().0, base.as_chunks::<WIDTH>().0);
            let magnitude = |element: &[u8; WIDTH]| (<$integer>::from_le_bytes(*element) << 1).to_be_bytes()[0];
            let mut next = starts(base.iter().map(magnitude));
            let count = out.len();
            let planes: [&[u8]; WIDTH] = std::array::from_fn(|plane| &coded[plane * count..(plane + 1) * count]);
            for (out, base) in out.iter_mut().zip(base) {
                let place = &mut next[usize::from(magnitude(base))];
                let coded = <$integer>::from_le_bytes(planes.map(|plane| plane[*place]));
                *place += 1;
                let difference = (coded >> 1) ^ (0 as $integer).wrapping_sub(coded & 1);
                *out = <$integer>::from_le_bytes(*base)
                    .wrapping_add(difference)
                    .to_le_bytes();
            }
        }
    };
}

by_magnitude!(subtract_2, add_2, u16);
by_magnitude!(subtract_4, add_4, u32);
by_magnitude!(subtract_8, add_8, u64);

/// Widths of elements that have a magnitude: the eight bits below the highest, which hold the exponent of a float.
pub(crate) const WIDTHS: [u16; 3] = [2, 4, 8];

/// Writes to `out` the grouped differences of `new` from `base`, elements of small base magnitude first. All three
/// have the same length; a rest shorter than an element comes last as it is.
pub(crate) fn subtract(new: &[u8], base: &[u8], width: usize, out: &mut [u8]) {
    let rest = new.len() - new.len() % width.max(1);
    out[rest..].copy_from_slice(&new[rest..]);
    match width {
        2 => subtract_2(new, base, out),
        4 => subtract_4(new, base, out),
        _ => subtract_8(new, base, out),
    }
}

/// Undoes [`subtract`].
pub(crate) fn add(coded: &[u8], base: &[u8], width: usize, out: &mut [u8]) {
    let rest = coded.len() - coded.len() % width.max(1);
    out[rest..].copy_from_slice(&coded[rest..]);
    match width {
        2 => add_2(coded, base, out),
        4 => add_4(coded, base, out),
        _ => add_8(coded, base, out),
    }
}

/// Where the elements of each magnitude start.
fn starts(magnitudes: impl Iterator<Item = u8>) -> [usize; 256] {
    let mut counts = [0; 256];
    for magnitude in magnitudes {
        counts[usize::from(magnitude)] += 1;
    }
    let mut start = 0;
    counts.map(|count| {
        start += count;
        start - count
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn is_undone() {
        let mut noise = Noise::new(6);
        for len in [0, 1, 2, 7, 8, 9, 64, 1000, 4099] {
            let (new, base) = (noise.bytes(len), noise.bytes(len));
            for width in WIDTHS.map(usize::from) {
                let (mut coded, mut back) = (vec![0; len], vec![0; len]);
                subtract(&new, &base, width, &mut coded);
                add(&coded, &base, width, &mut back);
                assert_eq!(back, new, "{width} of {len}");
            }
        }
    }

    #[test]
    fn small_magnitudes_come_first() {
        // 1.0, -2^-126 and 2.0 in bf16; the second moves by two, the others by one.
        let base = [0x80, 0x3f, 0x80, 0x80, 0x00, 0x40];
        let new = [0x81, 0x3f, 0x82, 0x80, 0x01, 0x40];
        let mut coded = [0xff; 6];
        subtract(&new, &base, 2, &mut coded);
        assert_eq!(coded, [4, 2, 2, 0, 0, 0]);
    }
}
