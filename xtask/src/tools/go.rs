//! Building a Go tool: static, without paths of this machine, from exactly the versions of its `go.sum`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use fs_err as fs;

use super::{ToolError, catalogue::Tool};
use crate::output::{Progress, last_line};

/// The Go that the newest of the tools asks for.
pub(super) const NEEDED: &str = "1.26";

/// Builds the programs of the tool in the folder `source` into `into/bin/`.
pub(super) fn build(tool: &Tool, source: &Path, into: &Path) -> Result<(), ToolError> {
    check_version(source)?;
    let bin = into.join("bin");
    fs::create_dir_all(&bin)?;
    let progress = Progress::spinner(tool.name, "building with go");
    for program in tool.programs {
        let output = go(source)
            .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
            .arg(bin.join(program.file))
            .arg(program.package)
            .output()
            .map_err(ToolError::NoGo)?;
        if !output.status.success() {
            return Err(ToolError::Build {
                name: tool.name,
                program: program.file,
                detail: last_line(&output.stderr),
            });
        }
    }
    progress.done("built");
    Ok(())
}

/// `go` in a tool's folder. `GOTOOLCHAIN` stays the user's: where it allows that, go fetches the version that it lacks.
fn go(source: &Path) -> Command {
    let mut command = Command::new("go");
    command
        .current_dir(source)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly -buildvcs=false")
        .env("GOWORK", "off")
        .stdin(Stdio::null());
    command
}

/// Asked in the tool's folder, `go` switches to the version of its go.mod, or says why it cannot.
fn check_version(source: &Path) -> Result<(), ToolError> {
    let output = go(source)
        .args(["env", "GOVERSION"])
        .output()
        .map_err(ToolError::NoGo)?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && is_enough(&found) {
        return Ok(());
    }
    let found = if found.is_empty() {
        last_line(&output.stderr)
    } else {
        found
    };
    Err(ToolError::OldGo { found })
}

/// Whether `go1.26.8` is [`NEEDED`] or newer. What has another form is somebody's own build: let it try.
fn is_enough(version: &str) -> bool {
    let Some(version) = version.strip_prefix("go") else {
        return true;
    };
    match (minor(version), minor(NEEDED)) {
        (Some(found), Some(needed)) => found >= needed,
        _ => true,
    }
}

fn minor(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_told_from_new_ones() {
        for version in ["go1.26", "go1.26.8", "go1.27rc1", "go2.0", "devel +abc"] {
            assert!(is_enough(version), "{version}");
        }
        for version in ["go1.19.8", "go1.25.9", "go1.9"] {
            assert!(!is_enough(version), "{version}");
        }
    }
}
