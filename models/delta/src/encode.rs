//! Making a delta: [`encode`].

use std::{io::Write, num::NonZeroUsize};

use sha2::{Digest as _, Sha256};

use crate::{
    EncodeError, Identity, ReadAt,
    frame::{self, Frame, HEADER_LEN, Method},
    header::Header,
    pairing,
    pipeline::ordered,
    region::{Likeness, Region},
    trial::{Coded, Trier},
};

/// How a delta is made.
#[derive(Debug, Clone)]
pub struct EncodeOptions {
    /// zstd's level, from 1 (fast) to 19 (small).
    pub level: i32,
    /// Threads that compress.
    pub threads: NonZeroUsize,
    /// The longest delta worth having, in bytes: making one stops as soon as it gets longer.
    pub max_size: u64,
}

impl EncodeOptions {
    /// zstd's own default: higher levels gain little on weights.
    pub const DEFAULT_LEVEL: i32 = 3;
    const DEFAULT_THREADS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self {
            level: Self::DEFAULT_LEVEL,
            threads: Self::DEFAULT_THREADS,
            max_size: u64::MAX,
        }
    }
}

/// What a delta is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The base and the new file.
    pub header: Header,
    /// Bytes of the delta.
    pub delta_size: u64,
    /// Frames in it.
    pub frames: u64,
    /// Bytes of the new file that are copied from the base.
    pub copied: u64,
    /// Bytes of the new file that are coded as a difference from the base.
    pub differing: u64,
    /// Bytes of the new file that are coded without the base.
    pub unrelated: u64,
}

/// Writes to `out` the delta that makes `new` of `base`. Reads both twice, holds some MiB per thread and some tens of
/// bytes per tensor, and never more than 64 MiB with two threads.
///
/// # Errors
/// When reading, compressing or writing fails, or the delta gets longer than [`EncodeOptions::max_size`]; what was
/// written until then is worthless.
pub fn encode(
    base: &dyn ReadAt,
    new: &dyn ReadAt,
    out: &mut dyn Write,
    options: &EncodeOptions,
) -> Result<Stats, EncodeError> {
    if !(1..=19).contains(&options.level) {
        return Err(EncodeError::Level { level: options.level });
    }
    let header = Header {
        base: Identity::of(base).map_err(|source| EncodeError::Read { side: "base", source })?,
        new: Identity::of(new).map_err(|source| EncodeError::Read { side: "new", source })?,
    };
    let regions = pairing::regions(base, new)?;
    let mut writer = Writer::new(out, header, options.max_size)?;
    let worker = || {
        let mut trier = Trier::new(options.level);
        move |region: Region| code(&mut trier, &region, base, new)
    };
    let frames = regions.frames(new.size()).map(Ok);
    ordered(options.threads.get(), frames, worker, |(coded, new)| {
        writer.hasher.update(&new);
        writer.push(coded)
    })?;
    writer.finish()
}

fn code(
    trier: &mut Trier,
    region: &Region,
    base: &dyn ReadAt,
    new: &dyn ReadAt,
) -> Result<(Coded, Vec<u8>), EncodeError> {
    let read = |file: &dyn ReadAt, side, offset, len| {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, offset)
            .map_err(|source| EncodeError::Read { side, source })?;
        Ok(bytes)
    };
    let bytes = read(new, "new", region.new.start, region.len())?;
    let base = match region.likeness {
        Likeness::Nothing => Vec::new(),
        Likeness::Aligned(offset) => read(base, "base", offset, region.len())?,
        Likeness::Similar { offset, len } => read(base, "base", offset, len)?,
    };
    Ok((trier.code(region, &bytes, &base)?, bytes))
}

/// The delta under construction.
struct Writer<'a> {
    out: &'a mut dyn Write,
    stats: Stats,
    max_size: u64,
    /// A copy that the next frame may go on with.
    copy: Option<Frame>,
    hasher: Sha256,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut dyn Write, header: Header, max_size: u64) -> Result<Self, EncodeError> {
        let delta_size = header.write(out).map_err(EncodeError::Write)?;
        let stats = Stats {
            header,
            delta_size,
            frames: 0,
            copied: 0,
            differing: 0,
            unrelated: 0,
        };
        Ok(Self {
            out,
            stats,
            max_size,
            copy: None,
            hasher: Sha256::new(),
        })
    }

    fn push(&mut self, coded: Coded) -> Result<(), EncodeError> {
        if coded.frame.method != Method::Copy {
            self.flush()?;
            return self.write(coded.frame, &coded.payload);
        }
        if let Some(copy) = &mut self.copy
            && copy.base_offset + u64::from(copy.base_len) == coded.frame.base_offset
            && copy.len + coded.frame.len <= frame::MAX_LEN
        {
            copy.len += coded.frame.len;
            copy.base_len += coded.frame.len;
            return Ok(());
        }
        self.flush()?;
        self.copy = Some(coded.frame);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), EncodeError> {
        match self.copy.take() {
            Some(copy) => self.write(copy, &[]),
            None => Ok(()),
        }
    }

    fn write(&mut self, frame: Frame, payload: &[u8]) -> Result<(), EncodeError> {
        self.stats.delta_size += HEADER_LEN as u64 + payload.len() as u64;
        if self.stats.delta_size > self.max_size {
            return Err(EncodeError::TooLong {
                max_size: self.max_size,
            });
        }
        self.stats.frames += 1;
        let count = match frame.method {
            Method::Copy => &mut self.stats.copied,
            Method::Xor | Method::Difference | Method::Ordered | Method::Patch => &mut self.stats.differing,
            Method::Literal | Method::Zstd | Method::Grouped => &mut self.stats.unrelated,
        };
        *count += u64::from(frame.len);
        self.out.write_all(&frame.to_bytes()).map_err(EncodeError::Write)?;
        self.out.write_all(payload).map_err(EncodeError::Write)
    }

    fn finish(mut self) -> Result<Stats, EncodeError> {
        self.flush()?;
        self.out.flush().map_err(EncodeError::Write)?;
        match self.hasher.finalize()[..] == self.stats.header.new.sha256 {
            true => Ok(self.stats),
            false => Err(EncodeError::Changed),
        }
    }
}
