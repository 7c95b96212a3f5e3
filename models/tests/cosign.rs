//! A signature that cosign itself made (3.1.3, `cosign sign --key --tlog-upload=false --use-signing-config=false`).
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::path::Path;

use dunlin_models::verify::{Candidate, SignatureSource, SourceError, TrustPolicy, Verdict};
use dunlin_models::{Descriptor, Digest, Verifier, media_type};
use fixture::{policy_text, reference};

const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIVqy63J6uSHmSbQs0OPcTd6s2kOA
6SM7A2MQCHuvtcb8JXKx1xMvhSHPwkOPJfVtSCbQtlmqtT9nwmGSDe9Trw==
-----END PUBLIC KEY-----";
const SUBJECT: &str = "sha256:52b159e12025d5beba26a31e0ce104bf530598af9f71d641cd5d282b09c7e68c";
const BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"ApNbtoq+SLiSuD1uYcCzpYF3On7q47ryCp0G6ruXDP8="}},"dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiNTJiMTU5ZTEyMDI1ZDViZWJhMjZhMzFlMGNlMTA0YmY1MzA1OThhZjlmNzFkNjQxY2Q1ZDI4MmIwOWM3ZTY4YyJ9LCJhbm5vdGF0aW9ucyI6e319XSwicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vc2lnc3RvcmUuZGV2L2Nvc2lnbi9zaWduL3YxIiwicHJlZGljYXRlIjp7fX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEYCIQCQc8S4lOg4ekmtG9lUwNgJHezsrLlQDbIGsbd+ly2zcQIhAM/nLZmakvCWLUtLkvxxGpehw/yIlixzaClNs1Iw0/XP"}]}}"#;

struct Cosign;

impl SignatureSource for Cosign {
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError> {
        Ok(vec![Candidate {
            origin: *subject,
            signature: Ok(dunlin_models::verify::SignatureForm::Bundle(BUNDLE.as_bytes().to_vec())),
        }])
    }
}

#[test]
fn cosigns_own_signature_is_good_for_its_subject_only() {
    let require = format!(
        "{{key: {{inline: {{pem: {}}}}}}}",
        serde_json::to_string(PUBLIC_KEY).unwrap()
    );
    let text = policy_text("enforce", false, &require);
    let verifier = Verifier::new(TrustPolicy::parse(&text, Path::new("/nonexistent")).unwrap());
    let descriptor = Descriptor::new(media_type::MANIFEST, SUBJECT.parse().unwrap(), 425);
    let verified = verifier
        .verify(&Cosign, &reference("demo/theirs"), &descriptor)
        .unwrap();
    let fingerprint = "02935bb68abe48b892b83d6e61c0b3a581773a7eeae3baf20a9d06eabb970cff";
    let expected = Verdict::Signed {
        rule: "all".to_owned(),
        keys: vec![fingerprint.to_owned()],
    };
    assert_eq!(verified.verdict(), &expected);
    let other = Descriptor {
        digest: Digest::of(b"other"),
        ..descriptor
    };
    assert!(verifier.verify(&Cosign, &reference("demo/theirs"), &other).is_err());
}
