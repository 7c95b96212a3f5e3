//! SHA-256 of files and of lists of parts, as lower-case hex.

use std::{io::Read as _, path::Path};

use fs_err as fs;
use sha2::{Digest as _, Sha256};

/// SHA-256 of a file's content, read in pieces.
pub(crate) fn file(path: &Path) -> std::io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&piece[..read]);
    }
}

/// SHA-256 over parts of any length; where one part ends and the next begins matters.
#[derive(Debug, Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    /// Adds one part.
    pub(crate) fn add(&mut self, part: impl AsRef<[u8]>) {
        let part = part.as_ref();
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// The digest of all parts.
    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn file_digest_is_the_published_one_of_abc() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, b"abc").unwrap();
        assert_eq!(
            file(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_border_between_parts_counts() {
        let digest = |parts: &[&str]| {
            let mut hash = Parts::default();
            parts.iter().for_each(|part| hash.add(part));
            hash.finish()
        };
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["abc"]), digest(&["abc", ""]));
    }
}
