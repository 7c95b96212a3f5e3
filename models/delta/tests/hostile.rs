//! Hostile deltas are refused: no panic, nothing beyond the announced size, and nothing that is not the promised file.
#![allow(clippy::unwrap_used, reason = "tests")]

mod files;

use std::{io, num::NonZeroUsize};

use dunlin_delta::{DecodeError, DecodeOptions, Delta, EncodeOptions, FrameFault, Identity, encode};
use files::{Change, Noise};

const HEADER: usize = 96;
const FRAME: usize = 24;

fn apply(base: &[u8], delta: &[u8], max_new_size: u64, threads: usize) -> (Result<Identity, DecodeError>, Vec<u8>) {
    let mut made = Vec::new();
    let options = DecodeOptions {
        max_new_size,
        threads: NonZeroUsize::new(threads).unwrap(),
    };
    let result = Delta::open(delta).and_then(|delta| delta.apply(&base, &mut made, &options));
    (result, made)
}

fn refusal(base: &[u8], delta: &[u8]) -> DecodeError {
    let (result, made) = apply(base, delta, 1 << 30, 1);
    if let Ok(delta) = Delta::open(delta) {
        assert!(made.len() as u64 <= delta.header().new.size);
    }
    result.unwrap_err()
}

/// A base, a new file with every kind of change, and the delta.
fn sample() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut noise = Noise(11);
    let mut tensors = files::model(&mut noise, 4, 20_000);
    let (before, after) = files::tuned(&mut noise, 20_000, Change::OfWeight(1e-2));
    let mut old = tensors.clone();
    old[1].data = before;
    tensors[1].data = after;
    tensors[2].data = noise.bytes(20_000);
    let base = files::safetensors("base", &old);
    let new = files::safetensors("new and longer", &tensors);
    let mut delta = Vec::new();
    encode(&base, &new, &mut delta, &EncodeOptions::default()).unwrap();
    (base, new, delta)
}

/// A header for a file of `new_size` zeros made of `base`.
fn header(base: &[u8], new_size: u64) -> Vec<u8> {
    let mut delta = Vec::new();
    encode(&base, &Vec::new(), &mut delta, &EncodeOptions::default()).unwrap();
    delta[HEADER - 8..].copy_from_slice(&new_size.to_le_bytes());
    delta
}

fn frame(method: u8, width: u16, len: u32, base: (u64, u32), payload: &[u8]) -> Vec<u8> {
    let mut out = vec![method, 0];
    out.extend_from_slice(&width.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&base.1.to_le_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    out.extend_from_slice(&base.0.to_le_bytes());
    out.extend_from_slice(payload);
    out
}

#[test]
fn every_truncation_is_refused() {
    let (base, _, delta) = sample();
    for len in (0..delta.len()).filter(|len| *len < 300 || len % 97 == 0) {
        assert!(matches!(refusal(&base, &delta[..len]), DecodeError::Truncated), "{len}");
    }
}

#[test]
fn no_flipped_bit_makes_another_file() {
    let (base, new, delta) = sample();
    let mut noise = Noise(12);
    let positions = (0..HEADER + FRAME).chain((0..2000).map(|_| noise.below(delta.len())));
    for (round, position) in positions.collect::<Vec<_>>().into_iter().enumerate() {
        let mut flipped = delta.clone();
        flipped[position] ^= 1 << (round % 8);
        let (result, made) = apply(&base, &flipped, 1 << 30, 1 + round % 2);
        // The name of the base is the caller's to compare; everything else decides.
        match result {
            Ok(_) => assert!(made == new, "byte {position}"),
            Err(_) => assert!(!(16..48).contains(&position), "byte {position}"),
        }
    }
}

#[test]
fn the_header_is_held_to_its_rules() {
    let (base, _, delta) = sample();
    let changed = |position: usize, byte: u8| {
        let mut delta = delta.clone();
        delta[position] = byte;
        refusal(&base, &delta)
    };
    assert!(matches!(changed(0, 0), DecodeError::Magic));
    assert!(matches!(changed(8, 9), DecodeError::Version { version: 9 }));
    assert!(matches!(changed(12, 1), DecodeError::Reserved));
    assert!(matches!(changed(48, 0xee), DecodeError::BaseSize { .. }));
    assert!(matches!(changed(95, 0xff), DecodeError::NewTooLarge { .. }));
    let (result, made) = apply(&base, &delta, 100, 1);
    assert!(matches!(result, Err(DecodeError::NewTooLarge { max_size: 100, .. })));
    assert!(made.is_empty());
}

#[test]
fn the_wrong_base_is_noticed() {
    let (mut base, _, delta) = sample();
    let middle = base.len() / 2;
    base[middle] ^= 1;
    base[5000] ^= 1;
    let error = refusal(&base, &delta);
    assert!(matches!(error, DecodeError::Digest { .. }), "{error}");
    base.push(0);
    assert!(matches!(refusal(&base, &delta), DecodeError::BaseSize { .. }));
}

#[test]
fn what_follows_the_last_frame_is_refused() {
    let (base, _, mut delta) = sample();
    delta.push(0);
    assert!(matches!(refusal(&base, &delta), DecodeError::Trailing));
}

#[test]
fn frames_outside_the_files_are_refused() {
    let base = vec![7; 1000];
    let fault = |new_size: u64, frames: &[Vec<u8>]| {
        let mut delta = header(&base, new_size);
        delta.extend(frames.concat());
        match refusal(&base, &delta) {
            DecodeError::Frame { index, fault } => (index, fault),
            error => panic!("{error}"),
        }
    };
    assert_eq!(
        fault(100, &[frame(1, 0, 100, (901, 100), &[])]),
        (0, FrameFault::BaseRange)
    );
    assert_eq!(
        fault(100, &[frame(1, 0, 100, (u64::MAX, 100), &[])]),
        (0, FrameFault::BaseRange)
    );
    assert_eq!(
        fault(100, &[frame(1, 0, 101, (0, 101), &[])]),
        (0, FrameFault::BeyondNew)
    );
    let half = frame(1, 0, 60, (0, 60), &[]);
    assert_eq!(fault(100, &[half.clone(), half]), (1, FrameFault::BeyondNew));
    assert_eq!(fault(100, &[frame(0, 0, 0, (0, 0), &[])]), (0, FrameFault::Length(0)));
    assert_eq!(fault(100, &[frame(9, 0, 1, (0, 0), b"x")]), (0, FrameFault::Method(9)));
    assert_eq!(
        fault(100, &[frame(0, 0, 1, (0, 0), b"xy")]),
        (0, FrameFault::Payload(2))
    );
    assert_eq!(
        fault(1 << 29, &[frame(2, 0, u32::MAX, (0, 0), b"xy")]),
        (0, FrameFault::Length(u32::MAX))
    );
}

#[test]
fn bombs_burst_at_the_size_of_their_frame() {
    let base = vec![7; 1000];
    let bomb = zstd_safe_compress(&vec![0; 64 << 20]);
    let mut claims_less = header(&base, 1 << 20);
    claims_less.extend(frame(2, 0, 1 << 20, (0, 0), &bomb));
    assert!(matches!(
        refusal(&base, &claims_less),
        DecodeError::Decompress { index: 0, .. }
    ));
    let short = zstd_safe_compress(&[0; 1000]);
    for method in [2, 3] {
        let mut claims_more = header(&base, 1 << 20);
        claims_more.extend(frame(method, u16::from(method == 3), 1 << 20, (0, 0), &short));
        assert!(matches!(
            refusal(&base, &claims_more),
            DecodeError::Decompress { index: 0, .. }
        ));
    }
    let mut garbage = header(&base, 100);
    garbage.extend(frame(
        2,
        0,
        100,
        (0, 0),
        &[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff],
    ));
    assert!(matches!(
        refusal(&base, &garbage),
        DecodeError::Decompress { index: 0, .. }
    ));
}

fn zstd_safe_compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(zstd_safe::compress_bound(bytes.len()));
    zstd_safe::compress(&mut out, bytes, 19).unwrap();
    out
}

#[test]
fn a_failing_reader_or_writer_is_an_error_of_its_own() {
    struct Fails;
    impl io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    impl io::Write for Fails {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(matches!(Delta::open(Fails), Err(DecodeError::Read(_))));
    let (base, _, delta) = sample();
    let options = DecodeOptions {
        max_new_size: 1 << 30,
        threads: NonZeroUsize::new(2).unwrap(),
    };
    let result = Delta::open(&delta[..]).unwrap().apply(&base, &mut Fails, &options);
    assert!(matches!(result, Err(DecodeError::Write(_))));
}
