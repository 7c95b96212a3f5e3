//! Usage of a version 2 control group as containerd's `io.containerd.cgroups.v2.Metrics`.

use std::path::Path;

use containerd_shim_protos::{
    cgroups_v2::metrics::{CPUStat, MemoryEvents, MemoryStat, Metrics, PidsStat},
    protobuf::{Message as _, MessageField, well_known_types::any::Any},
};

use super::stats_v1::{keyed, number, read};

pub(super) fn collect(path: &Path) -> Any {
    let metrics = Metrics {
        pids: MessageField::some(PidsStat {
            current: number(path, "pids.current"),
            limit: match number(path, "pids.max") {
                u64::MAX => 0,
                limit => limit,
            },
            ..PidsStat::default()
        }),
        cpu: MessageField::some(cpu(path)),
        memory: MessageField::some(memory(path)),
        memory_events: MessageField::some(events(path)),
        ..Metrics::default()
    };
    Any {
        type_url: "io.containerd.cgroups.v2.Metrics".to_owned(),
        // Writing to memory fails for messages over 2 GiB only.
        value: metrics.write_to_bytes().unwrap_or_default(),
        ..Any::default()
    }
}

fn cpu(path: &Path) -> CPUStat {
    let text = read(path, "cpu.stat");
    CPUStat {
        usage_usec: keyed(&text, "usage_usec"),
        user_usec: keyed(&text, "user_usec"),
        system_usec: keyed(&text, "system_usec"),
        nr_periods: keyed(&text, "nr_periods"),
        nr_throttled: keyed(&text, "nr_throttled"),
        throttled_usec: keyed(&text, "throttled_usec"),
        ..CPUStat::default()
    }
}

fn memory(path: &Path) -> MemoryStat {
    let text = read(path, "memory.stat");
    let of = |key| keyed(&text, key);
    MemoryStat {
        anon: of("anon"),
        file: of("file"),
        kernel_stack: of("kernel_stack"),
        slab: of("slab"),
        sock: of("sock"),
        shmem: of("shmem"),
        file_mapped: of("file_mapped"),
        file_dirty: of("file_dirty"),
        file_writeback: of("file_writeback"),
        anon_thp: of("anon_thp"),
        inactive_anon: of("inactive_anon"),
        active_anon: of("active_anon"),
        inactive_file: of("inactive_file"),
        active_file: of("active_file"),
        unevictable: of("unevictable"),
        slab_reclaimable: of("slab_reclaimable"),
        slab_unreclaimable: of("slab_unreclaimable"),
        pgfault: of("pgfault"),
        pgmajfault: of("pgmajfault"),
        usage: number(path, "memory.current"),
        usage_limit: number(path, "memory.max"),
        swap_usage: number(path, "memory.swap.current"),
        swap_limit: number(path, "memory.swap.max"),
        max_usage: number(path, "memory.peak"),
        ..MemoryStat::default()
    }
}

fn events(path: &Path) -> MemoryEvents {
    let text = read(path, "memory.events");
    let of = |key| keyed(&text, key);
    MemoryEvents {
        low: of("low"),
        high: of("high"),
        max: of("max"),
        oom: of("oom"),
        oom_kill: of("oom_kill"),
        oom_group_kill: of("oom_group_kill"),
        ..MemoryEvents::default()
    }
}
