//! One equivalent per offline bundle case of sigstore-conformance (a73de49, 70 cases), made by the test PKI: no package
//! registry carries the originals. The names are theirs; `_fail` means that the case must be refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dunlin_sigstore::{Requirements, Sha256, TrustRoot, verify};
use dunlin_test_pki::{Case, Flaw, Generation, Pki, Signed, Style};
use serde_json::{Value, json};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);
static OTHER: LazyLock<Pki> = LazyLock::new(Pki::new);

fn v1() -> Case<'static> {
    PKI.case().log(Generation::V1)
}

fn v2() -> Case<'static> {
    PKI.case()
}

/// What is accepted, as text, or why not.
type Verdict = Result<String, String>;

fn keyless(signed: &Signed) -> Verdict {
    check(
        &signed.bundle_json(),
        &Sha256::from(signed.subject),
        &signed.root_json(),
        None,
    )
}

fn check(bundle: &[u8], subject: &Sha256, root: &[u8], key: Option<&str>) -> Verdict {
    let root = TrustRoot::from_json(root).map_err(|error| format!("{error:?}"))?;
    match key {
        Some(key) => verify::managed_key(bundle, subject, key, &root).map(|proof| format!("{proof:?}")),
        None => verify::keyless(bundle, subject, &root, &Requirements::default()).map(|signer| format!("{signer:?}")),
    }
    .map_err(|error| format!("{error:?}"))
}

/// The verdict on `case` after `change`.
fn edited(case: Case<'_>, change: impl FnOnce(&mut Signed)) -> Verdict {
    let mut signed = case.sign();
    change(&mut signed);
    keyless(&signed)
}

fn flaw(case: Case<'_>, flaw: Flaw) -> Verdict {
    keyless(&case.flaw(flaw).sign())
}

/// The bundle in an older version, with a chain instead of a certificate.
fn versioned(signed: &mut Signed, media_type: &str) {
    signed.bundle["mediaType"] = json!(media_type);
    if media_type.ends_with("0.1") || media_type.ends_with("0.2") {
        let material = &mut signed.bundle["verificationMaterial"];
        let leaf = material["certificate"].clone();
        material["x509CertificateChain"] = json!({ "certificates": [leaf] });
        material.as_object_mut().unwrap().remove("certificate");
    }
}

const V0_1: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const V0_2: &str = "application/vnd.dev.sigstore.bundle+json;version=0.2";
const V0_3: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

fn old(media_type: &'static str) -> Verdict {
    edited(v1().message(), |signed| versioned(signed, media_type))
}

fn chain(certificates: impl FnOnce(&Value, &Value) -> Value) -> Verdict {
    edited(v1().message(), |signed| {
        versioned(signed, V0_2);
        let root = &signed.root["certificateAuthorities"][0]["certChain"]["certificates"][1];
        let chain = &signed.bundle["verificationMaterial"]["x509CertificateChain"]["certificates"];
        let chain = certificates(chain, root);
        signed.bundle["verificationMaterial"]["x509CertificateChain"]["certificates"] = chain;
    })
}

/// The verdict on a bundle whose checkpoint was changed: head (three lines) and signature lines.
fn checkpoint(change: impl FnOnce(Vec<String>, Vec<String>) -> (Vec<String>, Vec<String>)) -> Verdict {
    edited(v2(), |signed| {
        let proof = &mut signed.bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        let envelope = &mut proof["checkpoint"]["envelope"];
        let note = envelope.as_str().unwrap().to_owned();
        let (head, signatures) = note.split_once("\n\n").unwrap();
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let (head, signatures) = change(lines(head), lines(signatures));
        *envelope = json!(format!("{}\n\n{}\n", head.join("\n"), signatures.join("\n")));
    })
}

fn without_line(line: usize) -> Verdict {
    checkpoint(|mut head, signatures| {
        head.remove(line);
        (head, signatures)
    })
}

/// A signature line by somebody whom the root does not know.
fn witness(name: &str, hint: u8) -> String {
    format!(
        "\u{2014} {name} {}",
        STANDARD.encode([[hint; 4].as_slice(), &[7; 64]].concat())
    )
}

fn with_witnesses(arrange: impl FnOnce(String) -> Vec<String>) -> Verdict {
    checkpoint(|head, mut signatures| {
        let own = signatures.remove(0);
        (head, arrange(own))
    })
}

fn managed(change: impl FnOnce(&mut Signed)) -> Verdict {
    let mut signed = v2().managed().sign();
    change(&mut signed);
    let subject = Sha256::from(signed.subject);
    check(
        &signed.bundle_json(),
        &subject,
        &signed.root_json(),
        Some(&signed.public_pem),
    )
}

fn ends_at_the_signature(list: &str, path: &str, case: Case<'_>) -> Verdict {
    edited(case, |signed| {
        for authority in signed.root[list].as_array_mut().unwrap() {
            let holder = if path.is_empty() {
                authority
            } else {
                &mut authority[path]
            };
            holder["validFor"]["end"] = json!(PKI.signed_at().to_string());
        }
    })
}

macro_rules! cases {
    ($($name:literal => $verdict:expr),* $(,)?) => {
        const CASES: &[(&str, fn() -> Verdict)] = &[$(($name, || $verdict)),*];
    };
}

cases! {
    "bundle-empty-certificate-chain_fail" => chain(|_, _| json!([])),
    "bundle-from-wrong-instance_fail" => edited(v1(), |signed| signed.root = OTHER.case().sign().root),
    "bundle-invalid-base64-signature_fail" => flaw(v1(), Flaw::SignatureNotBase64),
    "bundle-malformed-json_fail" => {
        let signed = v1().sign();
        let json = signed.bundle_json();
        check(&json[..json.len() - 40], &Sha256::from(signed.subject), &signed.root_json(), None)
    },
    "bundle-negative-log-index_fail" => flaw(v1(), Flaw::NegativeLogIndex),
    "bundle-unknown-version_fail" => flaw(v1(), Flaw::UnknownBundleVersion),
    "bundle-with-root-cert_fail" => chain(|chain, root| json!([chain[0], root])),
    "bundle-with-sct-with-extensions" => keyless(&v1().sct_extensions(b"extensions").sign()),
    "checkpoint-bad-keyhint_fail" => flaw(v1(), Flaw::CheckpointBadKeyHint),
    "checkpoint-wrong-roothash_fail" => flaw(v1(), Flaw::WrongRootHash),
    "dsse-invalid-sig_fail" => flaw(v1(), Flaw::FlippedSignature),
    "dsse-mismatch-envelope_fail" => flaw(v1(), Flaw::EntryOtherDigest),
    "dsse-mismatch-sig_fail" => flaw(v1(), Flaw::EntryOtherSignature),
    "happy-path-intoto-in-dsse-v3" => keyless(&v1().sign()),
    "happy-path-v0.1" => old(V0_1),
    "happy-path-v0.2" => old(V0_2),
    "happy-path-v0.3" => old(V0_3),
    "happy-path-v0.3-new-mediaType" => keyless(&v1().message().sign()),
    "inclusion-proof-corrupted-hash_fail" => flaw(v1().message(), Flaw::BrokenInclusionProof),
    "incorrect-public-key_fail" => edited(v1().message(), |signed| {
        let other = OTHER.case().sign().root["tlogs"][0]["publicKey"]["rawBytes"].clone();
        signed.root["tlogs"][0]["publicKey"]["rawBytes"] = other;
    }),
    "integrated-time-in-future_fail" => flaw(v1().message(), Flaw::IntegratedTimeInFuture),
    "intoto-expired-certificate_fail" => flaw(v1(), Flaw::ExpiredCertificate),
    "intoto-log-entry-mismatch_fail" => flaw(v1(), Flaw::ReplayedLogEntry),
    "intoto-missing-inclusion-proof_fail" => edited(v1().flaw(Flaw::NoInclusionProof), |signed| versioned(signed, V0_2)),
    "intoto-set-outside-signing-cert-validity_fail" => flaw(v1(), Flaw::IntegratedTimeAfterCertificate),
    "intoto-tsa-timestamp-outside-cert-validity_fail" => flaw(v1().stamped(true), Flaw::StampAfterCertificate),
    "intoto-with-custom-trust-root" => keyless(&OTHER.case().log(Generation::V1).sign()),
    "invalid-checkpoint-signature_fail" => flaw(v1().message(), Flaw::CheckpointForged),
    "invalid-ct-key_fail" => flaw(v1().message(), Flaw::ForeignCtLog),
    "invalid-inclusion-proof_fail" => flaw(v1().message(), Flaw::NoCheckpoint),
    "managed-key-and-trusted-root" => managed(|_| {}),
    "managed-key-happy-path" => {
        let signed = v1().message().managed().sign();
        let subject = Sha256::from(signed.subject);
        check(&signed.bundle_json(), &subject, &signed.root_json(), Some(&signed.public_pem))
    },
    "managed-key-no-key_fail" => keyless(&v2().managed().sign()),
    "managed-key-wrong-key_fail" => managed(|signed| signed.public_pem = PKI.stray_key().public_pem()),
    "message-digest-mismatch_fail" => flaw(v1().message(), Flaw::WrongMessageDigest),
    "rekor2-checkpoint-cosigned" => with_witnesses(|own| vec![own, witness("witness.test", 1)]),
    "rekor2-checkpoint-missing-log-signature_fail" => checkpoint(|head, _| (head, Vec::new())),
    "rekor2-checkpoint-missing-origin_fail" => without_line(0),
    "rekor2-checkpoint-missing-root-hash_fail" => without_line(2),
    "rekor2-checkpoint-missing-size_fail" => without_line(1),
    "rekor2-checkpoint-multiple-cosigs" => {
        with_witnesses(|own| vec![own, witness("one.test", 1), witness("two.test", 2)])
    },
    "rekor2-checkpoint-no-matching-signature_fail" => with_witnesses(|_| vec![witness("log.dunlin.test", 1)]),
    "rekor2-checkpoint-origin-not-first" => with_witnesses(|own| vec![witness("witness.test", 1), own]),
    "rekor2-checkpoint-two-sigs-cosigned" => {
        with_witnesses(|own| vec![witness("log.dunlin.test", 1), own, witness("witness.test", 2)])
    },
    "rekor2-checkpoint-two-sigs-from-origin" => with_witnesses(|own| vec![witness("log.dunlin.test", 1), own]),
    "rekor2-dsse-happy-path" => keyless(&v2().sign()),
    "rekor2-dsse-invalid-sig_fail" => flaw(v2(), Flaw::FlippedSignature),
    "rekor2-dsse-mismatch-envelope_fail" => flaw(v2(), Flaw::EntryOtherDigest),
    "rekor2-dsse-mismatch-sig_fail" => flaw(v2(), Flaw::EntryOtherSignature),
    "rekor2-happy-path" => keyless(&v2().message().sign()),
    "rekor2-no-inclusion-proof_fail" => flaw(v2().message(), Flaw::NoInclusionProof),
    "rekor2-no-timestamp_fail" => flaw(v2().message(), Flaw::NoTime),
    "rekor2-timestamp-outside-trust-root-tsa-validity_fail" => flaw(v2().message(), Flaw::StampAuthorityEnded),
    "rekor2-timestamp-outside-tsa-cert-validity_fail" => flaw(v2().message(), Flaw::StampAfterAuthorityCertificate),
    "rekor2-timestamp-payload-mismatch_fail" => flaw(v2().message(), Flaw::StampOfOtherSignature),
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail" => flaw(v2().message(), Flaw::StampByForeignAuthority),
    "rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail" => {
        flaw(v2().message().style(Style::Bare), Flaw::StampByForeignAuthority)
    },
    "rekor2-timestamp-with-embedded-cert" => keyless(&v2().message().style(Style::Embedded).sign()),
    "rekor2-timestamp-with-expired-cert-chain" => keyless(&v2().message().old_timestamp_authority().sign()),
    "rekor2-timestamp-with-incorrect-time_fail" => flaw(v2().message(), Flaw::StampForged),
    "rekor2-timestamp-without-embedded-cert" => keyless(&v2().message().style(Style::Bare).sign()),
    "set-invalid-signature_fail" => flaw(v1().message(), Flaw::SetForged),
    "signature-mismatch_fail" => flaw(v1().message(), Flaw::FlippedSignature),
    "trust-root-tlog-missing-validity-start_fail" => flaw(v1().message(), Flaw::LogKeyWithoutStart),
    "trust-root-tlog-validity-end-inclusive" => ends_at_the_signature("tlogs", "publicKey", v1().message()),
    "trust-root-tsa-validity-end-inclusive" => ends_at_the_signature("timestampAuthorities", "", v2().message()),
    "wrong-hashedrekord-artifact_fail" => flaw(v1().message(), Flaw::EntryOtherDigest),
    "wrong-hashedrekord-cert-and-sig_fail" => flaw(v1().message(), Flaw::EntryOtherCertificate),
    "wrong-hashedrekord-entry_fail" => flaw(v1().message(), Flaw::ReplayedLogEntry),
    "wrong-material_fail" => edited(v1().message(), |signed| signed.subject = *Sha256::of(b"another").as_bytes()),
}

#[test]
fn every_case_has_the_right_verdict() {
    let mut wrong = Vec::new();
    for (name, verdict) in CASES {
        let verdict = verdict();
        if verdict.is_ok() == name.ends_with("_fail") {
            wrong.push(format!("{name}: {verdict:?}"));
        }
    }
    assert_eq!(CASES.len(), 70);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
