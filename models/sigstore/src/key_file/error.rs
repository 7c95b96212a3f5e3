//! Why a key file cannot be opened or written: [`KeyFileError`].

/// A key file that cannot be used. No variant holds a byte of the key or the passphrase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It is larger than any key.
    #[error("the key file has {bytes} bytes, more than the {cap} allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        cap: usize,
    },
    /// It is not PEM.
    #[error("the key file is not PEM")]
    Pem {
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is PEM of something else.
    #[error("the key file holds a {found:?}, not an encrypted private key")]
    Label {
        /// Its label.
        found: String,
    },
    /// The document inside cannot be read.
    #[error("cannot read the document inside the key file")]
    Json {
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It uses another key derivation or cipher.
    #[error("the key file uses {found:?}, not {known}")]
    Method {
        /// What it uses.
        found: String,
        /// What is read.
        known: &'static str,
    },
    /// One of its fields is not base64 or has another length.
    #[error("the {field} of the key file is not valid base64 of the right length")]
    Field {
        /// Which.
        field: &'static str,
    },
    /// It asks for more or for less work than any honest file.
    #[error("the key file asks for scrypt with N={n}, r={r}, p={p}, which is refused")]
    Work {
        /// Cost.
        n: u64,
        /// Block size.
        r: u32,
        /// Parallelism.
        p: u32,
    },
    /// The passphrase is wrong, or the file was changed: the two cannot be told apart.
    #[error("the passphrase is wrong, or the key file is damaged")]
    Passphrase,
    /// The key is not of an algorithm that is used here.
    #[error("the private key is neither ECDSA P-256 nor Ed25519 in PKCS#8")]
    Algorithm,
    /// The system has no random bytes.
    #[error("the system has no random bytes")]
    Random,
}

impl KeyFileError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Label { .. } | Self::Pem { .. } => {
                Some("give a key made by `dunlin generate-key-pair` or `cosign generate-key-pair`".to_owned())
            }
            Self::Algorithm => Some("make a new key pair: RSA and other curves are not signed with".to_owned()),
            Self::Work { .. } => Some("write the key anew: cosign's own parameters are N=65536, r=8, p=1".to_owned()),
            _ => None,
        }
    }
}
