//! Public keys that signatures are checked with.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{KeyError, KeyKind, pem};
use crate::digest::Digest;

const LABEL: &str = "PUBLIC KEY";
/// DER of a `SubjectPublicKeyInfo` for P-256 up to the point: algorithm id-ecPublicKey with curve prime256v1 (RFC 5480).
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// An uncompressed point: the marker 4 and two coordinates.
const P256_POINT_LEN: usize = 65;
/// DER of a `SubjectPublicKeyInfo` for Ed25519 up to the key (RFC 8410).
const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const ED25519_KEY_LEN: usize = 32;

/// An ECDSA P-256 or Ed25519 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
}

impl PublicKey {
    /// Reads the PEM form (`BEGIN PUBLIC KEY`) that cosign and openssl write.
    ///
    /// # Errors
    /// When the text is not such a PEM block, or the key is of another kind.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(text)?;
        if label != LABEL {
            return Err(KeyError::Label { label, expected: LABEL });
        }
        Self::from_spki(der)
    }

    fn from_spki(spki: Vec<u8>) -> Result<Self, KeyError> {
        let after = |prefix: &[u8]| spki.strip_prefix(prefix).map(<[u8]>::len);
        let kind = if after(&P256_PREFIX) == Some(P256_POINT_LEN) {
            KeyKind::EcdsaP256
        } else if after(&ED25519_PREFIX) == Some(ED25519_KEY_LEN) {
            KeyKind::Ed25519
        } else {
            return Err(KeyError::Unsupported);
        };
        Ok(Self { kind, spki })
    }

    /// From what a key pair gives: an uncompressed point, or the 32 bytes of Ed25519.
    pub(super) fn from_raw(kind: KeyKind, raw: &[u8]) -> Result<Self, KeyError> {
        let prefix: &[u8] = match kind {
            KeyKind::EcdsaP256 => &P256_PREFIX,
            KeyKind::Ed25519 => &ED25519_PREFIX,
        };
        Self::from_spki([prefix, raw].concat())
    }

    /// The PEM form.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.spki)
    }

    /// What kind of key this is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Lowercase hex SHA-256 of the DER form: how verdicts and logs name the key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Digest::of(&self.spki).hex()
    }

    /// Base64 SHA-256 of the DER form: how cosign names the key in a bundle.
    #[must_use]
    pub fn hint(&self) -> String {
        STANDARD.encode(Digest::of(&self.spki).as_bytes())
    }

    /// Whether a bundle's key hint means this key: as cosign names it, by [`fingerprint`](Self::fingerprint), or by the hex
    /// SHA-256 of the PEM form, as OpenSSF model signing does.
    #[must_use]
    pub fn is_called(&self, hint: &str) -> bool {
        let pem = || Digest::of(self.to_pem().as_bytes()).hex();
        hint == self.hint() || hint == self.fingerprint() || hint == pem()
    }

    /// Whether `signature` over `message` was made with the private half. ECDSA signatures are DER over SHA-256.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let check = |key: Option<&[u8]>, ecdsa: bool| match (key, ecdsa) {
            (Some(key), true) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key)
                .verify(message, signature)
                .is_ok(),
            (Some(key), false) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok(),
            (None, _) => false,
        };
        match self.kind {
            KeyKind::EcdsaP256 => check(self.spki.strip_prefix(&P256_PREFIX), true),
            KeyKind::Ed25519 => check(self.spki.strip_prefix(&ED25519_PREFIX), false),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?} {})", self.kind, self.fingerprint())
    }
}
