//! The part of an OCI runtime specification that the shim reads. Unknown fields are left to runc; a file over a cap, or one
//! that does not parse, is an error.

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::error::SpecError;

/// Largest `config.json` that is read: Kubernetes' own limits on an object keep real ones below 2 MiB.
const MAX_SPEC_BYTES: u64 = 8 << 20;

/// The annotations that name the pod of a container, most specific first.
const GROUP_ANNOTATIONS: [&str; 2] = ["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"];

/// A container's specification.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Spec {
    pub(crate) process: Process,
    pub(crate) root: Root,
    pub(crate) hostname: String,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) annotations: HashMap<String, String>,
    pub(crate) linux: Linux,
}

/// A process to run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Process {
    pub(crate) terminal: bool,
    pub(crate) user: User,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) oom_score_adj: Option<i32>,
}

/// Who a process runs as.
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) additional_gids: Vec<u32>,
}

/// A resource limit, by its name in setrlimit(2).
#[derive(Clone, Debug, Deserialize, serde::Serialize)]
pub(crate) struct Rlimit {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) soft: u64,
    pub(crate) hard: u64,
}

/// The root file system.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Root {
    pub(crate) path: PathBuf,
    pub(crate) readonly: bool,
}

/// A mount inside the container.
#[derive(Clone, Debug, Default, Deserialize, serde::Serialize)]
#[serde(default)]
pub(crate) struct Mount {
    pub(crate) destination: PathBuf,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) source: PathBuf,
    pub(crate) options: Vec<String>,
}

/// What only Linux has.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Linux {
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) cgroups_path: String,
    pub(crate) resources: Resources,
}

/// A namespace: of its own, or that of a path.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Namespace {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) path: PathBuf,
}

/// Limits of a control group.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Resources {
    pub(crate) memory: Option<Memory>,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) pids: Option<Pids>,
    pub(crate) unified: HashMap<String, String>,
}

/// Memory limits in bytes; negative is no limit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    pub(crate) limit: Option<i64>,
    pub(crate) reservation: Option<i64>,
    pub(crate) swap: Option<i64>,
}

/// Processor shares, quota and set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Cpu {
    pub(crate) shares: Option<u64>,
    pub(crate) quota: Option<i64>,
    pub(crate) period: Option<u64>,
    pub(crate) cpus: String,
    pub(crate) mems: String,
}

/// Most processes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pids {
    pub(crate) limit: Option<i64>,
}

impl Spec {
    /// Reads `config.json` of `bundle`.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or is no specification.
    pub(crate) fn read(bundle: &Path) -> Result<Self, SpecError> {
        let path = bundle.join("config.json");
        let read = |source| SpecError::Read { source };
        let file = fs_err::File::open(&path).map_err(read)?;
        let mut bytes = Vec::new();
        file.take(MAX_SPEC_BYTES + 1).read_to_end(&mut bytes).map_err(read)?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_SPEC_BYTES {
            return Err(SpecError::TooLarge {
                path,
                limit: MAX_SPEC_BYTES,
            });
        }
        serde_json::from_slice(&bytes).map_err(|source| SpecError::Parse { path, source })
    }

    /// The pod that the container is of; `None` for one that stands alone.
    pub(crate) fn group(&self) -> Option<&str> {
        GROUP_ANNOTATIONS
            .iter()
            .find_map(|name| self.annotations.get(*name))
            .map(String::as_str)
    }

    /// Whether the container is the pause container of a pod.
    pub(crate) fn is_sandbox(&self) -> bool {
        self.annotations
            .get("io.kubernetes.cri.container-type")
            .is_some_and(|kind| kind == "sandbox")
    }

    /// The root file system's folder; a relative one lies in `bundle`.
    pub(crate) fn rootfs(&self, bundle: &Path) -> PathBuf {
        bundle.join(&self.root.path)
    }

    /// The namespace of that kind, if the container has one of its own or joins one.
    pub(crate) fn namespace(&self, kind: &str) -> Option<&Namespace> {
        self.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
    }
}

impl Process {
    /// The value of an environment variable; the last one counts.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find_map(|entry| {
            let (found, value) = entry.split_once('=')?;
            (found == name).then_some(value)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_pod_is_named_by_either_annotation() {
        let spec: Spec = serde_json::from_str(r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"pod"}}"#).unwrap();
        assert_eq!(spec.group(), Some("pod"));
        assert_eq!(Spec::default().group(), None);
    }

    #[test]
    fn broken_and_missing_files_are_errors() {
        let bundle = tempfile::tempdir().unwrap();
        assert!(matches!(Spec::read(bundle.path()), Err(SpecError::Read { .. })));
        fs_err::write(bundle.path().join("config.json"), b"{\"process\":").unwrap();
        assert!(matches!(Spec::read(bundle.path()), Err(SpecError::Parse { .. })));
        let huge = fs_err::File::create(bundle.path().join("config.json")).unwrap();
        huge.set_len(MAX_SPEC_BYTES + 1).unwrap();
        assert!(matches!(Spec::read(bundle.path()), Err(SpecError::TooLarge { .. })));
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let process = Process {
            env: vec!["PORT=1".to_owned(), "PORTER=3".to_owned(), "PORT=2".to_owned()],
            ..Process::default()
        };
        assert_eq!(process.variable("PORT"), Some("2"));
    }
}
