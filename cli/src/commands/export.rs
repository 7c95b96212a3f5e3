//! `dunlin export`: artifacts with their signatures, models, roots and policy as an OCI layout, for places without a network.

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use dunlin_models::{
    Reference, Store,
    store::archive::{ExportOptions, ExportReport},
};
use serde_json::json;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output, progress,
    report::Failure,
};

/// A policy or root larger than this is none, in bytes.
const MAX_EXTRA: u64 = 4 << 20;

/// Arguments of `dunlin export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The artifacts in the store (default: all)
    #[arg(value_name = "REF")]
    references: Vec<Reference>,
    /// Write a tar archive, `-` for standard output
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present = "layout",
        conflicts_with = "layout"
    )]
    file: Option<PathBuf>,
    /// Write an OCI image layout into this folder, which must be empty or not there
    #[arg(long, value_name = "FOLDER")]
    layout: Option<PathBuf>,
    /// A trust policy to take along
    #[arg(long, value_name = "FILE")]
    with_policy: Option<PathBuf>,
    /// A trusted_root.json to take along
    #[arg(long, value_name = "FILE")]
    with_trusted_root: Option<PathBuf>,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &ExportArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let options = ExportOptions {
        references: arguments.references.clone(),
        trusted_root: arguments.with_trusted_root.as_deref().map(extra).transpose()?,
        policy: arguments.with_policy.as_deref().map(extra).transpose()?,
    };
    let bar = progress::bar(global, "exporting", dunlin_node::listing::blob_bytes(&store));
    let tell = |bytes| bar.inc(bytes);
    let report = match (&arguments.layout, &arguments.file) {
        (Some(folder), _) => store.export_layout(folder, &options, &tell)?,
        (None, Some(file)) if file.as_os_str() == "-" => {
            if io::stdout().is_terminal() {
                return Err(Failure::usage(
                    "an archive is nothing for a terminal: use --file".to_owned(),
                ));
            }
            let report = store.export_tar(&mut BufWriter::new(io::stdout().lock()), &options, &tell)?;
            bar.finish_and_clear();
            // Standard output is the archive's.
            tracing::info!(artifacts = report.artifacts, bytes = report.bytes, "exported");
            return Ok(());
        }
        (None, Some(file)) => to_file(&store, file, &options, &tell)?,
        (None, None) => return Err(Failure::usage("name a --file or a --layout".to_owned())),
    };
    bar.finish_and_clear();
    let missing: Vec<String> = report.missing_models.iter().map(ToString::to_string).collect();
    let value = json!({
        "artifacts": report.artifacts,
        "blobs": report.blobs,
        "bytes": report.bytes,
        "missing_models": missing,
    });
    output::result(global.output, &value, |_| {
        let mut text = format!(
            "exported {} artifacts: {} blobs, {}",
            report.artifacts,
            report.blobs,
            output::size(report.bytes)
        );
        for digest in &missing {
            text.push_str(&format!("\n  not in the store: the linked model {digest}"));
        }
        text
    })?;
    Ok(())
}

/// Written under another name first: a broken archive must not look like a whole one.
fn to_file(
    store: &Store,
    path: &Path,
    options: &ExportOptions,
    progress: &dyn Fn(u64),
) -> Result<ExportReport, Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    let part = path.with_file_name(name);
    let mut file = BufWriter::new(fs_err::File::create(&part)?);
    let written = store
        .export_tar(&mut file, options, progress)
        .map_err(Failure::from)
        .and_then(|report| {
            file.flush()?;
            file.get_ref().sync_all()?;
            fs_err::rename(&part, path)?;
            Ok(report)
        });
    if written.is_err() {
        let _ = fs_err::remove_file(&part);
    }
    written
}

fn extra(path: &Path) -> Result<Vec<u8>, Failure> {
    let size = fs_err::metadata(path)?.len();
    if size > MAX_EXTRA {
        return Err(Failure::usage(format!(
            "{} has {size} bytes: too many to take along",
            path.display()
        )));
    }
    Ok(fs_err::read(path)?)
}
