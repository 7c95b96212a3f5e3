//! `dunlin fsck`: hashes the store again, and with `--mend` moves aside what is wrong.

use clap::Args;
use dunlin_models::store::Damage;
use serde_json::json;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output, progress,
    report::Failure,
};

/// Arguments of `dunlin fsck`.
#[derive(Debug, Args)]
pub(crate) struct FsckArgs {
    /// Move damaged blobs to quarantine, so that the next pull fetches them again, and drop entries that name nothing
    #[arg(long)]
    mend: bool,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &FsckArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let total = dunlin_node::listing::blob_bytes(&store);
    let bar = progress::bar(global, "checking", total);
    let report = store.fsck(&|bytes| bar.inc(bytes))?;
    bar.finish_and_clear();
    let mended = arguments.mend.then(|| store.mend(&report)).transpose()?;
    let left = mended.as_ref().map_or(&report.damages, |mended| &mended.left);
    let value = json!({
        "blobs": report.blobs,
        "bytes": report.bytes,
        "damages": report.damages,
        "mended": mended,
    });
    output::result(global.output, &value, |_| {
        let mut text = String::new();
        for damage in &report.damages {
            text.push_str(&describe(damage));
            text.push('\n');
        }
        if let Some(mended) = &mended {
            text.push_str(&format!(
                "{} moved to quarantine, {} entries dropped, {} leftovers removed\n",
                mended.quarantined, mended.dropped, mended.removed
            ));
        }
        text + &format!("checked {} blobs, {}", report.blobs, output::size(report.bytes))
    })?;
    match left.len() {
        0 => Ok(()),
        count => Err(Failure::damaged(count, arguments.mend)),
    }
}

fn describe(damage: &Damage) -> String {
    match damage {
        Damage::Corrupt { digest, found } => format!("corrupt: {digest} has the bytes of {found}"),
        Damage::NotABlob { path } => format!("not a blob: {}", path.display()),
        Damage::Missing { digest, needed_by } => format!("missing: {digest}, which {needed_by} needs"),
        Damage::Dangling { name, digest } => format!("dangling: {name} names {digest}, which is not there"),
        Damage::NotADocument { digest, reason } => format!("no manifest: {digest}: {reason}"),
        Damage::VoidLease { path } => format!("void lease: {}", path.display()),
        Damage::Leftover { path } => format!("leftover: {}", path.display()),
        other => format!("{other:?}"),
    }
}
