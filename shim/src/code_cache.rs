//! [`CodeCache`]: compiled code on this node. The shim only looks for files and has missing ones made by the compiler, a
//! program of its own that runs once per module whatever the number of pods, outside their control groups.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rustix::process::Pid;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use crate::{config::Config, image::ImageError, reaper::Reaper};

/// Bound of the compiler's answer: one line.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

/// The cache folder and the program that fills it.
#[derive(Debug)]
pub(crate) struct CodeCache {
    root: PathBuf,
    compiler: PathBuf,
    reaper: Arc<Reaper>,
}

/// The compiler's last line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    /// The file, relative to the cache folder.
    File(PathBuf),
    /// Why there is none.
    Error(String),
}

impl CodeCache {
    pub(crate) fn new(config: &Config, reaper: Arc<Reaper>) -> Self {
        Self {
            root: config.code_cache.clone(),
            compiler: config.compiler.clone(),
            reaper,
        }
    }

    pub(crate) fn reaper(&self) -> &Arc<Reaper> {
        &self.reaper
    }

    /// The newest code for the module, relative to the folder. It may be that of another build of the runtime: whoever opens
    /// it finds out.
    pub(crate) fn find(&self, digest: &str) -> Option<PathBuf> {
        let name = format!("{digest}.cwasm");
        let engines = fs_err::read_dir(&self.root).ok()?;
        engines
            .filter_map(Result::ok)
            .filter_map(|engine| {
                let file = engine.path().join(&name);
                let modified = fs_err::metadata(&file).ok()?.modified().ok()?;
                Some((modified, Path::new(&engine.file_name()).join(&name)))
            })
            .max_by_key(|(modified, _)| *modified)
            .map(|(_, file)| file)
    }

    /// Compiles `wasm`, or waits for whoever is compiling it.
    ///
    /// # Cancel safety
    /// The compiler goes on, and what it makes is found the next time.
    pub(crate) async fn compile(&self, digest: &str, wasm: &OwnedFd) -> Result<PathBuf, ImageError> {
        let failed = |source| ImageError::Compiler {
            program: self.compiler.clone(),
            source,
        };
        let (answer, for_compiler) = io::pipe().map_err(failed)?;
        let mut command = Command::new(self.program());
        command
            .arg("--cache")
            .arg(&self.root)
            .args(["--digest", digest])
            .stdin(wasm.try_clone().map_err(failed)?)
            .stdout(for_compiler)
            .stderr(Stdio::null());
        let mark = self.reaper.mark();
        let child = command.spawn().map_err(failed)?;
        // The command holds the writing end of the answer.
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let ending = pid.map(|pid| self.reaper.watch(pid, mark));
        let mut line = String::new();
        let answer = tokio::net::unix::pipe::Receiver::from_owned_fd(answer.into()).map_err(failed)?;
        answer
            .take(MAX_ANSWER_BYTES)
            .read_to_string(&mut line)
            .await
            .map_err(failed)?;
        if let Some(ending) = ending {
            // Its exit code says no more than its answer.
            let _ = ending.await;
        }
        let broken = |error: serde_json::Error| failed(io::Error::new(io::ErrorKind::InvalidData, error));
        match serde_json::from_str(line.trim()).map_err(broken)? {
            Answer::File(file) => Ok(file),
            Answer::Error(message) => Err(ImageError::DoesNotCompile {
                digest: digest.to_owned(),
                message,
            }),
        }
    }

    /// A bare name is looked for beside the shim: the two are installed together.
    fn program(&self) -> PathBuf {
        if self.compiler.components().count() == 1
            && let Ok(shim) = std::env::current_exe()
            && let Some(beside) = shim.parent().map(|folder| folder.join(&self.compiler))
            && beside.exists()
        {
            return beside;
        }
        self.compiler.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn code_is_found_whatever_engine_made_it() {
        let root = tempfile::tempdir().unwrap();
        let config = Config {
            code_cache: root.path().to_owned(),
            ..Config::default()
        };
        let cache = CodeCache::new(&config, Arc::default());
        assert_eq!(cache.find("d1"), None);
        fs_err::create_dir(root.path().join("engine")).unwrap();
        fs_err::write(root.path().join("engine/d1.cwasm"), b"code").unwrap();
        assert_eq!(cache.find("d1").unwrap(), Path::new("engine/d1.cwasm"));
        assert_eq!(cache.find("d2"), None);
    }
}
