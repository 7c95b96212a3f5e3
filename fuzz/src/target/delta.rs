//! Deltas and chunk manifests.

use std::num::NonZeroUsize;

use anyhow::Result;
use dunlin_delta::{ChunkManifest, ChunkSize, DecodeOptions, Delta, EncodeOptions, SegmentSource, encode, plan};

use super::{Prepared, Target, weights};
use crate::random::Random;

/// The largest file that a delta may make here, in bytes.
const MAX_NEW: u64 = 1 << 22;

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "delta",
            about: "application of hostile deltas",
            words: &[],
            is_fenced: false,
            prepare: delta,
        },
        Target {
            name: "chunks",
            about: "chunk manifests, and plans made of them",
            words: &[],
            is_fenced: false,
            prepare: chunks,
        },
    ]
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut random = Random::new(seed, 0);
    (0..len).map(|_| random.byte()).collect()
}

fn delta() -> Result<Prepared> {
    let mut base = noise(1, 40_000);
    base.extend(b"a line of text\n".repeat(500));
    let mut news = vec![base[100..].to_vec(), base.clone(), noise(2, 3000), Vec::new()];
    // Every other byte moves a little: elements of two bytes, by difference.
    news.push(
        base.iter()
            .enumerate()
            .map(|(index, byte)| byte ^ u8::from(index % 6 == 0))
            .collect(),
    );
    news.push([&base[..20_000], b"inserted", &base[20_000..]].concat());
    news.extend(weights::files(3));
    let mut seeds = Vec::new();
    for new in news {
        let mut delta = Vec::new();
        encode(&base, &new, &mut delta, &EncodeOptions::default())?;
        seeds.push(delta);
    }
    Ok(Prepared::new(seeds, move |input| {
        let limits = DecodeOptions {
            max_new_size: MAX_NEW,
            threads: NonZeroUsize::MIN,
        };
        let mut made = Vec::new();
        let Ok(delta) = Delta::open(input) else {
            return false;
        };
        let promised = delta.header().new;
        let result = delta.apply(&base, &mut made, &limits);
        assert!(
            made.len() as u64 <= promised.size.min(MAX_NEW),
            "more than was announced"
        );
        match result {
            Ok(found) => {
                assert_eq!((found, made.len() as u64), (promised, promised.size));
                true
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                false
            }
        }
    }))
}

fn chunks() -> Result<Prepared> {
    let local = noise(3, 200_000);
    let size = ChunkSize::new(ChunkSize::MIN_LOG2);
    let mut seeds = Vec::new();
    for file in [&local[..], &local[50_000..], &[]] {
        let mut manifest = Vec::new();
        ChunkManifest::of(&file, size)?.write(&mut manifest)?;
        seeds.push(manifest);
    }
    let local = ChunkManifest::of(&local, size)?;
    Ok(Prepared::new(seeds, move |input| {
        let Ok(manifest) = ChunkManifest::read(input) else {
            return false;
        };
        let mut written = Vec::new();
        manifest.write(&mut written).expect("memory can be written");
        assert!(written == input, "what was read is written otherwise");
        for (here, new) in [(&local, &manifest), (&manifest, &local), (&manifest, &manifest)] {
            check_plan(here, new);
        }
        true
    }))
}

/// A plan covers the new file and stays within the local one.
fn check_plan(local: &ChunkManifest, new: &ChunkManifest) {
    let mut position = 0;
    for segment in plan(&[local], new, 1 << 14) {
        assert_eq!(segment.offset, position);
        assert!(segment.len > 0);
        position += segment.len;
        if let SegmentSource::Local { file, offset } = segment.source {
            assert_eq!(file, 0);
            assert!(offset + segment.len <= local.file().size);
        }
    }
    assert_eq!(position, new.file().size);
}
