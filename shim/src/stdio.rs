//! [`Stdio`]: the streams of a process. containerd names FIFOs; the process gets the ends of its outputs directly, and the shim
//! holds each open in both directions, so that neither a restart of containerd breaks a pipe nor a reader sees the end too
//! early. Input is copied, as are terminals, by [`Console`](crate::console::Console).

mod copy;

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

pub(crate) use copy::{Input, copy};
use fs_err::os::unix::fs::OpenOptionsExt as _;

/// What containerd says of the streams of a process. Empty names are no streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdin: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) terminal: bool,
}

/// Why streams cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StdioError {
    /// The file system refused.
    #[error("cannot open the {stream} of the process")]
    Open {
        /// `stdin`, `stdout` or `stderr`.
        stream: &'static str,
        /// The answer, naming the path.
        #[source]
        source: io::Error,
    },
    /// A logging driver of another kind.
    #[error("the {stream} goes to `{uri}`, and only FIFOs and file:// are supported")]
    Scheme {
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// What containerd named.
        uri: String,
    },
    /// There is no terminal to be had.
    #[error("cannot make a terminal")]
    Terminal {
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StdioError {
    pub(crate) fn hint(&self) -> Option<String> {
        matches!(self, Self::Scheme { .. }).then(|| "use containerd's default logging".to_owned())
    }
}

/// The shim's own hold on the streams of a process; dropping it gives readers their end of file.
#[derive(Debug, Default)]
pub(crate) struct Held {
    stdin: Option<Input>,
    outputs: Vec<OwnedFd>,
}

/// The descriptors 0, 1 and 2 of a process to come.
#[derive(Debug)]
pub(crate) struct Stdio {
    pub(crate) fds: [OwnedFd; 3],
    pub(crate) held: Held,
}

impl Held {
    /// Ends standard input, whoever else may write to it.
    pub(crate) fn close_stdin(&self) {
        if let Some(input) = &self.stdin {
            input.close();
        }
    }
}

impl Stdio {
    /// Opens the streams of a process without a terminal.
    pub(crate) fn open(streams: &Streams) -> Result<Self, StdioError> {
        let mut held = Held::default();
        let stdin = if streams.stdin.is_empty() {
            null("stdin", false)?
        } else {
            let (input, fd) = Input::start(Path::new(&streams.stdin)).map_err(|source| StdioError::Open {
                stream: "stdin",
                source,
            })?;
            held.stdin = Some(input);
            fd
        };
        let mut output = |name: &str, stream| match target(name, stream)? {
            Target::Nothing => null(stream, true),
            Target::Fifo(path) => {
                held.outputs.push(both_ways(&path, stream)?);
                owned(fs_err::OpenOptions::new().write(true).open(path), stream)
            }
            Target::File(path) => owned(fs_err::OpenOptions::new().create(true).append(true).open(path), stream),
        };
        let stdout = output(&streams.stdout, "stdout")?;
        let stderr = output(&streams.stderr, "stderr")?;
        Ok(Self {
            fds: [stdin, stdout, stderr],
            held,
        })
    }
}

enum Target {
    Nothing,
    Fifo(PathBuf),
    File(PathBuf),
}

fn target(name: &str, stream: &'static str) -> Result<Target, StdioError> {
    Ok(match name.split_once("://") {
        None if name.is_empty() => Target::Nothing,
        None => Target::Fifo(name.into()),
        Some(("fifo", path)) => Target::Fifo(path.into()),
        Some(("file", path)) => Target::File(path.into()),
        Some(_) => {
            return Err(StdioError::Scheme {
                stream,
                uri: name.to_owned(),
            });
        }
    })
}

/// Opening a FIFO in both directions never waits for the other side.
pub(crate) fn both_ways(path: &Path, stream: &'static str) -> Result<OwnedFd, StdioError> {
    let file = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    owned(file, stream)
}

fn null(stream: &'static str, write: bool) -> Result<OwnedFd, StdioError> {
    let file = fs_err::OpenOptions::new().read(!write).write(write).open("/dev/null");
    owned(file, stream)
}

fn owned(file: io::Result<fs_err::File>, stream: &'static str) -> Result<OwnedFd, StdioError> {
    file.map(|file| file.into_file().into())
        .map_err(|source| StdioError::Open { stream, source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_types, reason = "tests")]

    use std::{
        fs::File,
        io::{Read as _, Write as _},
    };

    use super::*;

    fn fifo(path: &Path) {
        rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    }

    #[test]
    fn readers_see_the_end_when_process_and_shim_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fifo(&path);
        let stdio = Stdio::open(&Streams {
            stdout: path.to_str().unwrap().to_owned(),
            ..Streams::default()
        })
        .unwrap();
        let mut reader = fs_err::File::open(&path).unwrap();
        let [_, stdout, _] = stdio.fds;
        File::from(stdout).write_all(b"hello").unwrap();
        drop(stdio.held);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn a_logging_program_is_refused_by_name() {
        let streams = Streams {
            stdout: "binary:///usr/bin/logger".to_owned(),
            ..Streams::default()
        };
        let error = Stdio::open(&streams).unwrap_err();
        assert!(error.to_string().contains("binary:///usr/bin/logger"), "{error}");
    }
}
