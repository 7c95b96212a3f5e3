//! Headers of model files: detection by content, and the layouts by which deltas pair tensors.

use std::num::NonZeroUsize;

use anyhow::Result;
use dunlin_delta::{DecodeOptions, Delta, EncodeOptions, encode};
use dunlin_models::{
    format::{Content, detect},
    pack::metadata::read_header,
};
use dunlin_weights::{Format, Summary};

use super::{Prepared, Target};

const WORDS: &[&str] = &[
    "GGUF",
    "general.alignment",
    "__metadata__",
    "\"data_offsets\":[0,18446744073709551615]",
    "\"dtype\":\"F32\"",
    "{\"w\":{",
    "\0asm\x01\0\0\0",
    "\x3a\x7f",
    "\x2a\x08",
    "\x4a\x04",
];

/// A TensorFlow Lite file of an int8 tensor of 6 by 10.
const TFLITE: &[u8] =
    b"\x18\0\0\0TFL3\x0e\0\x18\0\x04\0\0\0\x0c\0\x10\0\x14\0\0\0\x10\0\0\0\x03\0\0\0\0\0\0\0\x84\0\0\0\x08\
    \0\0\0\x10\0\0\0\x07\0\0\0by hand\0\x02\0\0\0\x10\0\0\0\x1c\0\0\0\x06\0\x08\0\0\0\0\0\x08\0\0\0\0\0\
    \0\0\x06\0\x08\0\x04\0\0\0\x08\0\0\0\x04\0\0\0<\0\0\0xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxx\x01\0\0\0\x0c\0\0\0\x06\0\x08\0\x04\0\0\0\x08\0\0\0\x04\0\0\0\x01\0\0\0\x10\0\0\0\x0c\
    \0\x14\0\x04\0\x08\0\x0c\0\x10\0\x0c\0\0\0\x10\0\0\0\x09\0\0\0\x01\0\0\0\x10\0\0\0\x02\0\0\0\x06\0\0\
    \0\x0a\0\0\0\x01\0\0\0w\0\0\0";

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "format",
            about: "detection of GGUF, safetensors, ONNX and WebAssembly by content",
            words: WORDS,
            is_fenced: false,
            prepare: format,
        },
        Target {
            name: "header",
            about: "headers of GGUF, safetensors, ONNX and TFLite files, and what they say of the model",
            words: WORDS,
            is_fenced: false,
            prepare: header,
        },
        Target {
            name: "delta-layout",
            about: "deltas between a model file and a hostile one, applied again",
            words: WORDS,
            is_fenced: false,
            prepare: layout,
        },
    ]
}

/// Small files of each format, with `value` in their tensors.
pub(super) fn files(value: u8) -> Vec<Vec<u8>> {
    vec![safetensors(value), gguf(value), onnx(value)]
}

fn safetensors(value: u8) -> Vec<u8> {
    let header = br#"{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[8,4],"data_offsets":[0,64]},"b":{"dtype":"F32","shape":[16],"data_offsets":[64,128]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header);
    file.resize(file.len() + 128, value);
    file
}

fn gguf(value: u8) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
    let text = |file: &mut Vec<u8>, text: &str| {
        file.extend_from_slice(&(text.len() as u64).to_le_bytes());
        file.extend_from_slice(text.as_bytes());
    };
    text(&mut file, "general.alignment");
    file.extend_from_slice(&[4, 0, 0, 0, 32, 0, 0, 0]);
    text(&mut file, "tokenizer.ggml.tokens");
    file.extend_from_slice(&[9, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    text(&mut file, "one");
    text(&mut file, "two");
    for (name, kind, offset) in [("q", 8_u32, 0_u64), ("f", 0, 96)] {
        text(&mut file, name);
        file.extend_from_slice(&1_u32.to_le_bytes());
        file.extend_from_slice(&64_u64.to_le_bytes());
        file.extend_from_slice(&kind.to_le_bytes());
        file.extend_from_slice(&offset.to_le_bytes());
    }
    let len = file.len().next_multiple_of(32) + 96 + 256;
    file.resize(len, value);
    file
}

fn onnx(value: u8) -> Vec<u8> {
    let field = |number: u8, content: &[u8]| {
        let len = u8::try_from(content.len()).unwrap_or(0x7f);
        [&[number << 3 | 2, len], content].concat()
    };
    let tensor = [&[0x10, 16][..], &field(8, b"w"), &field(9, &[value; 40])].concat();
    let graph = [field(2, b"graph"), field(5, &tensor), field(5, &tensor)].concat();
    [&[0x08, 8][..], &field(7, &graph), &field(8, &[0x10, 17])].concat()
}

fn format() -> Result<Prepared> {
    let mut seeds = files(7);
    seeds.push(b"\0asm\x01\0\0\0".to_vec());
    seeds.push(b"\0asm\x0d\0\x01\0".to_vec());
    Ok(Prepared::new(seeds, |input| {
        let content = detect(&input).expect("reading memory does not fail");
        content != Content::Unknown
    }))
}

fn header() -> Result<Prepared> {
    let mut seeds = files(7);
    seeds.push(TFLITE.to_vec());
    Ok(Prepared::new(seeds, |input| {
        let mut is_read = false;
        for format in Format::ALL {
            if let Ok(mut summary) = Summary::read(format, &input) {
                is_read = true;
                summary.add(summary.clone());
                let said = read_header(&summary);
                let faults = [said.description.faults(), said.parameters.faults()].concat();
                assert!(
                    faults.is_empty(),
                    "what is read is not as ModelPack wants it: {faults:?}"
                );
            }
        }
        is_read
    }))
}

fn layout() -> Result<Prepared> {
    let bases = files(7);
    let options = EncodeOptions {
        level: 1,
        threads: NonZeroUsize::MIN,
        ..EncodeOptions::default()
    };
    Ok(Prepared::new(files(9), move |input| {
        for base in &bases {
            for (base, new) in [(&base[..], input), (input, &base[..])] {
                let mut delta = Vec::new();
                encode(&base, &new, &mut delta, &options).expect("memory can be read and written");
                let limits = DecodeOptions {
                    max_new_size: new.len() as u64,
                    threads: NonZeroUsize::MIN,
                };
                let mut made = Vec::new();
                let delta = Delta::open(&delta[..]).expect("its own header");
                delta.apply(&base, &mut made, &limits).expect("its own delta");
                assert!(made == new, "the delta made another file");
            }
        }
        true
    }))
}
