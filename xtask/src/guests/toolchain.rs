//! Which compiler builds for a target: the one on the path where it can, Debian's for the web else.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::{GuestError, manifest::Target};
use crate::output::{Progress, last_line};

/// A way of compiling for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Toolchain {
    /// The cargo on the path, whose compiler has the target's standard library.
    Path,
    /// Debian's packages, which bring the standard library as source and a C library for WASI preview 1 only.
    DebianWeb,
}

/// What Debian's way needs.
const DEBIAN_FILES: [&str; 5] = [
    "/usr/bin/cargo",
    "/usr/bin/rustc",
    "/usr/bin/wasm-ld-19",
    "/usr/lib/wasm32-wasi/crt1-command.o",
    "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
];

/// Finds a toolchain for the target, and lets rustup add the target where it is only that.
pub(super) fn choose(target: Target) -> Result<Toolchain, GuestError> {
    if has_standard_library(target) {
        return Ok(Toolchain::Path);
    }
    let mut tried = vec!["the one on the path lacks the target's standard library".to_owned()];
    match add_with_rustup(target) {
        Ok(()) if has_standard_library(target) => return Ok(Toolchain::Path),
        Ok(()) => tried.push("rustup added it to another toolchain".to_owned()),
        Err(reason) => tried.push(reason),
    }
    let missing: Vec<_> = DEBIAN_FILES
        .into_iter()
        .filter(|file| !Path::new(file).exists())
        .collect();
    if missing.is_empty() {
        return Ok(Toolchain::DebianWeb);
    }
    tried.push(format!("for Debian's there is no {}", missing.join(", ")));
    Err(GuestError::NoToolchain {
        target,
        tried: tried.join("; "),
    })
}

/// Whether the compiler on the path comes with the target's standard library.
fn has_standard_library(target: Target) -> bool {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target.triple()])
        .stdin(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let mut entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
        output.status.success() && entries.any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

fn add_with_rustup(target: Target) -> Result<(), String> {
    let child = Command::new("rustup")
        .args(["target", "add", target.triple()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustup does not run ({error})"))?;
    let progress = Progress::spinner("rustup", &format!("target add {target}"));
    let output = child
        .wait_with_output()
        .map_err(|error| format!("rustup does not end ({error})"))?;
    if !output.status.success() {
        return Err(format!("rustup cannot add it ({})", last_line(&output.stderr)));
    }
    progress.done(&format!("added {target}"));
    Ok(())
}
