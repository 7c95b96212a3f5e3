//! `dunlin import`: an OCI layout, as a tar archive or a folder, into the store. Every byte is hashed again; nothing is trusted more
//! than before.

use std::{
    io::{self, BufReader},
    path::PathBuf,
};

use clap::Args;
use dunlin_models::{Reference, store::archive::ImportOptions};
use serde_json::json;

use super::{Site, sandbox::size};
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output, progress,
    report::Failure,
};

/// Arguments of `dunlin import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A tar archive, `-` for standard input, or a folder with an OCI image layout
    #[arg(value_name = "FILE|FOLDER")]
    source: PathBuf,
    /// Name of the one artifact in it (default: the names that the archive gives)
    #[arg(short, long, value_name = "REF")]
    tag: Option<Reference>,
    /// Most bytes of the whole archive (bytes, or with K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Write the trust policy that the archive carries to this file; it is never used by itself
    #[arg(long, value_name = "FILE")]
    policy_to: Option<PathBuf>,
    /// Write the trusted_root.json that the archive carries to this file; it is never used by itself
    #[arg(long, value_name = "FILE")]
    trusted_root_to: Option<PathBuf>,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &ImportArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    let options = ImportOptions {
        name: arguments.tag.clone(),
        max_bytes: arguments.max_size,
    };
    let source = &arguments.source;
    let is_stdin = source.as_os_str() == "-";
    let total = fs_err::metadata(source).map_or(0, |metadata| metadata.len());
    let bar = progress::bar(global, "importing", total);
    let tell = |bytes| bar.inc(bytes);
    let report = if is_stdin {
        store.import_tar(&mut io::stdin().lock(), &options, &tell)?
    } else if source.is_dir() {
        store.import_layout(source, &options, &tell)?
    } else {
        let mut file = BufReader::with_capacity(1 << 20, fs_err::File::open(source)?);
        store.import_tar(&mut file, &options, &tell)?
    };
    bar.finish_and_clear();
    for (what, found, target) in [
        ("trust policy", &report.policy, &arguments.policy_to),
        ("trusted_root.json", &report.trusted_root, &arguments.trusted_root_to),
    ] {
        match (found, target) {
            (Some(bytes), Some(target)) => fs_err::write(target, bytes)?,
            (None, Some(_)) => return Err(Failure::not_found(format!("the archive carries no {what}"))),
            _ => {}
        }
    }
    let tagged: Vec<_> = report
        .tagged
        .iter()
        .map(|(reference, descriptor)| json!({"reference": reference.to_string(), "digest": descriptor.digest.to_string()}))
        .collect();
    let untagged: Vec<String> = report
        .untagged
        .iter()
        .map(|descriptor| descriptor.digest.to_string())
        .collect();
    let value = json!({
        "tagged": tagged,
        "untagged": untagged,
        "signatures": report.referrers,
        "blobs": report.blobs,
        "bytes": report.bytes,
        "has_policy": report.policy.is_some(),
        "has_trusted_root": report.trusted_root.is_some(),
    });
    output::result(global.output, &value, |_| {
        let mut text = String::new();
        for (reference, descriptor) in &report.tagged {
            text.push_str(&format!("imported {reference}\n  digest  {}\n", descriptor.digest));
        }
        for digest in &untagged {
            text.push_str(&format!("imported {digest}\n"));
        }
        text + &format!(
            "{} signatures, {} new blobs, {}",
            report.referrers,
            report.blobs,
            output::size(report.bytes)
        )
    })?;
    Ok(())
}
