//! [`OomWatch`]: tells when the kernel killed a process of the group for want of memory.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    event::{EventfdFlags, eventfd},
    fs::inotify,
};
use tokio::io::{Interest, unix::AsyncFd};

use super::Cgroup;
use crate::sys;

/// A descriptor that becomes readable when there may have been a kill.
#[derive(Debug)]
pub(crate) struct OomWatch {
    source: AsyncFd<OwnedFd>,
    kills: Arc<OomKills>,
}

/// The number of kills in the group: descriptors become readable for other reasons too, such as the group's removal.
#[derive(Debug)]
pub(crate) struct OomKills {
    counters: PathBuf,
    seen: AtomicU64,
}

impl OomKills {
    fn new(counters: PathBuf) -> Arc<Self> {
        let seen = AtomicU64::new(count(&counters));
        Arc::new(Self { counters, seen })
    }

    /// Whether there was a kill since the last call, whoever made it.
    pub(crate) fn happened(&self) -> bool {
        let now = count(&self.counters);
        self.seen.fetch_max(now, Ordering::AcqRel) < now
    }
}

impl OomWatch {
    pub(super) fn new(cgroup: &Cgroup) -> io::Result<Option<Self>> {
        if let Some(path) = cgroup.unified() {
            let counters = path.join("memory.events");
            if !counters.exists() {
                return Ok(None);
            }
            let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
            inotify::add_watch(&watch, &counters, inotify::WatchFlags::MODIFY)?;
            return Ok(Some(Self {
                source: sys::watch(watch, Interest::READABLE)?,
                kills: OomKills::new(counters),
            }));
        }
        let Some(path) = cgroup.controller("memory") else {
            return Ok(None);
        };
        let event = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let counters = path.join("memory.oom_control");
        let control = fs_err::File::open(&counters)?;
        let registration = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        fs_err::write(path.join("cgroup.event_control"), registration)?;
        Ok(Some(Self {
            source: sys::watch(event, Interest::READABLE)?,
            kills: OomKills::new(counters),
        }))
    }

    /// The count behind the watch.
    pub(crate) fn kills(&self) -> Arc<OomKills> {
        Arc::clone(&self.kills)
    }

    /// Waits for the next kill. `false` when nothing more will be told.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn next(&mut self) -> bool {
        loop {
            let Ok(mut ready) = self.source.readable().await else {
                return false;
            };
            let mut buffer = [0; 512];
            let read = ready.try_io(|source| rustix::io::read(source.get_ref(), &mut buffer).map_err(io::Error::from));
            match read {
                Err(_would_block) => continue,
                Ok(Err(_) | Ok(0)) => return false,
                Ok(Ok(_)) => {}
            }
            if self.kills.happened() {
                return true;
            }
            if !self.kills.counters.exists() {
                return false;
            }
        }
    }
}

fn count(counters: &Path) -> u64 {
    fs_err::read_to_string(counters)
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        .unwrap_or(0)
}
