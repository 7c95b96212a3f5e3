//! Signing keys: ECDSA P-256 and Ed25519, in the PEM forms that cosign and openssl exchange.
//!
//! Private keys never appear in `Debug` output or errors.

use dunlin_sigstore::key_file::KeyFileError;

mod pair;
mod pem;
mod public;

pub use pair::KeyPair;
pub use public::PublicKey;

/// The kinds of keys that sign and verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// ECDSA on curve P-256 with SHA-256: what cosign generates.
    EcdsaP256,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// A key that cannot be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not PEM, or more than a key can have.
    #[error("key is not a PEM block")]
    NotPem,
    /// A PEM block of something else.
    #[error("key is a PEM block of {label:?}, expected {expected:?}")]
    Label {
        /// What the block says it is.
        label: String,
        /// What was needed.
        expected: &'static str,
    },
    /// A key that needs a password.
    #[error("key is encrypted ({label:?})")]
    Encrypted {
        /// What the block says it is.
        label: String,
    },
    /// Another algorithm or encoding.
    #[error("key is neither ECDSA P-256 nor Ed25519")]
    Unsupported,
    /// The password is wrong, or the file was changed: the two cannot be told apart.
    #[error("the password is wrong, or the key file is damaged")]
    Password,
    /// An encrypted key file that cannot be read or written.
    #[error("encrypted key file: {reason}")]
    KeyFile {
        /// Why not.
        reason: String,
    },
    /// No random numbers.
    #[error("key generation failed")]
    Generate,
    /// The library refused to sign.
    #[error("signing failed")]
    Sign,
}

impl KeyError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Encrypted { .. } => Some("give its password".to_owned()),
            Self::Password => Some("try another password".to_owned()),
            Self::KeyFile { .. } => Some("encrypted keys are read as cosign writes them".to_owned()),
            Self::Label { label, .. } if label.starts_with("EC ") => {
                Some("convert it with `openssl pkcs8 -topk8 -nocrypt`".to_owned())
            }
            Self::NotPem | Self::Label { .. } | Self::Unsupported => {
                Some("give an ECDSA P-256 or Ed25519 key in PEM, as cosign and openssl write it".to_owned())
            }
            Self::Generate | Self::Sign => None,
        }
    }
}

impl From<KeyFileError> for KeyError {
    fn from(error: KeyFileError) -> Self {
        match error {
            KeyFileError::Passphrase => Self::Password,
            KeyFileError::Algorithm => Self::Unsupported,
            KeyFileError::Random => Self::Generate,
            error => Self::KeyFile {
                reason: error.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn keys_survive_pem_and_verify_their_own_signatures_only() {
        for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
            let pair = KeyPair::generate(kind).unwrap();
            let again = KeyPair::from_pem(&pair.to_pem()).unwrap();
            assert_eq!(again.public(), pair.public());
            let public = PublicKey::from_pem(&pair.public().to_pem()).unwrap();
            assert_eq!(public.kind(), kind);
            let mut signature = again.sign(b"message").unwrap();
            assert!(public.verifies(b"message", &signature));
            assert!(!public.verifies(b"massage", &signature));
            assert!(
                !KeyPair::generate(kind)
                    .unwrap()
                    .public()
                    .verifies(b"message", &signature)
            );
            *signature.last_mut().unwrap() ^= 1;
            assert!(!public.verifies(b"message", &signature));
            assert!(!public.verifies(b"message", b""));
            assert!(!format!("{pair:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn refuses_what_is_no_usable_key() {
        let pair = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
        let public = pair.public().to_pem();
        assert_eq!(PublicKey::from_pem("").unwrap_err(), KeyError::NotPem);
        assert_eq!(PublicKey::from_pem(&"-".repeat(20_000)).unwrap_err(), KeyError::NotPem);
        assert!(matches!(
            PublicKey::from_pem(&pair.to_pem()),
            Err(KeyError::Label { .. })
        ));
        assert!(matches!(KeyPair::from_pem(&public), Err(KeyError::Label { .. })));
        let cosign = pair.to_pem().replace("PRIVATE", "ENCRYPTED SIGSTORE PRIVATE");
        let error = KeyPair::from_pem(&cosign).unwrap_err();
        assert!(matches!(error, KeyError::Encrypted { .. }) && error.hint().is_some());
        // The fourth character changes the outer DER length.
        let broken = public.replacen("MFk", "MFj", 1);
        assert_eq!(PublicKey::from_pem(&broken).unwrap_err(), KeyError::Unsupported);
        assert_eq!(
            PublicKey::from_pem(&public.replacen("MFk", "M!k", 1)).unwrap_err(),
            KeyError::NotPem
        );
    }
}
