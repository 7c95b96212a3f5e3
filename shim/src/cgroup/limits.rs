//! Limits of a control group, from the OCI specification's resources to the files of either version.

use std::path::Path;

use super::{Cgroup, CgroupError};
use crate::spec::{Cpu, Memory, Resources};

/// Version 1's shares run from 2 to this, version 2's weight from 1 to 10,000.
const MAX_SHARES: u64 = 262_144;
const DEFAULT_PERIOD_USEC: u64 = 100_000;

pub(super) fn apply(cgroup: &Cgroup, resources: &Resources) -> Result<(), CgroupError> {
    match cgroup.unified() {
        Some(path) => unified(path, resources),
        None => legacy(cgroup, resources),
    }
}

fn write(folder: &Path, file: &str, value: &str) -> Result<(), CgroupError> {
    fs_err::write(folder.join(file), value).map_err(CgroupError::control("set a limit of the control group"))
}

/// -1 and other negative numbers are no limit.
fn or_max(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn unified(path: &Path, resources: &Resources) -> Result<(), CgroupError> {
    if let Some(memory) = &resources.memory {
        unified_memory(path, memory)?;
    }
    if let Some(cpu) = &resources.cpu {
        if let Some(shares) = cpu.shares.filter(|&shares| shares > 0) {
            write(path, "cpu.weight", &weight(shares).to_string())?;
        }
        if let Some(quota) = cpu.quota {
            let period = cpu.period.unwrap_or(DEFAULT_PERIOD_USEC);
            let quota = if quota <= 0 {
                "max".to_owned()
            } else {
                quota.to_string()
            };
            write(path, "cpu.max", &format!("{quota} {period}"))?;
        }
        cpuset(path, cpu)?;
    }
    if let Some(limit) = resources
        .pids
        .as_ref()
        .and_then(|pids| pids.limit)
        .filter(|&limit| limit != 0)
    {
        write(path, "pids.max", &or_max(limit))?;
    }
    for (file, value) in &resources.unified {
        // The name of a file of the group, not a path.
        if !file.contains('/') {
            write(path, file, value)?;
        }
    }
    Ok(())
}

fn unified_memory(path: &Path, memory: &Memory) -> Result<(), CgroupError> {
    if let Some(limit) = memory.limit.filter(|&limit| limit != 0) {
        write(path, "memory.max", &or_max(limit))?;
        if let Some(both) = memory.swap.filter(|&swap| swap != 0) {
            // The specification's swap is memory and swap together.
            let swap = if both < 0 {
                both
            } else {
                both.saturating_sub(limit).max(0)
            };
            // Kernels without swap accounting have no such file.
            let _ = write(path, "memory.swap.max", &or_max(swap));
        }
    }
    if let Some(reservation) = memory.reservation.filter(|&reservation| reservation != 0) {
        write(path, "memory.low", &or_max(reservation))?;
    }
    Ok(())
}

/// The conversion of the OCI runtimes, so that equal requests weigh equal next to Linux containers.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, MAX_SHARES) - 2) * 9_999 / (MAX_SHARES - 2)
}

fn cpuset(path: &Path, cpu: &Cpu) -> Result<(), CgroupError> {
    if !cpu.cpus.is_empty() {
        write(path, "cpuset.cpus", &cpu.cpus)?;
    }
    if !cpu.mems.is_empty() {
        write(path, "cpuset.mems", &cpu.mems)?;
    }
    Ok(())
}

fn legacy(cgroup: &Cgroup, resources: &Resources) -> Result<(), CgroupError> {
    if let (Some(memory), Some(path)) = (&resources.memory, cgroup.controller("memory")) {
        legacy_memory(path, memory)?;
    }
    if let Some(cpu) = &resources.cpu {
        if let Some(path) = cgroup.controller("cpu") {
            if let Some(shares) = cpu.shares.filter(|&shares| shares > 0) {
                write(path, "cpu.shares", &shares.to_string())?;
            }
            if let Some(period) = cpu.period.filter(|&period| period > 0) {
                write(path, "cpu.cfs_period_us", &period.to_string())?;
            }
            if let Some(quota) = cpu.quota.filter(|&quota| quota != 0) {
                write(path, "cpu.cfs_quota_us", &quota.max(-1).to_string())?;
            }
        }
        if let Some(path) = cgroup.controller("cpuset") {
            cpuset(path, cpu)?;
        }
    }
    let pids = resources
        .pids
        .as_ref()
        .and_then(|pids| pids.limit)
        .filter(|&limit| limit != 0);
    if let (Some(limit), Some(path)) = (pids, cgroup.controller("pids")) {
        write(path, "pids.max", &or_max(limit))?;
    }
    Ok(())
}

/// The limit of memory must never be above that of memory and swap, so the order of writing depends on the direction.
fn legacy_memory(path: &Path, memory: &Memory) -> Result<(), CgroupError> {
    const LIMIT: &str = "memory.limit_in_bytes";
    const SWAP: &str = "memory.memsw.limit_in_bytes";
    let limit = memory.limit.filter(|&limit| limit != 0).map(|limit| limit.max(-1));
    let swap = memory.swap.filter(|&swap| swap != 0).map(|swap| swap.max(-1));
    let swap = swap.filter(|_| path.join(SWAP).exists());
    if let Some(limit) = limit {
        let first = write(path, LIMIT, &limit.to_string());
        if let Some(swap) = swap {
            write(path, SWAP, &swap.to_string())?;
            if first.is_err() {
                write(path, LIMIT, &limit.to_string())?;
            }
        } else {
            first?;
        }
    }
    if let Some(reservation) = memory.reservation.filter(|&reservation| reservation != 0) {
        write(path, "memory.soft_limit_in_bytes", &reservation.max(-1).to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_as_in_other_runtimes() {
        assert_eq!(weight(2), 1);
        assert_eq!(weight(1024), 39);
        assert_eq!(weight(MAX_SHARES), 10_000);
        assert_eq!(weight(u64::MAX), 10_000);
    }
}
