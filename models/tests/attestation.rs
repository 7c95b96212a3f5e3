//! Attestations: made, required by predicate and condition, and never mistaken for signatures.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use dunlin_models::key::{KeyError, KeyKind, KeyPair};
use dunlin_models::sign::{self, Http, SignError, Signer, SigningConfig, TrustRoot};
use dunlin_models::verify::VerifyError;
use dunlin_sigstore::sign::{Answer, HttpFuture, Post};
use dunlin_test_pki::{Generation, Identity, Pki};
use fixture::{key, module, reference, store};
use serde_json::{Value, json};
use sigstore::{Given, PKI, case, key_of, refusal, verifier, verify, workflow};

const SLSA: &str = "https://slsa.dev/provenance/v1";

fn provenance() -> Value {
    json!({
        "buildDefinition": {"buildType": "https://example.com/build", "externalParameters": {"level": 3}},
        "runDetails": {"builder": {"id": "https://forge.example.com/builders/a"}},
    })
}

fn require(conditions: &Value) -> Value {
    json!({"attestation": {"predicateType": SLSA, "by": {"keyless": workflow()}, "conditions": conditions}})
}

fn given() -> Given {
    Given::bundles(&[case().predicate(SLSA, provenance()).sign().bundle_json()])
}

#[test]
fn conditions_decide() {
    let good = json!([
        {"path": "/runDetails/builder/id", "glob": "https://forge.example.com/builders/*"},
        {"path": "/buildDefinition/externalParameters/level", "atLeast": 3},
        {"path": "/buildDefinition/buildType", "oneOf": ["x", "https://example.com/build"]},
        {"path": "/buildDefinition/internalParameters", "exists": false},
    ]);
    verify(&verifier(&require(&good)), &given()).unwrap();
    for (bad, text) in [
        (
            json!([{"path": "/runDetails/builder/id", "equals": "https://evil.example"}]),
            "/runDetails/builder/id is",
        ),
        (
            json!([{"path": "/buildDefinition/externalParameters/level", "atLeast": 3.5}]),
            "at least 3.5",
        ),
        (json!([{"path": "/nothing", "exists": true}]), "is nothing"),
    ] {
        let reason = refusal(&verifier(&require(&bad)), &given());
        assert!(reason.contains(text), "{reason}");
    }
}

#[test]
fn an_attestation_is_no_signature_and_the_other_way_round() {
    let reason = refusal(&verifier(&json!({"keyless": workflow()})), &given());
    assert!(reason.contains("it is an attestation of"), "{reason}");
    let signature = Given::bundles(&[case().sign().bundle_json()]);
    let reason = refusal(&verifier(&require(&json!([{"path": "", "exists": true}]))), &signature);
    assert!(reason.contains("no attestation of"), "{reason}");
}

#[test]
fn an_attestation_by_somebody_else_is_refused() {
    let case = case().predicate(SLSA, provenance()).identity(Identity::person());
    let given = Given::bundles(&[case.sign().bundle_json()]);
    let any = require(&json!([{"path": "", "exists": true}]));
    assert!(refusal(&verifier(&any), &given).contains("dev@example.com"));
}

#[tokio::test]
async fn what_is_attested_with_a_key_verifies_and_is_checked_for_its_shape() {
    let (_folder, store) = store();
    let (descriptor, key) = (module(&store), key());
    let signer = Signer::Key(&key);
    let wrong = sign::attest(&store, &descriptor, SLSA, json!({"a": 1}), &signer).await;
    assert!(matches!(wrong, Err(SignError::Predicate { .. })), "{wrong:?}");
    sign::attest(&store, &descriptor, SLSA, provenance(), &signer)
        .await
        .unwrap();
    let by = json!({"key": key_of(&key.public().to_pem())});
    let require = json!({"attestation": {"predicateType": SLSA, "by": by}});
    verifier(&require)
        .verify(&store, &reference("demo/echo"), &descriptor)
        .unwrap();
    let signature = verifier(&by).verify(&store, &reference("demo/echo"), &descriptor);
    assert!(
        matches!(signature, Err(VerifyError::Unsatisfied { .. })),
        "{signature:?}"
    );
}

/// The services of the test PKI.
struct Services(&'static Pki);

impl Http for Services {
    fn post<'a>(&'a self, post: Post<'a>) -> HttpFuture<'a> {
        let path = post.url.strip_prefix("https://sigstore.test").unwrap().to_owned();
        let (status, body) = self.0.answer(&path, post.body, &Identity::workflow());
        Box::pin(std::future::ready(Ok(Answer { status, body })))
    }
}

#[tokio::test]
async fn what_is_signed_without_a_key_verifies() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let config = PKI.signing_config("https://sigstore.test", Generation::V2).to_string();
    let config = SigningConfig::from_json(config.as_bytes()).unwrap();
    let root = TrustRoot::from_json(&PKI.root_json()).unwrap();
    let services = Services(&PKI);
    let signer = |trust_root| Signer::Keyless {
        identity_token: "e30.e30.c2ln",
        config: &config,
        http: &services,
        trust_root,
    };
    let other = TrustRoot::from_json(&Pki::new().root_json()).unwrap();
    let none = sign::sign_as(&store, &descriptor, &signer(Some(&other)), &Default::default()).await;
    assert!(matches!(none, Err(SignError::Unverified(_))), "{none:?}");
    assert!(store.referrers(&descriptor.digest).unwrap().is_empty());
    sign::sign_as(&store, &descriptor, &signer(Some(&root)), &Default::default())
        .await
        .unwrap();
    sign::attest(&store, &descriptor, SLSA, provenance(), &signer(None))
        .await
        .unwrap();
    let both = json!({"all": [{"keyless": workflow()}, {"attestation": {"predicateType": SLSA, "by": {"keyless": workflow()}}}]});
    verifier(&both)
        .verify(&store, &reference("demo/echo"), &descriptor)
        .unwrap();
}

#[test]
fn encrypted_keys_open_with_their_password_only() {
    let pair = KeyPair::generate(KeyKind::EcdsaP256).unwrap();
    let text = pair.to_encrypted_pem(b"secret").unwrap();
    assert!(KeyPair::is_encrypted(&text) && !KeyPair::is_encrypted(&pair.to_pem()));
    assert_eq!(
        KeyPair::from_encrypted_pem(&text, b"secret").unwrap().public(),
        pair.public()
    );
    assert_eq!(
        KeyPair::from_encrypted_pem(&text, b"Secret").unwrap_err(),
        KeyError::Password
    );
    assert!(matches!(KeyPair::from_pem(&text), Err(KeyError::Encrypted { .. })));
}
