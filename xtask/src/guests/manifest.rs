//! Which guests a workspace has, as cargo describes it: [`Guest`] and its [`Target`]s.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

use super::GuestError;
use crate::output::last_line;

/// A kind of guest that the runtime accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// Core modules with WASI preview 1.
    Wasip1,
    /// Components with WASI 0.2.
    Wasip2,
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "wasm32-wasip1" => Some(Self::Wasip1),
            "wasm32-wasip2" => Some(Self::Wasip2),
            _ => None,
        }
    }

    /// Its target triple.
    pub(super) fn triple(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasm32-wasip1",
            Self::Wasip2 => "wasm32-wasip2",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.triple())
    }
}

/// What the host does with a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Runs it once: a program with `main`.
    Command,
    /// Calls its exports: a library.
    Reactor,
}

/// A guest's package.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Name of the package and, in the cache, of the first target's file.
    pub(super) name: String,
    /// Folder of its workspace.
    pub(super) workspace: PathBuf,
    /// File name that cargo gives the result, without `.wasm`.
    pub(super) artifact: String,
    /// Program or library.
    pub(super) kind: Kind,
    /// What it is built for, at least one.
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    targets: Vec<CargoTarget>,
    metadata: Option<PackageMetadata>,
}

#[derive(Debug, Deserialize)]
struct CargoTarget {
    name: String,
    crate_types: Vec<String>,
}

impl CargoTarget {
    /// Which kind of guest it links, if any.
    fn kind(&self) -> Option<Kind> {
        self.crate_types.iter().find_map(|kind| match kind.as_str() {
            "bin" => Some(Kind::Command),
            "cdylib" => Some(Kind::Reactor),
            _ => None,
        })
    }
}

#[derive(Debug, Deserialize)]
struct PackageMetadata {
    dunlin: Option<DunlinMetadata>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DunlinMetadata {
    targets: Vec<String>,
}

/// The guests of a workspace, in cargo's order.
pub(super) fn read(workspace: &Path) -> Result<Vec<Guest>, GuestError> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1", "--quiet"])
        .current_dir(workspace)
        .output()
        .map_err(|source| GuestError::Start {
            program: "cargo",
            source,
        })?;
    if !output.status.success() {
        return Err(GuestError::Metadata {
            workspace: workspace.to_owned(),
            detail: last_line(&output.stderr),
        });
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout).map_err(|source| GuestError::MetadataForm {
        workspace: workspace.to_owned(),
        source,
    })?;
    let guests = metadata.packages.into_iter().map(|package| guest(workspace, package));
    Ok(guests.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The guest that a package is, if it says that it is one and has something to link.
fn guest(workspace: &Path, package: Package) -> Result<Option<Guest>, GuestError> {
    let Some(dunlin) = package.metadata.and_then(|metadata| metadata.dunlin) else {
        return Ok(None);
    };
    let linked = package.targets.iter().find_map(|target| Some((target, target.kind()?)));
    let Some((artifact, kind)) = linked else {
        return Ok(None);
    };
    let targets = dunlin.targets.iter().map(|text| {
        Target::parse(text).ok_or_else(|| GuestError::Target {
            guest: package.name.clone(),
            target: text.clone(),
        })
    });
    Ok(Some(Guest {
        targets: targets.collect::<Result<_, _>>()?,
        artifact: artifact.name.clone(),
        kind,
        name: package.name.clone(),
        workspace: workspace.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn package(metadata: serde_json::Value, crate_type: &str) -> Package {
        serde_json::from_value(serde_json::json!({
            "name": "g",
            "targets": [
                {"name": "t", "crate_types": ["rlib"]},
                {"name": "g", "crate_types": ["rlib", crate_type]}
            ],
            "metadata": metadata
        }))
        .unwrap()
    }

    #[test]
    fn a_guest_says_its_targets_and_has_something_to_link() {
        let two = serde_json::json!({"dunlin": {"targets": ["wasm32-wasip2", "wasm32-wasip1"]}});
        let found = guest(Path::new("w"), package(two.clone(), "cdylib")).unwrap();
        let found = found.unwrap();
        assert_eq!(found.artifact, "g");
        assert_eq!(found.kind, Kind::Reactor);
        assert_eq!(found.targets, [Target::Wasip2, Target::Wasip1]);
        assert!(guest(Path::new("w"), package(two, "rlib")).unwrap().is_none());
        let other = serde_json::json!({"docs": {}});
        assert!(guest(Path::new("w"), package(other, "bin")).unwrap().is_none());
    }

    #[test]
    fn an_unknown_target_is_an_error() {
        let native = serde_json::json!({"dunlin": {"targets": ["x86_64-unknown-linux-gnu"]}});
        let error = guest(Path::new("w"), package(native, "bin")).unwrap_err();
        assert!(matches!(error, GuestError::Target { target, .. } if target.starts_with("x86")));
    }
}
