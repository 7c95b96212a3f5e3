//! The best form of one frame, found by trying: [`Trier`] compresses a frame in the ways that suit it and keeps the
//! shortest.

use zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use crate::{
    EncodeError,
    frame::{Frame, Method},
    magnitude, planes,
    region::{Likeness, Region},
};

/// The pieces of a frame by which the candidates are ranked before any is tried in full: how many, and of how many
/// bytes each.
const SAMPLES: usize = 4;
const SAMPLE: usize = 16 << 10;
const SAMPLE_LEVEL: i32 = 1;
/// Candidates that are tried in full, if they do as well as the best on the samples but for one part in [`TOLERANCE`].
const FINALISTS: usize = 2;
const TOLERANCE: usize = 16;
/// Patches are small and few, and a deeper search pays in them.
const MIN_PATCH_LEVEL: i32 = 9;
/// A window that holds the longest base range and the longest frame.
const PATCH_WINDOW_LOG: u32 = 23;

/// A frame and its payload.
pub(crate) struct Coded {
    pub(crate) frame: Frame,
    pub(crate) payload: Vec<u8>,
}

/// A way to code a frame, and the width it groups by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    method: Method,
    width: u16,
}

/// What one thread needs to code frames.
pub(crate) struct Trier {
    context: CCtx<'static>,
    level: i32,
    transformed: Vec<u8>,
    grouped: Vec<u8>,
}

impl Trier {
    pub(crate) fn new(level: i32) -> Self {
        Self {
            context: CCtx::create(),
            level,
            transformed: Vec::new(),
            grouped: Vec::new(),
        }
    }

    /// Codes `new`, the bytes of `region`; `base` holds the bytes that it resembles.
    pub(crate) fn code(&mut self, region: &Region, new: &[u8], base: &[u8]) -> Result<Coded, EncodeError> {
        if region.likeness != Likeness::Nothing && new == base {
            let frame = frame(region, Method::Copy, 0, new.len(), 0);
            return Ok(Coded {
                frame,
                payload: Vec::new(),
            });
        }
        let mut best = (Method::Literal, 0, None::<Vec<u8>>);
        let mut shortest = new.len();
        for candidate in self.finalists(candidates(region), new, base)? {
            let payload = self.payload(candidate, new, base, self.level)?;
            if payload.len() < shortest {
                shortest = payload.len();
                best = (candidate.method, candidate.width, Some(payload));
            }
        }
        let (method, width, payload) = best;
        Ok(Coded {
            frame: frame(region, method, width, new.len(), shortest),
            payload: payload.unwrap_or_else(|| new.to_vec()),
        })
    }

    /// The candidates that do best on a sample.
    fn finalists(
        &mut self,
        candidates: Vec<Candidate>,
        new: &[u8],
        base: &[u8],
    ) -> Result<Vec<Candidate>, EncodeError> {
        if candidates.len() <= FINALISTS {
            return Ok(candidates);
        }
        let mut ranked = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let unit = usize::from(candidate.width.max(1));
            let (new, base) = (sample(new, unit), sample(base, unit));
            ranked.push((self.payload(candidate, &new, &base, SAMPLE_LEVEL)?.len(), candidate));
        }
        ranked.sort_by_key(|(len, _)| *len);
        let limit = ranked.first().map_or(0, |(len, _)| len + len / TOLERANCE);
        ranked.retain(|(len, _)| *len <= limit);
        ranked.truncate(FINALISTS);
        Ok(ranked.into_iter().map(|(_, candidate)| candidate).collect())
    }

    fn payload(&mut self, candidate: Candidate, new: &[u8], base: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
        let width = usize::from(candidate.width);
        match candidate.method {
            Method::Patch => return patch(new, base, level),
            Method::Xor | Method::Difference => {
                self.transformed.clear();
                self.transformed.extend_from_slice(new);
                match candidate.method {
                    Method::Xor => planes::xor(&mut self.transformed, base),
                    _ => planes::subtract(&mut self.transformed, base, width),
                }
                self.grouped.resize(new.len(), 0);
                planes::group(&self.transformed, width, &mut self.grouped);
            }
            Method::Ordered => {
                self.grouped.resize(new.len(), 0);
                magnitude::subtract(new, base, width, &mut self.grouped);
            }
            Method::Grouped => {
                self.grouped.resize(new.len(), 0);
                planes::group(new, width, &mut self.grouped);
            }
            Method::Literal | Method::Copy | Method::Zstd => return compress(&mut self.context, new, level),
        }
        compress(&mut self.context, &self.grouped, level)
    }
}

/// Pieces of whole elements of `unit` bytes from all over `bytes`, or all of them where they are few.
fn sample(bytes: &[u8], unit: usize) -> Vec<u8> {
    if bytes.len() <= SAMPLES * SAMPLE {
        return bytes.to_vec();
    }
    let mut out = Vec::with_capacity(SAMPLES * SAMPLE);
    for index in 0..SAMPLES {
        let start = (bytes.len() - SAMPLE) / (SAMPLES - 1) * index;
        let start = start - start % unit;
        out.extend_from_slice(&bytes[start..start + SAMPLE - SAMPLE % unit]);
    }
    out
}

/// The frame for a region; what the method does not use is zero.
fn frame(region: &Region, method: Method, width: u16, len: usize, payload_len: usize) -> Frame {
    let (base_offset, base_len) = match (method, region.likeness) {
        (Method::Literal | Method::Zstd | Method::Grouped, _) | (_, Likeness::Nothing) => (0, 0),
        (_, Likeness::Aligned(offset)) => (offset, len as u64),
        (_, Likeness::Similar { offset, len }) => (offset, len),
    };
    // Regions are cut into frames of at most 4 MiB, and so are the base ranges.
    let short = |len: u64| u32::try_from(len).unwrap_or(u32::MAX);
    Frame {
        method,
        width,
        len: short(len as u64),
        base_len: short(base_len),
        payload_len: short(payload_len as u64),
        base_offset,
    }
}

fn candidates(region: &Region) -> Vec<Candidate> {
    let new = |method, width| Candidate { method, width };
    let zstd = new(Method::Zstd, 0);
    let widths: &[u16] = match region.width {
        0 => &[2, 4],
        ref width => std::slice::from_ref(width),
    };
    let mut candidates = match region.likeness {
        Likeness::Similar { .. } => return vec![new(Method::Patch, 0), zstd],
        Likeness::Aligned(_) => {
            let integers = [2, 4, 8, 1].into_iter().filter(|width| widths.contains(width));
            let mut candidates: Vec<_> = integers.map(|width| new(Method::Difference, width)).collect();
            let floats = magnitude::WIDTHS.into_iter().filter(|width| widths.contains(width));
            candidates.extend(floats.map(|width| new(Method::Ordered, width)));
            candidates.extend(widths.iter().map(|width| new(Method::Xor, *width)));
            candidates.push(new(Method::Xor, 1));
            candidates
        }
        Likeness::Nothing => Vec::new(),
    };
    let grouped = widths.iter().filter(|width| **width > 1);
    candidates.extend(grouped.map(|width| new(Method::Grouped, *width)));
    candidates.push(zstd);
    candidates.dedup();
    candidates
}

fn compress(context: &mut CCtx<'_>, bytes: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
    let failed = |code| EncodeError::Compress {
        reason: get_error_name(code),
    };
    context
        .set_parameter(CParameter::CompressionLevel(level))
        .map_err(failed)?;
    let mut out = Vec::with_capacity(compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).map_err(failed)?;
    Ok(out)
}

/// A context refers to its prefix for as long as it lives, so that each patch needs one of its own.
fn patch(new: &[u8], base: &[u8], level: i32) -> Result<Vec<u8>, EncodeError> {
    let failed = |code| EncodeError::Compress {
        reason: get_error_name(code),
    };
    let mut context = CCtx::create();
    context
        .set_parameter(CParameter::WindowLog(PATCH_WINDOW_LOG))
        .map_err(failed)?;
    context.ref_prefix(base).map_err(failed)?;
    compress(&mut context, new, level.max(MIN_PATCH_LEVEL))
}
