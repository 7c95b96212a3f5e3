//! `dunlin doctor`: what this machine has, what is missing, what to do.

use std::process::ExitCode;

use clap::Args;
use dunlin_node::{
    Environment, TrustOptions,
    doctor::{Check, Outcome, examine},
    error_chain, trust,
};

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

/// Exits with 1 when something will not work.
pub(crate) fn run(global: &GlobalArgs, _arguments: &DoctorArgs) -> Result<ExitCode, Failure> {
    let environment = Environment::from_process()?;
    let policy = trust::verifier(&TrustOptions::default(), &environment.policy);
    let policy = policy.map(drop).map_err(|error| error_chain(&error));
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let checks = examine(&site.node, policy);
    output::result(global.output, &checks, |checks| text(checks))?;
    let problem = checks.iter().any(|check| check.outcome == Outcome::Problem);
    Ok(if problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn text(checks: &[Check]) -> String {
    let mut text = String::new();
    for check in checks {
        let mark = match check.outcome {
            Outcome::Ok => "ok  ",
            Outcome::Note => "note",
            Outcome::Problem => "FAIL",
        };
        text.push_str(&format!("{mark}  {:<20}  {}\n", check.name, check.found));
        if let Some(advice) = &check.advice {
            text.push_str(&format!("      {:<20}  -> {advice}\n", ""));
        }
    }
    text
}
