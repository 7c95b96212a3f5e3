//! A program that is run to its end, and what it cost: wall time, CPU time, peak resident memory.

use std::{
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::samples::Samples;

/// How often the peak is read while the program runs; it only grows, so that what is missed is its last moments.
const SAMPLING: Duration = Duration::from_millis(5);
/// `sysconf(_SC_CLK_TCK)` of Linux on every machine that this runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What runs of one contender cost.
#[derive(Default)]
pub(crate) struct Cost {
    /// Seconds.
    pub(crate) wall: Samples,
    /// Seconds, user and system.
    pub(crate) cpu: Samples,
    /// MiB.
    pub(crate) peak: Samples,
}

impl Cost {
    /// Runs the program and adds what it cost.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<()> {
        let before = cpu_of_children()?;
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = child.with_context(|| format!("{command:?} does not start"))?;
        let peak = watch(&child);
        let output = child.wait_with_output()?;
        self.wall.push(started.elapsed().as_secs_f64());
        ensure!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        self.cpu.push(cpu_of_children()? - before);
        let peak = peak
            .join()
            .map_err(|_| anyhow::anyhow!("the watcher of the memory panicked"))?;
        self.peak.push(peak);
        Ok(())
    }
}

/// Reads the peak in MiB until the program is gone.
fn watch(child: &Child) -> thread::JoinHandle<f64> {
    let status = format!("/proc/{}/status", child.id());
    thread::spawn(move || {
        let mut peak = 0.0;
        loop {
            // A program that has ended and is not waited for yet has a status without the line.
            let text = fs_err::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(kib) = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()) else {
                return peak;
            };
            peak = kib / 1024.0;
            thread::sleep(SAMPLING);
        }
    })
}

/// CPU seconds of all children that were waited for.
fn cpu_of_children() -> Result<f64> {
    let stat = fs_err::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything; the numbers follow its end.
    let (_, numbers) = stat.rsplit_once(')').context("no name in /proc/self/stat")?;
    let fields: Vec<&str> = numbers.split_whitespace().collect();
    let tick = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = (tick(13), tick(14));
    Ok((user.context("no cutime")? + system.context("no cstime")?) / TICKS_PER_SECOND)
}
