//! Passwords and tokens for registries: given, or from docker's config file and its credential helpers.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

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
    /// The text of such a file: the `.dockerconfigjson` of a Kubernetes pull secret, or its older `.dockercfg`.
    DockerConfigJson(PullSecret),
    /// This map, by registry as written in references.
    Explicit(BTreeMap<String, Credential>),
    /// The first of these that has something.
    FirstOf(Vec<CredentialSource>),
}

/// The content of a pull secret. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PullSecret(String);

impl PullSecret {
    /// The decoded value of `.dockerconfigjson` or `.dockercfg`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PullSecret(...)")
    }
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
            Self::FirstOf(sources) => {
                let mut found = sources.iter().map(|source| source.find(registry));
                found.find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None))
            }
            Self::DockerConfigJson(PullSecret(text)) => {
                let wrapped = format!("{{\"auths\":{text}}}");
                let is_old =
                    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok_and(|config| {
                        !["auths", "credsStore", "credHelpers"]
                            .iter()
                            .any(|key| config.contains_key(*key))
                    });
                let text = if is_old { &wrapped } else { text };
                read(text.as_bytes(), registry, Path::new("the pull secret"))
            }
            Self::DockerConfig(path) => match fs_err::File::open(path) {
                Ok(file) => read(file.take(MAX_CONFIG_BYTES), registry, path),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(source) => Err(CredentialError::Open(source)),
            },
        }
    }
}

fn read(config: impl std::io::Read, registry: &str, path: &Path) -> Result<Option<Credential>, CredentialError> {
    let key = if registry == "docker.io" {
        DOCKER_HUB_KEY
    } else {
        registry
    };
    match docker_credential::get_credential_from_reader(config, key) {
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Credential::IdentityToken(token))),
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(Credential::Password { username, password }))
        }
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        // The helper's output may hold a secret, so that only the kind of failure is passed on.
        Err(CredentialRetrievalError::HelperFailure { helper, stdout, .. }) => {
            // A helper that has nothing for this registry says so by this text and a failure (docker-credential-helpers).
            let has_none = stdout.trim() == "credentials not found in native keychain";
            has_none.then_some(None).ok_or(CredentialError::Helper { helper })
        }
        Err(error) => Err(CredentialError::Config {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
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
        let secret = |text: &str| CredentialSource::DockerConfigJson(PullSecret::new(text));
        for text in [
            r#"{"auths":{"registry.example":{"auth":"dXNlcjpzZWNyZXQ="}}}"#,
            r#"{"registry.example":{"username":"user","password":"secret","email":"x"}}"#,
        ] {
            assert_eq!(secret(text).find("registry.example").unwrap().unwrap(), expected);
            assert_eq!(secret(text).find("other.example").unwrap(), None);
            assert!(!format!("{:?}", secret(text)).contains("secret\""));
        }
        let token = secret(r#"{"auths":{"registry.example":{"auth":"dXNlcjo=","identitytoken":"t"}}}"#);
        let token = CredentialSource::FirstOf(vec![CredentialSource::Anonymous, token]);
        assert_eq!(
            token.find("registry.example").unwrap(),
            Some(Credential::IdentityToken("t".to_owned()))
        );
        assert!(matches!(secret("[]").find("a"), Err(CredentialError::Config { .. })));
        let missing = CredentialSource::DockerConfig(folder.path().join("none"));
        assert_eq!(missing.find("registry.example").unwrap(), None);
    }
}
