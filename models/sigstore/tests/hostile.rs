//! Bundles, roots and keys that are not what they should be: cut off, changed byte by byte, too large, too deep, too many.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use dunlin_sigstore::{BUNDLE_BYTES, Refusal, Requirements, RootError, Sha256, Signer, TrustRoot, verify};
use dunlin_test_pki::{Generation, Pki, Signed};
use serde_json::{Value, json};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);

fn verify_bytes(bundle: &[u8], signed: &Signed) -> Result<Signer, Refusal> {
    static ROOT: LazyLock<TrustRoot> = LazyLock::new(|| TrustRoot::from_json(&PKI.root_json()).unwrap());
    verify::keyless(bundle, &Sha256::from(signed.subject), &ROOT, &Requirements::default())
}

/// The verdict on the usual bundle after `change`.
fn changed(change: impl FnOnce(&mut Value)) -> Result<Signer, Refusal> {
    let mut signed = PKI.case().sign();
    change(&mut signed.bundle);
    verify_bytes(&signed.bundle_json(), &signed)
}

#[test]
fn a_bundle_that_is_cut_off_is_refused_wherever() {
    let signed = PKI.case().sign();
    let json = signed.bundle_json();
    for end in 0..json.len() {
        let verdict = verify_bytes(&json[..end], &signed);
        assert!(matches!(verdict, Err(Refusal::Malformed { .. })), "{end}: {verdict:?}");
    }
}

/// Some bytes say nothing that is believed (an index that Rekor v2 repeats, the padding of base64); then the verdict must
/// be the same to the letter.
#[test]
fn a_changed_byte_never_changes_what_is_proven() {
    let cases = [
        (PKI.case(), 2),
        (PKI.case().log(Generation::V1), 7),
        (PKI.case().message(), 7),
    ];
    for (case, step) in cases {
        let signed = case.sign();
        let right = verify_bytes(&signed.bundle_json(), &signed).unwrap();
        let json = signed.bundle_json();
        let mut accepted = 0;
        for position in (0..json.len()).step_by(step) {
            let mut json = json.clone();
            json[position] ^= 1;
            if let Ok(signer) = verify_bytes(&json, &signed) {
                accepted += 1;
                let around = String::from_utf8_lossy(&json[position.saturating_sub(40)..json.len().min(position + 40)])
                    .into_owned();
                assert_eq!(signer.proof, right.proof, "byte {position}: {around}");
                assert_eq!(signer, right, "byte {position}");
            }
        }
        assert!(
            accepted < json.len() / 10,
            "{accepted} of {} changes were accepted",
            json.len()
        );
    }
}

#[test]
fn size_and_depth_are_capped() {
    let signed = PKI.case().sign();
    let huge = verify_bytes(&vec![b' '; BUNDLE_BYTES + 1], &signed);
    assert!(matches!(huge, Err(Refusal::TooLarge { .. })), "{huge:?}");
    for text in ["[".repeat(1 << 20), "{\"a\":".repeat(1 << 18)] {
        let deep = verify_bytes(text.as_bytes(), &signed);
        assert!(matches!(deep, Err(Refusal::Malformed { .. })), "{deep:?}");
    }
    let mut nested = json!(1);
    for _ in 0..40 {
        nested = json!([nested]);
    }
    let deep = changed(|bundle| bundle["more"] = nested);
    assert!(matches!(deep, Err(Refusal::Malformed { .. })), "{deep:?}");
    assert!(matches!(
        verify_bytes(&[0xff; 100], &signed),
        Err(Refusal::Malformed { .. })
    ));
    assert!(matches!(verify_bytes(b"null", &signed), Err(Refusal::Malformed { .. })));
}

#[test]
fn a_deep_predicate_is_refused_before_it_is_parsed() {
    let mut deep = json!(1);
    for _ in 0..110 {
        deep = json!([deep]);
    }
    let signed = PKI.case().predicate("https://example.com/p", deep).sign();
    let verdict = verify_bytes(&signed.bundle_json(), &signed);
    assert!(
        matches!(verdict, Err(Refusal::Malformed { what: "statement", .. })),
        "{verdict:?}"
    );
}

#[test]
fn numbers_of_things_are_capped() {
    let entries = |count: usize| {
        changed(|bundle| {
            let entry = bundle["verificationMaterial"]["tlogEntries"][0].clone();
            let entries = (0..count).map(|index| {
                let mut entry = entry.clone();
                entry["logIndex"] = json!(index.to_string());
                entry
            });
            bundle["verificationMaterial"]["tlogEntries"] = entries.collect();
        })
    };
    assert!(matches!(entries(9), Err(Refusal::TooMany { of: "log entries", .. })));
    // The same body at another place is the same entry.
    assert!(matches!(entries(2), Err(Refusal::DuplicateEntry { .. })));
    let stamps = changed(|bundle| {
        let data = &mut bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"];
        *data = vec![data[0].clone(); 9].into();
    });
    assert!(
        matches!(stamps, Err(Refusal::TooMany { of: "timestamps", .. })),
        "{stamps:?}"
    );
    let hashes = changed(|bundle| {
        let hashes = &mut bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"];
        *hashes = vec![hashes[0].clone(); 65].into();
    });
    assert!(
        matches!(
            hashes,
            Err(Refusal::TooMany {
                of: "hashes in a proof",
                ..
            })
        ),
        "{hashes:?}"
    );
    let lines = changed(|bundle| {
        let note = &mut bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]["envelope"];
        let text = note.as_str().unwrap();
        let signature = text.lines().last().unwrap();
        *note = json!(format!("{text}{}", format!("{signature}\n").repeat(100)));
    });
    assert!(
        matches!(
            lines,
            Err(Refusal::TooMany {
                of: "lines in a checkpoint",
                ..
            })
        ),
        "{lines:?}"
    );
}

#[test]
fn numbers_out_of_range_and_wrong_types_are_refused() {
    let entry = |field: &'static str, value: Value| {
        changed(move |bundle| bundle["verificationMaterial"]["tlogEntries"][0][field] = value)
    };
    for value in [
        json!("9223372036854775808"),
        json!("99999999999999999999"),
        json!(-1),
        json!(1.5),
        json!("x"),
    ] {
        let verdict = entry("logIndex", value.clone());
        assert!(
            matches!(verdict, Err(Refusal::Malformed { .. })),
            "{value}: {verdict:?}"
        );
    }
    for value in [json!("253402300800"), json!("-99999999999999"), json!([])] {
        let verdict = entry("integratedTime", value.clone());
        assert!(
            matches!(verdict, Err(Refusal::Malformed { .. })),
            "{value}: {verdict:?}"
        );
    }
    for value in [json!(null), json!(1), json!({}), json!([]), json!("")] {
        for field in ["canonicalizedBody", "logId", "kindVersion", "inclusionProof"] {
            let verdict = entry(field, value.clone());
            assert!(verdict.is_err(), "{field} {value}: {verdict:?}");
        }
        for field in ["mediaType", "verificationMaterial", "dsseEnvelope"] {
            let verdict = changed(|bundle| bundle[field] = value.clone());
            assert!(verdict.is_err(), "{field} {value}: {verdict:?}");
        }
    }
}

#[test]
fn a_token_or_certificate_of_garbage_is_refused() {
    for garbage in [
        "",
        "AAAA",
        "MIIB",
        "MIAGCSqGSIb3DQEHAqCAMIACAQExADCABgkqhkiG9w0BBwGgg////w==",
    ] {
        let stamp = changed(|bundle| {
            let data = &mut bundle["verificationMaterial"]["timestampVerificationData"];
            data["rfc3161Timestamps"][0]["signedTimestamp"] = json!(garbage);
        });
        assert!(matches!(stamp, Err(Refusal::Time { .. })), "{stamp:?}");
        let certificate = changed(|bundle| bundle["verificationMaterial"]["certificate"]["rawBytes"] = json!(garbage));
        assert!(certificate.is_err(), "{certificate:?}");
    }
}

#[test]
fn roots_that_are_not_roots_are_refused() {
    let root: Value = serde_json::from_slice(&PKI.root_json()).unwrap();
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut root = root.clone();
        change(&mut root);
        TrustRoot::from_json(root.to_string().as_bytes())
    };
    assert!(changed(&|_| {}).is_ok());
    let kind = changed(&|root| root["mediaType"] = json!("application/json"));
    assert!(matches!(kind, Err(RootError::MediaType { .. })), "{kind:?}");
    let many = changed(&|root| root["tlogs"] = vec![root["tlogs"][0].clone(); 65].into());
    assert!(matches!(many, Err(RootError::TooMany { .. })), "{many:?}");
    let twice = changed(&|root| root["tlogs"] = vec![root["tlogs"][0].clone(); 2].into());
    assert!(matches!(twice, Err(RootError::Unusable { .. })), "{twice:?}");
    let key = changed(&|root| root["tlogs"][0]["publicKey"]["rawBytes"] = json!("AAAA"));
    assert!(matches!(key, Err(RootError::Unusable { .. })), "{key:?}");
    let certificate = "certificateAuthorities";
    let empty = changed(&|root| root[certificate][0]["certChain"]["certificates"] = json!([]));
    assert!(matches!(empty, Err(RootError::Unusable { .. })), "{empty:?}");
    let garbage = changed(&|root| root[certificate][0]["certChain"]["certificates"][0]["rawBytes"] = json!("AAAA"));
    assert!(matches!(garbage, Err(RootError::Unusable { .. })), "{garbage:?}");
    let backwards = changed(&|root| root[certificate][0]["validFor"]["end"] = json!("2001-01-01T00:00:00Z"));
    assert!(matches!(backwards, Err(RootError::Unusable { .. })), "{backwards:?}");
    assert!(matches!(
        TrustRoot::from_json(&vec![b' '; 2 << 20]),
        Err(RootError::TooLarge { .. })
    ));
    for text in [&b""[..], b"{}", b"[]", &[0xff], "[".repeat(1000).as_bytes()] {
        let verdict = TrustRoot::from_json(text);
        assert!(matches!(verdict, Err(RootError::Malformed { .. })), "{verdict:?}");
    }
}
