//! Who may sign without a key: patterns over identity, issuer and claims of a certificate that was verified.

use dunlin_sigstore::{Claims, Identity};

use super::glob::Glob;

/// A claim by the name that policies give it, and how it is read. Short names stand for the claims of both generations of
/// Fulcio's extensions; then all that are there must match.
type Claim = (&'static str, fn(&Claims) -> [Option<&String>; 2]);

macro_rules! claims {
    ($($name:literal => $first:ident $(or $second:ident)?),* $(,)?) => {
        &[$(($name, |claims| [claims.$first.as_ref(), claims!(@second claims $($second)?)])),*]
    };
    (@second $claims:ident $second:ident) => { $claims.$second.as_ref() };
    (@second $claims:ident) => { None };
}

const CLAIMS: &[Claim] = claims! {
    "repository" => github_workflow_repository,
    "ref" => github_workflow_ref or source_repository_ref,
    "workflow" => github_workflow_name,
    "sha" => github_workflow_sha or source_repository_digest,
    "trigger" => github_workflow_trigger or build_trigger,
    "buildSignerURI" => build_signer_uri,
    "buildSignerDigest" => build_signer_digest,
    "runnerEnvironment" => runner_environment,
    "sourceRepositoryURI" => source_repository_uri,
    "sourceRepositoryDigest" => source_repository_digest,
    "sourceRepositoryRef" => source_repository_ref,
    "sourceRepositoryIdentifier" => source_repository_identifier,
    "sourceRepositoryOwnerURI" => source_repository_owner_uri,
    "sourceRepositoryOwnerIdentifier" => source_repository_owner_identifier,
    "buildConfigURI" => build_config_uri,
    "buildConfigDigest" => build_config_digest,
    "buildTrigger" => build_trigger,
    "runInvocationURI" => run_invocation_uri,
    "sourceRepositoryVisibilityAtSigning" => source_repository_visibility_at_signing,
    "deploymentEnvironment" => deployment_environment,
    "tokenSubject" => token_subject,
};

/// The names of all claims, for messages.
pub(super) fn claim_names() -> Vec<&'static str> {
    CLAIMS.iter().map(|(name, _)| *name).collect()
}

/// A pattern over a text, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) text: String,
    pub(super) glob: Glob,
}

/// Who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeylessPattern {
    pub(super) issuer: Pattern,
    pub(super) identity: Pattern,
    pub(super) claims: Vec<(&'static str, Pattern)>,
}

/// The claim of that name, as it is known here.
pub(super) fn claim_name(name: &str) -> Option<&'static str> {
    CLAIMS.iter().map(|(known, _)| *known).find(|known| *known == name)
}

impl KeylessPattern {
    /// Whether the signer may sign; `Err` says what does not fit.
    pub(super) fn check(&self, identity: &Identity, issuer: &str, claims: &Claims) -> Result<(), String> {
        if !self.identity.glob.matches(identity.as_str()) {
            return Err(format!("it was made by {identity}, not by {}", self.identity.text));
        }
        if !self.issuer.glob.matches(issuer) {
            return Err(format!("{issuer} vouches for its signer, not {}", self.issuer.text));
        }
        for (name, pattern) in &self.claims {
            let read = CLAIMS
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, read)| read(claims));
            let values: Vec<_> = read.into_iter().flatten().flatten().collect();
            if values.is_empty() || !values.iter().all(|value| pattern.glob.matches(value)) {
                let found = values.first().map_or("absent", |value| value.as_str());
                let found: String = found.chars().filter(|c| !c.is_control()).take(120).collect();
                return Err(format!("its claim {name} is {found}, not {}", pattern.text));
            }
        }
        Ok(())
    }
}
