//! What a verification proved: who signed what, when, and by which evidence. Nothing here is made but by a verification
//! that succeeded; fields say what was checked, never what a bundle merely claims.

use std::fmt;

use jiff::Timestamp;

use crate::digest::Sha256;

/// Who made a keyless signature, and the proof of it.
///
/// That an authority of the trusted root vouches for this identity is proven; whether it may sign is the caller's to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Subject alternative name of the certificate.
    pub identity: Identity,
    /// OpenID issuer that vouched for the identity.
    pub issuer: String,
    /// What the issuer said besides.
    pub claims: Claims,
    /// Time, log and content.
    pub proof: Proof,
}

/// The name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// An email address: a person.
    Email(String),
    /// A URI: a workload, for example a workflow at a ref.
    Uri(String),
}

impl Identity {
    /// The name without its kind.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(name) | Self::Uri(name) => name,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The claims of a Fulcio certificate about the workload that signed (fulcio `docs/oid-info.md`); absent for people.
///
/// They are as the authority certified them, and may hold any character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Claims {
    /// `.1.9`: the build instructions that asked for the certificate, with their ref.
    pub build_signer_uri: Option<String>,
    /// `.1.10`: commit of those instructions.
    pub build_signer_digest: Option<String>,
    /// `.1.11`: kind of runner, for example `github-hosted`.
    pub runner_environment: Option<String>,
    /// `.1.12`: repository that was built.
    pub source_repository_uri: Option<String>,
    /// `.1.13`: commit that was built.
    pub source_repository_digest: Option<String>,
    /// `.1.14`: ref that was built, for example `refs/heads/main`.
    pub source_repository_ref: Option<String>,
    /// `.1.15`: immutable identifier of the repository.
    pub source_repository_identifier: Option<String>,
    /// `.1.16`: owner of the repository.
    pub source_repository_owner_uri: Option<String>,
    /// `.1.17`: immutable identifier of the owner.
    pub source_repository_owner_identifier: Option<String>,
    /// `.1.18`: top-level build instructions.
    pub build_config_uri: Option<String>,
    /// `.1.19`: commit of the top-level build instructions.
    pub build_config_digest: Option<String>,
    /// `.1.20`: event that started the build, for example `push`.
    pub build_trigger: Option<String>,
    /// `.1.21`: the run.
    pub run_invocation_uri: Option<String>,
    /// `.1.22`: `public`, `private` or `internal`.
    pub source_repository_visibility_at_signing: Option<String>,
    /// `.1.23`: deployment environment.
    pub deployment_environment: Option<String>,
    /// `.1.24`: subject of the identity token, unchanged.
    pub token_subject: Option<String>,
    /// `.1.2`, deprecated: event that started the workflow.
    pub github_workflow_trigger: Option<String>,
    /// `.1.3`, deprecated: commit of the workflow.
    pub github_workflow_sha: Option<String>,
    /// `.1.4`, deprecated: name of the workflow.
    pub github_workflow_name: Option<String>,
    /// `.1.5`, deprecated: repository as `owner/name`.
    pub github_workflow_repository: Option<String>,
    /// `.1.6`, deprecated: ref of the workflow.
    pub github_workflow_ref: Option<String>,
}

/// What was proven about a signature beside who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// When the signature existed, by each party that says so. Empty only for keys.
    pub times: Vec<SigningTime>,
    /// Its verified log entries; empty where none was required and none was there.
    pub log: Vec<LogEntry>,
    /// Whether the certificate's SCT was checked. Never for keys.
    pub sct: bool,
    /// What was signed.
    pub content: Content,
}

/// A time that somebody trusted signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningTime {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub source: TimeSource,
}

/// Who says when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeSource {
    /// A timestamp authority (RFC 3161).
    TimestampAuthority,
    /// Rekor v1, by a signed entry timestamp. Rekor v2 has no time of its own.
    RekorV1,
}

/// A verified log entry: its body names this signature, this signed content and this certificate or key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Identifier of the log in the trusted root.
    pub log: Sha256,
    /// Place in the log; for Rekor v1 without a promise, in the shard that the proof is of.
    pub index: u64,
    /// Protocol of the log.
    pub generation: Generation,
    /// How strong the proof is.
    pub inclusion: Inclusion,
}

/// Protocol of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Rekor v1.
    V1,
    /// Rekor v2, on tiles.
    V2,
}

/// How strongly an entry is bound to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inclusion {
    /// A Merkle proof up to a checkpoint that the log signed.
    Proven,
    /// A signed entry timestamp alone: the log promised to include it.
    Promised,
}

/// What was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The artifact's own bytes.
    Message,
    /// An in-toto statement about the artifact.
    Statement(Statement),
    /// A legacy cosign payload that names the artifact's digest.
    SimpleSigning {
        /// The payload as it was signed: JSON.
        payload: Vec<u8>,
        /// `critical.identity.docker-reference`, which says where the signer saw the artifact.
        docker_reference: String,
    },
}

/// A verified in-toto statement, one of whose subjects is the artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The statement as it was signed: JSON.
    pub payload: Vec<u8>,
    /// Its `predicateType`.
    pub predicate_type: String,
}
