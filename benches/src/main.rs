//! `dunlin-benches [start|embed|infer|transfer|update]...`: end-to-end measurements as ratios against peers in the same run.
//!
//! Runs are interleaved (ours, theirs, ours, ...), so that a busy machine slows both alike. Absolute figures are printed for
//! orientation only. Needs what `scripts/setup.sh test`, `cargo xtask assets --all`, `guests` and `fixtures` provide.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command-line tool")]

mod child;
mod embed;
mod infer;
mod link;
mod places;
mod samples;
mod start;
mod transfer;
mod update;

use anyhow::{Result, bail};
use places::Places;

fn main() -> Result<()> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let all = ["start", "embed", "infer", "transfer", "update"].map(str::to_owned);
    let places = Places::find()?;
    for name in if named.is_empty() { all.as_slice() } else { &named } {
        match name.as_str() {
            "start" => start::run(&places)?,
            "embed" => embed::run(&places)?,
            "infer" => infer::run(&places)?,
            "transfer" => transfer::run(&places)?,
            "update" => update::run(&places)?,
            other => bail!("there is no bench `{other}`; there are start, embed, infer, transfer, update"),
        }
    }
    Ok(())
}
