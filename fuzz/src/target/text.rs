//! Short texts and files of text: references, digests, keys in PEM, trust policies.

use anyhow::Result;
use dunlin_models::{
    Digest, Reference,
    key::{KeyKind, KeyPair, PublicKey},
    verify::TrustPolicy,
};
use dunlin_test_pki::Pki;

use super::{Prepared, Target};

pub(super) fn targets() -> Vec<Target> {
    let target = |name, about, words, prepare| Target {
        name,
        about,
        words,
        is_fenced: false,
        prepare,
    };
    vec![
        target("reference", "names of artifacts", REFERENCE_WORDS, references),
        target(
            "digest",
            "digests in their text form",
            &["sha256:", "sha512:", ":"],
            digests,
        ),
        target("key", "public and private keys in PEM", KEY_WORDS, keys),
        target("policy", "trust policies in YAML", POLICY_WORDS, policies),
    ]
}

const REFERENCE_WORDS: &[&str] = &[
    "/",
    ":",
    "@",
    "@sha256:",
    "localhost",
    "[::1]:5000/",
    "..",
    "_",
    "%2e",
    "ä",
    ":65536/",
];
const KEY_WORDS: &[&str] = &[
    "-----BEGIN PUBLIC KEY-----",
    "-----END PUBLIC KEY-----",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----",
    "\r\n",
    "=",
];
const POLICY_WORDS: &[&str] = &[
    "any:",
    "all:",
    "threshold:",
    "count: 99999999999999999999",
    "key:",
    "keyless:",
    "issuer: ",
    "identity: ",
    "attestation:",
    "predicateType: ",
    "modelSigning:",
    "conditions:",
    "{path: /a/b, equals: 1}",
    "transparencyLog: required",
    "trustRoots:",
    "maxAge: 99999999999d",
    "digests: [",
    "- ",
    "  ",
    "&a ",
    "*a",
    "<<: *a",
    "!!binary ",
    "? ",
    "|+\n",
    "\"**/*/**\"",
    "{",
    "[",
    "---\n",
    "0o7",
    ".inf",
];

fn text(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input).ok()
}

fn references() -> Result<Prepared> {
    let digest = Digest::of(b"content");
    let seeds = vec![
        b"name".to_vec(),
        b"team/name:1.0".to_vec(),
        b"registry.example:5000/team/name:tag".to_vec(),
        format!("registry.example/team/name@{digest}").into_bytes(),
        format!("localhost/name:tag@{digest}").into_bytes(),
    ];
    Ok(Prepared::new(seeds, |input| {
        let Some(Ok(reference)) = text(input).map(str::parse::<Reference>) else {
            return false;
        };
        let again: Reference = reference.to_string().parse().expect("what was parsed is written");
        assert_eq!(again, reference);
        true
    }))
}

fn digests() -> Result<Prepared> {
    let seeds = vec![Digest::of(b"content").to_string().into_bytes()];
    Ok(Prepared::new(seeds, |input| {
        let Some(Ok(digest)) = text(input).map(str::parse::<Digest>) else {
            return false;
        };
        assert_eq!(digest.to_string().as_bytes(), input, "a digest has one spelling");
        true
    }))
}

fn keys() -> Result<Prepared> {
    let mut seeds = Vec::new();
    for kind in [KeyKind::EcdsaP256, KeyKind::Ed25519] {
        let pair = KeyPair::generate(kind)?;
        seeds.push(pair.public().to_pem().into_bytes());
        seeds.push(pair.to_pem().as_bytes().to_vec());
    }
    Ok(Prepared::new(seeds, |input| {
        let Some(text) = text(input) else {
            return false;
        };
        let public = PublicKey::from_pem(text);
        if let Ok(key) = &public {
            assert_eq!(&PublicKey::from_pem(&key.to_pem()).expect("its own form"), key);
        }
        public.is_ok() || KeyPair::from_pem(text).is_ok()
    }))
}

/// The examples of the guide, and the files that they name.
fn policies() -> Result<Prepared> {
    const GUIDE: &str = include_str!("../../../docs/guides/trust-policy.md");
    let pem = KeyPair::generate(KeyKind::EcdsaP256)?.public().to_pem();
    let folder = tempfile::tempdir()?;
    // A rule counts no key twice, so each file has a key of its own.
    for name in ["team.pub", "alice.pub", "bob.pub", "carol.pub"] {
        let pem = KeyPair::generate(KeyKind::EcdsaP256)?.public().to_pem();
        fs_err::write(folder.path().join(name), pem)?;
    }
    fs_err::write(
        folder.path().join("trusted_root.json"),
        Pki::new().case().sign().root_json(),
    )?;
    let examples = GUIDE
        .split("```yaml\n")
        .skip(1)
        .filter_map(|block| block.split("```").next());
    let mut seeds: Vec<Vec<u8>> = examples.map(|example| example.as_bytes().to_vec()).collect();
    seeds.push(policy(&pem).into_bytes());
    Ok(Prepared::new(seeds, move |input| {
        text(input).is_some_and(|text| TrustPolicy::parse(text, folder.path()).is_ok())
    }))
}

/// A policy of several rules, with `pem` in place.
pub(super) fn policy(pem: &str) -> String {
    let key = format!("key: {{ inline: {{ pem: {pem:?} }} }}");
    format!(
        r#"apiVersion: dunlin.dev/v1alpha1
kind: TrustPolicy
metadata:
  name: fuzz
spec:
  mode: enforce
  allowUnsigned: false
  rules:
    - name: any
      match: ["registry.example/team/**", "demo/*"]
      require:
        any:
          - {key}
    - name: threshold
      match: ["**"]
      require:
        threshold:
          count: 1
          of:
            - {key}
"#
    )
}
