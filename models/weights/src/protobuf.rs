//! Protocol-buffer messages, field by field: [`Fields`], which keeps nothing of what it passes.

use crate::walk::Walk;
use crate::{HeaderError, ReadAt};

/// Fields that are walked through in one file.
const MAX_FIELDS: u64 = 1 << 22;

/// A field's value, of which nothing but the length has been read.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Varint(u64),
    Bytes(u64),
}

/// A position in nested messages.
pub(crate) struct Fields<'a> {
    pub(crate) walk: Walk<'a>,
    left: u64,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Self {
        Self {
            walk: Walk::new(source),
            left: MAX_FIELDS,
        }
    }

    /// The next field before `end`, and its value.
    pub(crate) fn next(&mut self, end: u64) -> Result<Option<(u64, Value)>, HeaderError> {
        if self.walk.position() >= end {
            return match self.walk.position() == end {
                true => Ok(None),
                false => Err(self.walk.malformed()),
            };
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| self.walk.malformed())?;
        let tag = self.walk.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.walk.varint()?),
            1 => Value::Bytes(8),
            2 => Value::Bytes(self.walk.varint()?),
            5 => Value::Bytes(4),
            _ => return Err(self.walk.malformed()),
        };
        if tag >> 3 == 0 {
            return Err(self.walk.malformed());
        }
        Ok(Some((tag >> 3, value)))
    }

    pub(crate) fn skip(&mut self, value: Value) -> Result<(), HeaderError> {
        match value {
            Value::Varint(_) => Ok(()),
            Value::Bytes(len) => self.walk.skip(len),
        }
    }

    /// Where a message of `len` bytes at the position ends.
    pub(crate) fn end(&self, len: u64) -> Result<u64, HeaderError> {
        match len <= self.walk.left() {
            true => Ok(self.walk.position() + len),
            false => Err(self.walk.malformed()),
        }
    }

    /// Fields 1 and 2 of a message of `len` bytes: an entry of a map, or a pair like one. Numbers become decimal.
    pub(crate) fn pair(&mut self, len: u64) -> Result<(Option<String>, Option<String>), HeaderError> {
        let end = self.end(len)?;
        let (mut first, mut second) = (None, None);
        while let Some((field, value)) = self.next(end)? {
            let slot = match field {
                1 => &mut first,
                2 => &mut second,
                _ => {
                    self.skip(value)?;
                    continue;
                }
            };
            *slot = match value {
                Value::Varint(number) => Some(number.to_string()),
                Value::Bytes(len) => self.walk.text(len)?,
            };
        }
        Ok((first, second))
    }
}
