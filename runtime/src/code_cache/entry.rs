//! One entry of the cache: `<digest>.cwasm` and the sum of its bytes beside it. Written whole (temporary file, fsync,
//! rename) and mapped only after owner, mode and sum were checked. The only unsafe code of the crate is here.

use std::{
    io::{Read as _, Write as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};
use wasmtime::{Module, component::Component};

use super::dir::CacheDir;
use crate::{BoxError, code::Compiled};

/// Hex digits of a SHA-256.
const SUM_LEN: usize = 64;
const HASH_CHUNK_BYTES: usize = 64 << 10;

/// Maps the code of `digest`; `None` when there is none, or none to be trusted.
pub(super) fn load(dir: &CacheDir, engine: &wasmtime::Engine, digest: &str, component: bool) -> Option<Compiled> {
    let path = dir.code_path(digest);
    match try_load(dir, engine, digest, component) {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "cached code is ignored and compiled again");
            None
        }
    }
}

/// Keeps `compiled` for `digest`. A failure costs a compilation at the next start and is only logged.
pub(super) fn store(dir: &CacheDir, digest: &str, compiled: &Compiled) {
    if let Err(error) = try_store(dir, digest, compiled) {
        tracing::warn!(path = %dir.code_path(digest).display(), %error, "compiled code was not cached");
    }
}

fn try_load(
    dir: &CacheDir,
    engine: &wasmtime::Engine,
    digest: &str,
    component: bool,
) -> Result<Option<Compiled>, BoxError> {
    let path = dir.code_path(digest);
    let Some(mut code) = CacheDir::open_ours(&path)? else {
        return Ok(None);
    };
    let Some(sums) = CacheDir::open_ours(&dir.sum_path(digest))? else {
        return Ok(None);
    };
    let mut expected = String::with_capacity(SUM_LEN);
    sums.take(SUM_LEN as u64).read_to_string(&mut expected)?;
    let actual = sum(&mut code)?;
    if actual != expected {
        return Err(format!("its bytes have SHA-256 {actual}, but {expected:?} were written").into());
    }
    deserialize(engine, &path, component).map(Some)
}

#[allow(
    unsafe_code,
    reason = "mapping compiled code is what the cache is for; the callers' checks make it sound"
)]
fn deserialize(engine: &wasmtime::Engine, path: &Path, component: bool) -> Result<Compiled, BoxError> {
    if component {
        // SAFETY: the file was made by `Component::serialize` of an engine with the same fingerprint (wasmtime's version,
        // target, CPU features and settings), by this user: the folder and the file are writable by nobody else, and the
        // bytes have the sum that was kept when they were written. Entries are replaced by rename and never written or
        // truncated in place, so the mapping does not change. Wasmtime checks version and settings again.
        let component = unsafe { Component::deserialize_file(engine, path) }?;
        Ok(Compiled::Component(component))
    } else {
        // SAFETY: as above, with `Module::serialize`.
        let module = unsafe { Module::deserialize_file(engine, path) }?;
        Ok(Compiled::Module(module))
    }
}

fn try_store(dir: &CacheDir, digest: &str, compiled: &Compiled) -> Result<(), BoxError> {
    let bytes = match compiled {
        Compiled::Component(component) => component.serialize()?,
        Compiled::Module(module) => module.serialize()?,
    };
    // The sum comes last: code without its sum is not loaded.
    write_whole(dir.path(), &dir.code_path(digest), &bytes)?;
    write_whole(
        dir.path(),
        &dir.sum_path(digest),
        hex::encode(Sha256::digest(&bytes)).as_bytes(),
    )?;
    fs_err::File::open(dir.path())?.sync_all()?;
    Ok(())
}

/// The temporary file has mode 0600 and is removed when anything fails.
fn write_whole(dir: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
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
