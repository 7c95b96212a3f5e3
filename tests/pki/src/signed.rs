//! A signature that was made: the bundle, the root to check it by, and what it is about.

use serde_json::Value;

/// A bundle and everything that is needed to verify it.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The bundle; may be changed before it is written.
    pub bundle: Value,
    /// `trusted_root.json`.
    pub root: Value,
    /// What is signed.
    pub artifact: Vec<u8>,
    /// SHA-256 of the artifact.
    pub subject: [u8; 32],
    /// The signer's public key.
    pub public_pem: String,
    /// The signer's certificate in DER, also where the bundle names a key.
    pub certificate: Vec<u8>,
}

impl Signed {
    /// The bundle's bytes.
    #[must_use]
    pub fn bundle_json(&self) -> Vec<u8> {
        self.bundle.to_string().into_bytes()
    }

    /// The root's bytes.
    #[must_use]
    pub fn root_json(&self) -> Vec<u8> {
        self.root.to_string().into_bytes()
    }
}
