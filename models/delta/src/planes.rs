//! Transforms that make weights compressible: differences against a base, and bytes of equal significance side by side.
//! Each is undone exactly; none allocates beyond its output.

/// Difference between two elements of `width` bytes, and back.
macro_rules! differences {
    ($subtract:ident, $add:ident, $integer:ty) => {
        /// `bytes` becomes `bytes - base`, element by element, with the sign in the lowest bit.
        fn $subtract(bytes: &mut [u8], base: &[u8]) {
            const WIDTH: usize = size_of::<$integer>();
            for (new, base) in bytes
                .as_chunks_mut::<WIDTH>()
                .0
                .iter_mut()
                .zip(base.as_chunks::<WIDTH>().0)
            {
                let difference = <$integer>::from_le_bytes(*new).wrapping_sub(<$integer>::from_le_bytes(*base));
                let sign = (0 as $integer).wrapping_sub(difference >> (<$integer>::BITS - 1));
                *new = ((difference << 1) ^ sign).to_le_bytes();
            }
        }

        /// Undoes the subtraction.
        fn $add(bytes: &mut [u8], base: &[u8]) {
            const WIDTH: usize = size_of::<$integer>();
            for (new, base) in bytes
                .as_chunks_mut::<WIDTH>()
                .0
                .iter_mut()
                .zip(base.as_chunks::<WIDTH>().0)
            {
                let coded = <$integer>::from_le_bytes(*new);
                let difference = (coded >> 1) ^ (0 as $integer).wrapping_sub(coded & 1);
                *new = <$integer>::from_le_bytes(*base)
                    .wrapping_add(difference)
                    .to_le_bytes();
            }
        }
    };
}

differences!(subtract_1, add_1, u8);
differences!(subtract_2, add_2, u16);
differences!(subtract_4, add_4, u32);
differences!(subtract_8, add_8, u64);

/// Widths of elements that [`subtract`] knows.
pub(crate) const INTEGER_WIDTHS: [usize; 4] = [1, 2, 4, 8];

/// Replaces `bytes` by its difference from `base` as little-endian integers of `width` bytes; a rest shorter than an
/// element stays.
pub(crate) fn subtract(bytes: &mut [u8], base: &[u8], width: usize) {
    match width {
        2 => subtract_2(bytes, base),
        4 => subtract_4(bytes, base),
        8 => subtract_8(bytes, base),
        _ => subtract_1(bytes, base),
    }
}

/// Undoes [`subtract`].
pub(crate) fn add(bytes: &mut [u8], base: &[u8], width: usize) {
    match width {
        2 => add_2(bytes, base),
        4 => add_4(bytes, base),
        8 => add_8(bytes, base),
        _ => add_1(bytes, base),
    }
}

/// Replaces `bytes` by its bitwise difference from `base`; twice is nothing.
pub(crate) fn xor(bytes: &mut [u8], base: &[u8]) {
    for (byte, base) in bytes.iter_mut().zip(base) {
        *byte ^= base;
    }
}

/// Writes to `out`, of the length of `bytes`, the first bytes of all elements of `width` bytes, then the second, and
/// so on; a rest shorter than an element comes last as it is.
pub(crate) fn group(bytes: &[u8], width: usize, out: &mut [u8]) {
    let (planes, rest) = out.split_at_mut(bytes.len() - bytes.len() % width.max(1));
    rest.copy_from_slice(&bytes[planes.len()..]);
    match width {
        0 | 1 => planes.copy_from_slice(&bytes[..planes.len()]),
        2 => group_fixed::<2>(bytes, planes),
        4 => group_fixed::<4>(bytes, planes),
        8 => group_fixed::<8>(bytes, planes),
        _ => {
            let count = planes.len() / width;
            for (index, element) in bytes.chunks_exact(width).enumerate() {
                for (plane, byte) in element.iter().enumerate() {
                    planes[plane * count + index] = *byte;
                }
            }
        }
    }
}

/// Undoes [`group`].
pub(crate) fn ungroup(bytes: &[u8], width: usize, out: &mut [u8]) {
    let (planes, rest) = bytes.split_at(bytes.len() - bytes.len() % width.max(1));
    out[planes.len()..].copy_from_slice(rest);
    match width {
        0 | 1 => out[..planes.len()].copy_from_slice(planes),
        2 => ungroup_fixed::<2>(planes, out),
        4 => ungroup_fixed::<4>(planes, out),
        8 => ungroup_fixed::<8>(planes, out),
        _ => {
            let count = planes.len() / width;
            for (index, element) in out.chunks_exact_mut(width).enumerate() {
                for (plane, byte) in element.iter_mut().enumerate() {
                    *byte = planes[plane * count + index];
                }
            }
        }
    }
}

fn group_fixed<const WIDTH: usize>(bytes: &[u8], planes: &mut [u8]) {
    let count = planes.len() / WIDTH;
    for plane in 0..WIDTH {
        let out = &mut planes[plane * count..(plane + 1) * count];
        for (byte, element) in out.iter_mut().zip(bytes.as_chunks::<WIDTH>().0) {
            *byte = element[plane];
        }
    }
}

fn ungroup_fixed<const WIDTH: usize>(planes: &[u8], out: &mut [u8]) {
    let count = planes.len() / WIDTH;
    let planes: [&[u8]; WIDTH] = std::array::from_fn(|plane| &planes[plane * count..(plane + 1) * count]);
    for (index, element) in out.as_chunks_mut::<WIDTH>().0.iter_mut().enumerate().take(count) {
        for (byte, plane) in element.iter_mut().zip(planes) {
            *byte = plane[index];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::Noise;

    #[test]
    fn each_is_undone() {
        let mut noise = Noise::new(5);
        for len in [0, 1, 2, 3, 7, 8, 9, 64, 1000, 4099] {
            let (bytes, base) = (noise.bytes(len), noise.bytes(len));
            for width in [1, 2, 3, 4, 8, 18, 34, 512] {
                let (mut grouped, mut back) = (vec![0; len], vec![0; len]);
                group(&bytes, width, &mut grouped);
                ungroup(&grouped, width, &mut back);
                assert_eq!(back, bytes, "group {width} of {len}");
            }
            for width in INTEGER_WIDTHS {
                let mut coded = bytes.clone();
                subtract(&mut coded, &base, width);
                add(&mut coded, &base, width);
                assert_eq!(coded, bytes, "difference {width} of {len}");
            }
            let mut coded = bytes.clone();
            xor(&mut coded, &base);
            xor(&mut coded, &base);
            assert_eq!(coded, bytes);
        }
    }

    #[test]
    fn groups_by_significance_and_keeps_the_rest() {
        let mut out = [0; 7];
        group(&[1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [1, 4, 2, 5, 3, 6, 7]);
        group(&[1, 2, 3, 4, 5, 6, 7], 2, &mut out);
        assert_eq!(out, [1, 3, 5, 2, 4, 6, 7]);
    }

    #[test]
    fn small_differences_of_either_sign_are_small_numbers() {
        let base = [0x00, 0x3f, 0x00, 0x3f, 0xff, 0x3e];
        let mut bytes = [0x01, 0x3f, 0xff, 0x3e, 0xff, 0x3e];
        subtract(&mut bytes, &base, 2);
        assert_eq!(bytes, [2, 0, 1, 0, 0, 0]);
    }
}
