//! `delete`: containerd calls it when a shim is gone or never came up. Whatever is left of the container is removed, and the
//! answer says that it was killed.

use std::{
    io::{self, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::SystemTime,
};

use containerd_shim_protos::{
    api::DeleteResponse,
    protobuf::{Message as _, MessageField},
};

use crate::{args::Args, message::timestamp, pod, runc::Runc};

/// 128 + SIGKILL.
const KILLED: u32 = 137;

/// Removes the leftovers of a container and prints the answer.
///
/// # Errors
/// When the bundle cannot be found or the answer not be written.
pub fn delete(args: &Args) -> io::Result<()> {
    let here = std::env::current_dir()?;
    // The bundle that is named, or the one of that id beside or at the working folder.
    let bundle = match &args.bundle {
        Some(bundle) => bundle.clone(),
        None if here.ends_with(&args.id) => here,
        None => here.parent().map_or_else(PathBuf::new, |parent| parent.join(&args.id)),
    };
    pod::remove_leftovers(&bundle, &args.id, Runc::load(&bundle).as_ref());
    remove_dead_socket(&bundle);
    let pid = fs_err::read_to_string(bundle.join("init.pid"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0);
    let response = DeleteResponse {
        pid,
        exit_status: KILLED,
        exited_at: MessageField::some(timestamp(SystemTime::now())),
        ..DeleteResponse::default()
    };
    let bytes = response.write_to_bytes().map_err(io::Error::other)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
}

/// The socket of a shim that was killed is of no use to anybody; that of a living one serves the pod's other containers.
fn remove_dead_socket(bundle: &Path) {
    let Ok(address) = fs_err::read_to_string(bundle.join("address")) else {
        return;
    };
    let socket = Path::new(address.trim_start_matches("unix://"));
    if UnixStream::connect(socket).is_err() {
        // Gone is as good.
        let _ = fs_err::remove_file(socket);
    }
}
