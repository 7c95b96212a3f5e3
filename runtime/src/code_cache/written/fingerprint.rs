//! The fingerprint of an engine: a digest over all that decides whether compiled code fits it. Wasmtime's own
//! compatibility hash covers its version, the target, CPU features and every setting; nothing is added by hand.

use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};

/// Changes with the layout of the cache folder itself.
const FORMAT: &[u8] = b"dunlin code cache 1";
/// 128 bits: engines are told apart, not authenticated.
const FINGERPRINT_BYTES: usize = 16;

struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Not used: the whole digest is taken instead.
    fn finish(&self) -> u64 {
        0
    }
}

/// Lower-case hex, usable as a file name.
pub(super) fn of(engine: &wasmtime::Engine) -> String {
    let mut hasher = Sha256Hasher(Sha256::new_with_prefix(FORMAT));
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let digest = hasher.0.finalize();
    hex::encode(digest.get(..FINGERPRINT_BYTES).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use wasmtime::{Config, Engine};

    use super::*;

    #[test]
    fn equal_settings_agree_and_others_do_not() {
        let plain = of(&Engine::new(&Config::new()).unwrap());
        assert_eq!(plain, of(&Engine::new(&Config::new()).unwrap()));
        assert_eq!(plain.len(), 32);
        let epochs = of(&Engine::new(Config::new().epoch_interruption(true)).unwrap());
        assert_ne!(plain, epochs);
    }
}
