//! [`Weights`]: a safetensors file of noise, and what an update makes of it.

/// A model file in memory: some tensors of random bytes that nothing compresses.
#[derive(Debug, Clone)]
pub struct Weights {
    note: String,
    tensors: Vec<Vec<u8>>,
}

/// What an update changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    /// The header, which grows.
    Header,
    /// Every tenth tensor.
    Tenth,
}

impl Weights {
    /// `tensors` tensors of `len` bytes each, the same for the same `seed`.
    #[must_use]
    pub fn new(seed: u64, tensors: usize, len: usize) -> Self {
        let mut noise = Noise(seed);
        Self {
            note: String::new(),
            tensors: (0..tensors).map(|_| noise.bytes(len)).collect(),
        }
    }

    /// A later version.
    #[must_use]
    pub fn edited(&self, edit: Edit, seed: u64) -> Self {
        let mut edited = self.clone();
        edited.note.push_str(&"a longer note ".repeat(20));
        if edit == Edit::Tenth {
            let mut noise = Noise(seed);
            for tensor in edited.tensors.iter_mut().step_by(10) {
                *tensor = noise.bytes(tensor.len());
            }
        }
        edited
    }

    /// The file.
    #[must_use]
    pub fn safetensors(&self) -> Vec<u8> {
        let mut header = format!(r#"{{"__metadata__":{{"note":"{}"}}"#, self.note);
        let mut offset = 0;
        for (index, tensor) in self.tensors.iter().enumerate() {
            let (elements, end) = (tensor.len() / 2, offset + tensor.len());
            header.push_str(&format!(
                r#","layers.{index}.weight":{{"dtype":"BF16","shape":[{elements}],"data_offsets":[{offset},{end}]}}"#
            ));
            offset = end;
        }
        header.push('}');
        while !header.len().is_multiple_of(8) {
            header.push(' ');
        }
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        for tensor in &self.tensors {
            file.extend_from_slice(tensor);
        }
        file
    }
}

/// SplitMix64.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut value = self.0;
            value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend_from_slice(&(value ^ (value >> 31)).to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}
