//! From what the user said (a policy file, a key, nothing) to the [`Verifier`] of this process. Nothing said means: deny.

use std::path::{Path, PathBuf};

use dunlin_models::{
    Verifier,
    verify::{PolicyError, TrustPolicy},
};
use fs_err as fs;
use serde_json::json;
use thiserror::Error;
use tracing::debug;

use crate::environment::PolicyLocation;

/// A policy or key file larger than this is none.
const MAX_FILE: u64 = 1 << 20;

/// Whom the user said to trust.
#[derive(Debug, Clone, Default)]
pub struct TrustOptions {
    /// A policy file named for this call.
    pub policy: Option<PathBuf>,
    /// A public key to trust instead of a policy.
    pub key: Option<PathBuf>,
}

/// Why there is no verifier.
#[derive(Debug, Error)]
pub enum TrustError {
    /// A named file is not there, or cannot be read.
    #[error("cannot read the {what}")]
    Read {
        /// `trust policy` or `public key`.
        what: &'static str,
        /// The file system's answer, naming the path.
        #[source]
        source: std::io::Error,
    },
    /// A named file is too large to be what it should be.
    #[error("the {what} {} has {size} bytes; at most {MAX_FILE} are read", path.display())]
    TooLarge {
        /// `trust policy` or `public key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// The policy says something that is not understood; nothing is admitted on a guess.
    #[error("the trust policy {} is not valid", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// All its faults.
        #[source]
        source: PolicyError,
    },
}

impl TrustError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { what, .. } => Some(format!("name an existing {what} file")),
            Self::TooLarge { .. } => Some("check that this is the file you meant".to_owned()),
            Self::Policy { source, .. } => source.hint(),
        }
    }
}

/// Builds the verifier: `--key` first, then `--policy`, then the environment's policy location.
///
/// # Errors
/// A named file is missing, unreadable or not valid. A missing default policy is no error: nothing is trusted then.
pub fn verifier(options: &TrustOptions, location: &PolicyLocation) -> Result<Verifier, TrustError> {
    if let Some(key) = &options.key {
        return of_key(key);
    }
    match (&options.policy, location) {
        (Some(path), _) | (None, PolicyLocation::Named(path)) => of_policy(path),
        (None, PolicyLocation::Default(places)) => match places.iter().find(|path| path.exists()) {
            Some(path) => of_policy(path),
            None => Ok(Verifier::deny_all()),
        },
    }
}

fn of_policy(path: &Path) -> Result<Verifier, TrustError> {
    let text = read("trust policy", path)?;
    let base = path.parent().unwrap_or(Path::new("."));
    let policy = TrustPolicy::parse(&text, base).map_err(|source| TrustError::Policy {
        path: path.to_owned(),
        source,
    })?;
    debug!(policy = %path.display(), "trust policy");
    Ok(Verifier::new(policy))
}

/// A policy of one rule: everything must be signed by this key.
fn of_key(path: &Path) -> Result<Verifier, TrustError> {
    let pem = read("public key", path)?;
    // YAML contains JSON, so the one parser of policies serves here too.
    let policy = json!({
        "apiVersion": "dunlin.dev/v1alpha1",
        "kind": "TrustPolicy",
        "metadata": { "name": "command-line" },
        "spec": {
            "mode": "enforce",
            "rules": [{
                "name": "--key",
                "match": ["**"],
                "require": { "any": [{ "key": { "inline": { "pem": pem } } }] },
            }],
        },
    });
    let policy = TrustPolicy::parse(&policy.to_string(), Path::new(".")).map_err(|source| TrustError::Policy {
        path: path.to_owned(),
        source,
    })?;
    Ok(Verifier::new(policy))
}

fn read(what: &'static str, path: &Path) -> Result<String, TrustError> {
    let of = |source| TrustError::Read { what, source };
    let size = fs::metadata(path).map_err(of)?.len();
    if size > MAX_FILE {
        return Err(TrustError::TooLarge {
            what,
            path: path.to_owned(),
            size,
        });
    }
    fs::read_to_string(path).map_err(of)
}
