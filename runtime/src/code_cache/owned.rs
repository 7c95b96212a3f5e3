//! Files that this user alone may write to. Whoever can write one of them runs machine code in this process.

use std::{
    io::{Error, ErrorKind},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

/// Write permission of group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const ROOT: u32 = 0;

/// Opens a file of ours, or of root, for reading. `Ok(None)` when there is none; an error when it is a link or others may
/// write to it.
pub(super) fn open(path: &Path) -> std::io::Result<Option<fs_err::File>> {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let file = match fs_err::OpenOptions::new().read(true).custom_flags(no_follow).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if !meta.is_file() || !(is_private(&meta) || is_private_of(&meta, ROOT)) {
        return Err(Error::new(
            ErrorKind::PermissionDenied,
            format!(
                "not a file of ours alone: owner {}, mode {:o}",
                meta.uid(),
                meta.permissions().mode()
            ),
        ));
    }
    Ok(Some(file))
}

/// Whether this user owns it and nobody else may write to it.
pub(super) fn is_private(meta: &std::fs::Metadata) -> bool {
    is_private_of(meta, rustix::process::geteuid().as_raw())
}

fn is_private_of(meta: &std::fs::Metadata, owner: u32) -> bool {
    meta.uid() == owner && meta.permissions().mode() & WRITABLE_BY_OTHERS == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs::Permissions;

    use super::*;

    #[test]
    fn links_and_files_that_others_may_write_to_are_not_opened() {
        let temp = tempfile::tempdir().unwrap();
        let (file, link) = (temp.path().join("file"), temp.path().join("link"));
        fs_err::write(&file, b"x").unwrap();
        fs_err::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        assert!(open(&file).unwrap().is_some());
        fs_err::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(open(&link).is_err());
        fs_err::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        assert!(open(&file).is_err());
        assert!(open(&temp.path().join("none")).unwrap().is_none());
    }
}
