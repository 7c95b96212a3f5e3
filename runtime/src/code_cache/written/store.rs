//! Entries as the compiling engine sees them: a damaged one is compiled again, a new one is written whole (temporary file,
//! fsync, rename).

use std::{io::Write as _, path::Path};

use sha2::{Digest as _, Sha256};

use super::{
    super::entry::{open_file, sum_path},
    dir::CacheDir,
};
use crate::{
    BoxError,
    code::{Code, Compiled, WasmKind},
    engine::OpenCodeError,
};

/// Maps the code of `digest`; `None` when there is none, or none to be trusted.
pub(super) fn load(dir: &CacheDir, engine: &wasmtime::Engine, digest: &str, kind: WasmKind) -> Option<Code> {
    let path = dir.code_path(digest);
    match open_file(engine, &path, digest) {
        Ok(code) if code.kind() == kind => return Some(code),
        Ok(_) => tracing::warn!(path = %path.display(), "cached code is of the other kind and compiled again"),
        Err(OpenCodeError::Missing { .. }) => {}
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "cached code is ignored and compiled again");
        }
    }
    None
}

/// Keeps `compiled` for `digest`. A failure costs a compilation at the next start and is only logged.
pub(super) fn keep(dir: &CacheDir, digest: &str, compiled: &Compiled) {
    if let Err(error) = try_keep(dir, digest, compiled) {
        tracing::warn!(path = %dir.code_path(digest).display(), %error, "compiled code was not cached");
    }
}

fn try_keep(dir: &CacheDir, digest: &str, compiled: &Compiled) -> Result<(), BoxError> {
    let bytes = match compiled {
        Compiled::Component(component) => component.serialize()?,
        Compiled::Module(module) => module.serialize()?,
    };
    let path = dir.code_path(digest);
    // The sum comes last: code without its sum is not loaded.
    write_whole(dir.path(), &path, &bytes)?;
    let sum = hex::encode(Sha256::digest(&bytes));
    write_whole(dir.path(), &sum_path(&path), sum.as_bytes())?;
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
