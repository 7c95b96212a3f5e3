//! Why the policy decides as it does, rule by rule and signature by signature: for people, and as JSON.

use serde::Serialize;

use super::error::VerifyError;
use super::policy::Mode;
use crate::descriptor::Descriptor;
use crate::reference::Reference;

/// The whole account of one decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The artifact's name.
    pub reference: String,
    /// Its manifest.
    pub digest: String,
    /// Whether it may be used.
    pub admitted: bool,
    /// `enforce` or `audit`: of the rule that decided, else of the policy.
    pub mode: String,
    /// Why not; absent where the requirement is met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the artifact was signed, as far as that is proven or signed by a key (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// Hash of the policy with its keys and roots.
    pub policy: String,
    /// All rules, in their order.
    pub rules: Vec<RuleExplanation>,
    /// The requirement of the rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirement: Option<RequirementExplanation>,
    /// Every signature and attestation that was looked at.
    pub candidates: Vec<CandidateExplanation>,
}

/// Whether a rule is about the artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleExplanation {
    /// Its name.
    pub name: String,
    /// Whether it decided.
    pub matched: bool,
    /// Why it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequirementExplanation {
    /// It in words.
    pub requirement: String,
    /// Whether it is met.
    pub met: bool,
    /// Who meets it: fingerprints of keys, `identity (issuer)` of others.
    pub identities: Vec<String>,
    /// Why it is not met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its parts; none for a single signature.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<RequirementExplanation>,
}

/// What became of a signature or attestation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CandidateExplanation {
    /// Digest of the manifest that carries it.
    pub origin: String,
    /// Its form, in words.
    pub form: String,
    /// The predicate type that it claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// Whether it counted.
    pub counted: bool,
    /// Who made it, as proven.
    pub identities: Vec<String>,
    /// When it was made, as far as that is proven (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<String>,
    /// Why it did not count, for each way in which it was looked at.
    pub reasons: Vec<String>,
}

impl CandidateExplanation {
    /// The account in one line, as [`super::VerifyError::explain`] gives it.
    pub(super) fn line(&self) -> String {
        let origin = &self.origin;
        if !self.counted {
            return format!("signature {origin}: {}", self.reasons.join("; "));
        }
        let is_key = |name: &String| name.len() == 64 && !name.contains(' ');
        let names = self.identities.iter().map(|name| match is_key(name) {
            true => format!("key {name}"),
            false => name.clone(),
        });
        let names: Vec<_> = names.collect();
        format!("signature {origin}: good, by {}", names.join(", "))
    }
}

impl Explanation {
    /// The account of a node that trusts nobody.
    pub(super) fn without_policy(reference: &Reference, descriptor: &Descriptor, error: &VerifyError) -> Self {
        Self {
            reference: reference.to_string(),
            digest: descriptor.digest.to_string(),
            admitted: false,
            mode: Mode::Enforce.name().to_owned(),
            reason: Some(error.to_string()),
            signed_at: None,
            policy: String::new(),
            rules: Vec::new(),
            requirement: None,
            candidates: Vec::new(),
        }
    }
}
