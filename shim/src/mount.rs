//! Mounts as containerd and the OCI specification write them: a type, a source, and options that are partly flags and partly
//! data for the file system.

use std::{
    ffi::CString,
    io,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount};

/// The kernel takes one page of data, its closing zero included.
const MAX_DATA_BYTES: usize = 4095;
/// Bound on mounts stacked on one another that are taken down.
const MAX_STACKED: u32 = 64;

/// Options, sorted by what they are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) flags: MountFlags,
    pub(crate) propagation: Option<MountPropagationFlags>,
    pub(crate) data: Vec<String>,
}

impl Options {
    pub(crate) fn parse(options: &[String]) -> Self {
        let mut parsed = Self {
            flags: MountFlags::empty(),
            propagation: None,
            data: Vec::new(),
        };
        for option in options {
            match option.as_str() {
                // `loop` and `defaults` are words for the mount program.
                "defaults" | "loop" | "rw" | "exec" | "suid" | "dev" | "async" | "atime" => {}
                "bind" => parsed.flags |= MountFlags::BIND,
                "rbind" => parsed.flags |= MountFlags::BIND | MountFlags::REC,
                "ro" => parsed.flags |= MountFlags::RDONLY,
                "nosuid" => parsed.flags |= MountFlags::NOSUID,
                "nodev" => parsed.flags |= MountFlags::NODEV,
                "noexec" => parsed.flags |= MountFlags::NOEXEC,
                "sync" => parsed.flags |= MountFlags::SYNCHRONOUS,
                "dirsync" => parsed.flags |= MountFlags::DIRSYNC,
                "noatime" => parsed.flags |= MountFlags::NOATIME,
                "nodiratime" => parsed.flags |= MountFlags::NODIRATIME,
                "relatime" => parsed.flags |= MountFlags::RELATIME,
                "strictatime" => parsed.flags |= MountFlags::STRICTATIME,
                "private" => parsed.propagation = Some(MountPropagationFlags::PRIVATE),
                "rprivate" => parsed.propagation = Some(MountPropagationFlags::PRIVATE | MountPropagationFlags::REC),
                "slave" => parsed.propagation = Some(MountPropagationFlags::DOWNSTREAM),
                "rslave" => parsed.propagation = Some(MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC),
                "shared" => parsed.propagation = Some(MountPropagationFlags::SHARED),
                "rshared" => parsed.propagation = Some(MountPropagationFlags::SHARED | MountPropagationFlags::REC),
                // Flags of containerd's own that only it acts on.
                option if option.starts_with("X-containerd.") => {}
                option => parsed.data.push(option.to_owned()),
            }
        }
        parsed
    }
}

/// Mounts `source` on `target`, with flags that a bind mount takes only in a second step.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn mount_at(kind: &str, source: &Path, target: &Path, options: &Options) -> io::Result<()> {
    let bind = options.flags.contains(MountFlags::BIND);
    let (data, folder) = compact(&options.data);
    let data = data.join(",");
    if data.len() > MAX_DATA_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::ArgumentListTooLong,
            "the options do not fit into a page",
        ));
    }
    let data = CString::new(data)?;
    let kind = if bind { "none" } else { kind };
    let first = if bind {
        options.flags & (MountFlags::BIND | MountFlags::REC)
    } else {
        options.flags
    };
    let go = || mount(source, target, kind, first, data.as_c_str());
    match &folder {
        // Layers are named relative to their folder, so that many of them fit.
        Some(folder) => within(folder, go)?,
        None => go()?,
    }
    let rest = options.flags - (MountFlags::BIND | MountFlags::REC);
    if bind && !rest.is_empty() {
        mount_remount(target, MountFlags::BIND | rest, "")?;
    }
    if let Some(propagation) = options.propagation {
        mount_change(target, propagation)?;
    }
    Ok(())
}

/// Shortens the layers of an overlay by their common folder, when the options would not fit otherwise.
fn compact(data: &[String]) -> (Vec<String>, Option<PathBuf>) {
    let unchanged = || (data.to_vec(), None);
    if data.iter().map(|option| option.len() + 1).sum::<usize>() <= MAX_DATA_BYTES {
        return unchanged();
    }
    let Some(layers) = data.iter().find_map(|option| option.strip_prefix("lowerdir=")) else {
        return unchanged();
    };
    let mut folders = layers.split(':').map(Path::new);
    let Some(mut common) = folders.next().and_then(Path::parent) else {
        return unchanged();
    };
    for folder in folders {
        while !folder.starts_with(common) {
            match common.parent() {
                Some(parent) => common = parent,
                None => return unchanged(),
            }
        }
    }
    let prefix = format!("{}/", common.display());
    let short: Vec<&str> = layers
        .split(':')
        .map(|layer| layer.strip_prefix(&prefix).unwrap_or(layer))
        .collect();
    let data = data
        .iter()
        .map(|option| {
            if option.starts_with("lowerdir=") {
                format!("lowerdir={}", short.join(":"))
            } else {
                option.clone()
            }
        })
        .collect();
    (data, Some(common.to_owned()))
}

/// Runs `action` with `folder` as the working folder. The shim has one thread that uses it.
fn within(folder: &Path, action: impl FnOnce() -> rustix::io::Result<()>) -> io::Result<()> {
    let before = fs_err::File::open(".")?;
    rustix::process::chdir(folder)?;
    let result = action();
    rustix::process::fchdir(before.file())?;
    Ok(result?)
}

/// Takes down everything mounted at or below `target`; what is not there is no error.
///
/// # Errors
/// When a mount stays.
pub(crate) fn unmount_all(target: &Path) -> io::Result<()> {
    for point in points_below(target)? {
        for _ in 0..MAX_STACKED {
            match unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                Ok(()) => {}
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Mount points at and below `target`, the deepest first.
fn points_below(target: &Path) -> io::Result<Vec<PathBuf>> {
    let text = fs_err::read_to_string("/proc/self/mountinfo")?;
    let mut points: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter(|point| point.starts_with(target))
        .collect();
    points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
    points.dedup();
    Ok(points)
}

/// `mountinfo` writes blanks and backslashes as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        let octal = bytes
            .get(index + 1..index + 4)
            .filter(|_| byte == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(octal.unwrap_or(byte));
        index += if octal.is_some() { 4 } else { 1 };
    }
    PathBuf::from(std::ffi::OsStr::from_bytes(&plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(options: &[&str]) -> Vec<String> {
        options.iter().map(|&option| option.to_owned()).collect()
    }

    #[test]
    fn options_are_flags_or_data() {
        let options = Options::parse(&strings(&["rbind", "ro", "rprivate", "size=64k", "mode=755"]));
        assert!(
            options
                .flags
                .contains(MountFlags::BIND | MountFlags::REC | MountFlags::RDONLY)
        );
        assert!(options.propagation.is_some());
        assert_eq!(options.data, ["size=64k", "mode=755"]);
    }

    #[test]
    fn many_layers_are_named_by_their_folder() {
        let layers: Vec<String> = (0..120)
            .map(|number| format!("/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/{number}/fs"))
            .collect();
        let data = strings(&["workdir=/w", &format!("lowerdir={}", layers.join(":"))]);
        let (short, folder) = compact(&data);
        assert!(short.join(",").len() < MAX_DATA_BYTES);
        let folder = folder.unwrap_or_default();
        assert!(folder.ends_with("snapshots"), "{}", folder.display());
        assert!(short.iter().any(|option| option.starts_with("lowerdir=0/fs:1/fs")));
        // Few layers stay as they are.
        let few = strings(&["lowerdir=/a/1:/a/2"]);
        assert_eq!(compact(&few), (few.clone(), None));
    }

    #[test]
    fn mount_points_with_blanks_are_read() {
        assert_eq!(unescape("/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescape("/a\\9"), Path::new("/a\\9"));
    }
}
