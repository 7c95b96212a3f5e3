//! A certificate transparency log: it signs timestamps (SCTs) that are embedded in certificates (RFC 6962).

use der::Encode;
use der::asn1::OctetString;
use der::oid::ObjectIdentifier;
use jiff::Timestamp;
use x509_cert::ext::Extension;

use crate::certificate::{Template, raw_extension};
use crate::key::{Key, sha256};

const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// The log: a key.
#[derive(Debug)]
pub struct CtLog {
    pub(crate) key: Key,
}

impl CtLog {
    pub(crate) fn new() -> Self {
        Self { key: Key::p256() }
    }

    /// Identifier of the log: SHA-256 of its key.
    pub(crate) fn id(&self) -> [u8; 32] {
        sha256(&self.key.spki())
    }

    /// The extension that embeds one SCT over `template` (without it), as issued by the owner of `issuer_spki`.
    pub(crate) fn sct(
        &self,
        template: &Template<'_>,
        signer: &Key,
        issuer_spki: &[u8],
        at: Timestamp,
        extensions: &[u8],
    ) -> Extension {
        let milliseconds = u64::try_from(at.as_millisecond()).expect("after 1970").to_be_bytes();
        let tbs = template.tbs(signer).to_der().expect("DER");
        let mut signed = vec![0, 0];
        signed.extend_from_slice(&milliseconds);
        signed.extend_from_slice(&1u16.to_be_bytes());
        signed.extend_from_slice(&sha256(issuer_spki));
        signed.extend_from_slice(&u32::try_from(tbs.len()).expect("short").to_be_bytes()[1..]);
        signed.extend_from_slice(&tbs);
        signed.extend_from_slice(&prefixed(extensions));
        let signature = self.key.sign(&signed);

        let mut sct = vec![0];
        sct.extend_from_slice(&self.id());
        sct.extend_from_slice(&milliseconds);
        sct.extend_from_slice(&prefixed(extensions));
        // SHA-256 with ECDSA.
        sct.extend_from_slice(&[4, 3]);
        sct.extend_from_slice(&prefixed(&signature));
        let list = prefixed(&prefixed(&sct));
        let value = OctetString::new(list).and_then(|list| list.to_der()).expect("DER");
        raw_extension(SCT_LIST, false, value)
    }
}

/// TLS vector with a length of two bytes.
fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
    [&length, bytes].concat()
}
