//! Legacy cosign signatures: a payload in a layer, everything else in annotations on its descriptor.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::{LineEnding, encode_string};
use serde_json::{Value, json};

use crate::signed::Signed;

/// A legacy signature.
#[derive(Debug, Clone)]
pub struct LegacySignature {
    /// The layer: what was signed.
    pub payload: Vec<u8>,
    /// Annotation `dev.cosignproject.cosign/signature`.
    pub signature: String,
    /// The annotations `dev.sigstore.cosign/*`.
    pub annotations: BTreeMap<String, String>,
}

impl Signed {
    /// This signature in the legacy form. It must be a message signature over [`simple_signing`];
    /// `keyless` says whether the certificate goes along.
    #[must_use]
    pub fn legacy(&self, keyless: bool) -> LegacySignature {
        let string = |value: &Value| value.as_str().expect("text").to_owned();
        let pem = |der: &[u8]| encode_string("CERTIFICATE", LineEnding::LF, der).expect("PEM");
        let mut annotations = BTreeMap::new();
        let mut set = |name: &str, value: String| annotations.insert(format!("dev.sigstore.cosign/{name}"), value);
        let material = &self.bundle["verificationMaterial"];
        if keyless {
            let leaf = STANDARD
                .decode(string(&material["certificate"]["rawBytes"]))
                .expect("base64");
            set("certificate", pem(&leaf));
            let chain = &self.root["certificateAuthorities"][0]["certChain"]["certificates"];
            let chain = chain.as_array().into_iter().flatten();
            let chain = chain.map(|certificate| STANDARD.decode(string(&certificate["rawBytes"])).expect("base64"));
            set("chain", chain.map(|certificate| pem(&certificate)).collect());
        }
        if let Some(entry) = material["tlogEntries"].get(0) {
            let number = |value: &Value| string(value).parse::<i64>().expect("a number");
            let log = STANDARD.decode(string(&entry["logId"]["keyId"])).expect("base64");
            let bundle = json!({
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": {
                    "body": entry["canonicalizedBody"],
                    "integratedTime": number(&entry["integratedTime"]),
                    "logIndex": number(&entry["logIndex"]),
                    "logID": hex::encode(log),
                },
            });
            set("bundle", bundle.to_string());
        }
        if let Some(stamp) = material["timestampVerificationData"]["rfc3161Timestamps"].get(0) {
            let stamp = json!({ "SignedRFC3161Timestamp": stamp["signedTimestamp"] });
            set("rfc3161timestamp", stamp.to_string());
        }
        LegacySignature {
            payload: self.artifact.clone(),
            signature: string(&self.bundle["messageSignature"]["signature"]),
            annotations,
        }
    }
}

/// The payload of a legacy cosign signature over the manifest `digest`.
#[must_use]
pub fn simple_signing(digest: &[u8; 32]) -> Vec<u8> {
    let digest = hex::encode(digest);
    format!(
        r#"{{"critical":{{"identity":{{"docker-reference":"registry.test/models/a"}},"image":{{"docker-manifest-digest":"sha256:{digest}"}},"type":"cosign container image signature"}},"optional":{{"team":"a"}}}}"#
    )
    .into_bytes()
}
