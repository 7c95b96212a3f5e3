//! `dunlin generate-key-pair`: a key to sign with and the key to trust.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use dunlin_models::key::{KeyKind, KeyPair};
use fs_err as fs;
use serde::Serialize;

use crate::{args::GlobalArgs, output, report::Failure};

/// Arguments of `dunlin generate-key-pair`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Write PREFIX.key (private, mode 0600) and PREFIX.pub
    #[arg(long, value_name = "PREFIX", default_value = "dunlin")]
    output_prefix: PathBuf,
    /// The kind of key
    #[arg(long, value_enum, default_value_t = KindArg::EcdsaP256)]
    kind: KindArg,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    /// ECDSA on P-256 with SHA-256: what cosign makes and reads.
    EcdsaP256,
    /// Ed25519.
    Ed25519,
}

#[derive(Serialize)]
struct Report {
    private_key: PathBuf,
    public_key: PathBuf,
    fingerprint: String,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &KeyArgs) -> Result<(), Failure> {
    let kind = match arguments.kind {
        KindArg::EcdsaP256 => KeyKind::EcdsaP256,
        KindArg::Ed25519 => KeyKind::Ed25519,
    };
    let pair = KeyPair::generate(kind)?;
    let private_key = with_suffix(&arguments.output_prefix, ".key");
    let public_key = with_suffix(&arguments.output_prefix, ".pub");
    write_new(&private_key, pair.to_pem().as_bytes(), 0o600)?;
    write_new(&public_key, pair.public().to_pem().as_bytes(), 0o644)?;
    let report = Report {
        private_key,
        public_key,
        fingerprint: pair.public().fingerprint(),
    };
    output::result(global.output, &report, |report| {
        format!(
            "private key  {}  (keep it secret: it is not encrypted)\npublic key   {}\nfingerprint  sha256:{}",
            report.private_key.display(),
            report.public_key.display(),
            report.fingerprint
        )
    })?;
    Ok(())
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Writes a file that must not exist: a key is never overwritten.
fn write_new(path: &Path, contents: &[u8], mode: u32) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    fs_err::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()?;
    Ok(())
}
