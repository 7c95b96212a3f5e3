//! The real clients and servers that `cargo xtask tools` built.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// A program of a tool of `tests/tools/`, or `None` after saying how to build it.
///
/// # Panics
/// It is not built and `CI=true`; there is no such tool.
#[must_use]
pub fn tool(name: &str, program: &str) -> Option<PathBuf> {
    let path = place(name).join("bin").join(program);
    let advice = format!("{name} is not built: run `cargo xtask tools {name}`");
    crate::present(path.is_file(), &advice).then_some(path)
}

/// The tool's folder in the cache, named by the content of its source as `xtask/src/tools.rs` names it: a tool that was built
/// from another version is not found.
fn place(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(name);
    let mut files: Vec<_> = fs_err::read_dir(&source)
        .expect("a tool of tests/tools/")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    files.sort();
    let mut hasher = Sha256::new();
    for file in &files {
        let content = fs_err::read(source.join(file)).expect("a file of the tool");
        for part in [file.as_bytes(), &content] {
            hasher.update(u64::try_from(part.len()).expect("a length").to_le_bytes());
            hasher.update(part);
        }
    }
    let digest = hex::encode(hasher.finalize());
    crate::cache().join("tools").join(format!("{name}-{}", &digest[..12]))
}
