//! A `dunlin serve` child: started on a free port, asked, stopped.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use crate::Machine;

/// Long enough for a loaded machine to drain a few requests; a server that needs it all is broken.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `dunlin serve <arguments> --addr 127.0.0.1:0` and waits until it listens.
    ///
    /// # Panics
    /// It ends instead.
    #[must_use]
    pub fn start(machine: &Machine, arguments: &[&str]) -> Self {
        Self::run(machine, &["serve"], arguments)
    }

    /// Starts `dunlin registry serve <arguments> --addr 127.0.0.1:0` and waits until it listens.
    ///
    /// # Panics
    /// It ends instead.
    #[must_use]
    pub fn registry(machine: &Machine, arguments: &[&str]) -> Self {
        Self::run(machine, &["registry", "serve"], arguments)
    }

    fn run(machine: &Machine, verb: &[&str], arguments: &[&str]) -> Self {
        let address = ["--addr", "127.0.0.1:0"];
        let arguments: Vec<&str> = [verb, arguments, &address].concat();
        let mut command = machine.command(&arguments);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("dunlin starts");
        let stdout = child.stdout.take().expect("its standard output");
        let Some(Ok(line)) = BufReader::new(stdout).lines().next() else {
            let mut messages = String::new();
            drop(
                child
                    .stderr
                    .take()
                    .expect("its standard error")
                    .read_to_string(&mut messages),
            );
            panic!("dunlin {} ended: {messages}", arguments.join(" "));
        };
        let address = line
            .strip_prefix("listening on http://")
            .expect("the address")
            .to_owned();
        // What the server logs must be read, or it blocks once the pipe is full.
        let mut stderr = child.stderr.take().expect("its standard error");
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        Self { child, address }
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    ///
    /// # Panics
    /// The process is gone.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running server");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("a resident size");
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .expect("a number")
            * 1024
    }

    /// GET: status and body.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, String) {
        answer(agent().get(self.url(path)).call())
    }

    /// POST: status and body.
    #[must_use]
    pub fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        answer(
            agent()
                .post(self.url(path))
                .header("content-type", "application/json")
                .send(body),
        )
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// The process is gone.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a running server");
    }

    /// Waits for the end after [`terminate`](Self::terminate), and returns the exit code.
    ///
    /// # Panics
    /// It does not end.
    #[must_use]
    pub fn wait(&mut self) -> i32 {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code().unwrap_or(-1);
            }
            assert!(started.elapsed() < STOP_TIMEOUT, "the server does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A client that reports statuses as they are; its time-out is for servers that hang.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> (u16, String) {
    match result {
        Ok(mut response) => {
            let status = response.status().as_u16();
            (
                status,
                response
                    .body_mut()
                    .read_to_string()
                    .unwrap_or_else(|error| format!("<{error}>")),
            )
        }
        Err(error) => (0, error.to_string()),
    }
}
