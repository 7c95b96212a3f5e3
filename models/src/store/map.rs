//! Read-only memory maps of committed blobs: the one place of this crate that needs `unsafe`.
#![allow(unsafe_code, reason = "mapping a file is unsafe because others could truncate it")]

use std::io;

/// The bytes of a file, mapped; empty files are not mapped at all.
#[derive(Debug)]
pub(super) struct Map(Option<memmap2::Mmap>);

impl Map {
    /// Maps the first `len` bytes of `file`, a regular file.
    ///
    /// # Errors
    /// When the kernel refuses, or `len` exceeds the address space.
    pub(super) fn new(file: &fs_err::File, len: u64) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self(None));
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if file.metadata()?.len() < u64::try_from(len).unwrap_or(u64::MAX) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut options = memmap2::MmapOptions::new();
        options.len(len);
        // SAFETY: the file is a committed blob. Blobs get their name by a rename after the last byte, have mode 0444, and
        // are replaced or unlinked but never written or truncated in place, so the mapped inode keeps its bytes; of layouts
        // that others maintain, `Store::open_blob` demands the same. `len` does not exceed the file's size, as checked above. The map is private and read-only, so nothing is written through it.
        let map = unsafe { options.map_copy_read_only(file.file()) }?;
        Ok(Self(Some(map)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::io::Write as _;

    use super::*;

    #[test]
    fn maps_what_is_there_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        fs_err::File::create(&path).unwrap().write_all(b"bytes").unwrap();
        let file = fs_err::File::open(&path).unwrap();
        assert_eq!(Map::new(&file, 5).unwrap().bytes(), b"bytes");
        assert_eq!(Map::new(&file, 0).unwrap().bytes(), b"");
        assert_eq!(Map::new(&file, 6).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
