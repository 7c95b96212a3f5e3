//! What a verdict costs: cold, with one keyless bundle and with one key, and warm from the cache. Wall time per verdict;
//! the work is on one thread and waits for nothing but the page cache.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::path::Path;
use std::time::Instant;

use dunlin_models::verify::{Candidate, SignatureSource, SourceError, TrustPolicy};
use dunlin_models::{Descriptor, Digest, Reference, Verifier};
use dunlin_test_pki::Pki;
use serde_json::{Value, json};

const ARTIFACT: &[u8] = b"an artifact";
const ROUNDS: u32 = 500;

struct Given(Vec<u8>);

impl SignatureSource for Given {
    fn candidates(&self, subject: &Digest) -> Result<Vec<Candidate>, SourceError> {
        Ok(vec![Candidate::bundle(*subject, self.0.clone())])
    }
}

fn policy(root: &[u8], require: &Value) -> TrustPolicy {
    let policy = json!({
        "apiVersion": "dunlin.dev/v1alpha1",
        "kind": "TrustPolicy",
        "spec": {
            "trustRoots": [{"name": "test", "inline": String::from_utf8(root.to_vec()).unwrap()}],
            "rules": [{"name": "all", "match": ["**"], "require": require}],
        },
    });
    TrustPolicy::parse(&policy.to_string(), Path::new("/nonexistent")).unwrap()
}

fn measure(name: &str, verifier: &Verifier, given: &Given) {
    let reference: Reference = "demo/echo".parse().unwrap();
    let descriptor = Descriptor::of("application/vnd.oci.image.manifest.v1+json", ARTIFACT);
    verifier.verify(given, &reference, &descriptor).unwrap();
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            verifier.verify(given, &reference, &descriptor).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!(
        "{name}: median {:?}, p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

fn main() {
    let pki = Pki::new();
    let keyless =
        json!({"keyless": {"issuer": "https://tokens.forge.example.com", "identity": "https://forge.example.com/**"}});
    let signed = pki.case().artifact(ARTIFACT).sign();
    let given = Given(signed.bundle_json());
    let verifier = Verifier::new(policy(&pki.root_json(), &keyless));
    measure("keyless, cold", &verifier, &given);
    let folder = tempfile::tempdir().unwrap();
    measure("keyless, cached", &verifier.with_cache(folder.path()), &given);
    let signed = pki.case().artifact(ARTIFACT).managed().unlogged().stamped(false).sign();
    let key = json!({"key": {"inline": {"pem": signed.public_pem}}});
    measure(
        "key, cold",
        &Verifier::new(policy(&pki.root_json(), &key)),
        &Given(signed.bundle_json()),
    );
}
