//! `dunlin push`: an artifact with its signatures to a registry, and with `--delta-from` what makes updating to it cheap.

use clap::Args;
use dunlin_models::{Reference, annotation, update::Prepared};
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin push`.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The artifact in the store
    #[arg(value_name = "REF")]
    local: Reference,
    /// Where to push it (default: REF itself, which then names a registry)
    #[arg(value_name = "REMOTE")]
    remote: Option<Reference>,
    /// An older version in the store: whoever has it can update to REF by deltas and ranges instead of whole files
    #[arg(long, value_name = "REF")]
    delta_from: Option<Reference>,
    #[command(flatten)]
    registry: RegistryArgs,
}

#[derive(Serialize)]
struct Report {
    reference: String,
    digest: String,
    pushed_bytes: u64,
    /// One for each file that was compared; none without `--delta-from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    updates: Option<Vec<Update>>,
}

#[derive(Serialize)]
struct Update {
    file: Option<String>,
    digest: String,
    bytes: u64,
    base: String,
    /// Null where a delta would save too little.
    delta_bytes: Option<u64>,
    /// Null where a list of chunks would save too little.
    chunks_bytes: Option<u64>,
}

impl Update {
    fn of(prepared: &Prepared) -> Self {
        let target = &prepared.target;
        let file = [annotation::MODEL_FILEPATH, annotation::TITLE]
            .into_iter()
            .find_map(|key| target.annotations.get(key));
        Self {
            file: file.cloned(),
            digest: target.digest.to_string(),
            bytes: target.size,
            base: prepared.base.to_string(),
            delta_bytes: prepared.delta,
            chunks_bytes: prepared.chunks,
        }
    }

    fn line(&self) -> String {
        let what = self.file.as_deref().unwrap_or(&self.digest);
        let bytes = output::size(self.bytes);
        match (self.delta_bytes, self.chunks_bytes) {
            (Some(delta), _) => format!("{what}: {} instead of {bytes}", output::size(delta)),
            (None, Some(_)) => format!("{what}: a list of chunks, no delta (it would save too little of {bytes})"),
            (None, None) => format!("{what}: none, it would save too little of {bytes}"),
        }
    }
}

pub(crate) async fn run(global: &GlobalArgs, arguments: &PushArgs) -> Result<(), Failure> {
    let remote = arguments.remote.as_ref().unwrap_or(&arguments.local);
    if remote.registry().is_none() {
        return Err(Failure::usage(format!(
            "`{remote}` names no registry: write HOST[:PORT]/repository:tag"
        )));
    }
    let site = Site::untrusting(global, &arguments.registry)?;
    let updates = match &arguments.delta_from {
        Some(base) => Some(site.node.prepare_update(&arguments.local, base).await?),
        None => None,
    };
    let pushed = site.node.push(&arguments.local, remote).await?;
    let report = Report {
        reference: remote.to_string(),
        digest: pushed.descriptor.digest.to_string(),
        pushed_bytes: pushed.bytes,
        updates: updates.map(|updates| updates.iter().map(Update::of).collect()),
    };
    output::result(global.output, &report, |report| {
        let mut text = format!(
            "pushed {}\n  digest  {}\n  sent    {}",
            report.reference,
            report.digest,
            output::size(report.pushed_bytes)
        );
        for update in report.updates.iter().flatten() {
            text.push_str(&format!("\n  delta   {}", update.line()));
        }
        if report.updates.as_ref().is_some_and(Vec::is_empty) {
            text.push_str("\n  delta   none: no large file has changed, or none has an older version");
        }
        text
    })?;
    Ok(())
}
