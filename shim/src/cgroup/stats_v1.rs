//! Usage of a version 1 control group as containerd's `io.containerd.cgroups.v1.Metrics`. What the machine does not account
//! is left out of the message.

use std::path::Path;

use containerd_shim_protos::{
    cgroups::metrics::{CPUStat, CPUUsage, MemoryEntry, MemoryOomControl, MemoryStat, Metrics, PidsStat, Throttle},
    protobuf::{Message as _, MessageField, well_known_types::any::Any},
};

use super::Cgroup;

/// Kernel clock ticks are hundredths of a second on every Linux that has version 1.
const TICK_NANOS: u64 = 10_000_000;

pub(super) fn collect(cgroup: &Cgroup) -> Any {
    let metrics = Metrics {
        pids: field(cgroup.controller("pids").map(pids)),
        cpu: field(
            cgroup
                .controller("cpuacct")
                .map(|path| cpu(path, cgroup.controller("cpu"))),
        ),
        memory: field(cgroup.controller("memory").map(memory)),
        memory_oom_control: field(cgroup.controller("memory").map(oom)),
        ..Metrics::default()
    };
    Any {
        type_url: "io.containerd.cgroups.v1.Metrics".to_owned(),
        // Writing to memory fails for messages over 2 GiB only.
        value: metrics.write_to_bytes().unwrap_or_default(),
        ..Any::default()
    }
}

fn field<T>(value: Option<T>) -> MessageField<T> {
    value.map_or_else(MessageField::none, MessageField::some)
}

pub(super) fn read(path: &Path, file: &str) -> String {
    fs_err::read_to_string(path.join(file)).unwrap_or_default()
}

/// A number; `max` and what else is none are all the bits, which is how containerd spells no limit.
pub(super) fn number(path: &Path, file: &str) -> u64 {
    let text = read(path, file);
    match text.trim() {
        "max" => u64::MAX,
        text => text.parse().unwrap_or(0),
    }
}

/// The value of `key` in a file of `key value` lines.
pub(super) fn keyed(text: &str, key: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
        .unwrap_or(0)
}

fn pids(path: &Path) -> PidsStat {
    PidsStat {
        current: number(path, "pids.current"),
        limit: match number(path, "pids.max") {
            u64::MAX => 0,
            limit => limit,
        },
        ..PidsStat::default()
    }
}

fn cpu(accounting: &Path, bandwidth: Option<&Path>) -> CPUStat {
    let times = read(accounting, "cpuacct.stat");
    let usage = CPUUsage {
        total: number(accounting, "cpuacct.usage"),
        user: keyed(&times, "user").saturating_mul(TICK_NANOS),
        kernel: keyed(&times, "system").saturating_mul(TICK_NANOS),
        per_cpu: read(accounting, "cpuacct.usage_percpu")
            .split_whitespace()
            .filter_map(|text| text.parse().ok())
            .collect(),
        ..CPUUsage::default()
    };
    let throttling = bandwidth.map(|path| {
        let text = read(path, "cpu.stat");
        Throttle {
            periods: keyed(&text, "nr_periods"),
            throttled_periods: keyed(&text, "nr_throttled"),
            throttled_time: keyed(&text, "throttled_time"),
            ..Throttle::default()
        }
    });
    CPUStat {
        usage: MessageField::some(usage),
        throttling: field(throttling),
        ..CPUStat::default()
    }
}

fn entry(path: &Path, prefix: &str) -> MemoryEntry {
    MemoryEntry {
        limit: number(path, &format!("{prefix}.limit_in_bytes")),
        usage: number(path, &format!("{prefix}.usage_in_bytes")),
        max: number(path, &format!("{prefix}.max_usage_in_bytes")),
        failcnt: number(path, &format!("{prefix}.failcnt")),
        ..MemoryEntry::default()
    }
}

fn memory(path: &Path) -> MemoryStat {
    let text = read(path, "memory.stat");
    let of = |key| keyed(&text, key);
    MemoryStat {
        cache: of("cache"),
        rss: of("rss"),
        mapped_file: of("mapped_file"),
        dirty: of("dirty"),
        writeback: of("writeback"),
        pg_fault: of("pgfault"),
        pg_maj_fault: of("pgmajfault"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        hierarchical_memory_limit: of("hierarchical_memory_limit"),
        hierarchical_swap_limit: of("hierarchical_memsw_limit"),
        total_cache: of("total_cache"),
        total_rss: of("total_rss"),
        total_mapped_file: of("total_mapped_file"),
        total_pg_fault: of("total_pgfault"),
        total_pg_maj_fault: of("total_pgmajfault"),
        total_inactive_anon: of("total_inactive_anon"),
        total_active_anon: of("total_active_anon"),
        total_inactive_file: of("total_inactive_file"),
        total_active_file: of("total_active_file"),
        total_unevictable: of("total_unevictable"),
        usage: MessageField::some(entry(path, "memory")),
        swap: MessageField::some(entry(path, "memory.memsw")),
        kernel: MessageField::some(entry(path, "memory.kmem")),
        ..MemoryStat::default()
    }
}

fn oom(path: &Path) -> MemoryOomControl {
    let text = read(path, "memory.oom_control");
    MemoryOomControl {
        oom_kill_disable: keyed(&text, "oom_kill_disable"),
        under_oom: keyed(&text, "under_oom"),
        oom_kill: keyed(&text, "oom_kill"),
        ..MemoryOomControl::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_whole_words() {
        let text = "cache 1\ntotal_cache 2\nrss 3\nrss_huge 4\n";
        assert_eq!(keyed(text, "cache"), 1);
        assert_eq!(keyed(text, "total_cache"), 2);
        assert_eq!(keyed(text, "rss"), 3);
        assert_eq!(keyed(text, "missing"), 0);
    }
}
