//! How hard a passphrase is to guess: scrypt's N, r and p, and what a hostile file may ask for at most.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyFileError;

/// Bytes of the derived key.
const KEY_BYTES: usize = 32;
/// Most that any strength of cosign asks for; 128 MiB with r = 8.
const MAX_N: u64 = 1 << 17;
/// Least that any strength of cosign writes; anything below is a key as good as unprotected.
const MIN_N: u64 = 1 << 14;

/// Parameters of scrypt as the file has them. N is the cost itself, not its logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScryptParameters {
    #[serde(rename = "N")]
    pub(super) n: u64,
    pub(super) r: u32,
    pub(super) p: u32,
}

impl ScryptParameters {
    /// What cosign 3 writes.
    pub(super) const STANDARD: Self = Self { n: 1 << 16, r: 8, p: 1 };

    /// The key for `passphrase`. The parameters are checked before any memory is taken.
    pub(super) fn derive(&self, passphrase: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyFileError> {
        let Self { n, r, p } = *self;
        let refused = KeyFileError::Work { n, r, p };
        if !n.is_power_of_two() || !(MIN_N..=MAX_N).contains(&n) || r != 8 || !(1..=2).contains(&p) {
            return Err(refused);
        }
        let Ok(log_n) = u8::try_from(n.trailing_zeros()) else {
            return Err(refused);
        };
        let parameters = scrypt::Params::new(log_n, r, p, KEY_BYTES).map_err(|_| KeyFileError::Work { n, r, p })?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        scrypt::scrypt(passphrase, salt, &parameters, key.as_mut()).map_err(|_| refused)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_work_is_refused() {
        for (n, r, p) in [
            (1 << 30, 8, 1),
            (u64::MAX, 8, 1),
            (1 << 16, 1 << 20, 1),
            (1 << 16, 8, 1 << 20),
            (65_537, 8, 1),
            (0, 8, 1),
            (2, 8, 1),
            (1 << 16, 0, 1),
            (1 << 16, 8, 0),
        ] {
            let verdict = ScryptParameters { n, r, p }.derive(b"", b"salt");
            assert!(matches!(verdict, Err(KeyFileError::Work { .. })), "{n} {r} {p}");
        }
    }
}
