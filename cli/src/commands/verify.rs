//! `dunlin verify`: whether this node would admit an artifact, and why. An artifact that the store does not have is judged in its
//! registry: its manifest and signatures are looked at, and nothing is downloaded.

use clap::Args;
use dunlin_models::{
    Descriptor, Reference, Verified,
    store::StoreError,
    verify::{Explanation, RequirementExplanation, Verdict},
};
use serde::Serialize;

use super::{Site, attest::predicate_type};
use crate::{
    args::{GlobalArgs, RegistryArgs, TrustArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The artifact in the store, or in its registry
    #[arg(value_name = "REF")]
    reference: Reference,
    /// Say rule by rule and signature by signature why
    #[arg(long)]
    explain: bool,
    /// Want an attestation of this type from the signer, instead of a signature (slsaprovenance1, cyclonedx, spdxjson, vuln, a URI)
    #[arg(long = "type", value_name = "TYPE", value_parser = predicate_type, help_heading = "Trust")]
    kind: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    verdict: String,
    rule: Option<String>,
    keys: Vec<String>,
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &VerifyArgs) -> Result<(), Failure> {
    let site = Site::attested(global, &arguments.trust, &arguments.registry, arguments.kind.clone())?;
    if arguments.explain {
        let explanation = explanation(&site, &arguments.reference).await?;
        output::result(global.output, &explanation, text)?;
        return match explanation.admitted {
            true => Ok(()),
            false => Err(Failure::refused(&explanation.reference, explanation.reason.as_deref())),
        };
    }
    let verified = verified(&site, &arguments.reference).await?;
    let (rule, keys) = match verified.verdict() {
        Verdict::Signed { rule, keys } => (Some(rule.clone()), keys.clone()),
        _ => (None, Vec::new()),
    };
    let report = Report {
        reference: arguments.reference.to_string(),
        digest: verified.digest.to_string(),
        verdict: verified.verdict().to_string(),
        rule,
        keys,
    };
    output::result(global.output, &report, |report| {
        format!(
            "{} is admitted\n  digest   {}\n  verdict  {}",
            report.reference, report.digest, report.verdict
        )
    })?;
    Ok(())
}

/// What the store has under `reference`; `None` where it has nothing and a registry can be asked.
fn stored(site: &Site, reference: &Reference) -> Result<Option<(dunlin_models::Store, Descriptor)>, Failure> {
    let store = site.node.store()?;
    match store.resolve(reference) {
        Ok(descriptor) => Ok(Some((store, descriptor))),
        Err(StoreError::UnknownReference { .. }) if reference.registry().is_some() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn verified(site: &Site, reference: &Reference) -> Result<Verified<Descriptor>, Failure> {
    match stored(site, reference)? {
        Some((store, descriptor)) => Ok(site.node.verifier().verify(&store, reference, &descriptor)?),
        None => Ok(site.node.verify_remote(reference, None).await?),
    }
}

async fn explanation(site: &Site, reference: &Reference) -> Result<Explanation, Failure> {
    match stored(site, reference)? {
        Some((store, descriptor)) => Ok(site.node.verifier().explain(&store, reference, &descriptor)),
        None => Ok(site.node.explain_remote(reference).await?),
    }
}

/// The account as an outline.
fn text(explanation: &Explanation) -> String {
    let verb = if explanation.admitted {
        "is admitted"
    } else {
        "is refused"
    };
    let mut lines = vec![
        format!("{} {verb} ({})", explanation.reference, explanation.mode),
        format!("  digest  {}", explanation.digest),
    ];
    lines.extend(explanation.reason.iter().map(|reason| format!("  reason  {reason}")));
    lines.extend(explanation.signed_at.iter().map(|at| format!("  signed  {at}")));
    lines.extend(explanation.rules.iter().map(|rule| match (&rule.reason, rule.matched) {
        (_, true) => format!("rule {:?} decides", rule.name),
        (Some(reason), _) => format!("rule {:?}: {reason}", rule.name),
        (None, _) => format!("rule {:?} comes later", rule.name),
    }));
    if let Some(requirement) = &explanation.requirement {
        outline(requirement, 1, &mut lines);
    }
    for candidate in &explanation.candidates {
        let verdict = if candidate.counted { "counts" } else { "does not count" };
        lines.push(format!("{} {} {verdict}", candidate.form, candidate.origin));
        lines.extend(candidate.identities.iter().map(|who| format!("  by {who}")));
        lines.extend(candidate.signed_at.iter().map(|at| format!("  at {at}")));
        lines.extend(candidate.reasons.iter().map(|reason| format!("  {reason}")));
    }
    lines.join("\n")
}

fn outline(requirement: &RequirementExplanation, depth: usize, lines: &mut Vec<String>) {
    let mark = if requirement.met { "met" } else { "not met" };
    let mut line = format!("{}{}: {mark}", "  ".repeat(depth), requirement.requirement);
    if !requirement.identities.is_empty() {
        line.push_str(&format!(" by {}", requirement.identities.join(", ")));
    }
    if let Some(reason) = &requirement.reason {
        line.push_str(&format!(" ({reason})"));
    }
    lines.push(line);
    for part in &requirement.of {
        outline(part, depth + 1, lines);
    }
}
