//! Throws changed copies of valid input at every parser of outside bytes: `dunlin-fuzz TARGET --cases N --seed S`.
//!
//! It runs on the stable compiler, without coverage guidance: what it finds, it finds by structure-aware changes and
//! numbers. A panic, a case that takes too long and memory that grows are failures; the input of a failure is written
//! to a file.
#![allow(clippy::print_stdout, reason = "a tool reports on its standard output")]
#![allow(clippy::print_stderr, reason = "a tool reports failures on its standard error")]

mod driver;
mod memory;
mod mutate;
mod random;
mod target;
mod watch;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use crate::driver::Plan;

/// Fuzzes the parsers of outside bytes.
#[derive(Parser)]
struct Arguments {
    /// One of the targets, `all`, or `list`.
    target: String,
    /// How many changed inputs each target gets.
    #[arg(long, default_value_t = 10_000)]
    cases: u64,
    /// Where the random numbers start: the same seed gives the same changes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The first case, to go on with or repeat a run.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// The longest that one case may take, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    limit_ms: u64,
    /// The input of a failure is written to this folder.
    #[arg(long, default_value = ".")]
    failures: PathBuf,
    /// Write every input to this file before it is tried: what is there after an abort, aborted.
    #[arg(long)]
    last: Option<PathBuf>,
    /// Try the content of this file instead.
    #[arg(long)]
    replay: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let all = target::all();
    if arguments.target == "list" {
        for target in &all {
            println!("{:<14} {}", target.name, target.about);
        }
        return Ok(());
    }
    let chosen: Vec<_> = all
        .iter()
        .filter(|target| arguments.target == "all" || arguments.target == target.name)
        .collect();
    if chosen.is_empty() {
        bail!(
            "there is no target {:?}: `dunlin-fuzz list` names them",
            arguments.target
        );
    }
    let plan = Plan {
        cases: arguments.cases,
        seed: arguments.seed,
        first: arguments.first,
        last: arguments.last,
    };
    watch::start(Duration::from_millis(arguments.limit_ms), arguments.failures);
    for target in chosen {
        let context = || format!("target {}", target.name);
        match &arguments.replay {
            Some(path) => driver::replay(target, &fs_err::read(path)?).with_context(context)?,
            None => driver::run(target, &plan).with_context(context)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::target::{Prepared, Target};

    const PLAN: Plan = Plan {
        cases: 400,
        seed: 1,
        first: 0,
        last: None,
    };

    #[test]
    fn every_target_survives_a_short_run() {
        for target in &target::all() {
            driver::run(target, &PLAN).context(target.name).unwrap();
        }
    }

    fn target(prepare: fn() -> Result<Prepared>) -> Target {
        Target {
            name: "fake",
            about: "",
            words: &["word"],
            is_fenced: false,
            prepare,
        }
    }

    #[test]
    fn a_target_that_tries_nothing_is_an_error() {
        let refuses = || Ok(Prepared::new(vec![b"seed".to_vec()], |_| false));
        let error = driver::run(&target(refuses), &PLAN).unwrap_err();
        assert_eq!(error.to_string(), "it refuses its seed 0");
        let empty = || Ok(Prepared::new(Vec::new(), |_| true));
        assert_eq!(
            driver::run(&target(empty), &PLAN).unwrap_err().to_string(),
            "it has no seeds"
        );
    }

    #[test]
    fn a_rare_fault_is_found() {
        let faulty = || {
            let contains = |input: &[u8], word: &[u8]| input.windows(word.len()).any(|window| window == word);
            let check = move |input: &[u8]| !(contains(input, b"wordword") && contains(input, b"65536"));
            Ok(Prepared::new(vec![b"a number: 17".to_vec()], move |input| {
                assert!(check(input));
                true
            }))
        };
        let plan = Plan { cases: 100_000, ..PLAN };
        assert!(std::panic::catch_unwind(|| driver::run(&target(faulty), &plan)).is_err());
    }
}
