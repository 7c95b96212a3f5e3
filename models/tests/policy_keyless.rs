//! Policies with roots, keyless signers and attestations: what is read, and every fault with its place.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;
mod sigstore;

use std::path::Path;

use dunlin_models::verify::{PolicyError, TrustPolicy, VerifyError};
use dunlin_models::{Descriptor, Verifier};
use serde_json::json;
use sigstore::{Given, MANIFEST, PKI, case, parse, policy_of, verify, workflow};

fn faults(text: &str) -> Vec<String> {
    match TrustPolicy::parse(text, Path::new("/nonexistent")) {
        Err(PolicyError::Faults { faults }) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// The guide's examples are policies.
#[test]
fn the_guide_tells_the_truth() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/trust-policy.md");
    let guide = fs_err::read_to_string(guide).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["team", "alice", "bob", "carol"] {
        let pem = fixture::key().public().to_pem();
        fs_err::write(folder.path().join(format!("{name}.pub")), pem).unwrap();
    }
    fs_err::write(folder.path().join("trusted_root.json"), PKI.root_json()).unwrap();
    let mut policies = 0;
    for block in guide.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        TrustPolicy::parse(text, folder.path()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        policies += 1;
    }
    assert!(policies >= 2);
}

#[test]
fn faults_have_their_places() {
    let text = r#"apiVersion: dunlin.dev/v1alpha1
kind: TrustPolicy
spec:
  freshness: {maxAge: soon}
  trustRoots:
    - {name: a, inline: "{}"}
    - {name: a, inline: "{}"}
    - {name: b}
  rules:
    - name: r
      match: ["**"]
      digests: ["sha256:abc"]
      downgrade: never
      require:
        all:
          - keyless: {issuer: i, identity: "***", trustRoot: z, claims: {colour: red}, sct: no}
          - attestation: {predicateType: p, by: {key: {}, keyless: {}}, conditions: [{path: x, equals: 1}, {path: /x}]}
          - modelSigning: {pgp: {}}
          - keyless: {identity: i}
"#;
    let found = faults(text);
    for (line, part) in [
        (4, "spec.freshness.maxAge"),
        (6, "spec.trustRoots[0].inline"),
        (7, "another root"),
        (8, "exactly one of file, inline"),
        (12, "spec.rules[0].digests[0]"),
        (13, "spec.rules[0].downgrade: must be deny or allow"),
        (16, "require.all[0].keyless.identity"),
        (16, "has no \"z\""),
        (16, "keyless.claims.colour: unknown claim"),
        (16, "keyless.sct"),
        (17, "attestation.by: expected exactly one"),
        (17, "conditions[0].path: must be a JSON pointer"),
        (17, "conditions[1]: expected exactly one of"),
        (18, "modelSigning.pgp: unknown field"),
        (19, "keyless.issuer: missing"),
    ] {
        let place = format!("line {line}: ");
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with(&place) && fault.contains(part)),
            "{place}{part}: {found:#?}"
        );
    }
}

#[test]
fn a_root_is_needed_and_named_where_there_are_several() {
    let keyless = json!({"keyless": workflow()});
    let root = String::from_utf8(PKI.root_json()).unwrap();
    let with =
        |roots: serde_json::Value| policy_of(&PKI.root_json(), &keyless, &json!({"trustRoots": roots}), &json!({}));
    let two = with(json!([{"name": "a", "inline": root}, {"name": "b", "inline": root}]));
    assert!(faults(&two)[0].contains("missing: there are several roots"));
    parse(&with(json!([{"name": "a", "inline": root}])));
}

#[test]
fn the_hash_covers_text_keys_and_roots() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs_err::write(folder.path().join(name), bytes).unwrap();
    let text = "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nspec:\n  trustRoots: [{name: a, file: root.json}]\n  \
        rules:\n    - {name: r, match: [\"**\"], require: {key: {file: a.pub}}}\n";
    let hash = |text: &str| *TrustPolicy::parse(text, folder.path()).unwrap().hash();
    write("a.pub", fixture::key().public().to_pem().as_bytes());
    write("root.json", &PKI.root_json());
    let first = hash(text);
    assert_eq!(hash(text), first);
    assert_ne!(hash(&format!("{text}#")), first);
    write("root.json", &dunlin_test_pki::Pki::new().root_json());
    let other_root = hash(text);
    assert_ne!(other_root, first);
    write("a.pub", fixture::key().public().to_pem().as_bytes());
    assert_ne!(hash(text), other_root);
}

#[test]
fn rules_about_digests_and_artifact_types() {
    let keyless = json!({"keyless": workflow()});
    let given = Given::bundles(&[case().sign().bundle_json()]);
    let with =
        |rule: serde_json::Value| Verifier::new(parse(&policy_of(&PKI.root_json(), &keyless, &json!({}), &rule)));
    let digest = sigstore::descriptor().digest.to_string();
    verify(&with(json!({ "digests": [digest] })), &given).unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    assert!(matches!(
        verify(&with(json!({ "digests": [other] })), &given),
        Err(VerifyError::NotPinned { .. })
    ));
    verify(&with(json!({"artifactTypes": ["application/vnd.test"]})), &given).unwrap();
    let other = with(json!({"artifactTypes": ["application/vnd.other"]}));
    assert!(matches!(verify(&other, &given), Err(VerifyError::NoRule { .. })));
    // What is not known must not lead on to a weaker rule.
    let unknown = Given {
        manifest: Vec::new(),
        ..Given::bundles(&[case().sign().bundle_json()])
    };
    assert!(matches!(
        verify(&other, &unknown),
        Err(VerifyError::ManifestUnknown { .. })
    ));
    let lying = Given {
        manifest: String::from_utf8(MANIFEST.to_vec())
            .unwrap()
            .replace("vnd.test", "vnd.other")
            .into_bytes(),
        ..Given::bundles(&[case().sign().bundle_json()])
    };
    assert!(matches!(
        verify(&other, &lying),
        Err(VerifyError::ManifestUnknown { .. })
    ));
}

#[test]
fn a_rule_may_audit_alone() {
    let policy = policy_of(
        &PKI.root_json(),
        &json!({"keyless": workflow()}),
        &json!({}),
        &json!({"mode": "audit"}),
    );
    let verifier = Verifier::new(parse(&policy));
    let audited = verify(&verifier, &Given::default()).unwrap();
    assert!(audited.verdict().to_string().contains("would be refused"));
    let name = fixture::reference("demo/echo");
    let explained = verifier.explain(&Given::default(), &name, &Descriptor::of("a/b", b"x"));
    assert_eq!((explained.admitted, explained.mode.as_str()), (false, "audit"));
}
