//! Applying a delta: [`Delta`], read from its start to its end, frame by frame.

use std::{
    io::{Read, Write},
    num::NonZeroUsize,
};

use sha2::{Digest as _, Sha256};
use zstd_safe::{DCtx, get_error_name};

use crate::{
    DecodeError, Identity, ReadAt,
    frame::{Bounds, Frame, HEADER_LEN, Method},
    header::Header,
    magnitude,
    pipeline::ordered,
    planes,
};

/// How a delta is applied.
#[derive(Debug, Clone)]
pub struct DecodeOptions {
    /// The size of the file that the caller wants, in bytes: a delta that makes a larger one is refused.
    pub max_new_size: u64,
    /// Threads that decompress.
    pub threads: NonZeroUsize,
}

/// A delta of which the header has been read.
#[derive(Debug)]
pub struct Delta<R> {
    reader: R,
    header: Header,
}

impl<R: Read> Delta<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When reading fails, or this is no delta of a known version.
    pub fn open(mut reader: R) -> Result<Self, DecodeError> {
        let header = Header::read(&mut reader)?;
        Ok(Self { reader, header })
    }

    /// What the delta claims to need and to make. The caller compares it with the digests that it trusts.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Writes to `out` what the delta makes of `base`, and proves by its SHA-256 that it is [`Header::new`]. Holds at
    /// most 64 MiB with two threads, reads nothing outside `base`, and writes no more than the header announces.
    ///
    /// # Errors
    /// When reading or writing fails, the delta breaks a rule of the format, or the result is not what it promises;
    /// what was written until then is worthless.
    pub fn apply(
        self,
        base: &dyn ReadAt,
        out: &mut dyn Write,
        options: &DecodeOptions,
    ) -> Result<Identity, DecodeError> {
        let Header { base: needed, new } = self.header;
        if new.size > options.max_new_size {
            return Err(DecodeError::NewTooLarge {
                size: new.size,
                max_size: options.max_new_size,
            });
        }
        if base.size() != needed.size {
            return Err(DecodeError::BaseSize {
                expected: needed.size,
                found: base.size(),
            });
        }
        let jobs = Jobs {
            reader: self.reader,
            bounds: Bounds::new(needed.size, new.size),
            index: 0,
            has_ended: false,
        };
        let mut hasher = Sha256::new();
        let worker = || {
            let mut maker = Maker::new();
            move |job: Job| maker.make(&job, base)
        };
        ordered(options.threads.get(), jobs, worker, |bytes: Vec<u8>| {
            hasher.update(&bytes);
            out.write_all(&bytes).map_err(DecodeError::Write)
        })?;
        out.flush().map_err(DecodeError::Write)?;
        // The bounds admit no end before the announced size.
        let found = Identity {
            sha256: hasher.finalize().into(),
            size: new.size,
        };
        match found == new {
            true => Ok(found),
            false => Err(DecodeError::Digest { expected: new, found }),
        }
    }
}

/// A frame whose header has been checked.
struct Job {
    index: u64,
    frame: Frame,
    payload: Vec<u8>,
}

/// The frames of a delta, read one after the other.
struct Jobs<R> {
    reader: R,
    bounds: Bounds,
    index: u64,
    has_ended: bool,
}

impl<R: Read> Jobs<R> {
    fn read(&mut self) -> Result<Job, DecodeError> {
        let mut header = [0; HEADER_LEN];
        self.reader.read_exact(&mut header).map_err(DecodeError::reading)?;
        let index = self.index;
        let frame = Frame::check(&header, &mut self.bounds).map_err(|fault| DecodeError::Frame { index, fault })?;
        let mut payload = vec![0; frame.payload_len as usize];
        self.reader.read_exact(&mut payload).map_err(DecodeError::reading)?;
        self.index += 1;
        Ok(Job { index, frame, payload })
    }

    fn end(&mut self) -> Option<Result<Job, DecodeError>> {
        match self.reader.read_exact(&mut [0]).map_err(DecodeError::reading) {
            Ok(()) => Some(Err(DecodeError::Trailing)),
            Err(DecodeError::Truncated) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl<R: Read> Iterator for Jobs<R> {
    type Item = Result<Job, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let next = match self.bounds.left {
            0 => self.end(),
            _ => Some(self.read()),
        };
        self.has_ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What one thread needs to make bytes of frames.
struct Maker {
    context: DCtx<'static>,
    grouped: Vec<u8>,
    base: Vec<u8>,
}

impl Maker {
    fn new() -> Self {
        Self {
            context: DCtx::create(),
            grouped: Vec::new(),
            base: Vec::new(),
        }
    }

    fn make(&mut self, job: &Job, base: &dyn ReadAt) -> Result<Vec<u8>, DecodeError> {
        let frame = &job.frame;
        let mut out = vec![0; frame.len as usize];
        match frame.method {
            Method::Literal => out.copy_from_slice(&job.payload),
            Method::Copy => base
                .read_exact_at(&mut out, frame.base_offset)
                .map_err(DecodeError::ReadBase)?,
            Method::Zstd => decompress(&mut self.context, job, &mut out)?,
            Method::Patch => {
                self.read_base(frame, base)?;
                // A context refers to its prefix for as long as it lives.
                let mut context = DCtx::create();
                let failed = |code| failed(job.index, code);
                context.ref_prefix(&self.base).map_err(failed)?;
                decompress(&mut context, job, &mut out)?;
            }
            Method::Grouped => self.ungroup(job, &mut out)?,
            Method::Xor => {
                self.ungroup(job, &mut out)?;
                self.read_base(frame, base)?;
                planes::xor(&mut out, &self.base);
            }
            Method::Difference => {
                self.ungroup(job, &mut out)?;
                self.read_base(frame, base)?;
                planes::add(&mut out, &self.base, usize::from(frame.width));
            }
            Method::Ordered => {
                self.decompress_grouped(job, out.len())?;
                self.read_base(frame, base)?;
                magnitude::add(&self.grouped, &self.base, usize::from(frame.width), &mut out);
            }
        }
        Ok(out)
    }

    fn ungroup(&mut self, job: &Job, out: &mut [u8]) -> Result<(), DecodeError> {
        self.decompress_grouped(job, out.len())?;
        planes::ungroup(&self.grouped, usize::from(job.frame.width), out);
        Ok(())
    }

    fn decompress_grouped(&mut self, job: &Job, len: usize) -> Result<(), DecodeError> {
        self.grouped.resize(len, 0);
        decompress(&mut self.context, job, &mut self.grouped)
    }

    fn read_base(&mut self, frame: &Frame, base: &dyn ReadAt) -> Result<(), DecodeError> {
        self.base.resize(frame.base_len as usize, 0);
        base.read_exact_at(&mut self.base, frame.base_offset)
            .map_err(DecodeError::ReadBase)
    }
}

/// Fills `out` exactly. zstd decompresses straight into it, so that whatever window or size a frame claims, nothing is
/// allocated for it.
fn decompress(context: &mut DCtx<'_>, job: &Job, out: &mut [u8]) -> Result<(), DecodeError> {
    let made = context
        .decompress(out, &job.payload)
        .map_err(|code| failed(job.index, code))?;
    if made != out.len() {
        return Err(DecodeError::Decompress {
            index: job.index,
            reason: "it is shorter than its frame says",
        });
    }
    Ok(())
}

fn failed(index: u64, code: usize) -> DecodeError {
    DecodeError::Decompress {
        index,
        reason: get_error_name(code),
    }
}
