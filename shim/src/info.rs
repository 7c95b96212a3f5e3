//! `-info`: what this runtime is, as containerd's `RuntimeInfo` on standard output. Always answers, whatever standard input
//! says: containerd probes every runtime this way.

use std::io::{self, Write as _};

use containerd_shim_protos::{
    protobuf::{Message as _, MessageField},
    types::introspection::{RuntimeInfo, RuntimeVersion},
};

/// The runtime's name in containerd's configuration.
const RUNTIME: &str = "io.containerd.dunlin.v1";

/// Prints the message.
///
/// # Errors
/// When standard output cannot be written.
pub fn print() -> io::Result<()> {
    let info = RuntimeInfo {
        name: RUNTIME.to_owned(),
        version: MessageField::some(RuntimeVersion {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..RuntimeVersion::default()
        }),
        ..RuntimeInfo::default()
    };
    let bytes = info.write_to_bytes().map_err(io::Error::other)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
}
