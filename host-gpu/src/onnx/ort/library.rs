//! Finds libonnxruntime and opens it, once per process: the library keeps global state, and cannot be closed and replaced.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ort::{environment::Environment, logging::LogLevel};

use crate::{backend::EngineFault, engines::EngineError, panics};

/// What this process uses. It stays for the life of the process, because a second environment is refused.
static OPENED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// The first libonnxruntime in `folders`: the plain name, then the versioned ones, newest name first.
pub(super) fn find(folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().find_map(|folder| {
        let plain = folder.join("libonnxruntime.so");
        if plain.is_file() {
            return Some(plain);
        }
        let is_versioned = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let version = name.strip_prefix("libonnxruntime.so.");
            version.is_some_and(|version| version == "1" || version.starts_with("1.")) && path.is_file()
        };
        let entries = fs_err::read_dir(folder).ok()?;
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(is_versioned)
            .max_by_key(|path| version_of(path))
    })
}

/// `libonnxruntime.so.1.17.3` is `[1, 17, 3]`: names sort by number, not by letter.
fn version_of(path: &Path) -> Vec<u32> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let version = name.strip_prefix("libonnxruntime.so.").unwrap_or_default();
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// Opens the library, or gives the environment that this process has already.
///
/// # Errors
/// When the library does not load or is too old, and when the process uses another one.
pub(super) fn open(path: &Path) -> Result<Environment, EngineError> {
    // The loader would take a relative path as relative to the executable.
    let path = fs_err::canonicalize(path).map_err(|_| EngineError::LibraryNotFound { path: path.to_owned() })?;
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((loaded, environment)) = &*opened {
        return if *loaded == path {
            Ok(environment.clone())
        } else {
            Err(EngineError::OtherLibrary {
                path,
                loaded: loaded.clone(),
            })
        };
    }
    // The wrapper panics on libraries that only pretend to be onnxruntime.
    let environment = catch_unwind(AssertUnwindSafe(|| start(&path)))
        .unwrap_or_else(|payload| Err(EngineFault::new(panics::message(payload.as_ref()))))
        .map_err(|source| EngineError::Library {
            path: path.clone(),
            source,
        })?;
    *opened = Some((path, environment.clone()));
    Ok(environment)
}

fn start(path: &Path) -> Result<Environment, EngineFault> {
    let environment = ort::init_from(path)
        .map_err(EngineFault::new)?
        .with_name("dunlin")
        .with_telemetry(false)
        .with_logger(Arc::new(|_level, category, _id, place, message| {
            // What a model makes the library complain about is no concern of the operator's.
            tracing::debug!(target: "onnxruntime", category, place, message);
        }))
        .build()
        .map_err(EngineFault::new)?;
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_plain_name_wins_then_the_highest_version() {
        let folder = std::env::temp_dir().join(format!("dunlin-ort-find-{}", std::process::id()));
        fs_err::create_dir_all(&folder).unwrap();
        let folders = [folder.join("absent"), folder.clone()];
        assert_eq!(find(&folders), None);
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.17.3",
            "libonnxruntime.so.2",
            "libonnxruntime.sox",
        ] {
            fs_err::write(folder.join(name), "").unwrap();
        }
        assert_eq!(find(&folders), Some(folder.join("libonnxruntime.so.1.17.3")));
        fs_err::write(folder.join("libonnxruntime.so"), "").unwrap();
        assert_eq!(find(&folders), Some(folder.join("libonnxruntime.so")));
        fs_err::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_library_is_a_clean_error() {
        let path = std::env::temp_dir().join(format!("dunlin-ort-text-{}.so", std::process::id()));
        assert!(matches!(open(&path), Err(EngineError::LibraryNotFound { .. })));
        fs_err::write(&path, "not an ELF file").unwrap();
        let error = open(&path).unwrap_err();
        fs_err::remove_file(&path).unwrap();
        assert!(
            matches!(&error, EngineError::Library { .. } | EngineError::OtherLibrary { .. }),
            "{error:?}"
        );
    }
}
