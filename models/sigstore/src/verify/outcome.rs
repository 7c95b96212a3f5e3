//! From the dependency's result to what was proven.

use serde::Deserialize;
use sigstore_verify::SubjectAltName;
use sigstore_verify::VerificationResult;
use sigstore_verify::crypto::FulcioCiClaims;
use sigstore_verify::types::{Bundle, KindVersion, Sha256Hash, SignatureContent, TransparencyLogEntry};

use crate::digest::Sha256;
use crate::refusal::Refusal;
use crate::root::TrustRoot;
use crate::signer::{
    Claims, Content, Generation, Identity, Inclusion, LogEntry, Proof, Signer, SigningTime, Statement, TimeSource,
};

/// Types of in-toto statements; both have the same fields.
const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// The proof of a bundle that was verified against `root` with `result`.
pub(crate) fn proof(
    bundle: &Bundle,
    result: &VerificationResult,
    content: Content,
    root: &TrustRoot,
) -> Result<Proof, Refusal> {
    let entries = &bundle.verification_material.tlog_entries;
    // Times of Rekor v1 are those of its promises; every other verified time comes from a timestamp authority.
    let mut promised: Vec<_> = entries
        .iter()
        .filter(|entry| generation(entry) == Generation::V1 && entry.inclusion_promise.is_some())
        .filter_map(|entry| entry.integrated_time)
        .collect();
    let mut times: Vec<_> = result.verified_timestamps().to_vec();
    // The dependency lists authorities first, so that an equal time of both is told apart from the end.
    let mut proven = Vec::with_capacity(times.len());
    while let Some(at) = times.pop() {
        let source = match promised.iter().rposition(|time| *time == at) {
            Some(position) => {
                promised.remove(position);
                TimeSource::RekorV1
            }
            None => TimeSource::TimestampAuthority,
        };
        proven.push(SigningTime { at, source });
    }
    proven.reverse();
    let log = if result.tlog_verified() {
        entries
            .iter()
            .map(|entry| log_entry(entry, root))
            .collect::<Result<_, _>>()?
    } else {
        Vec::new()
    };
    Ok(Proof {
        times: proven,
        log,
        sct: result.sct_verified(),
        content,
    })
}

fn generation(entry: &TransparencyLogEntry) -> Generation {
    match entry.kind_version {
        KindVersion::HashedRekordV002 => Generation::V2,
        _ => Generation::V1,
    }
}

/// The entry as it was proven. The dependency takes a checkpoint signed by any log of the root, whichever log the entry
/// names; here the named one must have signed. A promise is always checked with the named log's key.
fn log_entry(entry: &TransparencyLogEntry, root: &TrustRoot) -> Result<LogEntry, Refusal> {
    let unproven = |source: &'static str| Refusal::Log { source: source.into() };
    let id = Sha256Hash::try_from(entry.log_id.key_id.as_bytes()).map_err(|_| unproven("the entry names no log"))?;
    let key = root
        .logs()
        .key(&id)
        .ok_or_else(|| unproven("the entry names an unknown log"))?;
    let promised = entry.inclusion_promise.is_some();
    if let Some(proof) = &entry.inclusion_proof {
        let signed_by_log = proof.checkpoint.checkpoint().is_some_and(|note| {
            let lines = note
                .signatures()
                .iter()
                .filter(|line| line.key_id.as_bytes()[..] == id.as_bytes()[..4]);
            lines
                .into_iter()
                .any(|line| key.verify(note.signed_data(), &line.signature).is_ok())
        });
        if !signed_by_log {
            return Err(unproven("the checkpoint is not signed by the log that the entry names"));
        }
    }
    Ok(LogEntry {
        log: Sha256::from(*id.as_bytes()),
        index: match &entry.inclusion_proof {
            // Only a promise vouches for the place over all shards of Rekor v1.
            Some(proof) if !promised && generation(entry) == Generation::V1 => proof.log_index.get(),
            _ => entry.log_index.get(),
        },
        generation: generation(entry),
        inclusion: match entry.inclusion_proof {
            Some(_) => Inclusion::Proven,
            None => Inclusion::Promised,
        },
    })
}

/// What a verified bundle signed.
pub(crate) fn content(bundle: &Bundle) -> Result<Content, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Head {
        #[serde(rename = "_type", default)]
        statement_type: String,
        predicate_type: String,
    }
    match &bundle.content {
        SignatureContent::DsseEnvelope(envelope) => {
            let payload = envelope.payload.as_bytes();
            let head: Head = serde_json::from_slice(payload).map_err(|error| Refusal::malformed("statement", error))?;
            if !STATEMENT_TYPES.contains(&head.statement_type.as_str()) {
                return Err(Refusal::StatementType {
                    found: head.statement_type.chars().take(128).collect(),
                });
            }
            Ok(Content::Statement(Statement {
                payload: payload.to_vec(),
                predicate_type: head.predicate_type,
            }))
        }
        SignatureContent::MessageSignature(_) => Ok(Content::Message),
        _ => Err(Refusal::Unsupported {
            source: "it signs neither a message nor an envelope".into(),
        }),
    }
}

/// Who signed, by the certificate that was verified.
pub(crate) fn signer(result: &VerificationResult, proof: Proof) -> Result<Signer, Refusal> {
    let Some(certificate) = result.certificate().filter(|_| result.certificate_verified()) else {
        return Err(Refusal::Certificate {
            source: "no certificate was verified".into(),
        });
    };
    let identity = match &certificate.identity {
        Some(SubjectAltName::Email(email)) if !email.is_empty() => Identity::Email(email.clone()),
        Some(SubjectAltName::Uri(uri)) if !uri.is_empty() => Identity::Uri(uri.clone()),
        _ => {
            return Err(Refusal::Anonymous {
                missing: "email address or URI",
            });
        }
    };
    let issuer = certificate.issuer.clone().filter(|issuer| !issuer.is_empty());
    let issuer = issuer.ok_or(Refusal::Anonymous { missing: "issuer" })?;
    // They end up in logs and on terminals.
    if identity.as_str().chars().chain(issuer.chars()).any(char::is_control) {
        return Err(Refusal::Certificate {
            source: "its names hold control characters".into(),
        });
    }
    Ok(Signer {
        identity,
        issuer,
        claims: claims(&certificate.ci_claims),
        proof,
    })
}

fn claims(claims: &FulcioCiClaims) -> Claims {
    let claims = claims.clone();
    let github = claims.deprecated_github;
    Claims {
        build_signer_uri: claims.build_signer_uri,
        build_signer_digest: claims.build_signer_digest,
        runner_environment: claims.runner_environment,
        source_repository_uri: claims.source_repository_uri,
        source_repository_digest: claims.source_repository_digest,
        source_repository_ref: claims.source_repository_ref,
        source_repository_identifier: claims.source_repository_identifier,
        source_repository_owner_uri: claims.source_repository_owner_uri,
        source_repository_owner_identifier: claims.source_repository_owner_identifier,
        build_config_uri: claims.build_config_uri,
        build_config_digest: claims.build_config_digest,
        build_trigger: claims.build_trigger,
        run_invocation_uri: claims.run_invocation_uri,
        source_repository_visibility_at_signing: claims.source_repository_visibility_at_signing,
        deployment_environment: claims.deployment_environment,
        token_subject: claims.token_subject,
        github_workflow_trigger: github.workflow_trigger,
        github_workflow_sha: github.workflow_sha,
        github_workflow_name: github.workflow_name,
        github_workflow_repository: github.workflow_repository,
        github_workflow_ref: github.workflow_ref,
    }
}
