//! The first bytes of a delta: [`Header`], which names the base and the new file.

use std::io::{self, Read, Write};

use crate::{Identity, error::DecodeError};

const MAGIC: &[u8; 8] = b"\x89DLNDELT";
const VERSION: u32 = 1;
/// Magic, version, zeros, and the two identities.
const LEN: usize = 8 + 4 + 4 + 2 * (32 + 8);

/// What a delta says of itself. Nothing of it is proven before the new file was rebuilt and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The file that the delta needs.
    pub base: Identity,
    /// The file that the delta makes.
    pub new: Identity,
}

impl Header {
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<u64> {
        out.write_all(MAGIC)?;
        out.write_all(&VERSION.to_le_bytes())?;
        out.write_all(&[0; 4])?;
        for identity in [&self.base, &self.new] {
            out.write_all(&identity.sha256)?;
            out.write_all(&identity.size.to_le_bytes())?;
        }
        Ok(LEN as u64)
    }

    pub(crate) fn read(reader: &mut impl Read) -> Result<Self, DecodeError> {
        let mut bytes = [0; LEN];
        reader.read_exact(&mut bytes).map_err(DecodeError::reading)?;
        let mut rest = &bytes[..];
        if take(&mut rest) != *MAGIC {
            return Err(DecodeError::Magic);
        }
        let version = u32::from_le_bytes(take(&mut rest));
        if version != VERSION {
            return Err(DecodeError::Version { version });
        }
        if take(&mut rest) != [0; 4] {
            return Err(DecodeError::Reserved);
        }
        let mut identity = || Identity {
            sha256: take(&mut rest),
            size: u64::from_le_bytes(take(&mut rest)),
        };
        Ok(Self {
            base: identity(),
            new: identity(),
        })
    }
}

/// The next `N` bytes, which the caller knows to be there: zeros where they are not.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let Some((head, rest)) = bytes.split_first_chunk() else {
        return [0; N];
    };
    *bytes = rest;
    *head
}
