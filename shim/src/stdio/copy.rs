//! Copying between descriptors that are watched, and [`Input`]: the copying of what a client writes for a process.

use std::{io, os::fd::OwnedFd, path::Path, sync::Arc};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::Notify,
    task::JoinSet,
};

use crate::sys;

const BUFFER_BYTES: usize = 16 << 10;

/// The copying from a client's FIFO to the standard input of a process. Dropping it ends the process's input.
#[derive(Debug)]
pub(crate) struct Input {
    _task: JoinSet<()>,
    closing: Arc<Notify>,
}

impl Input {
    /// Starts copying from the FIFO at `path`; the process gets the descriptor. The process sees the end when the last client
    /// has closed the FIFO, and not before the first has opened it.
    pub(crate) fn start(path: &Path) -> io::Result<(Self, OwnedFd)> {
        let fifo = fs_err::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path)?;
        let (for_process, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        let flags = rustix::fs::fcntl_getfl(&ours)?;
        rustix::fs::fcntl_setfl(&ours, flags | rustix::fs::OFlags::NONBLOCK)?;
        let fifo = sys::watch(fifo.into_file().into(), Interest::READABLE)?;
        let ours = sys::watch(ours, Interest::WRITABLE)?;
        let closing = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        task.spawn({
            let closing = Arc::clone(&closing);
            async move {
                tokio::select! {
                    () = copy(&fifo, &ours) => return,
                    () = closing.notified() => {}
                }
                // What was written before the client asked to close still arrives.
                let mut rest = vec![0; BUFFER_BYTES];
                while let Ok(read) = rustix::io::read(fifo.get_ref(), rest.as_mut_slice())
                    && read > 0
                    && write_all(&ours, rest.get(..read).unwrap_or_default()).await
                {}
            }
        });
        Ok((Self { _task: task, closing }, for_process))
    }

    /// Ends the process's input after what is there already.
    pub(crate) fn close(&self) {
        self.closing.notify_one();
    }
}

/// Copies until either side is closed. A terminal whose processes are gone answers with an I/O error.
pub(crate) async fn copy(from: &AsyncFd<OwnedFd>, to: &AsyncFd<OwnedFd>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from
            .async_io(Interest::READABLE, |fd| {
                Ok(rustix::io::read(fd, buffer.as_mut_slice())?)
            })
            .await;
        match read {
            Ok(0) | Err(_) => return,
            Ok(read) => {
                if !write_all(to, buffer.get(..read).unwrap_or_default()).await {
                    return;
                }
            }
        }
    }
}

/// Whether the other side took everything.
async fn write_all(to: &AsyncFd<OwnedFd>, mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let written = to
            .async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, rest)?))
            .await;
        match written {
            Ok(0) | Err(_) => return false,
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
        }
    }
    true
}
