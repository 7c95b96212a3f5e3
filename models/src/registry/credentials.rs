//! Passwords and tokens for registries: given, or from docker's config file and its credential helpers.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential};

/// Largest docker config that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// The name under which docker keeps credentials of its own registry.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where credentials come from.
#[derive(Debug, Clone, Default)]
pub enum CredentialSource {
    /// Nowhere.
    #[default]
    Anonymous,
    /// A docker config file, and the `docker-credential-*` helpers that it names.
    DockerConfig(PathBuf),
    /// This map, by registry as written in references.
    Explicit(BTreeMap<String, Credential>),
}

/// What proves an identity to a registry. `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// User name and password.
    Password {
        /// User name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// An OAuth2 refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => write!(f, "Password({username:?}, ...)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(...)"),
        }
    }
}

impl CredentialSource {
    /// What there is for `registry`. May run a helper program, so it blocks.
    pub(super) fn find(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        match self {
            Self::Anonymous => Ok(None),
            Self::Explicit(known) => Ok(known.get(registry).cloned()),
            Self::DockerConfig(path) => {
                let file = match fs_err::File::open(path) {
                    Ok(file) => file.take(MAX_CONFIG_BYTES),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(source) => return Err(CredentialError::Open(source)),
                };
                let key = if registry == "docker.io" {
                    DOCKER_HUB_KEY
                } else {
                    registry
                };
                match docker_credential::get_credential_from_reader(file, key) {
                    Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credential::IdentityToken(token))),
                    Ok(DockerCredential::UsernamePassword(username, password)) => {
                        Ok(Some(Credential::Password { username, password }))
                    }
                    Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
                    // The helper's output may hold a secret, so that only the kind of failure is passed on.
                    Err(CredentialRetrievalError::HelperFailure { helper, .. }) => {
                        Err(CredentialError::Helper { helper })
                    }
                    Err(error) => Err(CredentialError::Config {
                        path: path.clone(),
                        reason: error.to_string(),
                    }),
                }
            }
        }
    }
}

/// Credentials that should be there but cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The config file cannot be opened.
    #[error("cannot open the docker config")]
    Open(#[source] std::io::Error),
    /// The config file, or what it refers to, cannot be used.
    #[error("cannot take credentials from {path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A helper program failed.
    #[error("the credential helper {helper} failed")]
    Helper {
        /// Its program name.
        helper: String,
    },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_a_docker_config_and_shows_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        // user:secret
        let text = r#"{"auths":{"registry.example":{"auth":"dXNlcjpzZWNyZXQ="},"broken.example":{"auth":"*"}}}"#;
        fs_err::write(&path, text).unwrap();
        let source = CredentialSource::DockerConfig(path);
        let found = source.find("registry.example").unwrap().unwrap();
        let expected = Credential::Password {
            username: "user".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(found, expected);
        assert!(!format!("{found:?}").contains("secret"));
        assert_eq!(source.find("other.example").unwrap(), None);
        assert!(matches!(
            source.find("broken.example"),
            Err(CredentialError::Config { .. })
        ));
        let missing = CredentialSource::DockerConfig(folder.path().join("none"));
        assert_eq!(missing.find("registry.example").unwrap(), None);
    }
}
