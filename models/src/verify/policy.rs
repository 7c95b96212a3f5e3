//! Trust policies: ordered rules of which the first that matches a name decides. What no rule matches is refused.

use std::fmt;
use std::path::Path;

use jiff::SignedDuration;

use super::attestation::AttestationRequirement;
use super::check::{Check, Signer};
use super::glob::Glob;
use super::keyless::KeylessPattern;
use super::source::{Candidate, SignatureForm};
use super::{reader, yaml};
use crate::digest::Digest;

/// Largest policy text, in bytes.
const MAX_POLICY_BYTES: usize = 1 << 20;

/// Whether a refusal stops an artifact or is only logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refused artifacts are not used.
    Enforce,
    /// Refused artifacts are logged, and used.
    Audit,
}

impl Mode {
    /// As a policy writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        }
    }
}

/// A checked policy: what `kind: TrustPolicy` of `dunlin.dev/v1alpha1` says.
#[derive(Debug, Clone)]
pub struct TrustPolicy {
    pub(super) name: Option<String>,
    pub(super) mode: Mode,
    pub(super) allow_unsigned: bool,
    /// Oldest signing time that counts, before now.
    pub(super) max_age: Option<SignedDuration>,
    /// The ways in which the leaves of all rules check signatures, each once.
    pub(super) checks: Vec<Check>,
    pub(super) roots: Vec<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) hash: Digest,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) patterns: Vec<Glob>,
    /// Empty for any.
    pub(super) artifact_types: Vec<String>,
    /// Empty for any.
    pub(super) digests: Vec<Digest>,
    pub(super) mode: Option<Mode>,
    pub(super) allow_downgrade: bool,
    pub(super) require: Requirement,
    pub(super) leaves: Vec<Leaf>,
}

/// What must be there.
#[derive(Debug, Clone)]
pub(super) enum Requirement {
    /// The signature at this position of the rule's leaves.
    Leaf(usize),
    /// That many of the entries; `any` and `all` are its ends. A threshold counts different signers.
    AtLeast {
        count: usize,
        of: Vec<Requirement>,
        distinct: bool,
    },
}

/// One signature, and what it must say.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    /// Position in the policy's checks.
    pub(super) check: usize,
    /// Who of those that the check lets pass; `None` for keys.
    pub(super) signer: Option<KeylessPattern>,
    pub(super) what: What,
}

/// What a signature must say.
#[derive(Debug, Clone)]
pub(super) enum What {
    Signature,
    ModelSigning,
    Attestation(AttestationRequirement),
}

impl Leaf {
    /// Whether this is one of the signers that the leaf accepts.
    pub(super) fn check_signer(&self, signer: &Signer) -> Result<(), String> {
        match (&self.signer, signer) {
            (None, Signer::Key(_)) => Ok(()),
            (
                Some(pattern),
                Signer::Keyless {
                    identity,
                    issuer,
                    claims,
                },
            ) => pattern.check(identity, issuer, claims),
            _ => Err("it was made in another way than the rule asks for".to_owned()),
        }
    }
}

impl TrustPolicy {
    /// Parses a policy in YAML (or JSON, which is YAML). Files of keys and roots are relative to `folder`, the policy's own.
    ///
    /// # Errors
    /// All faults at once, each with its line; a syntax error alone.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, PolicyError> {
        if text.len() > MAX_POLICY_BYTES {
            return Err(PolicyError::TooLarge { size: text.len() });
        }
        let root = yaml::parse(text).map_err(|error| PolicyError::Syntax {
            line: error.location().map(|location| location.line()),
            message: error.to_string(),
        })?;
        reader::read(text, &root, folder).map_err(|faults| PolicyError::Faults { faults })
    }

    /// The name in its metadata.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether refusals stop artifacts, where a rule does not say otherwise.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether users may ask for unsigned artifacts.
    #[must_use]
    pub fn allows_unsigned(&self) -> bool {
        self.allow_unsigned
    }

    /// A hash over the policy's text, its keys and its roots: a verdict is of one such hash.
    #[must_use]
    pub fn hash(&self) -> &Digest {
        &self.hash
    }

    pub(super) fn mode_of(&self, rule: &Rule) -> Mode {
        rule.mode.unwrap_or(self.mode)
    }

    /// The rule of that name.
    pub(super) fn rule_named(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}

impl Rule {
    /// Whether a candidate may need the manifest: model signatures, and signatures over its bytes.
    pub(super) fn needs_manifest(&self, candidates: &[Candidate]) -> bool {
        let models = self.leaves.iter().any(|leaf| matches!(leaf.what, What::ModelSigning));
        let message = |candidate: &Candidate| {
            let Ok(SignatureForm::Bundle(bytes)) = &candidate.signature else {
                return false;
            };
            bytes.windows(16).any(|window| window == b"messageSignature")
        };
        models || candidates.iter().any(message)
    }

    /// The requirement in words, keys by fingerprint.
    pub(super) fn describe(&self, policy: &TrustPolicy) -> String {
        self.describe_part(&self.require, policy)
    }

    pub(super) fn describe_part(&self, part: &Requirement, policy: &TrustPolicy) -> String {
        match part {
            Requirement::Leaf(leaf) => self
                .leaves
                .get(*leaf)
                .map(|leaf| describe(leaf, policy))
                .unwrap_or_default(),
            Requirement::AtLeast { of, .. } if of.len() == 1 => of
                .first()
                .map(|only| self.describe_part(only, policy))
                .unwrap_or_default(),
            Requirement::AtLeast { count, of, .. } => {
                let parts: Vec<_> = of.iter().map(|part| self.describe_part(part, policy)).collect();
                format!("{count} of ({})", parts.join(", "))
            }
        }
    }
}

fn describe(leaf: &Leaf, policy: &TrustPolicy) -> String {
    let root = |number: usize| policy.roots.get(number).cloned().unwrap_or_default();
    let who = match (policy.checks.get(leaf.check), &leaf.signer) {
        (Some(Check::Key(check)), _) => {
            let logged = check.root.as_ref().filter(|_| check.logged);
            let logged = logged.map(|(number, _)| format!(" logged in {}", root(*number)));
            format!("key {}{}", check.key.fingerprint(), logged.unwrap_or_default())
        }
        (Some(Check::Keyless(check)), Some(signer)) => {
            let (identity, issuer) = (&signer.identity.text, &signer.issuer.text);
            format!("{identity} by {issuer} in {}", root(check.root.0))
        }
        _ => String::new(),
    };
    match &leaf.what {
        What::Signature => who,
        What::ModelSigning => format!("a model signature of {who}"),
        What::Attestation(wanted) => format!("an attestation {} of {who}", wanted.predicate_type),
    }
}

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line of the value, from 1; 0 when the parser does not say.
    pub line: u64,
    /// Where in the document, as `spec.rules[0].match`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}: ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A policy that cannot be used. Nothing is trusted then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Over 1 MiB.
    #[error("trust policy has {size} bytes, more than the {MAX_POLICY_BYTES} allowed")]
    TooLarge {
        /// Bytes of the text.
        size: usize,
    },
    /// Not YAML.
    #[error("trust policy is not valid YAML: {message}")]
    Syntax {
        /// Line of the error, from 1.
        line: Option<u64>,
        /// What the parser says.
        message: String,
    },
    /// YAML, but not a policy.
    #[error("trust policy has {} fault(s):\n{}", faults.len(), lines(faults))]
    Faults {
        /// All of them, in the order of the document.
        faults: Vec<Fault>,
    },
}

impl PolicyError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("until the policy is valid, nothing is trusted; correct it and try again".to_owned())
    }
}

fn lines(faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(|fault| format!("  {fault}")).collect();
    lines.join("\n")
}
