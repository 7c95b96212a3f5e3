//! Trust: from a claimed descriptor to a [`Verified`] one, by the node's policy and nothing else.
//!
//! Everything that is not clearly good is refused: no policy, no matching rule, no signature, an unreadable one. Nothing
//! here uses the network or reads a clock of its own, so that a verdict is the same offline. [`Verifier::explain`] says why.

mod attestation;
mod bundle;
mod cache;
mod carrier;
mod check;
mod decide;
mod dsse;
mod error;
mod explanation;
mod glob;
mod history;
mod keyless;
mod matching;
mod model_signing;
mod policy;
mod reader;
mod source;
mod statement;
mod verified;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

pub(crate) use bundle::KeyBundle;
pub(crate) use carrier::{legacy_subject, legacy_tag, legacy_tags, signature_form, signature_layers};
pub(crate) use dsse::{Envelope, IN_TOTO, pae};
pub(crate) use statement::{COSIGN_SIGN, Statement};

pub use bundle::MAX_BUNDLE_BYTES;
pub use error::VerifyError;
pub use explanation::{CandidateExplanation, Explanation, RequirementExplanation, RuleExplanation};
pub use history::TrustHistory;
pub use policy::{Fault, Mode, PolicyError, TrustPolicy};
pub use source::{Candidate, MAX_SIGNATURE_BYTES, MAX_SIGNATURES, SignatureForm, SignatureSource, SourceError};
pub use verified::{PinError, Verdict, Verified, VerifiedDocument};

use crate::clock::{self, Clock};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::reference::Reference;
use cache::{CacheKey, VerdictCache};
use decide::{Accepted, Decision, Question};
use history::{Arrival, HistoryError};
use policy::Rule;

/// Decides which artifacts may be used. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Verifier {
    policy: Option<Arc<TrustPolicy>>,
    cache: Option<VerdictCache>,
    allow_downgrade: bool,
    clock: Clock,
}

impl Verifier {
    /// A verifier that enforces, or audits, `policy`.
    #[must_use]
    pub fn new(policy: TrustPolicy) -> Self {
        Self {
            policy: Some(Arc::new(policy)),
            ..Self::deny_all()
        }
    }

    /// A verifier that refuses everything that is not allowed unsigned by request: for nodes without a policy.
    #[must_use]
    pub fn deny_all() -> Self {
        Self {
            policy: None,
            cache: None,
            allow_downgrade: false,
            clock: clock::system,
        }
    }

    /// Keeps acceptances in `folder`, which is made with the first one, and need not find them again.
    #[must_use]
    pub fn with_cache(self, folder: &Path) -> Self {
        Self {
            cache: Some(VerdictCache::new(folder)),
            ..self
        }
    }

    /// Lets artifacts pass that are older than what was accepted under their names before.
    #[must_use]
    pub fn allow_downgrade(self, allow: bool) -> Self {
        Self {
            allow_downgrade: allow,
            ..self
        }
    }

    /// Judges times by `clock` instead of the system's.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The policy's hash; `None` when there is no policy.
    #[must_use]
    pub fn policy_hash(&self) -> Option<&Digest> {
        self.policy.as_ref().map(|policy| policy.hash())
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
        let audit = Audit {
            reference,
            descriptor,
            policy: self.policy_hash(),
        };
        let Some(policy) = &self.policy else {
            let error = VerifyError::NoPolicy {
                reference: reference.clone(),
            };
            audit.refused(&error, None, Mode::Enforce);
            return Err(error);
        };
        let now = (self.clock)();
        let key = CacheKey::new(descriptor.digest, reference.to_string(), *policy.hash());
        let cached = self.cache.as_ref().and_then(|cache| cache.get(&key, now));
        let known = cached.and_then(|accepted| Some((policy.rule_named(&accepted.rule)?, accepted)));
        let is_cached = known.is_some();
        let (rule, outcome) = match known {
            Some((rule, accepted)) => (Some(rule), Ok(accepted)),
            None => {
                let Decision { outcome, rule, .. } = self.question(policy, source, reference, descriptor, now).decide();
                (rule, outcome)
            }
        };
        let mode = rule.map_or(policy.mode(), |rule| policy.mode_of(rule));
        let outcome = outcome.and_then(|accepted| {
            self.guard(source, &audit, rule, &accepted, mode == Mode::Enforce)?;
            Ok(accepted)
        });
        let verdict = match outcome {
            Ok(accepted) => {
                if let Some(cache) = self.cache.as_ref().filter(|_| !is_cached) {
                    cache.put(&key, &accepted);
                }
                audit.accepted(&accepted, is_cached, mode);
                accepted.verdict()
            }
            Err(error) => {
                audit.refused(&error, rule, mode);
                if mode == Mode::Enforce {
                    return Err(error);
                }
                let reason = error.to_string();
                tracing::warn!(%reference, digest = %descriptor.digest, reason, "audit: the trust policy would refuse this");
                Verdict::Audited { reason }
            }
        };
        Ok(Verified::new(descriptor.clone(), verdict))
    }

    /// Why [`verify`](Self::verify) decides as it does. Nothing is taken from the cache, and nothing is kept.
    #[must_use]
    pub fn explain(&self, source: &dyn SignatureSource, reference: &Reference, descriptor: &Descriptor) -> Explanation {
        let Some(policy) = &self.policy else {
            let error = VerifyError::NoPolicy {
                reference: reference.clone(),
            };
            return Explanation::without_policy(reference, descriptor, &error);
        };
        let now = (self.clock)();
        let decision = self.question(policy, source, reference, descriptor, now).decide();
        let mut explanation = decision.explanation;
        if let Ok(accepted) = &decision.outcome {
            let audit = Audit {
                reference,
                descriptor,
                policy: None,
            };
            if let Err(error) = self.guard(source, &audit, decision.rule, accepted, false) {
                explanation.admitted = false;
                explanation.reason = Some(error.to_string());
            }
        }
        explanation
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
        let audit = Audit {
            reference,
            descriptor,
            policy: self.policy_hash(),
        };
        if self.policy.as_ref().is_some_and(|policy| !policy.allows_unsigned()) {
            let error = VerifyError::UnsignedForbidden {
                reference: reference.clone(),
            };
            audit.refused(&error, None, Mode::Enforce);
            return Err(error);
        }
        tracing::warn!(%reference, digest = %descriptor.digest, "using an artifact that no signature covers, by request");
        audit.event("unsigned", "", "", false, Mode::Enforce, "allowed by request");
        Ok(Verified::new(descriptor.clone(), Verdict::AllowedUnsigned))
    }

    fn question<'a>(
        &self,
        policy: &'a TrustPolicy,
        source: &'a dyn SignatureSource,
        reference: &'a Reference,
        descriptor: &'a Descriptor,
        now: Timestamp,
    ) -> Question<'a> {
        Question {
            policy,
            source,
            reference,
            descriptor,
            now,
        }
    }

    /// The downgrade guard. What is named by digest is what was asked for, however old.
    fn guard(
        &self,
        source: &dyn SignatureSource,
        audit: &Audit<'_>,
        rule: Option<&Rule>,
        accepted: &Accepted,
        keep: bool,
    ) -> Result<(), VerifyError> {
        let (Some(history), None) = (source.history(), audit.reference.digest()) else {
            return Ok(());
        };
        let Some(name) = audit.reference.tagged() else {
            return Ok(());
        };
        let arrival = Arrival {
            name: &name,
            digest: audit.descriptor.digest,
            signed_at: accepted.signed_at,
            allow_downgrade: self.allow_downgrade || rule.is_some_and(|rule| rule.allow_downgrade),
        };
        let outcome = if keep {
            history.admit(&arrival)
        } else {
            history.check(&arrival)
        };
        let reference = || audit.reference.clone();
        outcome.map_err(|error| match error {
            HistoryError::Downgrade { signed_at, newest } => VerifyError::Downgrade {
                reference: reference(),
                digest: audit.descriptor.digest,
                signed_at,
                newest,
            },
            HistoryError::Broken { path } => VerifyError::HistoryBroken {
                reference: reference(),
                path,
            },
            HistoryError::Io { source } => VerifyError::History {
                reference: reference(),
                source,
            },
        })
    }
}

/// The audit log: one event for each verdict, target `dunlin::audit`.
struct Audit<'a> {
    reference: &'a Reference,
    descriptor: &'a Descriptor,
    policy: Option<&'a Digest>,
}

impl Audit<'_> {
    fn accepted(&self, accepted: &Accepted, cached: bool, mode: Mode) {
        self.event("accepted", &accepted.rule, &accepted.names.join(", "), cached, mode, "");
    }

    fn refused(&self, error: &VerifyError, rule: Option<&Rule>, mode: Mode) {
        let verdict = if mode == Mode::Enforce { "refused" } else { "audited" };
        let rule = rule.map(|rule| rule.name.as_str()).unwrap_or_default();
        self.event(verdict, rule, "", false, mode, &error.to_string());
    }

    fn event(&self, verdict: &str, rule: &str, identities: &str, cached: bool, mode: Mode, reason: &str) {
        let policy = self.policy.map(Digest::to_string).unwrap_or_default();
        tracing::info!(
            target: "dunlin::audit",
            reference = %self.reference,
            digest = %self.descriptor.digest,
            verdict,
            rule,
            identities,
            policy,
            cached,
            mode = mode.name(),
            reason,
        );
    }
}
