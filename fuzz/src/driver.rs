//! Runs a target: its seeds as they are, which it must accept, then changed ones.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    memory::Peak,
    mutate::Mutator,
    random::Random,
    target::{Prepared, Target},
    watch,
};

/// How much more memory than at its start a target may have at any time.
const MAX_RESIDENT_KIB: u64 = 256 << 10;
const MAX_RESERVED_KIB: u64 = 1 << 20;
/// Cases between two looks at the memory.
const MEMORY_INTERVAL: u64 = 256;

/// What is run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) cases: u64,
    pub(crate) seed: u64,
    pub(crate) first: u64,
    /// Where each input is written before it is tried.
    pub(crate) last: Option<PathBuf>,
}

/// Runs all cases of a plan.
pub(crate) fn run(target: &Target, plan: &Plan) -> Result<()> {
    watch::target(target.name);
    let prepared = (target.prepare)()?;
    check_seeds(&prepared)?;
    let mutator = Mutator {
        seeds: &prepared.seeds,
        words: target.words,
    };
    let before = Peak::now();
    let started = Instant::now();
    let (mut accepted, mut slowest) = (0, (Duration::ZERO, 0));
    for number in plan.first..plan.first.saturating_add(plan.cases) {
        let input = mutator.input(&mut Random::new(plan.seed, number));
        if let Some(path) = &plan.last {
            fs_err::write(path, &input)?;
        }
        let (is_accepted, took) = watch::over(number, &input, || (prepared.check)(&input));
        accepted += u64::from(is_accepted);
        slowest = slowest.max((took, number));
        if number % MEMORY_INTERVAL == 0 {
            check_memory(before, Peak::now(), number)?;
        }
    }
    check_memory(before, Peak::now(), plan.first.saturating_add(plan.cases))?;
    let panics = watch::panics();
    ensure!(
        panics == 0 || target.is_fenced,
        "{panics} panics were caught by something that should not"
    );
    let grown = Peak::now().resident.saturating_sub(before.resident) >> 10;
    println!(
        "{:<14} {} cases, {accepted} accepted, {:.1} s; slowest {} with {:.1} ms; {grown} MiB more memory{}",
        target.name,
        plan.cases,
        started.elapsed().as_secs_f64(),
        slowest.1,
        slowest.0.as_secs_f64() * 1e3,
        match panics {
            0 => String::new(),
            count => format!("; {count} panics behind a fence"),
        }
    );
    Ok(())
}

/// Tries one input.
pub(crate) fn replay(target: &Target, input: &[u8]) -> Result<()> {
    watch::target(target.name);
    let prepared = (target.prepare)()?;
    let (is_accepted, took) = watch::over(0, input, || (prepared.check)(input));
    println!("{}: accepted: {is_accepted}, {took:?}", target.name);
    Ok(())
}

/// A target that refuses its own seeds would try nothing but its first check.
fn check_seeds(prepared: &Prepared) -> Result<()> {
    ensure!(!prepared.seeds.is_empty(), "it has no seeds");
    for (index, seed) in prepared.seeds.iter().enumerate() {
        ensure!((prepared.check)(seed), "it refuses its seed {index}");
    }
    Ok(())
}

fn check_memory(before: Peak, now: Peak, number: u64) -> Result<()> {
    let resident = now.resident.saturating_sub(before.resident);
    let reserved = now.reserved.saturating_sub(before.reserved);
    ensure!(
        resident <= MAX_RESIDENT_KIB && reserved <= MAX_RESERVED_KIB,
        "memory grew from {before:?} to {now:?} KiB in the {MEMORY_INTERVAL} cases up to {number}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_may_grow_a_little() {
        let peak = |resident, reserved| Peak { resident, reserved };
        let before = peak(1000, 2000);
        assert!(check_memory(before, peak(1000 + MAX_RESIDENT_KIB, 2000), 1).is_ok());
        assert!(check_memory(before, peak(1001 + MAX_RESIDENT_KIB, 2000), 1).is_err());
        assert!(check_memory(before, peak(1000, 2001 + MAX_RESERVED_KIB), 1).is_err());
    }
}
