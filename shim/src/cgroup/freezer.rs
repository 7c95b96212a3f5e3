//! Freezing and thawing a control group, and waiting until the kernel says that it is done.

use std::{path::Path, time::Duration};

use super::{Cgroup, CgroupError};

/// A group is frozen in microseconds as a rule; one with processes in uninterruptible sleep may never be.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(5);

pub(super) async fn set(cgroup: &Cgroup, frozen: bool) -> Result<(), CgroupError> {
    let (path, file, value, state, wanted) = match (cgroup.unified(), cgroup.controller("freezer")) {
        (Some(path), _) => {
            let flag = if frozen { "1" } else { "0" };
            let wanted = if frozen { "frozen 1" } else { "frozen 0" };
            (path, "cgroup.freeze", flag, "cgroup.events", wanted)
        }
        (None, Some(path)) => {
            let word = if frozen { "FROZEN" } else { "THAWED" };
            (path, "freezer.state", word, "freezer.state", word)
        }
        (None, None) => {
            return Err(CgroupError::control("freeze the control group")(std::io::Error::new(
                std::io::ErrorKind::Unsupported,
                "there is no freezer",
            )));
        }
    };
    let write = || fs_err::write(path.join(file), value).map_err(CgroupError::control("freeze the control group"));
    write()?;
    for _ in 0..TRIES {
        if holds(&path.join(state), wanted)? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        // Version 1 wants to be told again about processes that forked meanwhile.
        write()?;
    }
    Err(CgroupError::control("freeze the control group")(std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "its processes did not stop in time",
    )))
}

fn holds(path: &Path, wanted: &str) -> Result<bool, CgroupError> {
    let text = fs_err::read_to_string(path).map_err(CgroupError::control("read the freezer's state"))?;
    Ok(text.lines().any(|line| line.trim() == wanted))
}
