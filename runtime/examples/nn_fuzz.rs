//! Many guests of chance in every dialect: `cargo run --release -p dunlin-runtime --example nn_fuzz -- --cases N [--from SEED]`.
//! A case is one call of a core module, or one component with up to 64 calls. Ends with an error at the first case that the
//! host does not bear; its seed is in the message.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for one reader"
)]

#[path = "../tests/suite/fuzz/mod.rs"]
mod fuzz;
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
#[path = "../tests/suite/support.rs"]
mod support;

use std::{process::ExitCode, time::Instant};

use fuzz::Fuzz;

/// Calls of one run of the core module: few enough that a seed found is soon run again.
const MODULE_CALLS: u64 = 10_000;
/// Runs between two lines of progress.
const STEP: u64 = 20_000;

fn main() -> ExitCode {
    let (Some(cases), Some(from)) = (number("--cases"), number("--from").or(Some(0))) else {
        eprintln!("usage: nn_fuzz --cases N [--from SEED]");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let calls = u32::try_from(MODULE_CALLS).unwrap();
        run(
            "wasi_ephemeral_nn",
            &Fuzz::module(calls),
            from,
            cases.div_ceil(MODULE_CALLS),
        )
        .await;
        for (name, fuzz) in [("wasi:nn", Fuzz::wasi_nn()), ("dunlin:inference", Fuzz::inference())] {
            match fuzz {
                Some(fuzz) => run(name, &fuzz, from, cases).await,
                None => println!("{name}: its guest is not built"),
            }
        }
    });
    ExitCode::SUCCESS
}

async fn run(name: &str, fuzz: &Fuzz, from: u64, runs: u64) {
    let start = Instant::now();
    let (mut ended, mut trapped) = (0, 0);
    for at in (0..runs).step_by(usize::try_from(STEP).unwrap()) {
        let tally = fuzz.run(from + at..from + (at + STEP).min(runs)).await;
        ended += tally.ended;
        trapped += tally.trapped;
        println!(
            "{name}: {ended} ended, {trapped} trapped, {} computes, {:?}",
            fuzz.computes(),
            start.elapsed()
        );
    }
}

fn number(option: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != option);
    arguments.nth(1)?.parse().ok()
}
