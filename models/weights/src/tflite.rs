//! TensorFlow Lite: a flatbuffer (schema.fbs) of buffers, and subgraphs whose tensors refer to them. Tensors without a buffer
//! of their own are activations.

use std::collections::BTreeSet;

use crate::walk::Walk;
use crate::{Element, HeaderError, MAX_NAME, MAX_TENSORS, ReadAt, Tensor, Visitor};

/// The file identifier, after the offset of the root table.
const IDENTIFIER: [u8; 4] = *b"TFL3";
const MAX_DIMENSIONS: u64 = 64;

/// Fields of tables, in the order of schema.fbs.
mod field {
    pub(super) const MODEL_VERSION: u16 = 0;
    pub(super) const MODEL_SUBGRAPHS: u16 = 2;
    pub(super) const MODEL_DESCRIPTION: u16 = 3;
    pub(super) const MODEL_BUFFERS: u16 = 4;
    pub(super) const SUBGRAPH_TENSORS: u16 = 0;
    pub(super) const TENSOR_SHAPE: u16 = 0;
    pub(super) const TENSOR_TYPE: u16 = 1;
    pub(super) const TENSOR_BUFFER: u16 = 2;
    pub(super) const TENSOR_NAME: u16 = 3;
    pub(super) const BUFFER_DATA: u16 = 0;
    /// In files over 2 GiB, whose data lies behind the flatbuffer.
    pub(super) const BUFFER_OFFSET: u16 = 1;
    pub(super) const BUFFER_SIZE: u16 = 2;
}

/// Whether the first eight bytes are those of a TensorFlow Lite file.
pub(crate) fn detect(head: [u8; 8], size: u64) -> bool {
    let [a, b, c, d, identifier @ ..] = head;
    let root = u64::from(u32::from_le_bytes([a, b, c, d]));
    identifier == IDENTIFIER && (8..size).contains(&root)
}

pub(crate) fn read(source: &dyn ReadAt, visitor: &mut dyn Visitor) -> Result<(), HeaderError> {
    let mut reader = Reader {
        walk: Walk::new(source),
        tensors: MAX_TENSORS,
        told: BTreeSet::new(),
    };
    let root = u64::from(reader.walk.u32()?);
    if reader.walk.array()? != IDENTIFIER {
        return Err(reader.walk.malformed());
    }
    let model = reader.table(root)?;
    if let Some(at) = reader.field(&model, field::MODEL_VERSION)? {
        visitor.property("version", &reader.u32_at(at)?.to_string());
    }
    if let Some(at) = reader.field(&model, field::MODEL_DESCRIPTION)? {
        let (count, _) = reader.vector(at, 1)?;
        if let Some(text) = reader.walk.text(count)?.filter(|text| !text.is_empty()) {
            visitor.property("description", &text);
        }
    }
    let buffers = reader.field(&model, field::MODEL_BUFFERS)?;
    let buffers = buffers.map(|at| reader.vector(at, 4)).transpose()?;
    let Some(at) = reader.field(&model, field::MODEL_SUBGRAPHS)? else {
        return Ok(());
    };
    let (subgraphs, first) = reader.vector(at, 4)?;
    for index in 0..subgraphs {
        reader.count()?;
        let subgraph = reader.element(first, index)?;
        let Some(at) = reader.field(&subgraph, field::SUBGRAPH_TENSORS)? else {
            continue;
        };
        let (tensors, first) = reader.vector(at, 4)?;
        for index in 0..tensors {
            reader.count()?;
            let tensor = reader.element(first, index)?;
            reader.tensor(&tensor, buffers.unwrap_or_default(), visitor)?;
        }
    }
    Ok(())
}

/// A table, and the list of where its fields are.
struct Table {
    at: u64,
    fields_at: u64,
    fields_len: u16,
}

struct Reader<'a> {
    walk: Walk<'a>,
    /// How many tables may still be looked at: offsets may make many of one.
    tensors: u64,
    /// Buffers that were told: several tensors may share one.
    told: BTreeSet<u32>,
}

impl Reader<'_> {
    fn count(&mut self) -> Result<(), HeaderError> {
        self.tensors = self.tensors.checked_sub(1).ok_or_else(|| self.walk.malformed())?;
        Ok(())
    }

    fn u32_at(&mut self, at: u64) -> Result<u32, HeaderError> {
        self.walk.seek(at)?;
        self.walk.u32()
    }

    /// Where the offset at `at` leads.
    fn follow(&mut self, at: u64) -> Result<u64, HeaderError> {
        let offset = u64::from(self.u32_at(at)?);
        at.checked_add(offset).ok_or_else(|| self.walk.malformed())
    }

    fn table(&mut self, at: u64) -> Result<Table, HeaderError> {
        self.walk.seek(at)?;
        let back = i64::from(i32::from_le_bytes(self.walk.array()?));
        let fields_at = i64::try_from(at).ok().and_then(|at| at.checked_sub(back));
        let fields_at = fields_at.and_then(|at| u64::try_from(at).ok());
        let fields_at = fields_at.ok_or_else(|| self.walk.malformed())?;
        self.walk.seek(fields_at)?;
        Ok(Table {
            at,
            fields_at,
            fields_len: self.walk.u16()?,
        })
    }

    /// Where a field of `table` is; `None` when it has its default.
    fn field(&mut self, table: &Table, field: u16) -> Result<Option<u64>, HeaderError> {
        let slot = 4 + 2 * field;
        if slot + 2 > table.fields_len {
            return Ok(None);
        }
        self.walk.seek(table.fields_at.saturating_add(slot.into()))?;
        let offset = self.walk.u16()?;
        Ok((offset > 0).then(|| table.at.saturating_add(offset.into())))
    }

    /// Length of the vector that the offset at `at` leads to, and where its elements of `size` bytes start, which is the
    /// position then.
    fn vector(&mut self, at: u64, size: u64) -> Result<(u64, u64), HeaderError> {
        let start = self.follow(at)?;
        let count = u64::from(self.u32_at(start)?);
        match count * size <= self.walk.left() {
            true => Ok((count, self.walk.position())),
            false => Err(self.walk.malformed()),
        }
    }

    /// The table that is an element of a vector of offsets.
    fn element(&mut self, first: u64, index: u64) -> Result<Table, HeaderError> {
        let at = self.follow(first.saturating_add(index.saturating_mul(4)))?;
        self.table(at)
    }

    fn tensor(
        &mut self,
        table: &Table,
        (buffers, first): (u64, u64),
        visitor: &mut dyn Visitor,
    ) -> Result<(), HeaderError> {
        let Some(at) = self.field(table, field::TENSOR_BUFFER)? else {
            return Ok(());
        };
        let buffer = self.u32_at(at)?;
        // Buffer 0 is empty by convention.
        if buffer == 0 || self.told.contains(&buffer) {
            return Ok(());
        }
        if u64::from(buffer) >= buffers {
            return Err(self.walk.malformed());
        }
        let data = self.element(first, buffer.into())?;
        let Some(bytes) = self.data(&data)? else {
            return Ok(());
        };
        self.told.insert(buffer);
        let element = match self.field(table, field::TENSOR_TYPE)? {
            Some(at) => {
                self.walk.seek(at)?;
                let [kind] = self.walk.array()?;
                Element::of_tflite(kind)
            }
            None => Element::of_tflite(0),
        };
        let name = match self.field(table, field::TENSOR_NAME)? {
            Some(at) => {
                let (len, _) = self.vector(at, 1)?;
                self.walk.bytes(len, MAX_NAME)?
            }
            None => Vec::new(),
        };
        visitor.tensor(&Tensor {
            name: &name,
            element,
            elements: self.elements(table)?,
            bytes,
        });
        Ok(())
    }

    /// Where a buffer's bytes are; `None` for one without any.
    fn data(&mut self, buffer: &Table) -> Result<Option<std::ops::Range<u64>>, HeaderError> {
        if let Some(at) = self.field(buffer, field::BUFFER_DATA)? {
            let (len, start) = self.vector(at, 1)?;
            return Ok((len > 0).then(|| start..start + len));
        }
        let (Some(offset), Some(size)) = (
            self.field(buffer, field::BUFFER_OFFSET)?,
            self.field(buffer, field::BUFFER_SIZE)?,
        ) else {
            return Ok(None);
        };
        let mut number = |at| {
            self.walk.seek(at)?;
            self.walk.u64()
        };
        let (start, len) = (number(offset)?, number(size)?);
        let end = start.checked_add(len).ok_or_else(|| self.walk.malformed())?;
        Ok((len > 0).then_some(start..end))
    }

    fn elements(&mut self, tensor: &Table) -> Result<u64, HeaderError> {
        let Some(at) = self.field(tensor, field::TENSOR_SHAPE)? else {
            return Ok(1);
        };
        let (count, _) = self.vector(at, 4)?;
        let mut elements = Some(1_u64).filter(|_| count <= MAX_DIMENSIONS);
        for _ in 0..count.min(MAX_DIMENSIONS) {
            let dimension = u64::from(self.walk.u32()?);
            elements = elements.and_then(|elements| elements.checked_mul(dimension));
        }
        elements.ok_or_else(|| self.walk.malformed())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::visitor::Told;

    /// Writes a flatbuffer front to back: what points to a thing is written before it, and patched when its place is known.
    struct Writer(Vec<u8>);

    impl Writer {
        fn point(&mut self, from: usize, to: usize) {
            self.0[from..from + 4].copy_from_slice(&u32::try_from(to - from).unwrap().to_le_bytes());
        }

        fn align(&mut self) {
            let len = self.0.len().next_multiple_of(4);
            self.0.resize(len, 0);
        }

        /// A table of 32-bit fields, those that are `None` being absent; returns where the fields are.
        fn table(&mut self, from: usize, fields: &[Option<u32>]) -> Vec<usize> {
            let list = self.0.len();
            let count = u16::try_from(fields.len()).unwrap();
            self.0.extend_from_slice(&(4 + 2 * count).to_le_bytes());
            self.0.extend_from_slice(&(4 + 4 * count).to_le_bytes());
            for (index, field) in (0..).zip(fields) {
                let offset: u16 = if field.is_some() { 4 + 4 * index } else { 0 };
                self.0.extend_from_slice(&offset.to_le_bytes());
            }
            self.align();
            let table = self.0.len();
            self.point(from, table);
            self.0
                .extend_from_slice(&u32::try_from(table - list).unwrap().to_le_bytes());
            for field in fields {
                self.0.extend_from_slice(&field.unwrap_or_default().to_le_bytes());
            }
            (0..fields.len()).map(|index| table + 4 + 4 * index).collect()
        }

        /// A vector of numbers or offsets; returns where the elements are.
        fn vector(&mut self, from: usize, elements: &[u32]) -> Vec<usize> {
            let at = self.0.len();
            self.point(from, at);
            self.0
                .extend_from_slice(&u32::try_from(elements.len()).unwrap().to_le_bytes());
            for element in elements {
                self.0.extend_from_slice(&element.to_le_bytes());
            }
            (0..elements.len()).map(|index| at + 4 + 4 * index).collect()
        }

        fn bytes(&mut self, from: usize, bytes: &[u8]) {
            let at = self.0.len();
            self.point(from, at);
            self.0
                .extend_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
            self.0.extend_from_slice(bytes);
            self.align();
        }
    }

    /// A model of version 3 with an int8 tensor `w` of shape 2x3 in buffer 1, another one that shares the buffer, and an
    /// activation.
    fn model() -> Vec<u8> {
        let mut writer = Writer(b"\0\0\0\0TFL3".to_vec());
        let model = writer.table(0, &[Some(3), None, Some(0), Some(0), Some(0)]);
        writer.bytes(model[3], b"by hand");
        let buffers = writer.vector(model[4], &[0, 0]);
        drop(writer.table(buffers[0], &[None]));
        let buffer = writer.table(buffers[1], &[Some(0)]);
        writer.bytes(buffer[0], b"123456");
        let subgraphs = writer.vector(model[2], &[0]);
        let subgraph = writer.table(subgraphs[0], &[Some(0)]);
        let tensors = writer.vector(subgraph[0], &[0, 0, 0]);
        let weights = [Some(0), Some(9), Some(1), Some(0)];
        for tensor in &tensors[..2] {
            let fields = writer.table(*tensor, &weights);
            drop(writer.vector(fields[0], &[2, 3]));
            writer.bytes(fields[3], b"w");
        }
        drop(writer.table(tensors[2], &[None, None, Some(0)]));
        writer.0
    }

    #[test]
    fn finds_tensors_with_values() {
        let model = model();
        assert!(detect(*model.first_chunk().unwrap(), model.len() as u64));
        let told = Told::by(read, &model).unwrap();
        let [tensor] = &told.tensors[..] else {
            panic!("{told:?}")
        };
        assert_eq!(
            (tensor.name.as_str(), tensor.element.name(), tensor.elements),
            ("w", "I8", 6)
        );
        let start = usize::try_from(tensor.bytes.start).unwrap();
        assert_eq!(&model[start..start + 6], b"123456");
        let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            told.properties,
            [property("version", "3"), property("description", "by hand")]
        );
    }

    #[test]
    fn no_changed_byte_does_harm() {
        let model = model();
        for position in 0..model.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = model.clone();
                bytes[position] = value;
                drop(Told::by(read, &bytes));
            }
            drop(Told::by(read, &model[..position].to_vec()));
        }
        let mut loose = model.clone();
        loose[..4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(!detect(*loose.first_chunk().unwrap(), loose.len() as u64));
        assert!(matches!(Told::by(read, &loose), Err(HeaderError::Malformed { .. })));
    }
}
