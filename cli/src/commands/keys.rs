//! `dunlin generate-key-pair`: a key to sign with and the key to trust.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use dunlin_models::key::{KeyKind, KeyPair};
use fs_err as fs;
use serde::Serialize;

use super::signer::password;
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
    /// Encrypt the private key, as cosign does it, under a password from --password-file or COSIGN_PASSWORD
    #[arg(long)]
    encrypt: bool,
    /// A file with the password
    #[arg(long, value_name = "FILE", requires = "encrypt")]
    password_file: Option<PathBuf>,
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
    encrypted: bool,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &KeyArgs) -> Result<(), Failure> {
    let kind = match arguments.kind {
        KindArg::EcdsaP256 => KeyKind::EcdsaP256,
        KindArg::Ed25519 => KeyKind::Ed25519,
    };
    let pair = KeyPair::generate(kind)?;
    let private_key = with_suffix(&arguments.output_prefix, ".key");
    let public_key = with_suffix(&arguments.output_prefix, ".pub");
    let pem = if arguments.encrypt {
        pair.to_encrypted_pem(password(arguments.password_file.as_deref())?.as_bytes())?
    } else {
        pair.to_pem()
    };
    write_new(&private_key, pem.as_bytes(), 0o600)?;
    write_new(&public_key, pair.public().to_pem().as_bytes(), 0o644)?;
    let report = Report {
        private_key,
        public_key,
        fingerprint: pair.public().fingerprint(),
        encrypted: arguments.encrypt,
    };
    output::result(global.output, &report, |report| {
        format!(
            "private key  {}  (keep it secret: it is {})\npublic key   {}\nfingerprint  sha256:{}",
            report.private_key.display(),
            if report.encrypted { "encrypted" } else { "not encrypted" },
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
