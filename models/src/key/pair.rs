//! Private keys, kept in memory as their library keeps them; on disk as plain PKCS#8.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, Signature};
use dunlin_sigstore::key_file;

use super::{KeyError, KeyKind, PublicKey, pem};

const LABEL: &str = "PRIVATE KEY";

/// An ECDSA P-256 or Ed25519 key pair.
pub struct KeyPair {
    secret: Secret,
    pkcs8: Vec<u8>,
    public: PublicKey,
}

enum Secret {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// Makes a new key.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        // Ed25519 in version 1 of PKCS#8: openssl and Go read no other.
        let document = match kind {
            KeyKind::EcdsaP256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random),
            KeyKind::Ed25519 => Ed25519KeyPair::generate_pkcs8v1(&random),
        };
        Self::from_pkcs8(document.map_err(|_| KeyError::Generate)?.as_ref())
    }

    /// Whether `text` is a key that [`from_encrypted_pem`](Self::from_encrypted_pem) reads, so that a password is to be
    /// asked for.
    #[must_use]
    pub fn is_encrypted(text: &str) -> bool {
        key_file::is_encrypted(text)
    }

    /// Reads a key that cosign encrypted (`BEGIN ENCRYPTED SIGSTORE PRIVATE KEY`, or its older label). Takes some tenths of
    /// a second and up to 128 MiB: that is what protects the key.
    ///
    /// # Errors
    /// When the text is no such key, the password is wrong, or the key is of another kind.
    pub fn from_encrypted_pem(text: &str, password: &[u8]) -> Result<Self, KeyError> {
        let opened = key_file::open(text, password)?;
        Self::from_pkcs8(opened.pkcs8_der())
    }

    /// The key encrypted under `password`, which may be empty, in the form that cosign writes and reads.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn to_encrypted_pem(&self, password: &[u8]) -> Result<String, KeyError> {
        Ok(key_file::seal(&self.pkcs8, password)?)
    }

    /// Reads a plain PKCS#8 key (`BEGIN PRIVATE KEY`).
    ///
    /// # Errors
    /// When the text is not such a PEM block, is encrypted, or the key is of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        if label.starts_with("ENCRYPTED ") {
            return Err(KeyError::Encrypted { label });
        }
        if label != LABEL {
            return Err(KeyError::Label { label, expected: LABEL });
        }
        Self::from_pkcs8(&der)
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let (secret, public) = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der) {
            let public = PublicKey::from_raw(KeyKind::EcdsaP256, pair.public_key().as_ref())?;
            (Secret::Ecdsa(pair), public)
        } else {
            // "Maybe unchecked" is about a public half stored beside the private one, which openssl leaves out.
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Unsupported)?;
            let public = PublicKey::from_raw(KeyKind::Ed25519, pair.public_key().as_ref())?;
            (Secret::Ed25519(pair), public)
        };
        Ok(Self {
            secret,
            pkcs8: der.to_owned(),
            public,
        })
    }

    /// The plain PKCS#8 form. It is the secret itself: write it to a file that only its owner reads.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.pkcs8)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`: DER over SHA-256 for ECDSA, the 64 raw bytes for Ed25519.
    ///
    /// # Errors
    /// When the library or its random number generator fails.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: Result<Signature, _> = match &self.secret {
            Secret::Ecdsa(pair) => pair.sign(&SystemRandom::new(), message),
            Secret::Ed25519(pair) => pair.try_sign(message),
        };
        Ok(signature.map_err(|_| KeyError::Sign)?.as_ref().to_owned())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({:?})", self.public)
    }
}
