//! Trust policies: ordered rules of which the first that matches a name decides. What no rule matches is refused.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::glob::Glob;
use super::{reader, yaml};
use crate::key::PublicKey;

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

/// A checked policy: what `kind: TrustPolicy` of `dunlin.dev/v1alpha1` says.
#[derive(Debug, Clone)]
pub struct TrustPolicy {
    pub(super) name: Option<String>,
    pub(super) mode: Mode,
    pub(super) allow_unsigned: bool,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) name: String,
    pub(super) patterns: Vec<Glob>,
    pub(super) require: Requirement,
    pub(super) keys: Vec<PublicKey>,
}

/// Who must have signed.
#[derive(Debug, Clone)]
pub(super) enum Requirement {
    /// The key at this position of the rule's list.
    Key(usize),
    /// That many of the entries; `any` and `all` are its ends.
    AtLeast { count: usize, of: Vec<Requirement> },
}

impl Requirement {
    pub(super) fn at_least(count: usize, of: Vec<Self>) -> Self {
        Self::AtLeast { count, of }
    }

    /// Whether good signatures of `keys` are enough. Nesting is bounded by the reader.
    pub(super) fn is_satisfied(&self, keys: &BTreeSet<usize>) -> bool {
        match self {
            Self::Key(key) => keys.contains(key),
            Self::AtLeast { count, of } => of.iter().filter(|entry| entry.is_satisfied(keys)).count() >= *count,
        }
    }
}

impl TrustPolicy {
    /// Parses a policy in YAML (or JSON, which is YAML). Key files are relative to `folder`, the policy's own.
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
        reader::read(&root, folder).map_err(|faults| PolicyError::Faults { faults })
    }

    /// The name in its metadata.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether refusals stop artifacts.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether users may ask for unsigned artifacts.
    #[must_use]
    pub fn allows_unsigned(&self) -> bool {
        self.allow_unsigned
    }

    /// The rule that decides on artifacts called `name`.
    pub(super) fn rule_for(&self, name: &str) -> Option<&Rule> {
        self.rules
            .iter()
            .find(|rule| rule.patterns.iter().any(|pattern| pattern.matches(name)))
    }
}

impl Rule {
    /// The requirement in words, keys by fingerprint.
    pub(super) fn describe(&self) -> String {
        self.describe_part(&self.require)
    }

    fn describe_part(&self, part: &Requirement) -> String {
        match part {
            Requirement::Key(key) => self
                .keys
                .get(*key)
                .map(|key| format!("key {}", key.fingerprint()))
                .unwrap_or_default(),
            Requirement::AtLeast { of, .. } if of.len() == 1 => {
                of.first().map(|only| self.describe_part(only)).unwrap_or_default()
            }
            Requirement::AtLeast { count, of } => {
                let parts: Vec<_> = of.iter().map(|part| self.describe_part(part)).collect();
                format!("{count} of ({})", parts.join(", "))
            }
        }
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
