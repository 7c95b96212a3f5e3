//! The decision: which rule is about the artifact, what its candidates prove, and whether that meets the requirement.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::check::{Evidence, Prepared, Subject};
use super::error::VerifyError;
use super::explanation::{CandidateExplanation, Explanation, RequirementExplanation, RuleExplanation};
use super::matching::distinct;
use super::model_signing;
use super::policy::{Leaf, Requirement, Rule, TrustPolicy, What};
use super::source::{Candidate, MAX_SIGNATURES, SignatureSource};
use super::statement::{COSIGN_SIGN, Content};
use super::verified::Verdict;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::{Document, Manifest};
use crate::reference::Reference;

/// How far ahead of ours a signer's clock may be.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What is to be decided.
pub(super) struct Question<'a> {
    pub(super) policy: &'a TrustPolicy,
    pub(super) source: &'a dyn SignatureSource,
    pub(super) reference: &'a Reference,
    pub(super) descriptor: &'a Descriptor,
    pub(super) now: Timestamp,
}

/// The answer.
pub(super) struct Decision<'a> {
    pub(super) outcome: Result<Accepted, VerifyError>,
    pub(super) rule: Option<&'a Rule>,
    pub(super) explanation: Explanation,
}

/// What a met requirement amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) rule: String,
    pub(super) names: Vec<String>,
    /// The latest time of a signature that counted.
    pub(super) signed_at: Option<Timestamp>,
    /// When the first signature that counted becomes too old.
    pub(super) expires_at: Option<Timestamp>,
}

impl Accepted {
    pub(super) fn verdict(&self) -> Verdict {
        Verdict::Signed {
            rule: self.rule.clone(),
            keys: self.names.clone(),
        }
    }
}

impl<'a> Question<'a> {
    pub(super) fn decide(&self) -> Decision<'a> {
        let mut explanation = Explanation {
            reference: self.reference.to_string(),
            digest: self.descriptor.digest.to_string(),
            admitted: false,
            mode: self.policy.mode.name().to_owned(),
            reason: None,
            signed_at: None,
            policy: self.policy.hash().to_string(),
            rules: Vec::new(),
            requirement: None,
            candidates: Vec::new(),
        };
        let (rule, outcome) = match self.rule(&mut explanation) {
            Ok(rule) => (Some(rule), self.judge(rule, &mut explanation)),
            Err(error) => (None, Err(error)),
        };
        if let Some(rule) = rule {
            explanation.mode = self.policy.mode_of(rule).name().to_owned();
        }
        match &outcome {
            Ok(accepted) => {
                explanation.admitted = true;
                explanation.signed_at = accepted.signed_at.map(|at| at.to_string());
            }
            Err(error) => explanation.reason = Some(error.to_string()),
        }
        Decision {
            outcome,
            rule,
            explanation,
        }
    }

    /// The manifest's bytes, if they are there and are the right ones.
    fn manifest(&self) -> Option<(Vec<u8>, Document)> {
        let bytes = self.source.manifest(&self.descriptor.digest)?;
        if Digest::of(&bytes) != self.descriptor.digest {
            return None;
        }
        let document = Document::parse(&bytes).ok()?;
        Some((bytes, document))
    }

    /// The first rule that is about the artifact.
    fn rule(&self, explanation: &mut Explanation) -> Result<&'a Rule, VerifyError> {
        let name = self.reference.name();
        let mut kind = None;
        let mut found = None;
        for rule in &self.policy.rules {
            let mut miss = None;
            if found.is_some() {
                miss = Some("an earlier rule decides".to_owned());
            } else if !rule.patterns.iter().any(|pattern| pattern.matches(&name)) {
                miss = Some(format!("no pattern matches {name:?}"));
            } else if !rule.artifact_types.is_empty() {
                let kind = kind.get_or_insert_with(|| self.manifest().map(|(_, document)| kind_of(&document)));
                // Going on to a later rule on a guess could mean a weaker one.
                let kind = kind.as_ref().ok_or_else(|| VerifyError::ManifestUnknown {
                    reference: self.reference.clone(),
                    digest: self.descriptor.digest,
                    rule: rule.name.clone(),
                })?;
                if !rule.artifact_types.contains(kind) {
                    miss = Some(format!("it is not about artifacts of type {kind:?}"));
                }
            }
            if miss.is_none() {
                found = Some(rule);
            }
            explanation.rules.push(RuleExplanation {
                name: rule.name.clone(),
                matched: miss.is_none(),
                reason: miss,
            });
        }
        found.ok_or_else(|| VerifyError::NoRule {
            reference: self.reference.clone(),
            name,
        })
    }

    fn judge(&self, rule: &'a Rule, explanation: &mut Explanation) -> Result<Accepted, VerifyError> {
        let (reference, digest) = (self.reference, self.descriptor.digest);
        if !rule.digests.is_empty() && !rule.digests.contains(&digest) {
            return Err(VerifyError::NotPinned {
                reference: reference.clone(),
                digest,
                rule: rule.name.clone(),
            });
        }
        let candidates = self.source.candidates(&digest).map_err(|source| VerifyError::Source {
            reference: reference.clone(),
            source,
        })?;
        if candidates.is_empty() {
            return Err(VerifyError::Unsigned {
                reference: reference.clone(),
                digest,
                rule: rule.name.clone(),
                requirement: rule.describe(self.policy),
            });
        }
        let candidates = candidates.get(..MAX_SIGNATURES).unwrap_or(&candidates);
        let manifest = rule.needs_manifest(candidates).then(|| self.manifest()).flatten();
        let manifest = manifest.as_ref().and_then(|(bytes, document)| match document {
            Document::Manifest(manifest) => Some((bytes.as_slice(), manifest)),
            Document::Index(_) => None,
        });
        let mut hearing = Hearing::new(self, rule, candidates, manifest);
        let outcomes: Vec<_> = rule.leaves.iter().map(|leaf| hearing.leaf(leaf)).collect();
        let tree = tree(&rule.require, &outcomes, rule, self.policy);
        let (is_met, names) = (tree.met, tree.identities.clone());
        explanation.requirement = Some(tree);
        let lines = hearing.candidates.iter().map(CandidateExplanation::line).collect();
        explanation.candidates = hearing.candidates;
        if !is_met {
            return Err(VerifyError::Unsatisfied {
                reference: reference.clone(),
                digest,
                rule: rule.name.clone(),
                requirement: rule.describe(self.policy),
                explanations: lines,
            });
        }
        let times = || {
            outcomes
                .iter()
                .flat_map(|outcome| outcome.met.values())
                .filter_map(|(_, at)| *at)
        };
        let expires_at = self.policy.max_age.and_then(|age| times().min()?.checked_add(age).ok());
        Ok(Accepted {
            rule: rule.name.clone(),
            names,
            signed_at: times().max(),
            expires_at,
        })
    }
}

/// The artifact type that rules name.
fn kind_of(document: &Document) -> String {
    match document {
        Document::Manifest(manifest) => manifest.kind().to_owned(),
        Document::Index(index) => index.artifact_type.clone().unwrap_or_default(),
    }
}

/// What the candidates prove to a rule.
struct Hearing<'a> {
    policy: &'a TrustPolicy,
    subject: Subject<'a>,
    now: Timestamp,
    prepared: Vec<Prepared<'a>>,
    /// By candidate and check.
    checked: BTreeMap<(usize, usize), Result<Evidence, String>>,
    candidates: Vec<CandidateExplanation>,
}

/// What became of a leaf.
#[derive(Default)]
struct LeafOutcome {
    /// By candidate: who made it and when.
    met: BTreeMap<usize, (String, Option<Timestamp>)>,
    reasons: BTreeSet<String>,
}

impl<'a> Hearing<'a> {
    fn new(
        question: &Question<'a>,
        rule: &Rule,
        candidates: &'a [Candidate],
        manifest: Option<(&'a [u8], &'a Manifest)>,
    ) -> Self {
        let prepared: Vec<_> = candidates.iter().map(Prepared::new).collect();
        let explained = candidates
            .iter()
            .zip(&prepared)
            .map(|(candidate, prepared)| CandidateExplanation {
                origin: candidate.origin.to_string(),
                form: candidate
                    .signature
                    .as_ref()
                    .map_or("unreadable", |form| form.name())
                    .to_owned(),
                predicate_type: prepared.predicate_type.as_deref().map(shown),
                counted: false,
                identities: Vec::new(),
                signed_at: None,
                reasons: Vec::with_capacity(rule.leaves.len().min(8)),
            });
        Self {
            policy: question.policy,
            subject: Subject {
                digest: question.descriptor.digest,
                manifest,
            },
            now: question.now,
            candidates: explained.collect(),
            prepared,
            checked: BTreeMap::new(),
        }
    }

    fn leaf(&mut self, leaf: &Leaf) -> LeafOutcome {
        let mut outcome = LeafOutcome::default();
        for position in 0..self.prepared.len() {
            match self.candidate(position, leaf) {
                Ok((name, signed_at)) => {
                    if let Some(explained) = self.candidates.get_mut(position) {
                        explained.counted = true;
                    }
                    outcome.met.insert(position, (name, signed_at));
                }
                Err(reason) => {
                    if let Some(explained) = self.candidates.get_mut(position)
                        && !explained.reasons.contains(&reason)
                    {
                        explained.reasons.push(reason.clone());
                    }
                    outcome.reasons.insert(reason);
                }
            }
        }
        outcome
    }

    /// Whether a candidate meets a leaf: who made it, and when.
    fn candidate(&mut self, position: usize, leaf: &Leaf) -> Result<(String, Option<Timestamp>), String> {
        let (Some(prepared), Some(check)) = (self.prepared.get(position), self.policy.checks.get(leaf.check)) else {
            return Err("it was not looked at".to_owned());
        };
        // Asked before the signature is checked, which costs more. What is checked are the same bytes.
        wanted(&leaf.what, prepared.predicate_type.as_deref())?;
        let subject = &self.subject;
        let checked = self
            .checked
            .entry((position, leaf.check))
            .or_insert_with(|| prepared.run(check, subject));
        let evidence = checked.as_ref().map_err(Clone::clone)?;
        let name = evidence.signer.name();
        if let Some(explained) = self.candidates.get_mut(position) {
            if !explained.identities.contains(&name) {
                explained.identities.push(name.clone());
            }
            explained.signed_at = evidence.signed_at.map(|at| at.to_string());
        }
        leaf.check_signer(&evidence.signer)?;
        match (&leaf.what, &evidence.content) {
            (What::Signature, Content::Signature) | (What::ModelSigning, Content::Model) => {}
            (
                What::Attestation(wanted),
                Content::Attestation {
                    predicate_type,
                    predicate,
                },
            ) if *predicate_type == wanted.predicate_type => {
                wanted
                    .conditions
                    .iter()
                    .try_for_each(|condition| condition.check(predicate))?;
            }
            _ => return Err("it says something else than the rule asks for".to_owned()),
        }
        let signed_at = evidence.signed_at;
        self.check_time(signed_at)?;
        Ok((name, signed_at))
    }

    fn check_time(&self, signed_at: Option<Timestamp>) -> Result<(), String> {
        // An overflow is a time beyond all clocks.
        let latest = self.now.checked_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
        if let Some(at) = signed_at.filter(|at| *at > latest) {
            return Err(format!("it was signed at {at}, which is in the future"));
        }
        match (self.policy.max_age, signed_at) {
            (None, _) => Ok(()),
            (Some(_), None) => Err("nothing says when it was signed, and the policy limits its age".to_owned()),
            (Some(age), Some(at)) if at.checked_add(age).is_ok_and(|end| end < self.now) => Err(format!(
                "it was signed at {at}, which is longer ago than the policy allows"
            )),
            _ => Ok(()),
        }
    }
}

/// Refuses candidates of another kind by what they claim to be.
fn wanted(what: &What, claimed: Option<&str>) -> Result<(), String> {
    match (what, claimed) {
        (What::Signature, Some(model_signing::PREDICATE_TYPE)) => {
            Err("it is a model signature, which needs a rule of its own".to_owned())
        }
        (What::Signature, Some(kind)) if kind != COSIGN_SIGN => {
            Err(format!("it is an attestation of {:?}, not a signature", shown(kind)))
        }
        (What::ModelSigning, Some(kind)) if kind != model_signing::PREDICATE_TYPE => {
            Err("it is no model signature".to_owned())
        }
        (What::Attestation(wanted), Some(kind)) if kind != wanted.predicate_type => {
            Err(format!("it is no attestation of {:?}", shown(&wanted.predicate_type)))
        }
        _ => Ok(()),
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// What became of a requirement and all its parts. Its depth is bounded by the reader of policies.
fn tree(part: &Requirement, leaves: &[LeafOutcome], rule: &Rule, policy: &TrustPolicy) -> RequirementExplanation {
    let requirement = rule.describe_part(part, policy);
    match part {
        Requirement::Leaf(number) => {
            let outcome = leaves.get(*number);
            let names = outcome.into_iter().flat_map(|outcome| outcome.met.values());
            let identities: BTreeSet<String> = names.map(|(name, _)| name.clone()).collect();
            let reasons = outcome.into_iter().flat_map(|outcome| &outcome.reasons);
            let reasons: Vec<_> = reasons.take(8).map(String::as_str).collect();
            RequirementExplanation {
                requirement,
                met: !identities.is_empty(),
                reason: identities.is_empty().then(|| reasons.join("; ")),
                identities: identities.into_iter().collect(),
                of: Vec::new(),
            }
        }
        Requirement::AtLeast {
            count,
            of,
            distinct: by_identity,
        } => {
            let of: Vec<_> = of.iter().map(|part| tree(part, leaves, rule, policy)).collect();
            let met: Vec<_> = of.iter().filter(|part| part.met).collect();
            let options: Vec<&[String]> = met.iter().map(|part| part.identities.as_slice()).collect();
            let reached = if *by_identity { distinct(&options) } else { met.len() };
            let identities: BTreeSet<String> = options.into_iter().flatten().cloned().collect();
            let is_met = reached >= *count;
            let reason = match (is_met, reached == met.len()) {
                (true, _) => None,
                (false, true) => Some(format!("{reached} of the {count} that are needed are met")),
                (false, false) => Some(format!(
                    "{reached} of the {count} different signers that are needed are there"
                )),
            };
            RequirementExplanation {
                requirement,
                met: is_met,
                identities: if is_met {
                    identities.into_iter().collect()
                } else {
                    Vec::new()
                },
                reason,
                of,
            }
        }
    }
}
