//! Reading a header forwards: [`Walk`], which never reads past its end and allocates only what it was given leave for.

use std::io;

use crate::ReadAt;

/// Bytes read ahead.
const BUFFER: usize = 32 << 10;

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Reading failed.
    Io(io::Error),
    /// The file is not of this format.
    Malformed,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A position in a file.
pub(super) struct Walk<'a> {
    source: &'a dyn ReadAt,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer's bytes lie in the file.
    buffered: std::ops::Range<u64>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(source: &'a dyn ReadAt) -> Self {
        Self {
            source,
            position: 0,
            end: source.size(),
            buffer: vec![0; BUFFER],
            buffered: 0..0,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes after the position.
    pub(super) fn left(&self) -> u64 {
        self.end - self.position
    }

    pub(super) fn skip(&mut self, len: u64) -> Result<(), Stop> {
        if len > self.left() {
            return Err(Stop::Malformed);
        }
        self.position += len;
        Ok(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Stop> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next `len` bytes, which must not be more than `max`.
    pub(super) fn bytes(&mut self, len: u64, max: usize) -> Result<Vec<u8>, Stop> {
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= max)
            .ok_or(Stop::Malformed)?;
        if len as u64 > self.left() {
            return Err(Stop::Malformed);
        }
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// A protobuf varint.
    pub(super) fn varint(&mut self) -> Result<u64, Stop> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(Stop::Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Stop::Malformed)
    }

    fn fill(&mut self, mut out: &mut [u8]) -> Result<(), Stop> {
        if out.len() as u64 > self.left() {
            return Err(Stop::Malformed);
        }
        while !out.is_empty() {
            if !self.buffered.contains(&self.position) {
                let len = usize::try_from(self.left()).map_or(BUFFER, |left| left.min(BUFFER));
                self.source.read_exact_at(&mut self.buffer[..len], self.position)?;
                self.buffered = self.position..self.position + len as u64;
            }
            let start = usize::try_from(self.position - self.buffered.start).map_err(|_| Stop::Malformed)?;
            let held = usize::try_from(self.buffered.end - self.position).map_err(|_| Stop::Malformed)?;
            let len = out.len().min(held);
            let (head, rest) = out.split_at_mut(len);
            head.copy_from_slice(&self.buffer[start..start + len]);
            self.position += len as u64;
            out = rest;
        }
        Ok(())
    }
}

/// Reads to the end of the file; what a JSON parser wants.
impl io::Read for Walk<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left()).map_or(out.len(), |left| left.min(out.len()));
        match self.fill(&mut out[..len]) {
            Ok(()) => Ok(len),
            Err(Stop::Io(error)) => Err(error),
            Err(Stop::Malformed) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
