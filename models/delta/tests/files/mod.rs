//! Model files made for tests: seeded weights in safetensors, GGUF and ONNX form.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "tests")]

/// SplitMix64.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// About normally distributed, with deviation 1: the sum of twelve uniform numbers less six.
    pub(crate) fn normal(&mut self) -> f32 {
        let sum: f32 = (0..3)
            .map(|_| {
                let bits = self.next();
                (0..4)
                    .map(|index| f32::from(u16::try_from(bits >> (16 * index) & 0xffff).unwrap()))
                    .sum::<f32>()
            })
            .sum();
        sum / 65536.0 - 6.0
    }
}

/// The upper half of an f32, rounded to the nearest.
pub(crate) fn bf16(value: f32) -> [u8; 2] {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    let [_, _, low, high] = rounded.to_le_bytes();
    [low, high]
}

/// A named tensor.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
}

/// What a dense fine-tune does to a weight.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    /// It grows or shrinks by a normally distributed share of itself, of that deviation.
    OfWeight(f32),
    /// It moves by a normally distributed share of the deviation of all weights, however small it is.
    OfDeviation(f32),
}

/// bf16 weights of deviation 0.02, and the same after training.
pub(crate) fn tuned(noise: &mut Noise, len: usize, change: Change) -> (Vec<u8>, Vec<u8>) {
    let (mut before, mut after) = (Vec::with_capacity(len), Vec::with_capacity(len));
    for _ in 0..len / 2 {
        let weight = 0.02 * noise.normal();
        before.extend(bf16(weight));
        after.extend(bf16(match change {
            Change::OfWeight(share) => weight + weight * share * noise.normal(),
            Change::OfDeviation(share) => weight + 0.02 * share * noise.normal(),
        }));
    }
    (before, after)
}

pub(crate) fn weights(noise: &mut Noise, len: usize) -> Vec<u8> {
    (0..len / 2).flat_map(|_| bf16(0.02 * noise.normal())).collect()
}

pub(crate) fn model(noise: &mut Noise, tensors: usize, len: usize) -> Vec<Tensor> {
    (0..tensors)
        .map(|index| Tensor {
            name: format!("model.layers.{index}.weight"),
            data: weights(noise, len),
        })
        .collect()
}

pub(crate) fn safetensors(metadata: &str, tensors: &[Tensor]) -> Vec<u8> {
    let mut header = format!(r#"{{"__metadata__":{{"format":"pt","note":"{metadata}"}}"#);
    let mut offset = 0;
    for Tensor { name, data } in tensors {
        let (end, elements) = (offset + data.len(), data.len() / 2);
        header += &format!(r#","{name}":{{"dtype":"BF16","shape":[{elements}],"data_offsets":[{offset},{end}]}}"#);
        offset = end;
    }
    header.push('}');
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    for tensor in tensors {
        file.extend_from_slice(&tensor.data);
    }
    file
}

/// Q8_0 tensors: blocks of 34 bytes.
pub(crate) fn gguf(metadata: &str, tensors: &[Tensor]) -> Vec<u8> {
    let text = |out: &mut Vec<u8>, text: &str| {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    };
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    file.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
    file.extend_from_slice(&1_u64.to_le_bytes());
    text(&mut file, "general.name");
    file.extend_from_slice(&8_u32.to_le_bytes());
    text(&mut file, metadata);
    let mut offset = 0;
    for tensor in tensors {
        text(&mut file, &tensor.name);
        file.extend_from_slice(&1_u32.to_le_bytes());
        file.extend_from_slice(&((tensor.data.len() / 34 * 32) as u64).to_le_bytes());
        file.extend_from_slice(&8_u32.to_le_bytes());
        file.extend_from_slice(&(offset as u64).to_le_bytes());
        offset += (tensor.data.len() / 34 * 34).next_multiple_of(32);
    }
    for tensor in tensors {
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend_from_slice(&tensor.data[..tensor.data.len() / 34 * 34]);
    }
    file
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut len = content.len();
    while len >= 0x80 {
        out.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    out.push(u8::try_from(len).unwrap());
    out.extend_from_slice(content);
    out
}

/// bf16 initializers of a graph without nodes.
pub(crate) fn onnx(metadata: &str, tensors: &[Tensor]) -> Vec<u8> {
    let mut graph = field(2, metadata.as_bytes());
    for Tensor { name, data } in tensors {
        let mut tensor = vec![0x10, 16];
        tensor.extend(field(8, name.as_bytes()));
        tensor.extend(field(9, data));
        graph.extend(field(5, &tensor));
    }
    let mut file = vec![0x08, 8];
    file.extend(field(7, &graph));
    file
}
