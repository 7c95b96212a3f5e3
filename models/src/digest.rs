//! SHA-256 content digests in their OCI spelling, `sha256:<64 lowercase hex digits>`.
//!
//! Other algorithms are refused by name: two digests of one content would be two identities in the store.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const ALGORITHM: &str = "sha256";

/// The identity of a blob: the SHA-256 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The 64 lowercase hex digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The tag under which registries without a referrers API list what refers to this digest: `sha256-<hex>`
    /// (distribution-spec, "Referrers Tag Schema").
    #[must_use]
    pub fn referrers_tag(&self) -> String {
        format!("{ALGORITHM}-{}", self.hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<[u8; 32]> for Digest {
    /// A SHA-256 that was computed or read elsewhere.
    fn from(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let shown = || text.chars().take(96).collect();
        let (algorithm, digits) = text
            .split_once(':')
            .ok_or_else(|| DigestError::Form { text: shown() })?;
        if algorithm != ALGORITHM {
            return Err(DigestError::Algorithm { text: shown() });
        }
        let lowercase = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        if !lowercase || hex::decode_to_slice(digits, &mut bytes).is_err() {
            return Err(DigestError::Form { text: shown() });
        }
        Ok(Self(bytes))
    }
}

/// A text that is not a digest this crate works with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// Not `sha256:` and 64 lowercase hex digits.
    #[error("digest {text:?} is not \"sha256:\" followed by 64 lowercase hex digits")]
    Form {
        /// The text, cut to 96 characters.
        text: String,
    },
    /// A digest of another algorithm.
    #[error("digest {text:?} does not use sha256, the one supported algorithm")]
    Algorithm {
        /// The text, cut to 96 characters.
        text: String,
    },
}

/// A SHA-256 computation over bytes that arrive in pieces.
#[derive(Clone)]
pub(crate) struct Hasher(aws_lc_rs::digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256))
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        let mut digest = [0; 32];
        // SHA-256 always has as many bytes as this array.
        digest.copy_from_slice(self.0.finish().as_ref());
        Digest(digest)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_answer_and_round_trip() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
        let mut pieces = Hasher::default();
        pieces.update(b"ab");
        pieces.update(b"c");
        assert_eq!(pieces.finish(), Digest::of(b"abc"));
    }

    #[test]
    fn refuses_other_spellings() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        for text in [
            "",
            "sha256:",
            "sha256:00",
            upper.as_str(),
            &EMPTY[7..],
            &format!("{EMPTY}0"),
            &EMPTY[..70],
        ] {
            assert!(
                matches!(text.parse::<Digest>(), Err(DigestError::Form { .. })),
                "{text}"
            );
        }
        let other = format!("sha512:{}", "0".repeat(128));
        assert!(matches!(other.parse::<Digest>(), Err(DigestError::Algorithm { .. })));
    }
}
