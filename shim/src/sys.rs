//! The system calls that have no safe wrapper: cloning a process into namespaces, signals by number, changing the user of
//! every thread, and taking over file descriptors that a parent prepared. Nothing else in the crate is `unsafe`.
#![allow(
    unsafe_code,
    reason = "system calls without a safe wrapper; this file is for them alone"
)]

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use rustix::process::Pid;
use tokio::io::{Interest, unix::AsyncFd};

/// Where a worker finds the socket to its shim.
pub(crate) const CONTROL_FD: RawFd = 3;

/// Descriptors are moved here and above before they are put in place, so that no `dup2` overwrites one still needed.
const SPARE_FD: RawFd = 64;

/// What a cloned process is to become.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The program.
    pub(crate) program: CString,
    /// Its arguments, its own name first.
    pub(crate) args: Vec<CString>,
    /// Namespaces that it joins, in this order.
    pub(crate) join: Vec<OwnedFd>,
    /// Flags of clone(2) for the namespaces that it gets of its own.
    pub(crate) clone_flags: libc::c_int,
    /// Descriptors 0, 1, 2 and [`CONTROL_FD`].
    pub(crate) fds: [OwnedFd; 4],
    /// Whether descriptor 0 becomes its controlling terminal.
    pub(crate) terminal: bool,
}

/// Clones this process; the child joins its namespaces, gets its descriptors and executes the program with an empty
/// environment. All signals have their default action in it.
///
/// # Errors
/// When the clone fails. What fails in the child ends it with status 127.
pub(crate) fn spawn(exec: Exec) -> io::Result<Pid> {
    let fds = exec.fds.iter().map(spare).collect::<io::Result<Vec<_>>>()?;
    let targets: Vec<(RawFd, RawFd)> = fds.iter().map(|fd| fd.as_raw_fd()).zip(0..).collect();
    let join: Vec<RawFd> = exec.join.iter().map(|fd| fd.as_raw_fd()).collect();
    let mut args: Vec<*const libc::c_char> = exec.args.iter().map(|arg| arg.as_ptr()).collect();
    args.push(std::ptr::null());
    let environment = [std::ptr::null::<libc::c_char>()];
    let flags = libc::c_long::from(exec.clone_flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and a stack this is fork(2): the child has its own copy of the memory and one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid != 0 {
        let pid = i32::try_from(pid).unwrap_or(-1);
        return Pid::from_raw(pid)
            .filter(|_| pid > 0)
            .ok_or_else(io::Error::last_os_error);
    }
    // In the child: only async-signal-safe calls from here on, because other threads may have held locks.
    // SAFETY: all pointers were made before the clone and live in the copied memory; the arrays end with null pointers.
    unsafe { become_program(&exec, &targets, &join, args.as_ptr(), environment.as_ptr()) }
}

/// # Safety
/// Only in a process just cloned; `args` and `environment` are arrays of C strings that end with a null pointer.
unsafe fn become_program(
    exec: &Exec,
    targets: &[(RawFd, RawFd)],
    join: &[RawFd],
    args: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> ! {
    #[allow(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one sequence of system calls, all under the same precondition"
    )]
    // SAFETY: plain system calls on descriptors and memory that the caller vouches for; none takes a lock of ours.
    unsafe {
        for &namespace in join {
            if libc::setns(namespace, 0) != 0 {
                libc::_exit(127);
            }
        }
        libc::setsid();
        for &(from, to) in targets {
            if libc::dup2(from, to) < 0 {
                libc::_exit(127);
            }
        }
        if exec.terminal {
            libc::ioctl(0, libc::TIOCSCTTY, 0);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execve(exec.program.as_ptr(), args, environment);
        libc::_exit(127)
    }
}

/// A duplicate at [`SPARE_FD`] or above, closed on exec.
fn spare(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, SPARE_FD)?)
}

/// Sends signal number `signal` to `pid`; `false` when there is no such process.
///
/// # Errors
/// When the number is no signal or the process may not be signalled.
pub(crate) fn kill(pid: Pid, signal: i32) -> io::Result<bool> {
    // SAFETY: kill(2) touches no memory of ours.
    if unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH) => Ok(false),
        _ => Err(error),
    }
}

/// Changes user and groups of all threads of the process.
///
/// # Errors
/// When the process may not.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let check = |result: libc::c_int| {
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: the pointer and the length are those of one slice of gid_t, which is u32 here.
    check(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: touches no memory of ours; the C library applies it to every thread.
    check(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: as above.
    check(unsafe { libc::setresuid(uid, uid, uid) })
}

/// Takes the socket that the shim left at [`CONTROL_FD`].
///
/// # Errors
/// When there is none.
pub(crate) fn take_control() -> io::Result<OwnedFd> {
    // SAFETY: asks for the flags of a descriptor by number; a number that is not open is an error.
    if unsafe { libc::fcntl(CONTROL_FD, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and `spawn` put it there for this call alone, at the start of the process.
    let fd = unsafe { OwnedFd::from_raw_fd(CONTROL_FD) };
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    Ok(fd)
}

/// Puts a descriptor under the runtime's watch.
///
/// # Errors
/// When the runtime cannot watch it.
pub(crate) fn watch(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is owned by the value that is handed over, so it stays open and the same for as long as the
    // watch lasts.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// Ends the process without running what exit(3) would.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}
