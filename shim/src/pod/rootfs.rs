//! The root file system of a container, from containerd's mounts to their removal, and the removal of all that a dead shim
//! left.

use std::path::Path;

use containerd_shim_protos::api::CreateTaskRequest;

use crate::{cgroup::Cgroup, error::TaskError, mount, runc::Runc, spec::Spec};

/// How often a control group is tried to be removed, and the pause between: its last process may take a moment to be gone.
const REMOVE_TRIES: u32 = 50;
const REMOVE_PAUSE: std::time::Duration = std::time::Duration::from_millis(4);

pub(super) fn mount_rootfs(request: &CreateTaskRequest, rootfs: &Path) -> Result<(), TaskError> {
    for entry in &request.rootfs {
        let failed = |source| TaskError::Mount {
            source_path: format!("{} ({})", entry.source, entry.type_),
            target: rootfs.to_owned(),
            source,
        };
        fs_err::create_dir_all(rootfs).map_err(failed)?;
        let options = mount::Options::parse(&entry.options);
        mount::mount_at(&entry.type_, Path::new(&entry.source), rootfs, &options).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn unmount(rootfs: &Path) {
    if let Err(error) = mount::unmount_all(rootfs) {
        tracing::warn!(%error, rootfs = %rootfs.display(), "the root file system stays mounted");
    }
}

/// What a dead shim left of a container is removed; for `delete`, in a process of its own.
pub(crate) fn remove_leftovers(bundle: &Path, id: &str, runc: Option<&Runc>) {
    if let Ok(spec) = Spec::read(bundle)
        && let Ok(cgroup) = Cgroup::existing(&spec.linux.cgroups_path)
    {
        cgroup.kill();
        if let Some(runc) = runc {
            runc.delete_now(bundle, id);
        }
        for _ in 0..REMOVE_TRIES {
            if cgroup.remove_once() {
                break;
            }
            std::thread::sleep(REMOVE_PAUSE);
        }
    }
    unmount(&bundle.join("rootfs"));
}
