//! Signatures of the test PKI before the policy: where they lie, and policies that name its root.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::Path;
use std::sync::LazyLock;

use dunlin_models::verify::{
    Candidate, Explanation, SignatureForm, SignatureSource, SourceError, TrustHistory, TrustPolicy, VerifyError,
};
use dunlin_models::{Descriptor, Digest, Verified, Verifier};
use dunlin_test_pki::{Case, Pki};
use serde_json::{Value, json};

use crate::fixture::reference;

pub(crate) static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

/// The artifact that all signatures are about.
pub(crate) const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"application/vnd.test","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

/// Signatures in memory.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) forms: Vec<SignatureForm>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) history: Option<TrustHistory>,
}

impl Given {
    pub(crate) fn bundles(bundles: &[Vec<u8>]) -> Self {
        Self {
            forms: bundles.iter().cloned().map(SignatureForm::Bundle).collect(),
            manifest: MANIFEST.to_vec(),
            history: None,
        }
    }
}

impl SignatureSource for Given {
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError> {
        let candidate = |form: &SignatureForm| Candidate {
            origin: *subject,
            signature: Ok(form.clone()),
        };
        Ok(self.forms.iter().map(candidate).collect())
    }

    fn manifest(&self, _: &Digest) -> Option<Vec<u8>> {
        Some(self.manifest.clone()).filter(|manifest| !manifest.is_empty())
    }

    fn history(&self) -> Option<TrustHistory> {
        self.history.clone()
    }
}

/// A signature to be made over [`MANIFEST`].
pub(crate) fn case() -> Case<'static> {
    PKI.case().artifact(MANIFEST)
}

pub(crate) fn descriptor() -> Descriptor {
    Descriptor::of("application/vnd.oci.image.manifest.v1+json", MANIFEST)
}

/// `keyless` for the workflow of the test PKI.
pub(crate) fn workflow() -> Value {
    json!({
        "issuer": "https://tokens.forge.example.com",
        "identity": "https://forge.example.com/acme/models/.ci/release.yml@refs/heads/*",
    })
}

/// A policy over all names, with fields of its spec and its rule changed by `spec` and `rule`.
pub(crate) fn policy_of(root: &[u8], require: &Value, spec: &Value, rule: &Value) -> String {
    let mut policy = json!({
        "apiVersion": "dunlin.dev/v1alpha1",
        "kind": "TrustPolicy",
        "spec": {
            "trustRoots": [{"name": "test", "inline": String::from_utf8(root.to_vec()).unwrap()}],
            "rules": [{"name": "all", "match": ["**"], "require": require}],
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        policy["spec"][name] = value.clone();
    }
    for (name, value) in rule.as_object().unwrap() {
        policy["spec"]["rules"][0][name] = value.clone();
    }
    policy.to_string()
}

pub(crate) fn parse(text: &str) -> TrustPolicy {
    TrustPolicy::parse(text, Path::new("/nonexistent")).unwrap()
}

/// A verifier of `require` under the root of the test PKI.
pub(crate) fn verifier(require: &Value) -> Verifier {
    Verifier::new(parse(&policy_of(&PKI.root_json(), require, &json!({}), &json!({}))))
}

pub(crate) fn verify(verifier: &Verifier, given: &Given) -> Result<Verified<Descriptor>, VerifyError> {
    verifier.verify(given, &reference("demo/echo"), &descriptor())
}

pub(crate) fn explain(verifier: &Verifier, given: &Given) -> Explanation {
    verifier.explain(given, &reference("demo/echo"), &descriptor())
}

/// What became of the first signature, after a refusal.
pub(crate) fn refusal(verifier: &Verifier, given: &Given) -> String {
    let error = verify(verifier, given).unwrap_err();
    error.explain().first().cloned().unwrap_or_else(|| error.to_string())
}

/// `key` in place.
pub(crate) fn key_of(pem: &str) -> Value {
    json!({"inline": {"pem": pem}})
}
