//! A delta makes the new file of the base, whatever the two are, and is as short as it is promised to be.
#![allow(clippy::unwrap_used, reason = "tests")]

mod files;

use std::num::NonZeroUsize;

use dunlin_delta::{DecodeOptions, Delta, EncodeError, EncodeOptions, FileAt, Stats, encode};
use files::{Change, Noise, Tensor};

const MIB: usize = 1 << 20;

fn apply(base: &[u8], delta: &[u8], threads: usize) -> Vec<u8> {
    let delta = Delta::open(delta).unwrap();
    let options = DecodeOptions {
        max_new_size: delta.header().new.size,
        threads: NonZeroUsize::new(threads).unwrap(),
    };
    let mut made = Vec::new();
    let promised = delta.header().new;
    assert_eq!(delta.apply(&base, &mut made, &options).unwrap(), promised);
    made
}

/// Makes and applies a delta, and gives what it is made of.
fn round_trip(base: &[u8], new: &[u8]) -> Stats {
    let mut delta = Vec::new();
    let stats = encode(&base, &new, &mut delta, &EncodeOptions::default()).unwrap();
    assert_eq!(stats.delta_size, delta.len() as u64);
    assert_eq!(stats.copied + stats.differing + stats.unrelated, new.len() as u64);
    for threads in [1, 2] {
        assert!(apply(base, &delta, threads) == new, "with {threads} threads");
    }
    stats
}

fn share(stats: &Stats) -> f64 {
    stats.delta_size as f64 / stats.header.new.size as f64
}

type Format = fn(&str, &[Tensor]) -> Vec<u8>;
const FORMATS: [(&str, Format); 3] = [
    ("safetensors", files::safetensors),
    ("gguf", files::gguf),
    ("onnx", files::onnx),
];

#[test]
fn an_edit_of_the_header_costs_next_to_nothing() {
    let model = files::model(&mut Noise(1), 20, MIB / 5);
    for (name, format) in FORMATS {
        let stats = round_trip(&format("a", &model), &format(&"a longer note ".repeat(30), &model));
        assert!(share(&stats) <= 0.001, "{name}: {stats:?}");
    }
}

#[test]
fn replaced_tensors_cost_themselves() {
    let mut noise = Noise(2);
    let model = files::model(&mut noise, 20, MIB / 5);
    let mut replaced = model.clone();
    for tensor in replaced.iter_mut().step_by(10) {
        tensor.data = noise.bytes(tensor.data.len());
    }
    for (name, format) in FORMATS {
        let stats = round_trip(&format("a", &model), &format("longer", &replaced));
        assert!((0.09..=0.11).contains(&share(&stats)), "{name}: {stats:?}");
    }
}

#[test]
fn dense_fine_tunes_cost_what_changed() {
    for (change, limit) in [(1e-4, 0.02), (1e-3, 0.12), (1e-2, 0.30)] {
        let mut noise = Noise(3);
        let (base, new): (Vec<_>, Vec<_>) = (0..4)
            .map(|index| {
                let (before, after) = files::tuned(&mut noise, MIB, Change::OfWeight(change));
                let tensor = |data| Tensor {
                    name: format!("layer.{index}"),
                    data,
                };
                (tensor(before), tensor(after))
            })
            .unzip();
        for (name, format) in [FORMATS[0], FORMATS[2]] {
            let stats = round_trip(&format("a", &base), &format("moved by a longer header", &new));
            assert!(share(&stats) <= limit, "{name} at {change}: {stats:?}");
        }
        // Without any header: ONNX's external data.
        let data = |tensors: &[Tensor]| {
            tensors
                .iter()
                .flat_map(|tensor| tensor.data.clone())
                .collect::<Vec<_>>()
        };
        let stats = round_trip(&data(&base), &data(&new));
        assert!(share(&stats) <= limit, "bare data at {change}: {stats:?}");
    }
}

#[test]
fn tensors_that_moved_were_renamed_or_grew_are_found() {
    let mut noise = Noise(4);
    let model = files::model(&mut noise, 10, MIB / 4);
    let mut reordered = model.clone();
    reordered.reverse();
    let mut renamed = model.clone();
    for tensor in &mut renamed {
        tensor.name.insert_str(0, "base.");
    }
    let mut grown = model.clone();
    grown[0].data.extend(noise.bytes(8192));
    grown.insert(3, grown[5].clone());
    grown[3].name = "a copy".to_owned();
    for (name, format) in FORMATS {
        for (what, new, limit) in [
            ("reordered", &reordered, 0.002),
            ("renamed", &renamed, 0.002),
            ("grown", &grown, 0.006),
        ] {
            let stats = round_trip(&format("a", &model), &format("b", new));
            assert!(share(&stats) <= limit, "{name} {what}: {stats:?}");
        }
    }
}

#[test]
fn quantised_blocks_are_coded_by_their_planes() {
    let mut noise = Noise(5);
    let base: Vec<_> = (0..4)
        .map(|index| Tensor {
            name: format!("blk.{index}"),
            data: noise.bytes(34 * 20_000),
        })
        .collect();
    let mut new = base.clone();
    for tensor in &mut new {
        // Only the scales change.
        for block in tensor.data.chunks_exact_mut(34) {
            block[0] ^= u8::try_from(noise.next() & 3).unwrap();
        }
    }
    let stats = round_trip(&files::gguf("a", &base), &files::gguf("a", &new));
    assert!(share(&stats) <= 0.012, "{stats:?}");
}

#[test]
fn text_is_patched() {
    let lines: Vec<String> = (0..20_000)
        .map(|index| format!("{{\"token\": \"t{index}\", \"id\": {}}}", index * 7919 % 20_011))
        .collect();
    let base = lines.join("\n").into_bytes();
    let mut edited = lines;
    edited.insert(7000, "an inserted line".to_owned());
    edited.remove(15_000);
    let stats = round_trip(&base, &edited.join("\n").into_bytes());
    assert!(stats.delta_size < 400, "{stats:?}");
}

#[test]
fn files_of_every_small_size() {
    let mut noise = Noise(6);
    for (base_len, new_len) in [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (0, 5000),
        (5000, 0),
        (3, 7),
        (100_000, 100_001),
    ] {
        let (base, new) = (noise.bytes(base_len), noise.bytes(new_len));
        round_trip(&base, &new);
        round_trip(&base, &base);
    }
}

#[test]
fn random_edits_of_random_files() {
    let mut noise = Noise(7);
    for round in 0..60 {
        let (_, format) = FORMATS[round % FORMATS.len()];
        let tensors = 1 + noise.below(6);
        let len = 2 * noise.below(40_000);
        let base = format("base", &files::model(&mut noise, tensors, len));
        let mut new = base.clone();
        for _ in 0..noise.below(12) {
            edit(&mut noise, &mut new);
        }
        round_trip(&base, &new);
    }
}

fn edit(noise: &mut Noise, file: &mut Vec<u8>) {
    let at = noise.below(file.len() + 1);
    let upto = at + noise.below((file.len() - at).min(20_000) + 1);
    match noise.below(5) {
        0 => drop(file.drain(at..upto)),
        1 => {
            let len = noise.below(20_000);
            let inserted = noise.bytes(len);
            drop(file.splice(at..at, inserted));
        }
        2 => {
            let moved: Vec<u8> = file.drain(at..upto).collect();
            let to = noise.below(file.len() + 1);
            drop(file.splice(to..to, moved));
        }
        3 => {
            let copied = file[at..upto].to_vec();
            let to = noise.below(file.len() + 1);
            drop(file.splice(to..to, copied));
        }
        _ => {
            let value = u8::try_from(noise.below(256)).unwrap();
            file[at..upto]
                .iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(value));
        }
    }
}

#[test]
fn files_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (base, new) = (folder.path().join("base"), folder.path().join("new"));
    let mut noise = Noise(8);
    let mut bytes = noise.bytes(3 * MIB);
    fs_err::write(&base, &bytes).unwrap();
    bytes.splice(MIB..MIB, noise.bytes(1000));
    fs_err::write(&new, &bytes).unwrap();
    let mut delta = Vec::new();
    let (base, new) = (FileAt::open(&base).unwrap(), FileAt::open(&new).unwrap());
    let options = EncodeOptions::default();
    encode(&base, &new, &mut delta, &options).unwrap();
    assert!(delta.len() < 4000, "{}", delta.len());
    let mut made = Vec::new();
    let options = DecodeOptions {
        max_new_size: new_size(&bytes),
        threads: NonZeroUsize::MIN,
    };
    Delta::open(&delta[..])
        .unwrap()
        .apply(&base, &mut made, &options)
        .unwrap();
    assert!(made == bytes);
}

fn new_size(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

#[test]
fn making_one_ends_where_it_is_no_longer_worth_it() {
    let mut noise = Noise(9);
    let (base, new) = (noise.bytes(MIB), noise.bytes(4 * MIB));
    let options = EncodeOptions {
        max_size: 2 << 20,
        ..EncodeOptions::default()
    };
    let mut delta = Vec::new();
    let error = encode(&base, &new, &mut delta, &options).unwrap_err();
    assert!(
        matches!(error, EncodeError::TooLong { max_size } if max_size == 2 << 20),
        "{error}"
    );
    assert!(delta.len() <= 2 << 20);
    let options = EncodeOptions {
        level: 20,
        ..EncodeOptions::default()
    };
    let error = encode(&base, &new, &mut delta, &options).unwrap_err();
    assert!(matches!(error, EncodeError::Level { level: 20 }), "{error}");
}
