//! From a PNG or JPEG file to the tensor that the model takes: the central square, scaled down, normalised by colour.

use std::io::Cursor;

use image::{DynamicImage, ImageReader, Limits, imageops::FilterType};

/// Height and width that the model takes.
pub const SIZE: u32 = 224;

/// Most pixels of a side.
pub const MAX_SIDE: u32 = 4096;

/// Most memory that decoding may take, in bytes: a picture of 16 megapixels.
const MAX_MEMORY: u64 = 64 << 20;

/// Mean and deviation of each colour, from 0 to 1, that the model was trained with.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// Why a file is no picture. The text is for the client who sent it.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Neither PNG nor JPEG.
    #[error("the body is neither a PNG nor a JPEG picture")]
    Format,
    /// More pixels than are looked at.
    #[error("the picture is larger than {MAX_SIDE} x {MAX_SIDE} pixels or takes too much memory")]
    TooLarge,
    /// It cannot be decoded.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
}

/// Decodes a file. Transparency is dropped, grey becomes colour.
///
/// # Errors
/// See [`PictureError`].
pub fn decode(file: &[u8]) -> Result<DynamicImage, PictureError> {
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|_| PictureError::Format)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => PictureError::TooLarge,
        image::ImageError::Unsupported(_) => PictureError::Format,
        other => PictureError::Damaged(other.to_string()),
    })
}

/// The model's input: 1 x 3 x [`SIZE`] x [`SIZE`], planes of red, green and blue.
#[must_use]
pub fn tensor(picture: &DynamicImage) -> Vec<f32> {
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) / 2, (picture.height() - side) / 2);
    let square = picture.crop_imm(left, top, side, side).into_rgb8();
    // Scaled where it must be: a picture of the right size stays as it is, to the bit.
    let square = match side {
        SIZE => square,
        _ => image::imageops::resize(&square, SIZE, SIZE, FilterType::Triangle),
    };
    let plane = |colour: usize| {
        let (mean, deviation) = (MEAN[colour], DEVIATION[colour]);
        square
            .pixels()
            .map(move |pixel| (f32::from(pixel[colour]) / 255.0 - mean) / deviation)
    };
    (0..3).flat_map(plane).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use image::{ImageFormat, Rgb, RgbImage};

    use super::*;

    fn file(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    #[test]
    fn colours_are_normalised_plane_by_plane() {
        let picture = RgbImage::from_pixel(SIZE, SIZE, Rgb([255, 0, 128]));
        let tensor = tensor(&decode(&file(&picture, ImageFormat::Png)).unwrap());
        let plane = (SIZE * SIZE) as usize;
        assert_eq!(tensor.len(), 3 * plane);
        assert_eq!(tensor[0], (1.0 - 0.485) / 0.229);
        assert_eq!(tensor[plane], (0.0 - 0.456) / 0.224);
        assert_eq!(tensor[3 * plane - 1], (128.0 / 255.0 - 0.406) / 0.225);
    }

    #[test]
    fn the_central_square_is_taken() {
        let picture = RgbImage::from_fn(3 * SIZE, SIZE, |x, _| match x {
            SIZE..=447 => Rgb([9, 9, 9]),
            _ => Rgb([200, 0, 0]),
        });
        let tensor = tensor(&DynamicImage::from(picture));
        assert!(tensor[..(SIZE * SIZE) as usize].iter().all(|&red| red == tensor[0]));
    }

    #[test]
    fn one_pixel_is_a_picture() {
        let picture = RgbImage::from_pixel(1, 1, Rgb([1, 2, 3]));
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            assert_eq!(tensor(&decode(&file(&picture, format)).unwrap()).len(), 3 * 224 * 224);
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_without_a_panic() {
        for junk in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\n", &[0xff; 64]] {
            assert!(decode(junk).is_err(), "{junk:?}");
        }
        let bytes: Vec<u8> = (0..64_u8).flat_map(|y| (0..64).flat_map(move |x| [x, y, 7])).collect();
        let picture = RgbImage::from_raw(64, 64, bytes).unwrap();
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let good = file(&picture, format);
            for end in (0..good.len()).step_by(7) {
                drop(decode(&good[..end]));
                let mut flipped = good.clone();
                flipped[end] ^= 0x55;
                drop(decode(&flipped));
            }
        }
    }

    #[test]
    fn a_picture_that_claims_to_be_huge_is_refused_before_it_is_decoded() {
        let mut good = file(&RgbImage::new(4, 4), ImageFormat::Png);
        good[16..20].copy_from_slice(&1_000_000_u32.to_be_bytes());
        // The checksum of the header covers the width.
        let sum = crc32(&good[12..29]);
        good[29..33].copy_from_slice(&sum.to_be_bytes());
        assert!(
            matches!(decode(&good), Err(PictureError::TooLarge)),
            "{:?}",
            decode(&good)
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let step = |sum: u32, &byte: &u8| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| {
                (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
            })
        };
        !bytes.iter().fold(u32::MAX, step)
    }
}
