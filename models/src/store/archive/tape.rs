//! Reading tar archives that may be hostile: members one after the other, only plain files and folders, every length
//! checked before anything is read. Links, devices and paths that leave the archive are refused, not skipped.

use std::io::{self, Read};

use tar::{EntryType, Header};

const BLOCK: u64 = 512;
/// Members of one archive.
const MAX_MEMBERS: usize = 100_000;
/// Largest extended header, in bytes: it holds a path and numbers.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// An archive being read.
#[derive(Debug)]
pub(crate) struct Tape<R> {
    input: R,
    /// Bytes of the current member's content that are still to come.
    content: u64,
    /// Bytes after it up to the next block.
    padding: u64,
    members: usize,
    needs_end: bool,
}

/// A file in the archive. Its content is read from the tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Path with `/`, relative, without `.` and `..`.
    pub(crate) path: String,
    pub(crate) size: u64,
}

/// Why an archive is not read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapeError {
    /// It cannot be read, or ends in the middle.
    #[error("the archive cannot be read")]
    Read(#[source] io::Error),
    /// A header that is none.
    #[error("member {number} of the archive has a broken header")]
    Header {
        /// Its place, from 1 on.
        number: usize,
    },
    /// A link, device, or something else that is no plain file.
    #[error("the archive member {path:?} is neither a file nor a folder")]
    Kind {
        /// Its path, cut to 256 characters.
        path: String,
    },
    /// A path that is absolute or leaves the archive.
    #[error("the archive member {path:?} has an unsafe path")]
    UnsafePath {
        /// The path, cut to 256 characters.
        path: String,
    },
    /// More members than any archive of this kind has.
    #[error("the archive has more than {MAX_MEMBERS} members")]
    TooManyMembers,
    /// An extended header larger than any.
    #[error("an extended header of the archive has {size} bytes, more than the {MAX_EXTENSION_BYTES} allowed")]
    ExtensionTooLarge {
        /// Its size.
        size: u64,
    },
}

/// What extended headers say of the next member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> Tape<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            content: 0,
            padding: 0,
            members: 0,
            needs_end: false,
        }
    }

    /// An archive that must say where it ends: nothing else tells that it was not cut off between two members.
    pub(crate) fn with_end(input: R) -> Self {
        Self {
            needs_end: true,
            ..Self::new(input)
        }
    }

    /// The next file; `None` at the end. What is left of the one before is skipped.
    pub(crate) fn next_member(&mut self) -> Result<Option<Member>, TapeError> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            self.members += 1;
            if self.members > MAX_MEMBERS {
                return Err(TapeError::TooManyMembers);
            }
            let number = self.members;
            let stated = header.entry_size().map_err(|_| TapeError::Header { number })?;
            match header.entry_type() {
                EntryType::XHeader => {
                    let bytes = self.extension(stated)?;
                    extension.read(&bytes).ok_or(TapeError::Header { number })?;
                }
                EntryType::XGlobalHeader => drop(self.extension(stated)?),
                EntryType::GNULongName => {
                    let mut path = self.extension(stated)?;
                    while path.last() == Some(&0) {
                        path.pop();
                    }
                    extension.path = Some(path);
                }
                kind => {
                    let size = extension.size.take().unwrap_or(stated);
                    let path = extension
                        .path
                        .take()
                        .unwrap_or_else(|| header.path_bytes().into_owned());
                    let path = String::from_utf8_lossy(&path).into_owned();
                    let shown = || path.chars().take(256).collect();
                    match kind {
                        EntryType::Regular | EntryType::Continuous => {}
                        EntryType::Directory if size == 0 => continue,
                        _ => return Err(TapeError::Kind { path: shown() }),
                    }
                    let plain = path.strip_prefix("./").unwrap_or(&path);
                    if !crate::artifact::is_safe(plain) {
                        return Err(TapeError::UnsafePath { path: shown() });
                    }
                    self.enter(size, number)?;
                    let path = plain.to_owned();
                    return Ok(Some(Member { path, size }));
                }
            }
        }
    }

    fn enter(&mut self, size: u64, number: usize) -> Result<(), TapeError> {
        let padded = size
            .checked_next_multiple_of(BLOCK)
            .ok_or(TapeError::Header { number })?;
        self.content = size;
        self.padding = padded - size;
        Ok(())
    }

    /// The next header; `None` for the block of zeros at the end, or the end of the input.
    fn header(&mut self) -> Result<Option<Header>, TapeError> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if filled == 0 && !self.needs_end => return Ok(None),
                Ok(0) => return Err(TapeError::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TapeError::Read(error)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The checksum is over the block with blanks in its own place.
        let field = 148..156;
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if field.contains(&at) {
                    u32::from(b' ')
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        let number = self.members + 1;
        match header.cksum() {
            Ok(stated) if stated == sum => Ok(Some(header)),
            _ => Err(TapeError::Header { number }),
        }
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TapeError> {
        if size > MAX_EXTENSION_BYTES {
            return Err(TapeError::ExtensionTooLarge { size });
        }
        self.enter(size, self.members)?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(TapeError::Read)?;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), TapeError> {
        let rest = self.content.saturating_add(self.padding);
        (self.content, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink()).map_err(TapeError::Read)?;
        if skipped < rest {
            return Err(TapeError::Read(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }
}

/// The content of the current member. An archive that ends within it is an error.
impl<R: Read> Read for Tape<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.input.read(buffer.get_mut(..most).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}

impl Extension {
    /// Records of the form `LENGTH KEY=VALUE\n` (POSIX pax).
    fn read(&mut self, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|byte| *byte == b' ')?;
            let len: usize = std::str::from_utf8(bytes.get(..blank)?).ok()?.parse().ok()?;
            let record = bytes.get(blank + 1..len)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ => {}
            }
            bytes = bytes.get(len..)?;
        }
        Some(())
    }
}

/// The header of a plain file, the same for the same name and size.
pub(crate) fn file_header(path: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

/// Zeros up to the next block after `size` bytes.
pub(crate) fn padding(size: u64) -> Vec<u8> {
    let rest = usize::try_from(size % BLOCK).unwrap_or_default();
    vec![0; if rest == 0 { 0 } else { 512 - rest }]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn member(path: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
        let size = u64::try_from(content.len()).unwrap();
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(size);
        header.set_entry_type(kind);
        header.set_cksum();
        [header.as_bytes().to_vec(), content.to_vec(), padding(size)].concat()
    }

    fn all(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, TapeError> {
        let mut tape = Tape::new(bytes);
        let mut found = Vec::new();
        while let Some(member) = tape.next_member()? {
            let mut content = Vec::new();
            tape.read_to_end(&mut content).map_err(TapeError::Read)?;
            found.push((member, content));
        }
        Ok(found)
    }

    #[test]
    fn reads_files_and_extended_headers() {
        let bytes = [
            member("folder", EntryType::Directory, b""),
            member("./folder/a", EntryType::Regular, b"hello"),
            member("g", EntryType::XGlobalHeader, b"17 comment=hello\n"),
            member(
                "x",
                EntryType::XHeader,
                b"15 path=long/er\n".strip_suffix(b"\n").unwrap(),
            ),
        ]
        .concat();
        assert!(matches!(all(&bytes), Err(TapeError::Header { number: 4 })));
        let bytes = [
            member("./folder/a", EntryType::Regular, b"hello"),
            member("x", EntryType::XHeader, b"16 path=long/er\n10 size=3\n"),
            member("short", EntryType::Regular, b"abc"),
            member("l", EntryType::GNULongName, b"very/long\0"),
            member("cut", EntryType::Regular, &[7; 600]),
            vec![0; 1024],
            b"what follows is not read".to_vec(),
        ]
        .concat();
        let found = all(&bytes).unwrap();
        let paths: Vec<_> = found
            .iter()
            .map(|(member, content)| (member.path.as_str(), content.len()))
            .collect();
        assert_eq!(paths, [("folder/a", 5), ("long/er", 3), ("very/long", 600)]);
    }

    #[test]
    fn refuses_what_is_hostile() {
        for path in ["../up", "/etc/passwd", "a/../../b", "a//b", "c:\\x", "."] {
            let bytes = member(path, EntryType::Regular, b"x");
            assert!(matches!(all(&bytes), Err(TapeError::UnsafePath { .. })), "{path}");
        }
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Block,
            EntryType::Fifo,
            EntryType::GNUSparse,
            EntryType::GNULongLink,
        ] {
            assert!(
                matches!(all(&member("a", kind, b"")), Err(TapeError::Kind { .. })),
                "{kind:?}"
            );
        }
        let good = member("a", EntryType::Regular, &[1; 700]);
        for cut in [1, 511, 513, 1211, 1300] {
            assert!(matches!(all(&good[..cut]), Err(TapeError::Read(_))), "{cut}");
        }
        let mut whole = Tape::with_end(good.as_slice());
        assert!(whole.next_member().is_ok());
        assert!(matches!(whole.next_member(), Err(TapeError::Read(_))));
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        assert!(matches!(all(&flipped), Err(TapeError::Header { number: 1 })));
        let mut huge = Header::new_gnu();
        huge.set_path("x").unwrap();
        huge.set_entry_type(EntryType::XHeader);
        huge.set_size(u64::MAX);
        huge.set_cksum();
        assert!(matches!(all(huge.as_bytes()), Err(TapeError::ExtensionTooLarge { .. })));
        huge.set_entry_type(EntryType::Regular);
        huge.set_cksum();
        assert!(matches!(all(huge.as_bytes()), Err(TapeError::Header { .. })));
        let many = member("a", EntryType::Regular, b"").repeat(MAX_MEMBERS + 1);
        assert!(matches!(all(&many), Err(TapeError::TooManyMembers)));
    }
}
