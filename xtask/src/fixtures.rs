//! `xtask fixtures`: runs the generators of tests/fixtures in the Python environment, once per change of theirs.
//!
//! Nothing generated is ever committed; the cache holds models, inputs, expected outputs and a stamp.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fs_err as fs;

use crate::{
    assets::{self, AssetError, catalog},
    cache::{Cache, repository},
    checksum,
    output::{self, Progress, last_line},
    venv::{self, VenvError},
};

/// The generators in the order they run: models first, then what is computed with them.
const SCRIPTS: [&str; 5] = [
    "tiny.py",
    "minilm_onnx.py",
    "efficientnet_onnx.py",
    "tokens.py",
    "golden.py",
];

/// Modules that the generators import.
const MODULES: [&str; 2] = ["case.py", "inputs.py"];

/// The assets that the generators read.
const ASSETS: [&str; 6] = [
    "minilm-int8",
    "minilm",
    "efficientnet-lite0",
    "ppocr-rec",
    "silero",
    "magika",
];

/// The folders that the generators write a case into.
const CASES: [&str; 7] = [
    "add",
    "minilm",
    "minilm-int8",
    "efficientnet-lite0",
    "ppocr-rec",
    "silero",
    "magika",
];

/// Arguments of `xtask fixtures`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Generate them even if nothing changed
    #[arg(long)]
    force: bool,
}

/// The fixtures could not be generated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FixtureError {
    /// One of the models that they are made from is missing.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// There is no Python environment to run the generators in.
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// A generator or the cache could not be read or written.
    #[error("cannot prepare the fixtures")]
    Io(#[from] std::io::Error),
    /// A generator failed.
    #[error("tests/fixtures/{script} failed: {detail}")]
    Script {
        /// Its file name.
        script: &'static str,
        /// The last line of its error output.
        detail: String,
    },
}

impl FixtureError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Asset(error) => error.hint(),
            Self::Venv(error) => error.hint(),
            Self::Io(_) => Some("is the disk full, or the cache not yours?".to_owned()),
            Self::Script { script, .. } => Some(format!(
                "run it by hand for the whole traceback: \"$(cargo xtask venv)\" tests/fixtures/{script}"
            )),
        }
    }
}

/// Runs the subcommand.
pub(crate) fn run(cache: &Cache, args: &Args) -> Result<(), FixtureError> {
    let fixtures = cache.fixtures();
    let scripts = repository().join("tests/fixtures");
    let stamp_path = fixtures.join(".stamp");
    let stamp = stamp(&scripts)?;
    fs::create_dir_all(&fixtures)?;
    // Two generators at once would write into the same folders.
    let lock = fs::File::create(fixtures.join(".lock"))?;
    lock.lock()?;
    let last = fs::read_to_string(&stamp_path).unwrap_or_default();
    let complete = CASES.iter().all(|name| fixtures.join(name).join("case.json").exists());
    if last == stamp && complete && !args.force {
        output::note("fixtures", "up to date");
    } else {
        for name in ASSETS {
            assets::ensure(cache, name)?;
        }
        let python = venv::ensure(cache)?;
        // Without its stamp, a half-made set is made again.
        if stamp_path.exists() {
            fs::remove_file(&stamp_path)?;
        }
        for script in SCRIPTS {
            generate(cache, &python, &scripts, script)?;
        }
        fs::write(&stamp_path, stamp)?;
    }
    println!("{}", fixtures.display());
    Ok(())
}

/// What the fixtures depend on: the generators, their environment and the assets' digests.
fn stamp(scripts: &Path) -> Result<String, FixtureError> {
    let mut parts = checksum::Parts::default();
    for name in SCRIPTS.iter().chain(&MODULES) {
        parts.add(name);
        parts.add(fs::read(scripts.join(name))?);
    }
    parts.add(fs::read(venv::requirements())?);
    for asset in ASSETS.iter().filter_map(|name| catalog::find(name)) {
        for file in asset.files {
            parts.add(asset.name);
            parts.add(file.name);
            parts.add(file.sha256);
        }
    }
    Ok(parts.finish())
}

fn generate(cache: &Cache, python: &PathBuf, scripts: &Path, script: &'static str) -> Result<(), FixtureError> {
    let progress = Progress::spinner(script, "generating");
    let output = Command::new(python)
        // Bytecode would land in the checkout.
        .arg("-B")
        .arg(scripts.join(script))
        .arg("--assets")
        .arg(cache.assets())
        .arg("--out")
        .arg(cache.fixtures())
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(FixtureError::Script {
            script,
            detail: last_line(&output.stderr),
        });
    }
    let said = String::from_utf8_lossy(&output.stdout);
    progress.done("done");
    for line in said.lines() {
        output::note("", line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_python_file_is_part_of_the_stamp() {
        let folder = repository().join("tests/fixtures");
        let found: BTreeSet<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".py"))
            .collect();
        let known: BTreeSet<_> = SCRIPTS.iter().chain(&MODULES).map(|&name| name.to_owned()).collect();
        assert_eq!(found, known);
    }

    #[test]
    fn the_assets_exist() {
        for name in ASSETS {
            assert!(catalog::find(name).is_some(), "{name}");
        }
    }
}
