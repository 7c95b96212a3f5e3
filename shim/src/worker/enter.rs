//! From the shim's view of the file system to the container's: the root file system becomes the root, volumes are attached
//! below it, and nothing of the node stays reachable. Guests get no `/proc`, `/sys` or devices: through them a process can
//! reach itself and the machine.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    mount::{
        MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount_bind_recursive,
        mount_change, mount_remount, move_mount, open_tree, unmount,
    },
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::setup::Place;
use crate::{
    mount::{Options, mount_at},
    spec::Mount,
};

/// File systems that give a process more than files.
const KERNEL_FILE_SYSTEMS: [&str; 9] = [
    "proc",
    "sysfs",
    "devpts",
    "mqueue",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "securityfs",
    "debugfs",
];

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}")]
pub(super) struct EnterError {
    step: String,
    #[source]
    source: io::Error,
}

fn at<E: Into<io::Error>>(step: impl Into<String>) -> impl FnOnce(E) -> EnterError {
    let step = step.into();
    move |source| EnterError {
        step,
        source: source.into(),
    }
}

/// A volume, detached from the node's file system and not yet attached to the container's.
struct Volume<'a> {
    tree: OwnedFd,
    is_folder: bool,
    mount: &'a Mount,
    options: Options,
}

/// Moves this process to its place. It must have one thread.
pub(super) fn enter(place: &Place) -> Result<(), EnterError> {
    match place {
        Place::Of(pid) => join(*pid),
        Place::New {
            rootfs,
            readonly,
            mounts,
            hostname,
        } => {
            if let Some(name) = hostname {
                rustix::system::sethostname(name.as_bytes()).map_err(at("set the host name"))?;
            }
            build(rootfs, *readonly, mounts)
        }
    }
}

fn join(pid: i32) -> Result<(), EnterError> {
    let path = format!("/proc/{pid}/ns/mnt");
    let namespace = rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(at("find the container's mounts"))?;
    move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), Some(LinkNameSpaceType::Mount))
        .map_err(at("join the container's mounts"))
}

fn build(rootfs: &Path, readonly: bool, mounts: &[Mount]) -> Result<(), EnterError> {
    // Nothing that is mounted here shows on the node.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .map_err(at("leave the node's mounts"))?;
    let wanted = mounts.iter().filter(|mount| is_wanted(mount));
    let (bound, made): (Vec<&Mount>, Vec<&Mount>) = wanted.partition(|mount| is_bind(mount));
    // Sources are taken while the node's file system is still there, by a path that the node chose.
    let volumes = bound.into_iter().map(detach).collect::<Result<Vec<_>, _>>()?;
    mount_bind_recursive(rootfs, rootfs).map_err(at("bind the root file system"))?;
    rustix::process::chdir(rootfs).map_err(at("enter the root file system"))?;
    rustix::process::pivot_root(".", ".").map_err(at("change the root"))?;
    // The old root lies on top of the new one now.
    mount_change(".", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(at("keep mounts private"))?;
    unmount(".", UnmountFlags::DETACH).map_err(at("let go of the node's file system"))?;
    rustix::process::chdir("/").map_err(at("enter the root"))?;
    // From here on every path is the container's, and so is every link in it.
    for mount in made {
        let target = rooted(&mount.destination);
        prepare(&target, true).map_err(at(format!("make {}", target.display())))?;
        let mut options = Options::parse(&mount.options);
        options.flags |= MountFlags::NODEV | MountFlags::NOSUID;
        mount_at(&mount.kind, &mount.source, &target, &options).map_err(at(format!("mount {}", target.display())))?;
    }
    for volume in volumes {
        attach(&volume)?;
    }
    let mut flags = MountFlags::BIND | MountFlags::NODEV | MountFlags::NOSUID;
    if readonly {
        flags |= MountFlags::RDONLY;
    }
    mount_remount("/", flags, "").map_err(at("close the root file system to devices"))
}

fn is_bind(mount: &Mount) -> bool {
    mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// Volumes and scratch space; not what a Linux process gets from the kernel.
fn is_wanted(mount: &Mount) -> bool {
    if is_bind(mount) {
        return true;
    }
    !KERNEL_FILE_SYSTEMS.contains(&mount.kind.as_str()) && !mount.destination.starts_with("/dev")
}

fn detach(mount: &Mount) -> Result<Volume<'_>, EnterError> {
    let options = Options::parse(&mount.options);
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if options.flags.contains(MountFlags::REC) {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let step = || format!("take volume {}", mount.source.display());
    let tree = open_tree(CWD, &mount.source, flags).map_err(at(step()))?;
    let kind = rustix::fs::fstat(&tree).map_err(at(step()))?;
    Ok(Volume {
        is_folder: rustix::fs::FileType::from_raw_mode(kind.st_mode).is_dir(),
        tree,
        mount,
        options,
    })
}

fn attach(volume: &Volume<'_>) -> Result<(), EnterError> {
    let target = rooted(&volume.mount.destination);
    let step = || format!("attach a volume at {}", target.display());
    prepare(&target, volume.is_folder).map_err(at(step()))?;
    move_mount(&volume.tree, "", CWD, &target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).map_err(at(step()))?;
    let rest = volume.options.flags - (MountFlags::BIND | MountFlags::REC);
    let flags = MountFlags::BIND | MountFlags::NODEV | MountFlags::NOSUID | rest;
    mount_remount(&target, flags, "").map_err(at(step()))?;
    match volume.options.propagation {
        Some(propagation) => mount_change(&target, propagation).map_err(at(step())),
        None => Ok(()),
    }
}

/// The destination below the root, without steps back.
fn rooted(destination: &Path) -> PathBuf {
    let plain = destination
        .components()
        .filter(|part| matches!(part, Component::Normal(_)));
    Path::new("/").join(plain.collect::<PathBuf>())
}

/// A place to mount on.
fn prepare(target: &Path, folder: bool) -> io::Result<()> {
    if target.exists() {
        return Ok(());
    }
    if folder {
        return fs_err::create_dir_all(target);
    }
    if let Some(parent) = target.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::File::create(target).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, destination: &str, options: &[&str]) -> Mount {
        Mount {
            kind: kind.to_owned(),
            destination: destination.into(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            ..Mount::default()
        }
    }

    #[test]
    fn guests_get_volumes_and_nothing_of_the_kernel() {
        assert!(is_wanted(&mount("bind", "/data", &["rbind", "ro"])));
        assert!(is_wanted(&mount("bind", "/dev/termination-log", &["rbind"])));
        assert!(is_wanted(&mount("tmpfs", "/run", &[])));
        for kind in KERNEL_FILE_SYSTEMS {
            assert!(!is_wanted(&mount(kind, "/x", &[])), "{kind}");
        }
        assert!(!is_wanted(&mount("tmpfs", "/dev", &[])));
        assert!(!is_wanted(&mount("tmpfs", "/dev/shm", &[])));
    }

    #[test]
    fn destinations_have_no_steps_back() {
        assert_eq!(rooted(Path::new("/a/../../b")), Path::new("/a/b"));
        assert_eq!(rooted(Path::new("c")), Path::new("/c"));
    }
}
