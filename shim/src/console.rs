//! [`Console`]: the terminal of a process, between its pseudo-terminal and the FIFOs that containerd named.

use std::{
    io,
    io::IoSliceMut,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::{
    net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg},
    pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    net::UnixListener,
    task::JoinSet,
};

use crate::{
    stdio::{StdioError, Streams, both_ways, copy},
    sys,
};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
/// Time that output still in the terminal gets after its process ended: a background process may hold the terminal open.
const DRAIN_PATIENCE: Duration = Duration::from_millis(500);

/// The master side of a terminal and the copying in both directions.
#[derive(Debug)]
pub(crate) struct Console {
    master: Arc<AsyncFd<OwnedFd>>,
    input: JoinSet<()>,
    output: JoinSet<()>,
}

/// A socket on which runc hands over the master of the terminal that it made.
#[derive(Debug)]
pub(crate) struct ConsoleSocket {
    listener: UnixListener,
    path: PathBuf,
}

fn terminal(source: impl Into<io::Error>) -> StdioError {
    StdioError::Terminal { source: source.into() }
}

impl ConsoleSocket {
    /// Listens in `folder`, under a name that is short, because a socket's path must be.
    pub(crate) fn listen(folder: &Path) -> Result<Self, StdioError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("tty-{}-{number}", std::process::id()));
        fs_err::create_dir_all(folder).map_err(terminal)?;
        // One of an earlier process with this id would be in the way.
        let _ = fs_err::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(terminal)?;
        Ok(Self { listener, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the terminal.
    pub(crate) async fn receive(&self) -> Result<OwnedFd, StdioError> {
        let (stream, _) = self.listener.accept().await.map_err(terminal)?;
        loop {
            stream.readable().await.map_err(terminal)?;
            match stream.try_io(Interest::READABLE, || receive_fd(&stream)) {
                Ok(fd) => return Ok(fd),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(terminal(error)),
            }
        }
    }
}

impl Drop for ConsoleSocket {
    fn drop(&mut self) {
        // The bundle goes with the container; a socket left behind harms nobody.
        let _ = fs_err::remove_file(&self.path);
    }
}

fn receive_fd(stream: &tokio::net::UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0; 4096];
    recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut name)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no terminal was sent"))
}

/// A new terminal: its master, and the side for a process.
pub(crate) fn open_terminal() -> Result<(OwnedFd, OwnedFd), StdioError> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).map_err(terminal)?;
    grantpt(&master).map_err(terminal)?;
    unlockpt(&master).map_err(terminal)?;
    let slave = ioctl_tiocgptpeer(&master, flags).map_err(terminal)?;
    Ok((master, slave))
}

impl Console {
    /// Starts copying between `master` and the FIFOs.
    pub(crate) fn start(master: OwnedFd, streams: &Streams) -> Result<Self, StdioError> {
        let flags = rustix::fs::fcntl_getfl(&master).map_err(terminal)?;
        rustix::fs::fcntl_setfl(&master, flags | rustix::fs::OFlags::NONBLOCK).map_err(terminal)?;
        let master = Arc::new(sys::watch(master, BOTH).map_err(terminal)?);
        let (mut input, mut output) = (JoinSet::new(), JoinSet::new());
        if !streams.stdin.is_empty() {
            let fifo = sys::watch(both_ways(Path::new(&streams.stdin), "stdin")?, BOTH).map_err(terminal)?;
            let master = Arc::clone(&master);
            input.spawn(async move { copy(&fifo, &master).await });
        }
        if !streams.stdout.is_empty() {
            let fifo = sys::watch(both_ways(Path::new(&streams.stdout), "stdout")?, BOTH).map_err(terminal)?;
            let master = Arc::clone(&master);
            output.spawn(async move { copy(&master, &fifo).await });
        }
        Ok(Self { master, input, output })
    }

    /// Tells the process its window's size, in characters.
    pub(crate) fn resize(&self, width: u32, height: u32) -> Result<(), StdioError> {
        let size = Winsize {
            ws_row: u16::try_from(height).unwrap_or(u16::MAX),
            ws_col: u16::try_from(width).unwrap_or(u16::MAX),
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(self.master.get_ref(), size).map_err(terminal)
    }

    /// Stops reading what the user types.
    pub(crate) fn close_stdin(&mut self) {
        self.input.abort_all();
    }

    /// Copies what the process has written last, and ends.
    pub(crate) async fn finish(mut self) {
        self.input.abort_all();
        let done = async { while self.output.join_next().await.is_some() {} };
        // The rest is lost as it would be in a closed window.
        let _ = tokio::time::timeout(DRAIN_PATIENCE, done).await;
    }
}
