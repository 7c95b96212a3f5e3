//! Private keys encrypted under a passphrase, in the form that cosign writes and reads: PEM around JSON, scrypt and NaCl
//! secretbox around PKCS#8. [`open`] reads them, [`seal`] writes them.

mod error;
mod scrypt_parameters;
mod sealed;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use crypto_secretbox::aead::{Aead, KeyInit};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use der::pem::{LineEnding, decode_vec, encode_string};
use zeroize::Zeroizing;

use crate::json::{JsonFault, admit};
use crate::limits::{JSON_DEPTH, KEY_FILE_BYTES};

pub use error::KeyFileError;
use scrypt_parameters::ScryptParameters;
use sealed::{NONCE_BYTES, SALT_BYTES, Sealed};

/// PEM label that cosign writes now.
const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// PEM label of cosign before 2.0.
const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// A private key out of an encrypted file. Its bytes are erased when it is dropped.
pub struct PrivateKey {
    pkcs8: Zeroizing<Vec<u8>>,
    algorithm: Algorithm,
}

/// Algorithm of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256,
    /// Ed25519.
    Ed25519,
}

impl PrivateKey {
    /// The key as DER PKCS#8.
    #[must_use]
    pub fn pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PrivateKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Whether `pem` is labelled as an encrypted key, so that a passphrase is to be asked for.
#[must_use]
pub fn is_encrypted(pem: &str) -> bool {
    [LABEL, OLD_LABEL]
        .iter()
        .any(|label| pem.contains(&format!("-----BEGIN {label}-----")))
}

/// Decrypts a key file. Takes as much memory as the file asks for, up to 128 MiB, and some tenths of a second.
///
/// # Errors
/// When the file is no such key, asks for too much work, the passphrase is wrong, or the key is of another algorithm.
pub fn open(pem: &str, passphrase: &[u8]) -> Result<PrivateKey, KeyFileError> {
    if pem.len() > KEY_FILE_BYTES {
        return Err(KeyFileError::TooLarge {
            bytes: pem.len(),
            cap: KEY_FILE_BYTES,
        });
    }
    let (label, json) = decode_vec(pem.trim().as_bytes()).map_err(pem_error)?;
    if label != LABEL && label != OLD_LABEL {
        return Err(KeyFileError::Label {
            found: label.chars().take(128).collect(),
        });
    }
    let text = admit(&json, KEY_FILE_BYTES, JSON_DEPTH).map_err(|fault: JsonFault| KeyFileError::Json {
        source: Box::new(fault),
    })?;
    let sealed = Sealed::read(text)?;
    let key = sealed.scrypt.derive(passphrase, &sealed.salt)?;
    let plain = XSalsa20Poly1305::new(key.as_ref().into())
        .decrypt(Nonce::from_slice(&sealed.nonce), sealed.ciphertext.as_slice())
        .map_err(|_| KeyFileError::Passphrase)?;
    private_key(Zeroizing::new(plain))
}

/// Encrypts a private key (DER PKCS#8) under `passphrase`, which may be empty, as cosign 3 does.
///
/// # Errors
/// When the key is of another algorithm, or the system has no random bytes.
pub fn seal(pkcs8: &[u8], passphrase: &[u8]) -> Result<String, KeyFileError> {
    private_key(Zeroizing::new(pkcs8.to_vec()))?;
    let random = SystemRandom::new();
    let (mut salt, mut nonce) = ([0; SALT_BYTES], [0; NONCE_BYTES]);
    random
        .fill(&mut salt)
        .and_then(|()| random.fill(&mut nonce))
        .map_err(|_| KeyFileError::Random)?;
    let scrypt = ScryptParameters::STANDARD;
    let key = scrypt.derive(passphrase, &salt)?;
    let ciphertext = XSalsa20Poly1305::new(key.as_ref().into())
        .encrypt(Nonce::from_slice(&nonce), pkcs8)
        .map_err(|_| KeyFileError::Passphrase)?;
    let sealed = Sealed {
        scrypt,
        salt: salt.to_vec(),
        nonce,
        ciphertext,
    };
    encode_string(LABEL, LineEnding::LF, sealed.to_json().as_bytes()).map_err(pem_error)
}

fn pem_error(error: der::pem::Error) -> KeyFileError {
    KeyFileError::Pem {
        source: error.to_string().into(),
    }
}

fn private_key(pkcs8: Zeroizing<Vec<u8>>) -> Result<PrivateKey, KeyFileError> {
    let algorithm = if EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8).is_ok() {
        Algorithm::EcdsaP256
    } else if Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8).is_ok() {
        Algorithm::Ed25519
    } else {
        return Err(KeyFileError::Algorithm);
    };
    Ok(PrivateKey { pkcs8, algorithm })
}
