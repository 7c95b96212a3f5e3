//! A `dunlin serve` child on a free loopback port: started, asked, stopped.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::shell::Shell;

/// How long a server may take to stop after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A running server; killed when dropped.
pub(super) struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts `dunlin <arguments> --addr 127.0.0.1:0` and waits for the line that says where it listens.
    ///
    /// # Errors
    /// It cannot be started, or ends before it listens.
    pub(super) fn start(shell: &Shell, arguments: &[&str]) -> Result<Self> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--addr", "127.0.0.1:0"]).collect();
        shell.show(&arguments);
        let started = Instant::now();
        let mut child = shell
            .command(&arguments)
            .stdout(Stdio::piped())
            .spawn()
            .context("starting dunlin serve")?;
        let stdout = child.stdout.take().context("the server's standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let Some(line) = lines.next() else {
                bail!("dunlin serve ended: {}", child.wait()?)
            };
            let line = line?;
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().to_owned();
            }
        };
        println!(
            "    listening on http://{address} after {:.0} ms",
            started.elapsed().as_secs_f64() * 1e3
        );
        Ok(Self { child, address })
    }

    /// Posts JSON and reads JSON.
    ///
    /// # Errors
    /// The request fails, or the answer is no JSON.
    pub(super) fn post(&self, path: &str, body: &str) -> Result<Value> {
        let mut response = ureq::post(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .send(body)
            .with_context(|| format!("POST {path}"))?;
        let text = response.body_mut().read_to_string()?;
        serde_json::from_str(&text).with_context(|| format!("the answer of POST {path}: {text}"))
    }

    /// Asks the server to drain and stop, and checks that it does so cleanly.
    ///
    /// # Errors
    /// It does not stop in time, or reports a failure.
    pub(super) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.context("the server's pid")?, rustix::process::Signal::TERM)?;
        let started = Instant::now();
        while started.elapsed() < STOP_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "dunlin serve stopped with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("dunlin serve did not stop within {STOP_TIMEOUT:?} of SIGTERM")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone after `stop`; a second kill of a reaped child is refused by the standard library.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
