//! [`Exit`]: how and when a process ended.

use std::time::SystemTime;

use rustix::process::WaitStatus;

/// A process killed by signal N has the exit code 128 + N, as in a shell.
pub(crate) const SIGNAL_BASE: u32 = 128;

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// 0 to 255, or 128 and the signal.
    pub(crate) code: u32,
    /// When it was seen.
    pub(crate) at: SystemTime,
}

impl Exit {
    /// An end that is happening now.
    pub(crate) fn now(code: u32) -> Self {
        Self {
            code,
            at: SystemTime::now(),
        }
    }

    /// What wait(2) said; `None` for a process that only stopped.
    pub(crate) fn of(status: WaitStatus) -> Option<Self> {
        let number = |value: i32| u32::try_from(value).unwrap_or(0);
        let code = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => number(code),
            (None, Some(signal)) => SIGNAL_BASE + number(signal),
            (None, None) => return None,
        };
        Some(Self::now(code))
    }
}
