//! `xtask venv`: the Python environment that fixtures are generated in, made once per set of requirements.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use fs_err as fs;

use crate::{
    cache::{Cache, repository},
    checksum,
    output::{Progress, last_line},
};

/// The file that an environment gets last.
const COMPLETE: &str = ".complete";

/// The environment could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VenvError {
    /// The list of packages or the cache could not be read or written.
    #[error("cannot prepare the Python environment")]
    Io(#[from] std::io::Error),
    /// Python is not installed.
    #[error("cannot run python3 to make a Python environment")]
    NoPython(#[source] std::io::Error),
    /// Python came without its venv module.
    #[error("python3 cannot make environments: {detail}")]
    NoVenv {
        /// Its last line.
        detail: String,
    },
    /// The pinned packages could not be installed.
    #[error("pip could not install {}: {detail}", requirements.display())]
    Install {
        /// The list.
        requirements: PathBuf,
        /// Pip's last line.
        detail: String,
    },
}

impl VenvError {
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Io(_) => "is the disk full, or the cache not yours? DUNLIN_CACHE moves it",
            Self::NoPython(_) => "install Python 3.11 or newer (Debian: apt install python3-venv)",
            Self::NoVenv { .. } => "install the module (Debian: apt install python3-venv)",
            Self::Install { .. } => "check the network and that python3 is 3.11 or newer, then run it again",
        };
        Some(hint.to_owned())
    }
}

/// The list of packages.
pub(crate) fn requirements() -> PathBuf {
    repository().join("tests/fixtures/requirements.txt")
}

/// Makes sure that the environment of the fixtures exists and returns its Python.
pub(crate) fn ensure(cache: &Cache) -> Result<PathBuf, VenvError> {
    let requirements = requirements();
    let digest = checksum::file(&requirements)?;
    fs::create_dir_all(cache.root())?;
    let lock = fs::File::create(cache.root().join("venv.lock"))?;
    lock.lock()?;
    ensure_at(&cache.root().join(format!("venv-{}", &digest[..12])), &requirements)
}

/// Makes sure that `folder` is an environment with `requirements` and returns its Python. An environment knows its own path,
/// so it is made in place: the caller keeps a second maker out.
pub(crate) fn ensure_at(folder: &Path, requirements: &Path) -> Result<PathBuf, VenvError> {
    let python = folder.join("bin/python");
    if is_complete(folder) {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let progress = Progress::spinner("venv", "making the Python environment");
    make(folder)?;
    install(&python, requirements)?;
    fs::write(folder.join(COMPLETE), checksum::file(requirements)?)?;
    progress.done(&folder.display().to_string());
    Ok(python)
}

/// Whether `folder` is an environment that was made to its end and still starts.
pub(crate) fn is_complete(folder: &Path) -> bool {
    folder.join(COMPLETE).exists() && runs(&folder.join("bin/python"))
}

/// Whether it starts: an upgrade of the host's Python leaves environments behind that do not.
fn runs(python: &Path) -> bool {
    Command::new(python)
        .args(["-c", ""])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn make(folder: &Path) -> Result<(), VenvError> {
    let output = Command::new("python3")
        .args(["-m", "venv"])
        .arg(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(VenvError::NoPython)?;
    if output.status.success() {
        return Ok(());
    }
    // Debian's venv explains itself on stdout.
    let said = [output.stderr, output.stdout].concat();
    Err(VenvError::NoVenv {
        detail: last_line(&said),
    })
}

fn install(python: &Path, requirements: &Path) -> Result<(), VenvError> {
    let output = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--no-input"])
        // The list names the dependencies too: nothing is resolved, so nothing changes over time.
        .args(["--no-deps", "--only-binary", ":all:"])
        .args(["--disable-pip-version-check", "--requirement"])
        .arg(requirements)
        .stdin(Stdio::null())
        .output()
        .map_err(VenvError::NoPython)?;
    if output.status.success() {
        return Ok(());
    }
    Err(VenvError::Install {
        requirements: requirements.to_owned(),
        detail: last_line(&output.stderr),
    })
}
