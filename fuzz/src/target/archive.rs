//! Image layouts in tar streams, imported into a store.

use anyhow::Result;
use dunlin_models::{
    Reference, Store,
    descriptor::Annotations,
    key::{KeyKind, KeyPair},
    manifest::Manifest,
    media_type, sign,
    store::archive::{ExportOptions, ImportOptions},
};

use super::{Prepared, Target};

const WORDS: &[&str] = &[
    "ustar\0",
    "00000000000\0",
    "77777777777\0",
    "blobs/sha256/",
    "index.json",
    "oci-layout",
    "dunlin/policy.yaml",
    "../",
    "path=",
    "size=99999999999999999999",
    "\"manifests\":[",
    "org.opencontainers.image.ref.name",
];

pub(super) fn targets() -> Vec<Target> {
    vec![Target {
        name: "archive",
        about: "import of image layouts from tar streams",
        words: WORDS,
        is_fenced: false,
        prepare: archives,
    }]
}

fn archives() -> Result<Prepared> {
    let folder = tempfile::tempdir()?;
    let source = Store::open(&folder.path().join("source"), true)?;
    let config = source.put_bytes(media_type::EMPTY, b"{}")?;
    let layer = source.put_bytes("application/wasm", b"\0asm\x01\0\0\0")?;
    let manifest = serde_json::to_vec(&Manifest::new(config, vec![layer]))?;
    let artifact = source.put_bytes(media_type::MANIFEST, &manifest)?;
    let reference: Reference = "demo/artifact:1".parse()?;
    source.tag(&reference, &artifact)?;
    let pair = KeyPair::generate(KeyKind::Ed25519)?;
    sign::sign(&source, &artifact, &pair, &Annotations::new())?;
    let mut tar = Vec::new();
    let options = ExportOptions {
        references: vec![reference],
        ..ExportOptions::default()
    };
    source.export_tar(&mut tar, &options, &|_| {})?;
    let target = Store::open(&folder.path().join("target"), true)?;
    let options = ImportOptions {
        max_bytes: Some(1 << 20),
        ..ImportOptions::default()
    };
    Ok(Prepared::new(vec![tar], move |input| {
        // The folder lives as long as the store in it.
        let _folder = &folder;
        let mut input = input.to_vec();
        // Every other input, by its length, gets past the check of the headers.
        if input.len().is_multiple_of(2) {
            mend_checksums(&mut input);
        }
        target.import_tar(&mut &input[..], &options, &|_| {}).is_ok()
    }))
}

/// Writes the right checksum into every block that looks like a header (POSIX.1-1988, ustar).
fn mend_checksums(tar: &mut [u8]) {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    for block in tar.as_chunks_mut::<512>().0 {
        if &block[257..262] == b"ustar" {
            block[CHECKSUM].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
