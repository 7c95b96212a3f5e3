//! The JSON inside the PEM: which key derivation, which cipher, and their bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::KeyFileError;
use super::scrypt_parameters::ScryptParameters;

pub(super) const SALT_BYTES: usize = 32;
pub(super) const NONCE_BYTES: usize = 24;
const KDF: &str = "scrypt";
const CIPHER: &str = "nacl/secretbox";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: ScryptParameters,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    nonce: String,
}

/// An encrypted key, decoded.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) scrypt: ScryptParameters,
    pub(super) salt: Vec<u8>,
    pub(super) nonce: [u8; NONCE_BYTES],
    pub(super) ciphertext: Vec<u8>,
}

impl Sealed {
    pub(super) fn read(text: &str) -> Result<Self, KeyFileError> {
        let document: Document = serde_json::from_str(text).map_err(|error| KeyFileError::Json {
            source: Box::new(error),
        })?;
        let method = |found: &str, known: &'static str| {
            if found == known {
                Ok(())
            } else {
                Err(KeyFileError::Method {
                    found: found.chars().take(64).collect(),
                    known,
                })
            }
        };
        method(&document.kdf.name, KDF)?;
        method(&document.cipher.name, CIPHER)?;
        let decode = |text: &str, field| STANDARD.decode(text).map_err(|_| KeyFileError::Field { field });
        let nonce = decode(&document.cipher.nonce, "nonce")?;
        Ok(Self {
            scrypt: document.kdf.params,
            salt: decode(&document.kdf.salt, "salt")?,
            nonce: nonce.try_into().map_err(|_| KeyFileError::Field { field: "nonce" })?,
            ciphertext: decode(&document.ciphertext, "ciphertext")?,
        })
    }

    pub(super) fn to_json(&self) -> String {
        let document = Document {
            kdf: Kdf {
                name: KDF.to_owned(),
                params: self.scrypt,
                salt: STANDARD.encode(&self.salt),
            },
            cipher: Cipher {
                name: CIPHER.to_owned(),
                nonce: STANDARD.encode(self.nonce),
            },
            ciphertext: STANDARD.encode(&self.ciphertext),
        };
        // Strings and numbers alone: there is nothing in it that JSON cannot say.
        serde_json::to_string(&document).unwrap_or_default()
    }
}
