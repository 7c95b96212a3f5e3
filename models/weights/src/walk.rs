//! Reading a header forwards: [`Walk`], which never reads past its end and allocates only what it was given leave for.

use std::io;

use crate::{HeaderError, MAX_NAME, MAX_TEXT, ReadAt};

/// Bytes read ahead.
const BUFFER: usize = 32 << 10;

/// A position in a file.
pub(crate) struct Walk<'a> {
    source: &'a dyn ReadAt,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    /// Where the buffer's bytes lie in the file.
    buffered: std::ops::Range<u64>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Self {
        Self {
            source,
            position: 0,
            end: source.size(),
            buffer: vec![0; BUFFER],
            buffered: 0..0,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// That the file is malformed at the position.
    pub(crate) fn malformed(&self) -> HeaderError {
        HeaderError::Malformed { offset: self.position }
    }

    /// Moves the position, to before the end.
    pub(crate) fn seek(&mut self, position: u64) -> Result<(), HeaderError> {
        if position > self.end {
            return Err(self.malformed());
        }
        self.position = position;
        Ok(())
    }

    /// Bytes after the position.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.position
    }

    pub(crate) fn skip(&mut self, len: u64) -> Result<(), HeaderError> {
        if len > self.left() {
            return Err(self.malformed());
        }
        self.position += len;
        Ok(())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, HeaderError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, HeaderError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, HeaderError> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next `len` bytes, which must not be more than `max`.
    pub(crate) fn bytes(&mut self, len: u64, max: usize) -> Result<Vec<u8>, HeaderError> {
        let len = usize::try_from(len)
            .ok()
            .filter(|len| *len <= max)
            .ok_or_else(|| self.malformed())?;
        if len as u64 > self.left() {
            return Err(self.malformed());
        }
        let mut bytes = vec![0; len];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `len` bytes as text; `None`, and passed over, when they are none or more than the longest of interest.
    pub(crate) fn text(&mut self, len: u64) -> Result<Option<String>, HeaderError> {
        if len > MAX_TEXT {
            self.skip(len)?;
            return Ok(None);
        }
        Ok(String::from_utf8(self.bytes(len, MAX_NAME)?).ok())
    }

    /// A protobuf varint.
    pub(crate) fn varint(&mut self) -> Result<u64, HeaderError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                return Err(self.malformed());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    fn fill(&mut self, mut out: &mut [u8]) -> Result<(), HeaderError> {
        if out.len() as u64 > self.left() {
            return Err(self.malformed());
        }
        while !out.is_empty() {
            if !self.buffered.contains(&self.position) {
                let len = usize::try_from(self.left()).map_or(BUFFER, |left| left.min(BUFFER));
                self.source.read_exact_at(&mut self.buffer[..len], self.position)?;
                self.buffered = self.position..self.position + len as u64;
            }
            let start = usize::try_from(self.position - self.buffered.start).map_err(|_| self.malformed())?;
            let held = usize::try_from(self.buffered.end - self.position).map_err(|_| self.malformed())?;
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
            Err(HeaderError::Read(error)) => Err(error),
            Err(HeaderError::Malformed { .. }) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
