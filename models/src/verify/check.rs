//! One check of one candidate: by a key, or by a trusted root. It says what was proven; whether that is enough is decided
//! elsewhere, so that a candidate is checked once however many requirements ask.

use std::sync::Arc;

use dunlin_sigstore::legacy::{self, LegacySignature};
use dunlin_sigstore::{Claims, Content as Proven, Identity, Proof, Refusal, Requirements, Sha256, TrustRoot, verify};
use jiff::Timestamp;

use super::bundle::{BundleError, Claimed, Opened};
use super::dsse::Envelope;
use super::source::{Candidate, SignatureForm};
use super::statement::{Content, Statement};
use crate::digest::Digest;
use crate::key::PublicKey;
use crate::manifest::Manifest;

/// A way to check candidates.
#[derive(Debug, Clone)]
pub(super) enum Check {
    Key(KeyCheck),
    Keyless(KeylessCheck),
}

/// By the holder of a key.
#[derive(Debug, Clone)]
pub(super) struct KeyCheck {
    pub(super) key: PublicKey,
    /// What log entries and timestamps are checked with; without one they are not looked at.
    pub(super) root: Option<(usize, Arc<TrustRoot>)>,
    /// Whether there must be a log entry.
    pub(super) logged: bool,
}

/// By whom an authority of the root vouches for.
#[derive(Debug, Clone)]
pub(super) struct KeylessCheck {
    pub(super) root: (usize, Arc<TrustRoot>),
    pub(super) requirements: Requirements,
}

impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Key(a), Self::Key(b)) => {
                let number = |check: &KeyCheck| check.root.as_ref().map(|(number, _)| *number);
                a.key == b.key && number(a) == number(b) && a.logged == b.logged
            }
            (Self::Keyless(a), Self::Keyless(b)) => a.root.0 == b.root.0 && a.requirements == b.requirements,
            _ => false,
        }
    }
}

/// Who signed, as proven.
#[derive(Debug, Clone)]
pub(super) enum Signer {
    Key(String),
    Keyless {
        identity: Identity,
        issuer: String,
        claims: Box<Claims>,
    },
}

impl Signer {
    /// How verdicts name the signer.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Key(fingerprint) => fingerprint.clone(),
            Self::Keyless { identity, issuer, .. } => format!("{identity} ({issuer})"),
        }
    }
}

/// What a check proved.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) signer: Signer,
    pub(super) content: Content,
    /// The latest proven time; for a bare key, the one that its holder signed.
    pub(super) signed_at: Option<Timestamp>,
}

/// The artifact that signatures are to be about.
pub(super) struct Subject<'a> {
    pub(super) digest: Digest,
    /// The manifest and its bytes, where they are at hand and match the digest.
    pub(super) manifest: Option<(&'a [u8], &'a Manifest)>,
}

/// A candidate, parsed once.
pub(super) struct Prepared<'a> {
    candidate: &'a Candidate,
    claimed: Option<Result<Claimed, BundleError>>,
    /// The predicate type that its statement claims.
    pub(super) predicate_type: Option<String>,
    /// What its statement claims to be about, when that is no manifest.
    files: Option<Digest>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(candidate: &'a Candidate) -> Self {
        let claimed = match &candidate.signature {
            Ok(SignatureForm::Bundle(bytes)) => Some(Claimed::parse(bytes)),
            _ => None,
        };
        let payload = match (&claimed, &candidate.signature) {
            (Some(Ok(claimed)), _) => claimed.statement(),
            (None, Ok(SignatureForm::Envelope(bytes))) => serde_json::from_slice::<Envelope>(bytes)
                .ok()
                .and_then(|envelope| envelope.claimed_payload()),
            _ => None,
        };
        let statement = payload.and_then(|payload| Statement::parse(&payload).ok());
        let predicate_type = statement
            .as_ref()
            .map(|statement| statement.predicate_type().to_owned());
        let is_model = predicate_type.as_deref() == Some(super::model_signing::PREDICATE_TYPE);
        Self {
            candidate,
            claimed,
            predicate_type,
            files: statement
                .filter(|_| is_model)
                .and_then(|statement| statement.only_subject()),
        }
    }

    /// Runs `check`; `Err` says why the candidate proves nothing by it.
    pub(super) fn run(&self, check: &Check, subject: &Subject<'_>) -> Result<Evidence, String> {
        let form = self.candidate.signature.as_ref().map_err(Clone::clone)?;
        match (form, check) {
            (SignatureForm::Bundle(bytes), Check::Key(check)) => self.key_bundle(bytes, check, subject),
            (SignatureForm::Bundle(bytes), Check::Keyless(check)) => self.keyless_bundle(bytes, check, subject),
            (
                SignatureForm::SimpleSigning {
                    payload,
                    signature,
                    annotations,
                },
                check,
            ) => {
                let signature = LegacySignature {
                    payload,
                    signature,
                    annotations,
                };
                simple_signing(&signature, check, subject)
            }
            (SignatureForm::Envelope(bytes), Check::Key(check)) if !check.logged => {
                let envelope: Envelope = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
                let payload = envelope.open(&check.key).map_err(text)?;
                read(&payload, subject, &check.key).map_err(text)
            }
            (SignatureForm::Envelope(_), _) => Err(text(BundleError::Form)),
        }
    }

    fn claimed(&self) -> Result<&Claimed, String> {
        match &self.claimed {
            Some(claimed) => claimed.as_ref().map_err(|error| error.to_string()),
            None => Err(text(BundleError::Form)),
        }
    }

    /// The digest that the verified statement must name.
    fn about(&self, subject: &Subject<'_>) -> Sha256 {
        sha256(self.files.as_ref().unwrap_or(&subject.digest))
    }

    fn key_bundle(&self, bytes: &[u8], check: &KeyCheck, subject: &Subject<'_>) -> Result<Evidence, String> {
        let claimed = self.claimed()?;
        claimed.check_made_with(&check.key).map_err(text)?;
        let with_root = check.root.as_ref().filter(|_| check.logged || claimed.has_evidence());
        if let Some((_, root)) = with_root {
            let proof = verify::managed_key(bytes, &self.about(subject), &check.key.to_pem(), root).map_err(refusal)?;
            if check.logged && proof.log.is_empty() {
                return Err(text(BundleError::NotLogged));
            }
            return evidence(Signer::Key(check.key.fingerprint()), proof, subject);
        }
        let manifest = subject.manifest.map(|(bytes, _)| bytes);
        match claimed.open(&check.key, manifest).map_err(text)? {
            Opened::Statement(payload) => read(&payload, subject, &check.key).map_err(text),
            Opened::Message => Ok(Evidence {
                signer: Signer::Key(check.key.fingerprint()),
                content: Content::Signature,
                signed_at: None,
            }),
        }
    }

    fn keyless_bundle(&self, bytes: &[u8], check: &KeylessCheck, subject: &Subject<'_>) -> Result<Evidence, String> {
        let claimed = self.claimed()?;
        claimed.check_content().map_err(text)?;
        if !claimed.is_keyless() {
            return Err(text(BundleError::Bare));
        }
        let signer =
            verify::keyless(bytes, &self.about(subject), &check.root.1, &check.requirements).map_err(refusal)?;
        keyless_evidence(signer, subject)
    }
}

fn simple_signing(signature: &LegacySignature<'_>, check: &Check, subject: &Subject<'_>) -> Result<Evidence, String> {
    let digest = &sha256(&subject.digest);
    match check {
        Check::Key(check) => {
            let brings = |name: &str| {
                signature
                    .annotations
                    .contains_key(&format!("dev.sigstore.cosign/{name}"))
            };
            let has_evidence = brings("bundle") || brings("rfc3161timestamp");
            let root = check.root.as_ref().filter(|_| check.logged || has_evidence);
            let root = root.map(|(_, root)| root.as_ref());
            let proof = legacy::managed_key(signature, digest, &check.key.to_pem(), root).map_err(refusal)?;
            if check.logged && proof.log.is_empty() {
                return Err(text(BundleError::NotLogged));
            }
            evidence(Signer::Key(check.key.fingerprint()), proof, subject)
        }
        Check::Keyless(check) => {
            let signer = legacy::keyless(signature, digest, &check.root.1, &check.requirements).map_err(refusal)?;
            keyless_evidence(signer, subject)
        }
    }
}

fn keyless_evidence(signer: dunlin_sigstore::Signer, subject: &Subject<'_>) -> Result<Evidence, String> {
    let dunlin_sigstore::Signer {
        identity,
        issuer,
        claims,
        proof,
    } = signer;
    let signer = Signer::Keyless {
        identity,
        issuer,
        claims: Box::new(claims),
    };
    evidence(signer, proof, subject)
}

/// What a verified proof says of the subject. Times that only the signer states do not count beside proven ones.
fn evidence(signer: Signer, proof: Proof, subject: &Subject<'_>) -> Result<Evidence, String> {
    let proven = proof.times.iter().map(|time| time.at).max();
    let is_key = matches!(signer, Signer::Key(_));
    let (content, stated) = match proof.content {
        Proven::Message | Proven::SimpleSigning { .. } => (Content::Signature, None),
        Proven::Statement(statement) => content(&statement.payload, subject).map_err(text)?,
    };
    Ok(Evidence {
        signer,
        content,
        signed_at: proven.or(stated.filter(|_| is_key)),
    })
}

/// What a statement says whose signature by `key` is good.
fn read(payload: &[u8], subject: &Subject<'_>, key: &PublicKey) -> Result<Evidence, BundleError> {
    let (content, signed_at) = content(payload, subject)?;
    Ok(Evidence {
        signer: Signer::Key(key.fingerprint()),
        content,
        signed_at,
    })
}

fn content(payload: &[u8], subject: &Subject<'_>) -> Result<(Content, Option<Timestamp>), BundleError> {
    let manifest = subject.manifest.map(|(_, manifest)| manifest);
    Statement::parse(payload)?.content(&subject.digest, manifest)
}

fn sha256(digest: &Digest) -> Sha256 {
    Sha256::from(*digest.as_bytes())
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: BundleError) -> String {
    error.to_string()
}

/// A refusal with its cause, which alone says what is wrong.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn refusal(refusal: Refusal) -> String {
    let mut text = refusal.to_string();
    let mut source = std::error::Error::source(&refusal);
    while let Some(cause) = source {
        text.push_str(": ");
        text.extend(cause.to_string().chars().filter(|c| !c.is_control()).take(300));
        source = cause.source();
    }
    text
}
