//! [`Cgroup`]: the control group of a container, on version 1, version 2 and mixed machines. Groups of WebAssembly
//! containers are made here by writing to the file system; those of Linux containers are runc's and only read.

mod freezer;
mod hierarchy;
mod limits;
mod oom;
mod stats_v1;
mod stats_v2;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use containerd_shim_protos::protobuf::well_known_types::any::Any;
pub(crate) use oom::{OomKills, OomWatch};
use rustix::process::Pid;

use self::hierarchy::{Hierarchies, Hierarchy};
use crate::{spec::Resources, sys};

/// How often removing a group is tried: its last process may take a moment to be gone.
const REMOVE_TRIES: u32 = 50;
const REMOVE_PAUSE: Duration = Duration::from_millis(4);
const SIGKILL: i32 = 9;

/// A control group in every hierarchy that has it.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup {
    groups: Vec<Group>,
}

/// The group's folder in one hierarchy.
#[derive(Clone, Debug)]
struct Group {
    hierarchy: Hierarchy,
    path: PathBuf,
}

/// Why a control group cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CgroupError {
    /// No hierarchy is mounted, or the list of mounts cannot be read.
    #[error("cannot find the control group hierarchies")]
    Hierarchies {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A path that would leave the hierarchy.
    #[error("`{path}` is not a control group path")]
    Path {
        /// The path.
        path: String,
    },
    /// The kernel refused.
    #[error("cannot {operation}")]
    Control {
        /// What was tried.
        operation: &'static str,
        /// The answer, naming the path.
        #[source]
        source: io::Error,
    },
}

impl CgroupError {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Hierarchies { .. } => Some("mount /sys/fs/cgroup on this node".to_owned()),
            _ => None,
        }
    }

    fn control(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Control { operation, source }
    }
}

impl Cgroup {
    /// Makes the group `path` (as in the OCI specification, `slice:prefix:name` included) with its limits.
    ///
    /// # Errors
    /// When the path leaves the hierarchy, or the kernel refuses the group or a limit. Nothing is left then.
    pub(crate) fn create(path: &str, resources: &Resources) -> Result<Self, CgroupError> {
        let relative = hierarchy::relative(path)?;
        let hierarchies = Hierarchies::mounted()?;
        let cgroup = Self {
            groups: hierarchies.groups(&relative),
        };
        let made = cgroup.make().and_then(|()| cgroup.limit(resources));
        if let Err(error) = made {
            cgroup.remove_once();
            return Err(error);
        }
        Ok(cgroup)
    }

    /// The group at `path`, wherever it exists.
    pub(crate) fn existing(path: &str) -> Result<Self, CgroupError> {
        let relative = hierarchy::relative(path)?;
        let mut groups = Hierarchies::mounted()?.groups(&relative);
        groups.retain(|group| group.path.is_dir());
        Ok(Self { groups })
    }

    /// The groups that `pid` is in.
    pub(crate) fn of_process(pid: Pid) -> Result<Self, CgroupError> {
        let text = fs_err::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero()))
            .map_err(CgroupError::control("read the control groups of a process"))?;
        Ok(Self {
            groups: Hierarchies::mounted()?.groups_of(&text),
        })
    }

    fn make(&self) -> Result<(), CgroupError> {
        for group in &self.groups {
            group.hierarchy.prepare(&group.path)?;
        }
        Ok(())
    }

    /// Sets limits; those not mentioned stay.
    pub(crate) fn limit(&self, resources: &Resources) -> Result<(), CgroupError> {
        limits::apply(self, resources)
    }

    /// Moves a process into the group.
    pub(crate) fn add(&self, pid: Pid) -> Result<(), CgroupError> {
        for group in &self.groups {
            fs_err::write(group.path.join("cgroup.procs"), pid.as_raw_nonzero().to_string())
                .map_err(CgroupError::control("move a process into its control group"))?;
        }
        Ok(())
    }

    /// Its processes, those of groups below it included.
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        if let Some(group) = self.groups.first() {
            collect_processes(&group.path, &mut found, MAX_DEPTH);
        }
        found
    }

    /// Its usage, as the message that containerd knows.
    pub(crate) fn stats(&self) -> Any {
        match self.unified() {
            Some(path) => stats_v2::collect(path),
            None => stats_v1::collect(self),
        }
    }

    /// Stops its processes, or lets them go on.
    pub(crate) async fn freeze(&self, frozen: bool) -> Result<(), CgroupError> {
        freezer::set(self, frozen).await
    }

    /// Watches for processes that were killed for want of memory; `None` where the kernel does not tell.
    pub(crate) fn watch_oom(&self) -> Option<OomWatch> {
        OomWatch::new(self)
            .inspect_err(|error| tracing::warn!(%error, "out-of-memory events cannot be watched"))
            .ok()
            .flatten()
    }

    /// Kills everything in the group.
    pub(crate) fn kill(&self) {
        if let Some(path) = self.unified()
            && fs_err::write(path.join("cgroup.kill"), "1").is_ok()
        {
            return;
        }
        if let Some(path) = self.controller("freezer") {
            // A frozen process does not die. Where there is nothing to thaw, this changes nothing.
            let _ = fs_err::write(path.join("freezer.state"), "THAWED");
        }
        for pid in self.processes() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // One that is gone already is as good.
            let _ = pid.map(|pid| sys::kill(pid, SIGKILL));
        }
    }

    /// Removes the group once its last process is gone.
    pub(crate) async fn remove(&self) {
        for _ in 0..REMOVE_TRIES {
            if self.remove_once() {
                return;
            }
            tokio::time::sleep(REMOVE_PAUSE).await;
        }
        tracing::warn!(cgroup = ?self.groups.first().map(|group| &group.path), "the control group could not be removed");
    }

    /// Tries once; for the cleanup of a dead shim too, which has no runtime.
    pub(crate) fn remove_once(&self) -> bool {
        // All are tried, whatever becomes of the first.
        let left = self
            .groups
            .iter()
            .filter(|group| !remove_tree(&group.path, MAX_DEPTH))
            .count();
        left == 0
    }

    fn unified(&self) -> Option<&Path> {
        self.groups
            .iter()
            .find(|group| matches!(group.hierarchy, Hierarchy::Unified { .. }))
            .map(|group| group.path.as_path())
            // On a mixed machine the controllers are those of version 1.
            .filter(|_| self.groups.len() == 1)
    }

    /// The folder of a version 1 controller.
    fn controller(&self, name: &str) -> Option<&Path> {
        self.groups
            .iter()
            .find(|group| group.hierarchy.has(name))
            .map(|group| group.path.as_path())
    }
}

/// Guests cannot make groups; deeper trees than this are not of our containers.
const MAX_DEPTH: u32 = 8;

fn collect_processes(path: &Path, found: &mut BTreeSet<u32>, depth: u32) {
    let listed = fs_err::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    found.extend(listed.lines().filter_map(|line| line.parse::<u32>().ok()));
    if depth > 0 {
        for child in children(path) {
            collect_processes(&child, found, depth - 1);
        }
    }
}

fn children(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(path) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Whether the group is gone.
fn remove_tree(path: &Path, depth: u32) -> bool {
    if depth > 0 {
        for child in children(path) {
            remove_tree(&child, depth - 1);
        }
    }
    match fs_err::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}
