//! X.509 certificates: what is certified, encoded and signed, with the Fulcio extensions.

use std::str::FromStr;
use std::time::Duration;

use der::asn1::{BitString, GeneralizedTime, Ia5String, OctetString, UtcTime, Utf8StringRef};
use der::oid::{AssociatedOid, ObjectIdentifier};
use der::{Decode, Encode};
use jiff::Timestamp;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};
use x509_cert::{Certificate, TbsCertificate, Version};

use crate::identity::{Identity, San};
use crate::key::Key;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Extended key usage: signing code.
pub(crate) const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
/// Extended key usage: time stamping.
pub(crate) const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// Extended key usage: TLS servers, which sign nothing here.
pub(crate) const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");

/// What is certified.
#[derive(Debug)]
pub(crate) struct Template<'a> {
    pub(crate) serial: u32,
    pub(crate) subject: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    pub(crate) spki: Vec<u8>,
    pub(crate) extensions: Vec<Extension>,
}

impl Template<'_> {
    /// What gets signed, with `signer`'s algorithm.
    pub(crate) fn tbs(&self, signer: &Key) -> TbsCertificate {
        TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::from(self.serial),
            signature: algorithm(signer),
            issuer: name(self.issuer),
            validity: Validity {
                not_before: time(self.not_before),
                not_after: time(self.not_after),
            },
            subject: name(self.subject),
            subject_public_key_info: SubjectPublicKeyInfoOwned::from_der(&self.spki).expect("a key"),
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: (!self.extensions.is_empty()).then(|| self.extensions.clone()),
        }
    }

    /// The certificate in DER.
    pub(crate) fn sign(&self, signer: &Key) -> Vec<u8> {
        let tbs = self.tbs(signer);
        let signature = signer.sign(&tbs.to_der().expect("DER"));
        Certificate {
            tbs_certificate: tbs,
            signature_algorithm: algorithm(signer),
            signature: BitString::from_bytes(&signature).expect("bits"),
        }
        .to_der()
        .expect("DER")
    }
}

/// Identifier of the algorithm that `key` signs with.
pub(crate) fn algorithm(key: &Key) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid: match key {
            Key::P256(_) => ECDSA_WITH_SHA256,
            Key::Ed25519(_) => ED25519,
        },
        parameters: None,
    }
}

pub(crate) fn name(text: &str) -> Name {
    // Signers have an empty subject, which the parser does not know.
    if text.is_empty() {
        Name::default()
    } else {
        Name::from_str(text).expect("a name")
    }
}

fn time(at: Timestamp) -> Time {
    let since_epoch = Duration::from_secs(u64::try_from(at.as_second()).expect("after 1970"));
    UtcTime::from_unix_duration(since_epoch).map_or_else(
        |_| Time::GeneralTime(GeneralizedTime::from_unix_duration(since_epoch).expect("a time")),
        Time::UtcTime,
    )
}

/// An extension of any type that has an identifier.
pub(crate) fn extension<T: Encode + AssociatedOid>(value: &T, critical: bool) -> Extension {
    raw_extension(T::OID, critical, value.to_der().expect("DER"))
}

/// An extension whose value is given as it is to lie in the octet string.
pub(crate) fn raw_extension(oid: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Extension {
    Extension {
        extn_id: oid,
        critical,
        extn_value: OctetString::new(value).expect("octets"),
    }
}

/// Extensions of a certificate authority.
pub(crate) fn authority_extensions(path_length: u8, usage: Option<ObjectIdentifier>) -> Vec<Extension> {
    let constraints = BasicConstraints {
        ca: true,
        path_len_constraint: Some(path_length),
    };
    let mut extensions = vec![
        extension(&constraints, true),
        extension(&KeyUsage(KeyUsages::KeyCertSign | KeyUsages::CRLSign), true),
    ];
    extensions.extend(usage.map(|usage| extension(&ExtendedKeyUsage(vec![usage]), false)));
    extensions
}

/// Extensions of an end entity with one extended usage.
pub(crate) fn leaf_extensions(usage: ObjectIdentifier, critical: bool) -> Vec<Extension> {
    vec![
        extension(&KeyUsage(KeyUsages::DigitalSignature.into()), true),
        extension(&ExtendedKeyUsage(vec![usage]), critical),
    ]
}

/// The extensions that say who signs: subject alternative name, issuer in both forms, claims.
pub(crate) fn identity_extensions(identity: &Identity) -> Vec<Extension> {
    let mut extensions = Vec::new();
    let ia5 = |text: &str| Ia5String::new(text).expect("ASCII");
    let san = match &identity.san {
        San::Email(email) => Some(GeneralName::Rfc822Name(ia5(email))),
        San::Uri(uri) => Some(GeneralName::UniformResourceIdentifier(ia5(uri))),
        San::Absent => None,
    };
    extensions.extend(san.map(|name| extension(&SubjectAltName(vec![name]), true)));
    let arc =
        |number: u32| ObjectIdentifier::new(&format!("1.3.6.1.4.1.57264.1.{number}")).expect("an object identifier");
    let utf8 = |text: &str| Utf8StringRef::new(text).and_then(|text| text.to_der()).expect("DER");
    extensions.push(raw_extension(arc(1), false, identity.issuer.clone().into_bytes()));
    extensions.push(raw_extension(arc(8), false, utf8(&identity.issuer)));
    for (number, value) in &identity.claims {
        let encoded = if *number < 8 {
            value.clone().into_bytes()
        } else {
            utf8(value)
        };
        extensions.push(raw_extension(arc(*number), false, encoded));
    }
    extensions
}
