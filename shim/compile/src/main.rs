//! `dunlin-shim-compile`: compiles one WebAssembly binary from standard input into the node's code cache and prints where the
//! code is. Several at once for the same binary wait for the first. Runs outside of any pod; it never runs what it compiles.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use dunlin_runtime::{Engine, EngineConfig, MAX_WASM_BYTES};
use fs_err as fs;

const USAGE: &str = "usage: dunlin-shim-compile --cache FOLDER --digest SHA256 < MODULE";
/// Hex digits of a SHA-256.
const DIGEST_LEN: usize = 64;

#[derive(serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    /// The file, relative to the cache folder.
    File(PathBuf),
    /// Why there is none.
    Error(String),
}

fn main() -> ExitCode {
    let (answer, code) = match run() {
        Ok(file) => (Answer::File(file), ExitCode::SUCCESS),
        Err(error) => (Answer::Error(chain(error.as_ref())), ExitCode::FAILURE),
    };
    let mut stdout = io::stdout().lock();
    // Without an answer the shim says that the compiler does not run.
    let written = serde_json::to_writer(&mut stdout, &answer)
        .map_err(io::Error::from)
        .and_then(|()| writeln!(stdout));
    if written.is_err() { ExitCode::FAILURE } else { code }
}

fn run() -> Result<PathBuf, Box<dyn Error>> {
    let (cache, digest) = arguments(std::env::args().skip(1))?;
    let engine = Engine::new(EngineConfig {
        cache_dir: Some(cache.clone()),
        ..EngineConfig::default()
    })?;
    // Held until the process ends; whoever waited finds the code made.
    let lock = fs::File::create(cache.join(format!(".{digest}.lock")))?;
    lock.file().lock()?;
    let mut wasm = Vec::new();
    let limit = u64::try_from(MAX_WASM_BYTES)?;
    io::stdin().lock().take(limit + 1).read_to_end(&mut wasm)?;
    engine.compile(&wasm, &digest)?;
    let file = engine
        .cached_file(&digest)
        .filter(|file| file.exists())
        .ok_or("the code was compiled but could not be kept: is there room in the cache folder?")?;
    // The lock file of a compilation that is over is of no use, and another is made for the next.
    let _ = fs::remove_file(lock.path());
    Ok(file.strip_prefix(&cache).map_or_else(|_| file.clone(), Path::to_owned))
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<(PathBuf, String), Box<dyn Error>> {
    let (mut cache, mut digest) = (None, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--cache" => cache = words.next().map(PathBuf::from),
            "--digest" => digest = words.next(),
            _ => return Err(USAGE.into()),
        }
    }
    let digest =
        digest.filter(|digest| digest.len() == DIGEST_LEN && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    cache.zip(digest).ok_or_else(|| USAGE.into())
}

/// The error and its sources in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(PathBuf, String), Box<dyn Error>> {
        arguments(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn digests_become_file_names_and_are_checked() {
        let digest = "a".repeat(64);
        assert!(parse(&format!("--cache /c --digest {digest}")).is_ok());
        for bad in ["", "--cache /c", "--cache /c --digest ../../x", "--digest", "--what x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
