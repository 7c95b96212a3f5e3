//! What must not be left: shims, workers, mounts, control groups, sockets of a test's containerd.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Processes whose command line or working folder has `folder` in it, shims and workers alike.
pub(crate) fn processes(folder: &Path) -> Vec<u32> {
    let marker = folder.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains("containerd-shim-dunlin") && line.contains(&marker) {
            found.push(pid);
        }
    }
    found
}

/// Ends shims that a failed test left. Their workers are in control groups that go with the containers.
pub(crate) fn kill_shims(folder: &Path) {
    for pid in processes(folder) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Mount points below `folder`.
pub(crate) fn mounts(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|point| Path::new(point).starts_with(folder))
        .map(str::to_owned)
        .collect()
}

/// Control groups of the containers of `namespace`, the namespace's own folder not counted.
pub(crate) fn cgroups(namespace: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut roots = vec![PathBuf::from("/sys/fs/cgroup")];
    roots.extend(
        fs::read_dir("/sys/fs/cgroup")
            .unwrap()
            .filter_map(Result::ok)
            .map(|entry| entry.path()),
    );
    for root in roots {
        if let Ok(entries) = fs::read_dir(root.join(namespace)) {
            found.extend(
                entries
                    .filter_map(Result::ok)
                    .map(|entry| entry.path())
                    .filter(|path| path.is_dir()),
            );
        }
    }
    found
}

/// Descriptors that a process has open.
pub(crate) fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}
