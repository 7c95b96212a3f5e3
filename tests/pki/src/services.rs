//! The signing services in memory: what Fulcio, Rekor v1 and v2 and the timestamp authority answer to a POST.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode, Encode, Sequence};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use x509_cert::request::CertReq;

use crate::body::{Logged, Verifier};
use crate::identity::Identity;
use crate::log::Generation;
use crate::pki::Pki;
use crate::stamp::Style;

#[derive(Sequence)]
struct Imprint {
    algorithm: der::Any,
    hashed: der::asn1::OctetString,
}

#[derive(Sequence)]
struct StampRequest {
    version: u8,
    imprint: Imprint,
    nonce: der::asn1::Int,
    certificates: bool,
}

impl Pki {
    /// A `signing-config.json` that names services under `base`, with a log of `generation`.
    #[must_use]
    pub fn signing_config(&self, base: &str, generation: Generation) -> Value {
        let version = if generation == Generation::V1 { 1 } else { 2 };
        let service = |url: String, version: u32| {
            json!([{
                "url": url,
                "majorApiVersion": version,
                "validFor": { "start": "2020-01-01T00:00:00Z" },
                "operator": "test",
            }])
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service(base.to_owned(), 1),
            "oidcUrls": [],
            "rekorTlogUrls": service(base.to_owned(), version),
            "tsaUrls": service(format!("{base}/timestamp"), 1),
            "rekorTlogConfig": { "selector": "ANY" },
            "tsaConfig": { "selector": "ANY" },
        })
    }

    /// Status and body that the service at `path` answers to `body`. Every token is taken for one of `identity`.
    #[must_use]
    pub fn answer(&self, path: &str, body: &[u8], identity: &Identity) -> (u16, Vec<u8>) {
        let answer = match path {
            "/api/v2/signingCert" => self.fulcio_answer(&parse(body), identity).to_string().into_bytes(),
            "/api/v2/log/entries" => self
                .rekor_v2_answer(&parse(body)["hashedRekordRequestV002"])
                .to_string()
                .into_bytes(),
            "/api/v1/log/entries" => self.rekor_v1_answer(&parse(body)).to_string().into_bytes(),
            "/timestamp" => self.stamp_answer(body),
            _ => return (404, b"no such service".to_vec()),
        };
        (201, answer)
    }

    fn fulcio_answer(&self, request: &Value, identity: &Identity) -> Value {
        let pem = decode(&request["certificateSigningRequest"]);
        let (_, der) = der::pem::decode_vec(&pem).expect("PEM");
        let request = CertReq::from_der(&der).expect("a certificate request");
        let spki = request.info.public_key.to_der().expect("DER");
        let not_before = Timestamp::now() - SignedDuration::from_mins(1);
        let leaf = self.own.certify(&spki, identity, not_before);
        let certificates: Vec<_> = std::iter::once(&leaf)
            .chain(&self.own.fulcio.chain)
            .map(|der| der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der).expect("PEM"))
            .collect();
        json!({ "signedCertificateEmbeddedSct": { "chain": { "certificates": certificates } } })
    }

    fn rekor_v2_answer(&self, request: &Value) -> Value {
        let verifier = &request["signature"]["verifier"]["x509Certificate"]["rawBytes"];
        let logged = Logged {
            digest: decode(&request["digest"]).try_into().expect("a digest"),
            signature: decode(&request["signature"]["content"]),
            verifier: Verifier::Certificate(decode(verifier)),
            payload: None,
        };
        let (kind, body) = logged.body(Generation::V2);
        self.own.rekor_v2.entry(kind, &body, None, false)
    }

    fn rekor_v1_answer(&self, request: &Value) -> Value {
        let spec = &request["spec"];
        let certificate = |pem: &Value| der::pem::decode_vec(&decode(pem)).expect("PEM").1;
        let logged = if request["kind"] == "dsse" {
            let proposed = &spec["proposedContent"];
            let envelope = parse(proposed["envelope"].as_str().expect("text").as_bytes());
            Logged {
                digest: [0; 32],
                signature: decode(&envelope["signatures"][0]["sig"]),
                verifier: Verifier::Certificate(certificate(&proposed["verifiers"][0])),
                payload: Some(decode(&envelope["payload"])),
            }
        } else {
            let digest = hex::decode(spec["data"]["hash"]["value"].as_str().expect("text")).expect("hex");
            Logged {
                digest: digest.try_into().expect("a digest"),
                signature: decode(&spec["signature"]["content"]),
                verifier: Verifier::Certificate(certificate(&spec["signature"]["publicKey"]["content"])),
                payload: None,
            }
        };
        let (kind, body) = logged.body(Generation::V1);
        let seconds = Timestamp::now().as_second();
        let entry = self.own.rekor_v1.entry(kind, &body, Some(seconds), true);
        let hex = |value: &Value| hex::encode(decode(value));
        let number = |value: &Value| value.as_str().expect("text").parse::<i64>().expect("a number");
        let proof = &entry["inclusionProof"];
        let hashes: Vec<_> = proof["hashes"].as_array().expect("hashes").iter().map(hex).collect();
        json!({ "an-identifier": {
            "body": entry["canonicalizedBody"],
            "integratedTime": seconds,
            "logID": hex(&entry["logId"]["keyId"]),
            "logIndex": number(&entry["logIndex"]),
            "verification": {
                "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "inclusionProof": {
                    "checkpoint": proof["checkpoint"]["envelope"],
                    "hashes": hashes,
                    "logIndex": number(&proof["logIndex"]),
                    "rootHash": hex(&proof["rootHash"]),
                    "treeSize": number(&proof["treeSize"]),
                },
            },
        } })
    }

    fn stamp_answer(&self, request: &[u8]) -> Vec<u8> {
        let request = StampRequest::from_der(request).expect("a timestamp request");
        let hashed = request.imprint.hashed.as_bytes().try_into().expect("a digest");
        self.own
            .tsa
            .answer(hashed, Some(request.nonce.as_bytes()), Timestamp::now(), Style::Bare)
    }
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().expect("text")).expect("base64")
}
