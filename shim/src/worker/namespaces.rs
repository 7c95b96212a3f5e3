//! [`Namespaces`]: which namespaces a worker joins and which it gets of its own, from the specification or from a process that
//! is in them.

use std::{io, os::fd::OwnedFd, path::Path};

use rustix::{
    fs::{Mode, OFlags},
    process::Pid,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::WorkerError;
use crate::spec::Spec;

/// The namespaces of a worker to come.
#[derive(Debug, Default)]
pub(crate) struct Namespaces {
    /// To be joined before the program starts.
    pub(crate) join: Vec<OwnedFd>,
    /// The process namespace to be born into.
    pub(crate) pid: Option<OwnedFd>,
    /// To be made with the process.
    pub(crate) clone_flags: libc::c_int,
}

impl Namespaces {
    /// Those of a container's first process. The mount namespace is always its own.
    pub(crate) fn of_spec(spec: &Spec) -> Result<Self, WorkerError> {
        let mut namespaces = Self {
            clone_flags: libc::CLONE_NEWNS,
            ..Self::default()
        };
        for namespace in &spec.linux.namespaces {
            let path = (!namespace.path.as_os_str().is_empty()).then_some(namespace.path.as_path());
            let own = match namespace.kind.as_str() {
                "mount" => continue,
                "pid" => {
                    match path {
                        Some(path) => namespaces.pid = Some(open("pid", path)?),
                        None => namespaces.clone_flags |= libc::CLONE_NEWPID,
                    }
                    continue;
                }
                "network" => libc::CLONE_NEWNET,
                "ipc" => libc::CLONE_NEWIPC,
                "uts" => libc::CLONE_NEWUTS,
                "cgroup" => libc::CLONE_NEWCGROUP,
                kind => return Err(WorkerError::UnsupportedNamespace { kind: kind.to_owned() }),
            };
            match path {
                Some(path) => namespaces.join.push(open(&namespace.kind, path)?),
                None => namespaces.clone_flags |= own,
            }
        }
        Ok(namespaces)
    }

    /// Those that `pid` is in, but for its mounts: the program could not be found there. The worker joins those itself.
    pub(crate) fn of_process(pid: Pid) -> Result<Self, WorkerError> {
        let path = |kind: &str| format!("/proc/{}/ns/{kind}", pid.as_raw_nonzero());
        let mut namespaces = Self::default();
        for kind in ["net", "ipc", "uts"] {
            namespaces.join.push(open(kind, Path::new(&path(kind)))?);
        }
        namespaces.pid = Some(open("pid", Path::new(&path("pid")))?);
        Ok(namespaces)
    }
}

fn open(kind: &str, path: &Path) -> Result<OwnedFd, WorkerError> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(|error| WorkerError::Namespace {
        kind: kind.to_owned(),
        path: path.display().to_string(),
        source: error.into(),
    })
}

/// Runs `action` so that processes cloned in it are born into the namespace.
pub(super) fn with_pid_namespace<T>(
    namespace: Option<&OwnedFd>,
    action: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let Some(namespace) = namespace else {
        return action();
    };
    let own = rustix::fs::open("/proc/self/ns/pid", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let enter =
        |fd: &OwnedFd| move_into_link_name_space(std::os::fd::AsFd::as_fd(fd), Some(LinkNameSpaceType::ProcessID));
    enter(namespace)?;
    let result = action();
    // A shim whose children are born elsewhere from now on must not go on.
    if let Err(error) = enter(&own) {
        tracing::error!(%error, "the shim cannot leave a container's process namespace");
        crate::sys::exit_now(1);
    }
    result
}
