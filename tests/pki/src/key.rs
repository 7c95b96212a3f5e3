//! Key pairs of the test authorities: ECDSA P-256 for everything, Ed25519 for logs that want it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use der::pem::{LineEnding, encode_string};

/// A key pair that signs; see [`Key::p256`] and [`Key::ed25519`].
#[derive(Debug)]
pub enum Key {
    /// ECDSA P-256, signatures in DER.
    P256(EcdsaKeyPair),
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// A fresh ECDSA P-256 key.
    #[must_use]
    pub fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a P-256 key"))
    }

    /// A fresh Ed25519 key.
    #[must_use]
    pub fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key"))
    }

    /// A signature over `message` (SHA-256 first with P-256).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => key
                .sign(&SystemRandom::new(), message)
                .expect("a signature")
                .as_ref()
                .to_vec(),
            Self::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn spki(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.public_key().as_der().expect("a public key").as_ref().to_vec(),
            Self::Ed25519(key) => key.public_key().as_der().expect("a public key").as_ref().to_vec(),
        }
    }

    /// The public key as PEM.
    #[must_use]
    pub fn public_pem(&self) -> String {
        encode_string("PUBLIC KEY", LineEnding::LF, &self.spki()).expect("PEM")
    }

    /// The private key as DER PKCS#8.
    #[must_use]
    pub fn pkcs8(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.to_pkcs8v1().expect("PKCS#8").as_ref().to_vec(),
            Self::Ed25519(key) => key.to_pkcs8v1().expect("PKCS#8").as_ref().to_vec(),
        }
    }

    /// The bits of the public key alone: a point, or 32 bytes.
    #[must_use]
    pub fn raw_public(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.public_key().as_ref().to_vec(),
            Self::Ed25519(key) => key.public_key().as_ref().to_vec(),
        }
    }

    /// The name that trusted roots and bundles give the algorithm.
    pub(crate) fn details(&self) -> &'static str {
        match self {
            Self::P256(_) => "PKIX_ECDSA_P256_SHA_256",
            Self::Ed25519(_) => "PKIX_ED25519",
        }
    }
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("32 bytes")
}
