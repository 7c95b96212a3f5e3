//! One entry of the cache: `<digest>.cwasm` and the sum of its bytes beside it, mapped only after owner, mode and sum were
//! checked. The only unsafe code of the crate is here.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use wasmtime::{Module, Precompiled, component::Component};

use super::owned;
use crate::{
    code::{Code, Compiled},
    engine::OpenCodeError,
};

/// Hex digits of a SHA-256.
const SUM_LEN: u64 = 64;
const HASH_CHUNK_BYTES: usize = 64 << 10;

/// Holds the SHA-256 of the code file at `code`, in hex: what was written, so that rot and truncation are seen.
pub(super) fn sum_path(code: &Path) -> PathBuf {
    code.with_extension("cwasm.sha256")
}

/// Maps the code of `digest` at `path`.
pub(crate) fn open_file(engine: &wasmtime::Engine, path: &Path, digest: &str) -> Result<Code, OpenCodeError> {
    let mut code = open_owned(path, digest)?;
    let sums = sum_path(path);
    let mut expected = String::new();
    open_owned(&sums, digest)?
        .take(SUM_LEN)
        .read_to_string(&mut expected)
        .map_err(|source| OpenCodeError::File { path: sums, source })?;
    let actual = sum(&mut code).map_err(|source| OpenCodeError::File {
        path: path.to_owned(),
        source,
    })?;
    if actual != expected {
        return Err(OpenCodeError::Sum {
            path: path.to_owned(),
            actual,
            expected,
        });
    }
    let compiled = deserialize(engine, path).map_err(|error| OpenCodeError::Unfit {
        path: path.to_owned(),
        source: error.into(),
    })?;
    Ok(Code::new(digest, compiled))
}

fn open_owned(path: &Path, digest: &str) -> Result<fs_err::File, OpenCodeError> {
    match owned::open(path) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(OpenCodeError::Missing {
            digest: digest.chars().take(128).collect(),
            path: path.to_owned(),
        }),
        Err(source) => Err(OpenCodeError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

#[allow(
    unsafe_code,
    reason = "mapping compiled code is what the cache is for; the callers' checks make it sound"
)]
fn deserialize(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Compiled> {
    if matches!(
        wasmtime::Engine::detect_precompiled_file(path)?,
        Some(Precompiled::Component)
    ) {
        // SAFETY: the file was made by `Component::serialize`, by this user or root: it is writable by nobody else, and
        // the bytes have the sum that was kept when they were written. Entries are replaced by rename and never written or
        // truncated in place, so the mapping does not change. Wasmtime checks that its own version, the target, the CPU's
        // features and all settings are those that the code was compiled for.
        let component = unsafe { Component::deserialize_file(engine, path) }?;
        Ok(Compiled::Component(component))
    } else {
        // SAFETY: as above, with `Module::serialize`.
        let module = unsafe { Module::deserialize_file(engine, path) }?;
        Ok(Compiled::Module(module))
    }
}

fn sum(file: &mut fs_err::File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; HASH_CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(chunk.get(..read).unwrap_or_default()),
        }
    }
}
