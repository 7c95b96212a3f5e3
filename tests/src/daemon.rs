//! [`Daemon`]: a server of somebody else's as a child process, with its log in a file; and [`free_port`].

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// How long a server may take to listen, on a loaded machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to end by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Ports below those that the kernel gives to outgoing connections, so that nothing else takes one in the meantime.
const FIRST_PORT: u16 = 10_000;
const PORTS: u16 = 20_000;

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Daemon {
    /// Starts it. What it writes goes to `log`.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = fs_err::File::create(log).expect("a log file").into_parts().0;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            child,
            name,
            log: log.to_owned(),
        }
    }

    /// Waits until `ready` says so.
    ///
    /// # Panics
    /// The server ends, or takes too long.
    #[must_use]
    pub fn until(mut self, mut ready: impl FnMut() -> bool) -> Self {
        let started = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().expect("a child");
            assert!(
                ended.is_none() && started.elapsed() < START_TIMEOUT,
                "{} does not come up ({ended:?}): {}",
                self.name,
                self.written()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self
    }

    /// Waits until it listens on a port of loopback.
    ///
    /// # Panics
    /// As [`until`](Self::until).
    #[must_use]
    pub fn listening(self, port: u16) -> Self {
        self.until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    }

    /// What it has written so far.
    #[must_use]
    pub fn written(&self) -> String {
        fs_err::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Daemon {
    /// Asks it to end first: some servers have children or mounts of their own.
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended already.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < STOP_TIMEOUT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A TCP port of loopback that is free, and that no other test of this process is given.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes of tests that run at the same time begin at different places.
    let start = u16::try_from(std::process::id() * 97 % u32::from(PORTS)).expect("a small number");
    for _ in 0..PORTS {
        let offset = u32::from(start) + u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST_PORT + u16::try_from(offset % u32::from(PORTS)).expect("a small number");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port")
}
