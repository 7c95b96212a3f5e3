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
    /// Whom to trust instead of what a policy says.
    pub signer: Option<SignerOption>,
    /// With a signer: the predicate type of the attestation that there must be, instead of a signature.
    pub attestation: Option<String>,
}

/// One signer, named on the command line.
#[derive(Debug, Clone)]
pub enum SignerOption {
    /// The holder of a key.
    Key(PathBuf),
    /// The owner of an identity.
    Keyless {
        /// The identity, which may hold `*`.
        identity: String,
        /// Who vouches for it, which may hold `*`.
        issuer: String,
        /// The instance's `trusted_root.json`.
        trusted_root: PathBuf,
        /// Whether certificates must be logged.
        sct: bool,
    },
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
    /// An attestation by nobody in particular.
    #[error("an attestation needs a signer")]
    NoSigner,
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
            Self::NoSigner => Some("name one: --key, or --certificate-identity".to_owned()),
            Self::TooLarge { .. } => Some("check that this is the file you meant".to_owned()),
            Self::Policy { source, .. } => source.hint(),
        }
    }
}

/// Builds the verifier: a signer named on the command line first, then `--policy`, then the environment's policy location.
///
/// # Errors
/// A named file is missing, unreadable or not valid. A missing default policy is no error: nothing is trusted then.
pub fn verifier(options: &TrustOptions, location: &PolicyLocation) -> Result<Verifier, TrustError> {
    if let Some(signer) = &options.signer {
        return of_signer(signer, options.attestation.as_deref());
    }
    if options.attestation.is_some() {
        return Err(TrustError::NoSigner);
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

/// A policy of one rule: everything must be signed by this signer, or have an attestation of theirs.
fn of_signer(signer: &SignerOption, attestation: Option<&str>) -> Result<Verifier, TrustError> {
    let (name, path, by, roots) = match signer {
        SignerOption::Key(path) => {
            let pem = read("public key", path)?;
            (
                "--key",
                path,
                json!({ "key": { "inline": { "pem": pem } } }),
                json!(null),
            )
        }
        SignerOption::Keyless {
            identity,
            issuer,
            trusted_root,
            sct,
        } => {
            let keyless = json!({
                "identity": identity,
                "issuer": issuer,
                "trustRoot": "command-line",
                "sct": if *sct { "required" } else { "skipped" },
            });
            let root = fs::canonicalize(trusted_root).map_err(|source| TrustError::Read {
                what: "trusted root",
                source,
            })?;
            (
                "--certificate-identity",
                trusted_root,
                json!({ "keyless": keyless }),
                json!([{ "name": "command-line", "file": root }]),
            )
        }
    };
    let require = match attestation {
        Some(kind) => json!({ "attestation": { "predicateType": kind, "by": by } }),
        None => json!({ "any": [by] }),
    };
    let mut spec = json!({
        "mode": "enforce",
        "rules": [{ "name": name, "match": ["**"], "require": require }],
    });
    if let (Some(spec), false) = (spec.as_object_mut(), roots.is_null()) {
        spec.insert("trustRoots".to_owned(), roots);
    }
    // YAML contains JSON, so the one parser of policies serves here too.
    let policy = json!({
        "apiVersion": "dunlin.dev/v1alpha1",
        "kind": "TrustPolicy",
        "metadata": { "name": "command-line" },
        "spec": spec,
    });
    let policy = TrustPolicy::parse(&policy.to_string(), Path::new(".")).map_err(|source| TrustError::Policy {
        path: path.clone(),
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
