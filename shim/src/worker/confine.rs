//! Taking privileges from a worker: capabilities, limits, new privileges, the user. What stays are the guest's files and the
//! pod's network.

use std::io;

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    thread::{
        CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities, set_no_new_privs,
    },
};

use crate::{
    spec::{self, User},
    sys,
};

/// Takes everything but what [`become_user`] needs. Called while the process has one thread, because most of this is per
/// thread and later ones inherit it.
pub(super) fn drop_capabilities(user: &User) -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in CapabilitySet::all().iter() {
        // One that the kernel does not know is as good as taken.
        let _ = remove_capability_from_bounding_set(capability);
    }
    clear_ambient_capability_set()?;
    let kept = if user.uid == 0 && user.gid == 0 && user.additional_gids.iter().all(|&gid| gid == 0) {
        CapabilitySet::empty()
    } else {
        CapabilitySet::SETUID | CapabilitySet::SETGID
    };
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    Ok(())
}

/// Becomes the container's user, in all threads, and gives the last capabilities away.
pub(super) fn become_user(user: &User) -> io::Result<()> {
    if user.uid == 0 && user.gid == 0 && user.additional_gids.iter().all(|&gid| gid == 0) {
        return Ok(());
    }
    sys::become_user(user.uid, user.gid, &user.additional_gids)?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    // For a user who is not root the kernel has done it already, in every thread.
    set_capabilities(None, none)?;
    Ok(())
}

/// Sets resource limits. One that may not be raised is left as it is, and said so.
pub(super) fn limit(limits: &[spec::Rlimit]) -> Vec<String> {
    let mut refused = Vec::new();
    for limit in limits {
        let Some(resource) = resource(&limit.kind) else {
            refused.push(format!("{} is not a resource limit", limit.kind));
            continue;
        };
        let new = Rlimit {
            current: finite(limit.soft),
            maximum: finite(limit.hard),
        };
        if let Err(error) = setrlimit(resource, new) {
            refused.push(format!("{} stays as it is: {error}", limit.kind));
        }
    }
    refused
}

/// All bits set is how the kernel spells no limit.
fn finite(value: u64) -> Option<u64> {
    (value != u64::MAX).then_some(value)
}

fn resource(kind: &str) -> Option<Resource> {
    Some(match kind {
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_STACK" => Resource::Stack,
        _ => return None,
    })
}
