//! Trust: from a claimed descriptor to a [`Verified`] one, by the node's policy and nothing else.
//!
//! Everything that is not clearly good is refused: no policy, no matching rule, no signature, an unreadable one. Nothing
//! here uses the network or the clock, so that a verdict is the same offline. Keyless signatures will be a further kind of
//! requirement beside keys.

mod bundle;
mod dsse;
mod error;
mod glob;
mod policy;
mod reader;
mod source;
mod statement;
mod verified;
mod yaml;

use std::collections::BTreeSet;

pub(crate) use bundle::KeyBundle;
pub(crate) use dsse::{Envelope, IN_TOTO, pae};
pub(crate) use statement::{COSIGN_SIGN, Statement};

pub use bundle::MAX_BUNDLE_BYTES;
pub use error::VerifyError;
pub use policy::{Fault, Mode, PolicyError, TrustPolicy};
pub use source::{Candidate, MAX_SIGNATURES, SignatureSource, SourceError};
pub use verified::{PinError, Verdict, Verified, VerifiedDocument};

use crate::descriptor::Descriptor;
use crate::key::PublicKey;
use crate::reference::Reference;

/// Decides which artifacts may be used.
#[derive(Debug, Clone)]
pub struct Verifier {
    policy: Option<TrustPolicy>,
}

impl Verifier {
    /// A verifier that enforces, or audits, `policy`.
    #[must_use]
    pub fn new(policy: TrustPolicy) -> Self {
        Self { policy: Some(policy) }
    }

    /// A verifier that refuses everything that is not allowed unsigned by request: for nodes without a policy.
    #[must_use]
    pub fn deny_all() -> Self {
        Self { policy: None }
    }

    /// Looks for the signatures that the policy wants on the manifest `descriptor`, called `reference`.
    ///
    /// # Errors
    /// The refusal. In audit mode only the lack of a policy is one; others are logged and become the verdict.
    pub fn verify(
        &self,
        source: &dyn SignatureSource,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Verified<Descriptor>, VerifyError> {
        let Some(policy) = &self.policy else {
            return Err(VerifyError::NoPolicy {
                reference: reference.clone(),
            });
        };
        let verdict = match decide(policy, source, reference, descriptor) {
            Ok(verdict) => verdict,
            Err(error) if policy.mode() == Mode::Audit => {
                let reason = error.to_string();
                tracing::warn!(%reference, digest = %descriptor.digest, reason, "audit: the trust policy would refuse this");
                Verdict::Audited { reason }
            }
            Err(error) => return Err(error),
        };
        tracing::debug!(%reference, digest = %descriptor.digest, %verdict, "trust policy passed");
        Ok(Verified::new(descriptor.clone(), verdict))
    }

    /// Accepts an unsigned artifact because the user asked for it. Always logged as a warning.
    ///
    /// # Errors
    /// When the policy says `allowUnsigned: false`.
    pub fn allow_unsigned(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Verified<Descriptor>, VerifyError> {
        if self.policy.as_ref().is_some_and(|policy| !policy.allows_unsigned()) {
            return Err(VerifyError::UnsignedForbidden {
                reference: reference.clone(),
            });
        }
        tracing::warn!(%reference, digest = %descriptor.digest, "using an artifact that no signature covers, by request");
        Ok(Verified::new(descriptor.clone(), Verdict::AllowedUnsigned))
    }
}

fn decide(
    policy: &TrustPolicy,
    source: &dyn SignatureSource,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<Verdict, VerifyError> {
    let name = reference.name();
    let Some(rule) = policy.rule_for(&name) else {
        return Err(VerifyError::NoRule {
            reference: reference.clone(),
            name,
        });
    };
    let subject = descriptor.digest;
    let candidates = source.candidates(&subject).map_err(|source| VerifyError::Source {
        reference: reference.clone(),
        source,
    })?;
    if candidates.is_empty() {
        return Err(VerifyError::Unsigned {
            reference: reference.clone(),
            digest: subject,
            rule: rule.name.clone(),
            requirement: rule.describe(),
        });
    }
    let keys: Vec<&PublicKey> = rule.keys.iter().collect();
    let mut good = BTreeSet::new();
    let mut explanations = Vec::new();
    for candidate in candidates.iter().take(MAX_SIGNATURES) {
        let checked = candidate
            .bundle
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|bundle| bundle::check(bundle, &subject, &keys).map_err(|error| error.to_string()));
        match checked {
            Ok(key) => {
                good.insert(key);
                let name = keys.get(key).map(|key| key.fingerprint()).unwrap_or_default();
                explanations.push(format!("signature {}: good, by key {name}", candidate.origin));
            }
            Err(reason) => explanations.push(format!("signature {}: {reason}", candidate.origin)),
        }
    }
    if rule.require.is_satisfied(&good) {
        let keys = good
            .iter()
            .filter_map(|&key| keys.get(key))
            .map(|key| key.fingerprint())
            .collect();
        return Ok(Verdict::Signed {
            rule: rule.name.clone(),
            keys,
        });
    }
    Err(VerifyError::Unsatisfied {
        reference: reference.clone(),
        digest: subject,
        rule: rule.name.clone(),
        requirement: rule.describe(),
        explanations,
    })
}
