//! `dunlin gc`: removes what no tag, pin or lease needs; with `--evict`, also makes room.

use std::time::Duration;

use clap::Args;
use dunlin_models::store::{Evict, GcOptions};
use serde_json::json;

use super::{Site, sandbox::age};
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin gc`.
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Remove the artifacts that were used longest ago, until the store is within the limits of node.toml
    #[arg(long)]
    evict: bool,
    /// Leave alone what is younger, since it may just be on its way to a tag
    #[arg(long, value_name = "TIME", value_parser = age, default_value = "15m")]
    grace: Duration,
    /// Remove unfinished downloads that are older (default: node.toml's partial_max_age_hours)
    #[arg(long, value_name = "TIME", value_parser = age)]
    partial_age: Option<Duration>,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &GcArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let storage = &site.node.config().storage;
    let high_bytes = storage.high_watermark.unwrap_or(u64::MAX);
    let options = GcOptions {
        grace: arguments.grace,
        partial_age: arguments.partial_age.unwrap_or(storage.partial_max_age),
        evict: arguments.evict.then(|| Evict {
            high_bytes,
            low_bytes: storage.low_watermark.unwrap_or(high_bytes),
            min_free_bytes: storage.min_free.unwrap_or(0),
        }),
    };
    let store = site.node.store()?;
    let plan = store.plan_gc(&options)?;
    if arguments.dry_run {
        output::result(global.output, &plan, |plan| {
            let mut text = String::new();
            for (name, digest) in &plan.evict {
                text.push_str(&format!("would evict {name} ({digest})\n"));
            }
            for (digest, size) in &plan.blobs {
                text.push_str(&format!("would remove {digest} ({})\n", output::size(*size)));
            }
            for path in &plan.files {
                text.push_str(&format!("would remove {}\n", path.display()));
            }
            text + &format!(
                "would free {}, keep {}",
                output::size(plan.freed_bytes),
                output::size(plan.kept_bytes)
            )
        })?;
        return Ok(());
    }
    let report = store.execute_gc(&plan)?;
    let value = json!({
        "evicted": report.evicted,
        "blobs": report.blobs,
        "files": report.files,
        "freed_bytes": report.freed_bytes,
        "kept_bytes": plan.kept_bytes,
        "missing_bytes": plan.missing_bytes,
    });
    output::result(global.output, &value, |_| {
        let mut text = String::new();
        for name in &report.evicted {
            text.push_str(&format!("evicted {name}\n"));
        }
        text.push_str(&format!(
            "freed {} ({} blobs, {} other files)",
            output::size(report.freed_bytes),
            report.blobs,
            report.files
        ));
        if plan.missing_bytes > 0 {
            text.push_str(&format!(
                "\n{} more could not be freed: the rest is pinned, in use, or new",
                output::size(plan.missing_bytes)
            ));
        }
        text
    })?;
    Ok(())
}
