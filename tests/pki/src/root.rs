//! `trusted_root.json`: what a verifier is told to trust.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::flaw::Flaw;
use crate::key::Key;
use crate::pki::Authorities;

const START: &str = "2020-01-01T00:00:00Z";
/// Before any signature of a test is made.
const EARLY_END: &str = "2021-01-01T00:00:00Z";

/// The trusted root over `authorities`.
pub(crate) fn trusted_root(authorities: &Authorities, flaw: Option<Flaw>) -> Value {
    let ended = |which: Flaw| flaw == Some(which);
    let mut logs: Vec<_> = [&authorities.rekor_v1, &authorities.rekor_v2]
        .map(|log| key_entry(&log.base_url(), &log.key, &log.id(), ended(Flaw::LogKeyEnded)))
        .into();
    if flaw == Some(Flaw::LogKeyWithoutStart) {
        for log in &mut logs {
            log["publicKey"]["validFor"] = json!({ "end": "2040-01-01T00:00:00Z" });
        }
    }
    let ct = &authorities.ct;
    let ct_logs = match flaw {
        Some(Flaw::RootWithoutCtLog) => Vec::new(),
        _ => vec![key_entry("https://ct.test", &ct.key, &ct.id(), ended(Flaw::CtKeyEnded))],
    };
    let signers = match flaw {
        Some(Flaw::RootWithoutAuthority) => Vec::new(),
        _ => vec![chain_entry(
            "https://fulcio.test",
            &authorities.fulcio.chain,
            ended(Flaw::AuthorityEnded),
        )],
    };
    let stamps = match flaw {
        Some(Flaw::StampWrongUsage) => &authorities.wrong_usage.chain,
        Some(Flaw::StampAfterAuthorityCertificate) => &authorities.expired.chain,
        _ => &authorities.tsa.chain,
    };
    let mut stamps = vec![chain_entry(
        "https://tsa.test",
        stamps,
        ended(Flaw::StampAuthorityEnded),
    )];
    if flaw.is_none() {
        stamps.push(chain_entry("https://old.tsa.test", &authorities.expired.chain, false));
    }
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": logs,
        "certificateAuthorities": signers,
        "ctlogs": ct_logs,
        "timestampAuthorities": stamps,
    })
}

fn window(ended: bool) -> Value {
    if ended {
        json!({ "start": START, "end": EARLY_END })
    } else {
        json!({ "start": START })
    }
}

fn key_entry(url: &str, key: &Key, id: &[u8; 32], ended: bool) -> Value {
    json!({
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": STANDARD.encode(key.spki()),
            "keyDetails": key.details(),
            "validFor": window(ended),
        },
        "logId": { "keyId": STANDARD.encode(id) },
    })
}

fn chain_entry(url: &str, chain: &[Vec<u8>], ended: bool) -> Value {
    let certificates: Vec<_> = chain
        .iter()
        .map(|certificate| json!({ "rawBytes": STANDARD.encode(certificate) }))
        .collect();
    json!({
        "subject": { "organization": "test", "commonName": "test" },
        "uri": url,
        "certChain": { "certificates": certificates },
        "validFor": window(ended),
    })
}
