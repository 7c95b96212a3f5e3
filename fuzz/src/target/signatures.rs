//! Signatures: key bundles through the verifier, keyless bundles and trusted roots through the Sigstore crate.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result};
use dunlin_models::{
    Descriptor, Digest, Reference, Store,
    descriptor::Annotations,
    key::{KeyKind, KeyPair},
    manifest::Manifest,
    media_type, sign,
    verify::{Candidate, SignatureForm, SignatureSource, SourceError, TrustPolicy, Verifier},
};
use dunlin_sigstore::{
    Requirements, Sha256, TrustRoot,
    legacy::{self, LegacySignature},
    verify,
};
use dunlin_test_pki::{Generation, Pki, simple_signing};

use super::{Prepared, Target, text};

const WORDS: &[&str] = &[
    "\"mediaType\":\"application/vnd.dev.sigstore.bundle.v0.3+json\"",
    "\"verificationMaterial\":{",
    "\"publicKey\":{\"hint\":\"",
    "\"certificate\":{\"rawBytes\":\"",
    "\"x509CertificateChain\":{\"certificates\":[",
    "\"tlogEntries\":[",
    "\"timestampVerificationData\":{\"rfc3161Timestamps\":[",
    "\"dsseEnvelope\":{\"payload\":\"",
    "\"messageSignature\":{",
    "\"signatures\":[",
    "\"inclusionProof\":{\"logIndex\":\"0\",\"treeSize\":\"9223372036854775807\"",
    "null",
    "\\u0000",
    "{}",
    "[]",
];

pub(super) fn targets() -> Vec<Target> {
    let target = |name, about, is_fenced, prepare| Target {
        name,
        about,
        words: WORDS,
        is_fenced,
        prepare,
    };
    vec![
        target(
            "bundle",
            "bundles of key signatures, under a policy",
            false,
            key_bundles,
        ),
        target("keyless", "keyless bundles against a trusted root", true, keyless),
        target(
            "legacy",
            "legacy cosign signatures in annotations",
            true,
            legacy_signatures,
        ),
        target("trusted-root", "trusted_root.json", true, trusted_roots),
    ]
}

/// One bundle, whatever is asked for.
struct One(Vec<u8>);

impl SignatureSource for One {
    fn candidates(&self, _: &Digest) -> Result<Vec<Candidate>, SourceError> {
        Ok(vec![Candidate::bundle(Digest::of(b"origin"), self.0.clone())])
    }
}

fn key_bundles() -> Result<Prepared> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path(), true)?;
    let config = store.put_bytes(media_type::EMPTY, b"{}")?;
    let manifest = serde_json::to_vec(&Manifest::new(config, Vec::new()))?;
    let signed = store.put_bytes(media_type::MANIFEST, &manifest)?;
    let pair = KeyPair::generate(KeyKind::EcdsaP256)?;
    sign::sign(&store, &signed, &pair, &Annotations::new())?;
    let seeds = store
        .candidates(&signed.digest)?
        .into_iter()
        .filter_map(|candidate| match candidate.signature {
            Ok(SignatureForm::Bundle(bundle)) => Some(bundle),
            _ => None,
        })
        .collect();
    let policy = TrustPolicy::parse(&text::policy(&pair.public().to_pem()), Path::new("/nonexistent"))?;
    let verifier = Verifier::new(policy);
    let reference: Reference = "demo/artifact:1".parse()?;
    let other = Descriptor::of(media_type::MANIFEST, b"another manifest");
    Ok(Prepared::new(seeds, move |input| {
        let source = One(input.to_vec());
        let replayed = verifier.verify(&source, &reference, &other);
        assert!(replayed.is_err(), "a signature of another manifest was accepted");
        verifier.verify(&source, &reference, &signed).is_ok()
    }))
}

fn keyless() -> Result<Prepared> {
    let pki = Pki::new();
    let first = pki.case().sign();
    let seeds = vec![
        first.bundle_json(),
        pki.case().log(Generation::V1).sign().bundle_json(),
        pki.case().message().sign().bundle_json(),
    ];
    let root = TrustRoot::from_json(&first.root_json()).context("the root of the test PKI")?;
    let (subject, other) = (Sha256::from(first.subject), Sha256::of(b"another"));
    let requirements = Requirements::default();
    Ok(Prepared::new(seeds, move |input| {
        let replayed = verify::keyless(input, &other, &root, &requirements);
        assert!(replayed.is_err(), "a signature of another artifact was accepted");
        verify::keyless(input, &subject, &root, &requirements).is_ok()
    }))
}

/// The input is a JSON object of the layer's annotations, with the payload under a name of its own.
fn legacy_signatures() -> Result<Prepared> {
    const PAYLOAD: &str = "payload";
    let (subject, other) = (Sha256::of(b"a manifest"), Sha256::of(b"another"));
    let pki = Pki::new();
    let signed = pki
        .case()
        .artifact(&simple_signing(subject.as_bytes()))
        .message()
        .log(Generation::V1)
        .sign();
    let root = TrustRoot::from_json(&signed.root_json()).context("the root of the test PKI")?;
    let signature = signed.legacy(true);
    let mut annotations = signature.annotations;
    annotations.insert(legacy::SIGNATURE_ANNOTATION.to_owned(), signature.signature);
    annotations.insert(PAYLOAD.to_owned(), String::from_utf8(signature.payload)?);
    let requirements = Requirements::default();
    Ok(Prepared::new(vec![serde_json::to_vec(&annotations)?], move |input| {
        let Ok(mut annotations) = serde_json::from_slice::<BTreeMap<String, String>>(input) else {
            return false;
        };
        let payload = annotations.remove(PAYLOAD).unwrap_or_default();
        let signature = annotations
            .get(legacy::SIGNATURE_ANNOTATION)
            .cloned()
            .unwrap_or_default();
        let signature = LegacySignature {
            payload: payload.as_bytes(),
            signature: &signature,
            annotations: &annotations,
        };
        let replayed = legacy::keyless(&signature, &other, &root, &requirements);
        assert!(replayed.is_err(), "a signature of another artifact was accepted");
        legacy::keyless(&signature, &subject, &root, &requirements).is_ok()
    }))
}

fn trusted_roots() -> Result<Prepared> {
    let signed = Pki::new().case().sign();
    let (bundle, subject) = (signed.bundle_json(), Sha256::from(signed.subject));
    let requirements = Requirements::default();
    Ok(Prepared::new(vec![signed.root_json()], move |input| {
        let Ok(root) = TrustRoot::from_json(input) else {
            return false;
        };
        drop(verify::keyless(&bundle, &subject, &root, &requirements));
        true
    }))
}
