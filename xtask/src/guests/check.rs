//! What the hosts' lints and tests do not reach: the guests' own workspaces.

use std::{path::Path, process::Command};

use super::{GuestError, WORKSPACES, manifest::Target, toolchain};
use crate::{cache::Cache, cache::repository, output};

/// Formatting, clippy for WebAssembly, and the tests that run natively, in each workspace.
pub(super) fn check(cache: &Cache) -> Result<(), GuestError> {
    toolchain::choose(Target::Wasip2)?;
    for workspace in WORKSPACES {
        let folder = repository().join(workspace);
        let triple = Target::Wasip2.triple();
        cargo(cache, &folder, &["fmt", "--all", "--check"])?;
        let clippy = [
            "clippy",
            "--release",
            "--quiet",
            "--locked",
            "--workspace",
            "--target",
            triple,
        ];
        cargo(cache, &folder, &[&clippy[..], &["--", "-D", "warnings"]].concat())?;
        cargo(
            cache,
            &folder,
            &[
                "clippy",
                "--release",
                "--quiet",
                "--locked",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ],
        )?;
        cargo(
            cache,
            &folder,
            &["test", "--release", "--quiet", "--locked", "--workspace"],
        )?;
        output::note(workspace, "formatting, clippy and tests passed");
    }
    Ok(())
}

fn cargo(cache: &Cache, workspace: &Path, arguments: &[&str]) -> Result<(), GuestError> {
    let status = Command::new("cargo")
        .current_dir(workspace)
        .args(arguments)
        .env("CARGO_TARGET_DIR", cache.guests_target())
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .status()
        .map_err(|source| GuestError::Start {
            program: "cargo",
            source,
        })?;
    if status.success() {
        return Ok(());
    }
    Err(GuestError::Check {
        workspace: workspace.to_owned(),
        arguments: arguments.join(" "),
        status,
    })
}
