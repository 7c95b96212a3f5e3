//! [`CodeCache`]: compiled code by digest, shared in the process and kept on disk under
//! `<cache_dir>/<engine fingerprint>/<wasm digest>.cwasm`. Only files that this user wrote, and that still have the bytes
//! that were written, are mapped; anything else is ignored with a warning and compiled again.

mod entry;
mod owned;
#[cfg(feature = "compiler")]
mod written;

pub(crate) use entry::open_file;
#[cfg(feature = "compiler")]
pub(crate) use written::CodeCache;
