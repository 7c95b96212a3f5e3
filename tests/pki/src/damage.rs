//! Flaws that are changes to a finished bundle: what an attacker without any key can do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::flaw::Flaw;
use crate::signed::Signed;

/// Changes `signed` as `flaw` says; `other` is another signature by the same signer.
pub(crate) fn damage(flaw: Flaw, signed: &mut Signed, other: impl Fn() -> Signed) {
    let other_log = signed.root["tlogs"][0]["logId"].clone();
    let bundle = &mut signed.bundle;
    damage_material(flaw, &mut bundle["verificationMaterial"], &other);
    damage_content(flaw, bundle);
    if let Some(entry) = bundle["verificationMaterial"]["tlogEntries"].get_mut(0) {
        damage_entry(flaw, entry, &other);
        if flaw == Flaw::EntryNamesOtherLog {
            entry["logId"] = other_log;
        }
    }
}

fn damage_material(flaw: Flaw, material: &mut Value, other: &impl Fn() -> Signed) {
    let certificate = |value: &Value| value["certificate"].clone();
    match flaw {
        Flaw::SwappedCertificate => {
            material["certificate"] = certificate(&other().bundle["verificationMaterial"]);
        }
        Flaw::EmptyCertificate => material["certificate"]["rawBytes"] = json!(""),
        Flaw::ChainInV03 => {
            material["x509CertificateChain"] = json!({ "certificates": [certificate(material)] });
            remove(material, "certificate");
        }
        Flaw::KeyInsteadOfCertificate => {
            material["publicKey"] = json!({ "hint": "a key" });
            remove(material, "certificate");
        }
        Flaw::NoLogEntry => material["tlogEntries"] = json!([]),
        Flaw::DuplicateLogEntry => {
            let entry = material["tlogEntries"][0].clone();
            material["tlogEntries"] = json!([entry, entry]);
        }
        Flaw::ReplayedLogEntry => {
            material["tlogEntries"] = other().bundle["verificationMaterial"]["tlogEntries"].clone();
        }
        Flaw::StampForged => {
            flip(&mut material["timestampVerificationData"]["rfc3161Timestamps"][0]["signedTimestamp"]);
        }
        _ => {}
    }
}

fn damage_content(flaw: Flaw, bundle: &mut Value) {
    let enveloped = bundle.get("dsseEnvelope").is_some();
    match flaw {
        Flaw::FlippedSignature if enveloped => flip(&mut bundle["dsseEnvelope"]["signatures"][0]["sig"]),
        Flaw::FlippedSignature => flip(&mut bundle["messageSignature"]["signature"]),
        Flaw::SignatureNotBase64 => bundle["dsseEnvelope"]["signatures"][0]["sig"] = json!("***"),
        Flaw::FlippedPayload => {
            let payload = text(&bundle["dsseEnvelope"]["payload"]);
            let payload = String::from_utf8(payload)
                .expect("text")
                .replacen("\"artifact\"", "\"artifacT\"", 1);
            bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(payload));
        }
        Flaw::TwoSignatures => {
            let signature = bundle["dsseEnvelope"]["signatures"][0].clone();
            bundle["dsseEnvelope"]["signatures"] = json!([signature, signature]);
        }
        Flaw::NoSignature => bundle["dsseEnvelope"]["signatures"] = json!([]),
        Flaw::WrongMessageDigest => flip(&mut bundle["messageSignature"]["messageDigest"]["digest"]),
        Flaw::UnknownBundleVersion => {
            bundle["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.9+json");
        }
        _ => {}
    }
}

fn damage_entry(flaw: Flaw, entry: &mut Value, other: &impl Fn() -> Signed) {
    match flaw {
        Flaw::UnknownEntryKind => entry["kindVersion"] = json!({ "kind": "dsse", "version": "0.0.2" }),
        Flaw::NegativeLogIndex => entry["logIndex"] = json!("-1"),
        Flaw::LogIndexOutsideTree => entry["logIndex"] = json!("4711"),
        Flaw::NoInclusionProof => remove(entry, "inclusionProof"),
        Flaw::BrokenInclusionProof => flip(&mut entry["inclusionProof"]["hashes"][0]),
        Flaw::ShortInclusionProof => {
            entry["inclusionProof"]["hashes"].as_array_mut().expect("hashes").pop();
        }
        Flaw::WrongRootHash => flip(&mut entry["inclusionProof"]["rootHash"]),
        Flaw::NoCheckpoint => remove(&mut entry["inclusionProof"], "checkpoint"),
        Flaw::MalformedCheckpoint => checkpoint(entry, |note| {
            let (origin, rest) = note.split_once('\n').expect("lines");
            let (_, signatures) = rest.split_once("\n\n").expect("signatures");
            format!("{origin}\n\n{signatures}")
        }),
        Flaw::CheckpointBadKeyHint => checkpoint(entry, |note| flip_note(note, 0)),
        Flaw::CheckpointForged => checkpoint(entry, |note| flip_note(note, 20)),
        Flaw::CheckpointOtherTree => {
            let other = other().bundle["verificationMaterial"]["tlogEntries"][0]["inclusionProof"].clone();
            entry["inclusionProof"]["checkpoint"] = other["checkpoint"].clone();
            entry["inclusionProof"]["rootHash"] = other["rootHash"].clone();
        }
        Flaw::SetForged => flip(&mut entry["inclusionPromise"]["signedEntryTimestamp"]),
        Flaw::IntegratedTimeMoved => {
            let seconds: i64 = entry["integratedTime"]
                .as_str()
                .expect("text")
                .parse()
                .expect("seconds");
            entry["integratedTime"] = json!((seconds - 10).to_string());
        }
        _ => {}
    }
}

fn remove(value: &mut Value, field: &str) {
    value.as_object_mut().expect("an object").remove(field);
}

fn text(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("text")).expect("base64")
}

/// Flips a bit of the last byte, which in signatures is not part of any length.
fn flip(value: &mut Value) {
    let mut bytes = text(value);
    *bytes.last_mut().expect("bytes") ^= 1;
    *value = json!(STANDARD.encode(bytes));
}

fn checkpoint(entry: &mut Value, change: impl Fn(&str) -> String) {
    let envelope = &mut entry["inclusionProof"]["checkpoint"]["envelope"];
    *envelope = json!(change(envelope.as_str().expect("text")));
}

/// The note with a bit of byte `at` of its signature flipped; the first four bytes are the key's hint.
fn flip_note(note: &str, at: usize) -> String {
    let (head, signature) = note.trim_end().rsplit_once(' ').expect("a signature");
    let mut bytes = STANDARD.decode(signature).expect("base64");
    bytes[at] ^= 1;
    format!("{head} {}\n", STANDARD.encode(bytes))
}
