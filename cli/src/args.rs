//! What can be typed: the commands and the options that several of them share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use dunlin_node::SignerOption;

use crate::commands;

/// Runs AI inference from signed OCI artifacts, in WebAssembly sandboxes.
#[derive(Debug, Parser)]
#[command(name = "dunlin", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused by the trust policy, 5 corrupt or invalid artifact,\n6 registry or network, 7 local resource (disk, port, permission), 8 the guest failed, 9 model or inputs do not fit.\n`dunlin run` passes the guest's own exit code through."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// How results are printed
    #[arg(long, value_enum, default_value_t = OutputFormat::Text, global = true)]
    pub(crate) output: OutputFormat,
    /// More of what happens, on standard error (repeat for more)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// No progress and no notices
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// How transfers report: bars, JSON lines on standard error, or not at all; auto is bars on a terminal and lines elsewhere
    #[arg(long, value_enum, default_value_t = ProgressForm::Auto, global = true, value_name = "FORM")]
    pub(crate) progress: ProgressForm,
    /// The node's settings (default: DUNLIN_CONFIG, then node.toml in the user's or the system's configuration folder)
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
}

/// Form of progress reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    /// Bars on a terminal, lines elsewhere.
    Auto,
    /// For people.
    Bars,
    /// For programs.
    Json,
    /// Nothing.
    None,
}

/// Form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Text,
    /// One JSON document, for programs.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a project with its own command, then pack it
    Build(commands::build::BuildArgs),
    /// Pack a wasm module or a model into an OCI artifact in the store
    Pack(commands::pack::PackArgs),
    /// Make a key pair for signing
    GenerateKeyPair(commands::keys::KeyArgs),
    /// Sign an artifact in the store, with a key or with an identity
    Sign(commands::sign::SignArgs),
    /// Attest something about an artifact in the store: provenance, an SBOM
    Attest(commands::attest::AttestArgs),
    /// Check an artifact against a key or the trust policy
    Verify(commands::verify::VerifyArgs),
    /// Show what an artifact or a model file is made of
    Inspect(commands::inspect::InspectArgs),
    /// List the artifacts in the store
    Ls(commands::ls::LsArgs),
    /// Give an artifact in the store another name
    Tag(commands::tag::TagArgs),
    /// Take names away from the store
    Rm(commands::rm::RmArgs),
    /// Keep artifacts whatever becomes of their tags, or list what is kept
    Pin(commands::pin::PinArgs),
    /// Remove what nothing in the store needs any more
    Gc(commands::gc::GcArgs),
    /// Check the store, and mend it
    Fsck(commands::fsck::FsckArgs),
    /// Write artifacts with their signatures to an archive or a folder
    Export(commands::export::ExportArgs),
    /// Read artifacts from an archive or a folder
    Import(commands::import::ImportArgs),
    /// Push an artifact with its signatures to a registry
    Push(commands::push::PushArgs),
    /// Pull an artifact from a registry: verified first, then downloaded
    Pull(commands::pull::PullArgs),
    /// Copy an artifact with its signatures from one registry to another
    Copy(commands::copy::CopyArgs),
    /// Serve the store to other nodes and tools, as a registry
    Registry(commands::registry::RegistryCommand),
    /// Run a command module in a sandbox
    Run(commands::run::RunArgs),
    /// Serve an HTTP module
    Serve(commands::serve::ServeArgs),
    /// Run a model without any guest
    Infer(commands::infer::InferArgs),
    /// Check this machine and explain what is missing
    Doctor(commands::doctor::DoctorArgs),
    /// Print a shell completion script
    Completions(commands::completions::CompletionArgs),
}

/// Whom to trust.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Trust")]
pub(crate) struct TrustArgs {
    /// Trust policy file (default: DUNLIN_POLICY, then policy.yaml in the user's or the system's configuration folder)
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Trust exactly this public key, instead of a policy file
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub(crate) key: Option<PathBuf>,
    /// Trust exactly this identity (an email address or URI, `*` stands for any text), instead of a policy file
    #[arg(long, value_name = "IDENTITY", conflicts_with_all = ["policy", "key"], requires_all = ["certificate_oidc_issuer", "trusted_root"])]
    pub(crate) certificate_identity: Option<String>,
    /// Who vouches for the identity
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub(crate) certificate_oidc_issuer: Option<String>,
    /// The trusted_root.json of the Sigstore instance
    #[arg(long, value_name = "FILE", requires = "certificate_identity")]
    pub(crate) trusted_root: Option<PathBuf>,
    /// Admit certificates that no certificate transparency log has
    #[arg(long, requires = "certificate_identity")]
    pub(crate) insecure_ignore_sct: bool,
    /// Admit an artifact that was signed earlier than the one admitted last under its name
    #[arg(long)]
    pub(crate) allow_downgrade: bool,
}

impl TrustArgs {
    /// The one signer that was named.
    pub(crate) fn signer(&self) -> Option<SignerOption> {
        if let Some(key) = &self.key {
            return Some(SignerOption::Key(key.clone()));
        }
        Some(SignerOption::Keyless {
            identity: self.certificate_identity.clone()?,
            issuer: self.certificate_oidc_issuer.clone()?,
            trusted_root: self.trusted_root.clone()?,
            sct: !self.insecure_ignore_sct,
        })
    }
}

/// Whom to trust, where an unsigned artifact can be admitted by hand.
#[derive(Debug, Clone, Args)]
pub(crate) struct AdmitArgs {
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Admit what no trusted key has signed; a policy may forbid it
    #[arg(long, help_heading = "Trust")]
    pub(crate) allow_unsigned: bool,
}

/// How registries are reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryArgs {
    /// Speak HTTP without TLS to the registry
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// A PEM file with certificate authorities to trust besides the usual ones
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Vec<PathBuf>,
}

/// Which engine computes, and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Inference")]
pub(crate) struct EngineArgs {
    /// Where to compute: auto, cpu or cuda:N
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// ONNX engine: tract is built in; ort needs a libonnxruntime
    #[arg(long, value_enum, default_value_t = EngineArg::Auto)]
    pub(crate) engine: EngineArg,
    /// The libonnxruntime to use (default: DUNLIN_ONNXRUNTIME, ORT_DYLIB_PATH, then the usual library folders)
    #[arg(long, value_name = "FILE")]
    pub(crate) onnxruntime: Option<PathBuf>,
    /// Threads of one inference
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) threads: u16,
}

/// Names of the ONNX engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineArg {
    /// tract where it can load the model, else ort.
    Auto,
    /// The built-in engine.
    Tract,
    /// onnxruntime, loaded at run time.
    Ort,
}
