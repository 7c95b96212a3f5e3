//! [`Hierarchies`]: which control group file systems are mounted, and where a group lies in each.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use super::{CgroupError, Group};

/// Controllers of version 1 that a container's group is made in.
const CONTROLLERS: [&str; 9] = [
    "cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb",
];

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hierarchy {
    /// Version 2.
    Unified { mount: PathBuf, root: String },
    /// Version 1, with these controllers (or a name only).
    Legacy {
        mount: PathBuf,
        root: String,
        controllers: Vec<String>,
    },
}

/// All that are mounted.
#[derive(Debug)]
pub(super) struct Hierarchies(Vec<Hierarchy>);

impl Hierarchies {
    /// Reads the list of mounts of this process.
    pub(super) fn mounted() -> Result<Self, CgroupError> {
        let text =
            fs_err::read_to_string("/proc/self/mountinfo").map_err(|source| CgroupError::Hierarchies { source })?;
        let found = Self::parse(&text);
        if found.0.is_empty() {
            return Err(CgroupError::Hierarchies {
                source: io::Error::new(io::ErrorKind::NotFound, "none is mounted"),
            });
        }
        Ok(found)
    }

    /// `mountinfo` of proc(5). A version 2 hierarchy beside version 1 controllers only tracks processes, and is left out.
    fn parse(text: &str) -> Self {
        let mut found: Vec<Hierarchy> = text.lines().filter_map(parse_line).collect();
        let has_legacy = found
            .iter()
            .any(|hierarchy| hierarchy.has("memory") || hierarchy.has("freezer"));
        found.retain(|hierarchy| matches!(hierarchy, Hierarchy::Unified { .. }) != has_legacy);
        let mut unique: Vec<Hierarchy> = Vec::new();
        for hierarchy in found {
            // The same hierarchy may be mounted twice.
            if !unique.iter().any(|other| other.same_controllers(&hierarchy)) {
                unique.push(hierarchy);
            }
        }
        Self(unique)
    }

    /// The group `relative` in each.
    pub(super) fn groups(&self, relative: &Path) -> Vec<Group> {
        self.0
            .iter()
            .map(|hierarchy| Group {
                path: hierarchy.mount().join(relative),
                hierarchy: hierarchy.clone(),
            })
            .collect()
    }

    /// The groups that `text`, a `/proc/PID/cgroup`, names.
    pub(super) fn groups_of(&self, text: &str) -> Vec<Group> {
        text.lines()
            .filter_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                let (controllers, path) = (fields.next()?, fields.next()?);
                let hierarchy = self.0.iter().find(|hierarchy| match hierarchy {
                    Hierarchy::Unified { .. } => controllers.is_empty(),
                    Hierarchy::Legacy { .. } => controllers.split(',').any(|name| hierarchy.has(name)),
                })?;
                let inside = path.strip_prefix(hierarchy.root()).unwrap_or(path);
                Some(Group {
                    path: hierarchy.mount().join(inside.trim_start_matches('/')),
                    hierarchy: hierarchy.clone(),
                })
            })
            .collect()
    }
}

impl Hierarchy {
    /// Whether it is of version 1 and has that controller.
    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Unified { .. } => false,
            Self::Legacy { controllers, .. } => controllers.iter().any(|controller| controller == name),
        }
    }

    fn same_controllers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unified { .. }, Self::Unified { .. }) => true,
            (Self::Legacy { controllers: a, .. }, Self::Legacy { controllers: b, .. }) => a == b,
            _ => false,
        }
    }

    fn mount(&self) -> &Path {
        match self {
            Self::Unified { mount, .. } | Self::Legacy { mount, .. } => mount,
        }
    }

    fn root(&self) -> &str {
        let root = match self {
            Self::Unified { root, .. } | Self::Legacy { root, .. } => root,
        };
        root.trim_end_matches('/')
    }

    /// Makes the folder `path` of this hierarchy usable: controllers are turned on above it (version 2), and processors and
    /// memory nodes are inherited (version 1, where a new set is empty and takes no process).
    pub(super) fn prepare(&self, path: &Path) -> Result<(), CgroupError> {
        fs_err::create_dir_all(path).map_err(CgroupError::control("make the control group"))?;
        let below = path.strip_prefix(self.mount()).unwrap_or(Path::new(""));
        let mut folder = self.mount().to_owned();
        for part in below.components() {
            if matches!(self, Self::Unified { .. }) {
                enable_controllers(&folder);
            }
            let parent = folder.clone();
            folder.push(part);
            if self.has("cpuset") {
                inherit_cpuset(&parent, &folder)?;
            }
        }
        Ok(())
    }
}

/// A controller that the parent does not offer is one that the container goes without.
fn enable_controllers(folder: &Path) {
    for controller in ["+cpu", "+memory", "+pids", "+cpuset", "+io"] {
        let _ = fs_err::write(folder.join("cgroup.subtree_control"), controller);
    }
}

fn inherit_cpuset(parent: &Path, folder: &Path) -> Result<(), CgroupError> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let own = fs_err::read_to_string(folder.join(name)).map_err(CgroupError::control("read the processor set"))?;
        if own.trim().is_empty() {
            let inherited =
                fs_err::read_to_string(parent.join(name)).map_err(CgroupError::control("read the processor set"))?;
            fs_err::write(folder.join(name), inherited.trim())
                .map_err(CgroupError::control("inherit the processor set"))?;
        }
    }
    Ok(())
}

fn parse_line(line: &str) -> Option<Hierarchy> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, mount) = (fields.next()?.to_owned(), PathBuf::from(fields.next()?));
    let mut fields = after.split(' ');
    let kind = fields.next()?;
    let options = fields.nth(1)?;
    match kind {
        "cgroup2" => Some(Hierarchy::Unified { mount, root }),
        "cgroup" => {
            let controllers: Vec<String> = options
                .split(',')
                .filter(|option| CONTROLLERS.contains(option) || *option == "name=systemd")
                .map(str::to_owned)
                .collect();
            (!controllers.is_empty()).then_some(Hierarchy::Legacy {
                mount,
                root,
                controllers,
            })
        }
        _ => None,
    }
}

/// The group's path below a hierarchy's mount. `slice:prefix:name`, as the systemd driver of the kubelet writes it, is the
/// folder that systemd would make for it.
pub(super) fn relative(path: &str) -> Result<PathBuf, CgroupError> {
    let bad = || CgroupError::Path { path: path.to_owned() };
    let expanded = match path.split(':').collect::<Vec<_>>().as_slice() {
        [slice, prefix, name] => expand_slice(slice)
            .ok_or_else(bad)?
            .join(format!("{prefix}-{name}.scope")),
        [plain] => PathBuf::from(plain),
        _ => return Err(bad()),
    };
    let relative: PathBuf = expanded
        .components()
        .filter(|part| !matches!(part, Component::RootDir))
        .collect();
    let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || relative.as_os_str().is_empty() {
        return Err(bad());
    }
    Ok(relative)
}

/// `a-b.slice` lies in `a.slice`.
fn expand_slice(slice: &str) -> Option<PathBuf> {
    let name = slice.strip_suffix(".slice")?;
    let mut path = PathBuf::new();
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() {
            return None;
        }
        prefix.push_str(part);
        path.push(format!("{prefix}.slice"));
        prefix.push('-');
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const MIXED: &str = "\
30 29 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
31 29 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
32 29 0:28 /ours /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
33 29 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
34 29 0:30 / /proc rw - proc proc rw\n";

    #[test]
    fn on_a_mixed_machine_version_1_counts() {
        let found = Hierarchies::parse(MIXED);
        assert_eq!(found.0.len(), 3);
        assert!(found.0.iter().all(|one| matches!(one, Hierarchy::Legacy { .. })));
        let groups = found.groups_of("5:cpu,cpuacct:/ours/pod/c\n4:memory:/pod/c\n0::/x\n");
        let paths: Vec<_> = groups.iter().map(|group| group.path.to_str().unwrap()).collect();
        assert_eq!(
            paths,
            ["/sys/fs/cgroup/cpu,cpuacct/pod/c", "/sys/fs/cgroup/memory/pod/c"]
        );
    }

    #[test]
    fn version_2_alone_is_used() {
        let found = Hierarchies::parse("30 29 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        let groups = found.groups_of("0::/kubepods/pod\n");
        assert_eq!(groups.first().unwrap().path, Path::new("/sys/fs/cgroup/kubepods/pod"));
    }

    #[test]
    fn paths_stay_below_the_hierarchy() {
        assert_eq!(relative("/default/x").unwrap(), Path::new("default/x"));
        assert_eq!(
            relative("kubepods-burstable-pod1.slice:cri-containerd:abc").unwrap(),
            Path::new("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-abc.scope")
        );
        for bad in [
            "",
            "/",
            "../x",
            "/a/../../b",
            "a:b",
            "x:y:z",
            "-.slice:a:b",
            "a.slice:../..:x/../..",
        ] {
            assert!(relative(bad).is_err(), "{bad}");
        }
    }
}
