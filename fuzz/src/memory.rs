//! How much memory this process has had at most, from `/proc/self/status`; nothing where there is no such file.

/// The most memory that this process had, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    /// Resident.
    pub(crate) resident: u64,
    /// Reserved: a large allocation that nobody touches is seen here only.
    pub(crate) reserved: u64,
}

impl Peak {
    pub(crate) fn now() -> Self {
        let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().trim_end_matches("kB").trim().parse().ok()
        };
        Self {
            resident: field("VmHWM:").unwrap_or(0),
            reserved: field("VmPeak:").unwrap_or(0),
        }
    }
}
