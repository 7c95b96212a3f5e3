//! A timestamp authority: RFC 3161 tokens, CMS signed data over `TSTInfo`.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{OctetString, SetOfVec};
use der::oid::ObjectIdentifier;
use der::{Any, Decode, Encode, Sequence, Tag};
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::authority::Authority;
use crate::certificate::{TIME_STAMPING, Template, algorithm, leaf_extensions, name};
use crate::key::{Key, sha256};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.2");
const SERIAL: u32 = 77;

#[derive(Sequence)]
struct Imprint {
    algorithm: AlgorithmIdentifierOwned,
    hashed: OctetString,
}

#[derive(Sequence)]
struct TstInfo {
    version: u8,
    policy: ObjectIdentifier,
    imprint: Imprint,
    serial: u64,
    time: Any,
    #[asn1(optional = "true")]
    nonce: Option<der::asn1::Int>,
}

/// How a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// With the authority's certificate.
    #[default]
    Embedded,
    /// Without it.
    Bare,
    /// With it, and with fractions of a second.
    Fractional,
}

/// The authority: a certified key.
#[derive(Debug)]
pub struct TimestampAuthority {
    key: Key,
    issuer: String,
    /// Leaf, intermediate, root: DER.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl TimestampAuthority {
    /// An authority whose own certificate has the extended usage `usage` and is valid from 2020 to `not_after`.
    pub(crate) fn new(organisation: &str, usage: ObjectIdentifier, not_after: Timestamp) -> Self {
        let above = Authority::new(organisation, TIME_STAMPING);
        let key = Key::p256();
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let leaf = Template {
            serial: SERIAL,
            subject: &format!("CN={organisation} signer,O={organisation}"),
            issuer: &above.name,
            not_before: time("2020-01-01T00:00:00Z"),
            not_after,
            spki: key.spki(),
            extensions: leaf_extensions(usage, true),
        };
        let mut chain = vec![leaf.sign(&above.key)];
        chain.extend(above.chain);
        Self {
            key,
            issuer: above.name,
            chain,
        }
    }

    /// A whole response to a request for a token over `message`, granted at `at`.
    #[must_use]
    pub fn stamp(&self, message: &[u8], at: Timestamp, style: Style) -> Vec<u8> {
        self.answer(&sha256(message), None, at, style)
    }

    /// As [`stamp`](Self::stamp), over a SHA-256 and with the nonce of the request (DER integer contents).
    #[must_use]
    pub fn answer(&self, hashed: &[u8; 32], nonce: Option<&[u8]>, at: Timestamp, style: Style) -> Vec<u8> {
        let format = if style == Style::Fractional {
            "%Y%m%d%H%M%S.5Z"
        } else {
            "%Y%m%d%H%M%SZ"
        };
        let info = TstInfo {
            version: 1,
            policy: POLICY,
            imprint: Imprint {
                algorithm: sha256_identifier(),
                hashed: OctetString::new(&hashed[..]).expect("octets"),
            },
            serial: 1,
            time: Any::new(Tag::GeneralizedTime, at.strftime(format).to_string().into_bytes()).expect("a time"),
            nonce: nonce.map(|nonce| der::asn1::Int::new(nonce).expect("an integer")),
        };
        let token = self.signed_data(info.to_der().expect("DER"), style != Style::Bare);
        let status = [0x30, 3, 2, 1, 0];
        Any::new(Tag::Sequence, [&status[..], &token].concat())
            .and_then(|response| response.to_der())
            .expect("DER")
    }

    fn signed_data(&self, info: Vec<u8>, embed: bool) -> Vec<u8> {
        let octets = |bytes: &[u8]| OctetString::new(bytes).expect("octets");
        let attribute = |oid, value: Any| Attribute {
            oid,
            values: SetOfVec::try_from(vec![value]).expect("a set"),
        };
        let attributes = SetOfVec::try_from(vec![
            attribute(CONTENT_TYPE, Any::encode_from(&TST_INFO).expect("DER")),
            attribute(MESSAGE_DIGEST, Any::encode_from(&octets(&sha256(&info))).expect("DER")),
        ])
        .expect("a set");
        let signature = self.key.sign(&attributes.to_der().expect("DER"));
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: name(&self.issuer),
                serial_number: SerialNumber::from(SERIAL),
            }),
            digest_alg: sha256_identifier(),
            signed_attrs: Some(attributes),
            signature_algorithm: algorithm(&self.key),
            signature: octets(&signature),
            unsigned_attrs: None,
        };
        let leaf = Certificate::from_der(&self.chain[0]).expect("a certificate");
        let data = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: SetOfVec::try_from(vec![sha256_identifier()]).expect("a set"),
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: TST_INFO,
                econtent: Some(Any::new(Tag::OctetString, info).expect("octets")),
            },
            certificates: embed
                .then(|| CertificateSet::try_from(vec![CertificateChoices::Certificate(leaf)]).expect("a set")),
            crls: None,
            signer_infos: SignerInfos::try_from(vec![signer]).expect("a set"),
        };
        let content = ContentInfo {
            content_type: SIGNED_DATA,
            content: Any::encode_from(&data).expect("DER"),
        };
        content.to_der().expect("DER")
    }
}

fn sha256_identifier() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: SHA256,
        parameters: None,
    }
}
