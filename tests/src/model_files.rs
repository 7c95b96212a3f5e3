//! Small model files of every format, written byte by byte: a second writer, so that the product's own code is not the judge
//! of its output.

/// A TensorFlow Lite file of version 3, described as `by hand`, with one int8 tensor `w` of 6 by 10.
pub const TFLITE: &[u8] =
    b"\x18\0\0\0TFL3\x0e\0\x18\0\x04\0\0\0\x0c\0\x10\0\x14\0\0\0\x10\0\0\0\x03\0\0\0\0\0\0\0\x84\0\0\0\x08\
    \0\0\0\x10\0\0\0\x07\0\0\0by hand\0\x02\0\0\0\x10\0\0\0\x1c\0\0\0\x06\0\x08\0\0\0\0\0\x08\0\0\0\0\0\
    \0\0\x06\0\x08\0\x04\0\0\0\x08\0\0\0\x04\0\0\0<\0\0\0xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxx\x01\0\0\0\x0c\0\0\0\x06\0\x08\0\x04\0\0\0\x08\0\0\0\x04\0\0\0\x01\0\0\0\x10\0\0\0\x0c\
    \0\x14\0\x04\0\x08\0\x0c\0\x10\0\x0c\0\0\0\x10\0\0\0\x09\0\0\0\x01\0\0\0\x10\0\0\0\x02\0\0\0\x06\0\0\
    \0\x0a\0\0\0\x01\0\0\0w\0\0\0";

/// Bytes of a GGUF file, entry by entry.
#[derive(Debug, Default)]
pub struct Gguf {
    entries: Vec<u8>,
    entry_count: u64,
    infos: Vec<u8>,
    tensor_count: u64,
    data_len: u64,
}

impl Gguf {
    /// A text.
    #[must_use]
    pub fn text(mut self, key: &str, value: &str) -> Self {
        self.entry(key, 8);
        text(&mut self.entries, value);
        self
    }

    /// A 32-bit number.
    #[must_use]
    pub fn number(mut self, key: &str, value: u32) -> Self {
        self.entry(key, 4);
        self.entries.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A list of texts.
    #[must_use]
    pub fn texts(mut self, key: &str, values: &[&str]) -> Self {
        self.entry(key, 9);
        self.entries.extend_from_slice(&8_u32.to_le_bytes());
        self.entries.extend_from_slice(&(values.len() as u64).to_le_bytes());
        for value in values {
            text(&mut self.entries, value);
        }
        self
    }

    /// A tensor of `elements` of a ggml type, whose values are zero and take `bytes`.
    #[must_use]
    pub fn tensor(mut self, name: &str, kind: u32, elements: u64, bytes: u64) -> Self {
        text(&mut self.infos, name);
        self.infos.extend_from_slice(&1_u32.to_le_bytes());
        self.infos.extend_from_slice(&elements.to_le_bytes());
        self.infos.extend_from_slice(&kind.to_le_bytes());
        self.infos.extend_from_slice(&self.data_len.to_le_bytes());
        self.tensor_count += 1;
        self.data_len = (self.data_len + bytes).next_multiple_of(32);
        self
    }

    /// The file.
    ///
    /// # Panics
    /// It does not fit memory.
    #[must_use]
    pub fn build(self) -> Vec<u8> {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend_from_slice(&self.tensor_count.to_le_bytes());
        file.extend_from_slice(&self.entry_count.to_le_bytes());
        file.extend_from_slice(&self.entries);
        file.extend_from_slice(&self.infos);
        let data = usize::try_from(self.data_len).expect("a small file");
        file.resize(file.len().next_multiple_of(32) + data, 0);
        file
    }

    fn entry(&mut self, key: &str, kind: u32) {
        text(&mut self.entries, key);
        self.entries.extend_from_slice(&kind.to_le_bytes());
        self.entry_count += 1;
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A safetensors file of zeros: name, type, bytes of an element, number of elements.
///
/// # Panics
/// It does not fit memory.
#[must_use]
pub fn safetensors(tensors: &[(&str, &str, u64, u64)]) -> Vec<u8> {
    let mut offset = 0;
    let mut entries = Vec::new();
    for (name, dtype, width, elements) in tensors {
        let end = offset + width * elements;
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":[{elements}],"data_offsets":[{offset},{end}]}}"#
        ));
        offset = end;
    }
    let header = format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.resize(file.len() + usize::try_from(offset).expect("a small file"), 0);
    file
}

/// An ONNX model that adds to its input `A`, three floats, the floats in the first 12 bytes of the file `location`; the output
/// is `C`.
///
/// # Panics
/// The location is too long.
#[must_use]
pub fn onnx_with_external_data(location: &str) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let len = content.len();
        let low = u8::try_from(len & 0x7f).expect("seven bits") | 0x80;
        let high = u8::try_from(len >> 7).expect("a short field");
        [&[number << 3 | 2, low, high], content].concat()
    };
    let name = |text: &str| field(1, text.as_bytes());
    let entry = [name("location"), field(2, location.as_bytes())].concat();
    let tensor = [&[0x08, 3, 0x10, 1][..], &field(8, b"W"), &field(13, &entry), &[0x70, 1]].concat();
    let node = [name("A"), name("W"), field(2, b"C"), field(4, b"Add")].concat();
    let shape = field(2, &field(1, &[0x08, 3]));
    let kind = field(2, &field(1, &[&[0x08, 1][..], &shape].concat()));
    let value = |text: &str| [name(text), kind.clone()].concat();
    let graph = [
        field(1, &node),
        field(2, b"adder"),
        field(5, &tensor),
        field(11, &value("A")),
        field(12, &value("C")),
    ]
    .concat();
    let opset = field(8, &[0x10, 17]);
    [&[0x08, 8][..], &field(2, b"by hand"), &field(7, &graph), &opset].concat()
}
