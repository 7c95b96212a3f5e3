//! The key of one signature: ECDSA P-256, made, used and dropped.

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use x509_cert::attr::Attributes;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{Decode, Encode};
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::SignError;

const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A key pair that exists once.
pub(super) struct EphemeralKey {
    pair: EcdsaKeyPair,
}

impl EphemeralKey {
    pub(super) fn new() -> Result<Self, SignError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| SignError::Key)?;
        Ok(Self { pair })
    }

    /// The public key as DER `SubjectPublicKeyInfo`.
    pub(super) fn spki(&self) -> Result<Vec<u8>, SignError> {
        let der = self.pair.public_key().as_der().map_err(|_| SignError::Key)?;
        Ok(der.as_ref().to_vec())
    }

    /// A signature over what has this SHA-256.
    pub(super) fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, SignError> {
        let digest = Digest::import_less_safe(digest, &SHA256).map_err(|_| SignError::Key)?;
        let signature = self.pair.sign_digest(&digest).map_err(|_| SignError::Key)?;
        Ok(signature.as_ref().to_vec())
    }

    /// A certificate request in DER. Its signature proves to Fulcio that the key is held; its subject is empty, because
    /// Fulcio takes the name from the token.
    pub(super) fn certificate_request(&self) -> Result<Vec<u8>, SignError> {
        let encode = |error| SignError::encode("certificate request", error);
        let info = CertReqInfo {
            version: Version::V1,
            subject: Name::default(),
            public_key: SubjectPublicKeyInfoOwned::from_der(&self.spki()?).map_err(encode)?,
            attributes: Attributes::new(),
        };
        let signed = info.to_der().map_err(encode)?;
        let random = SystemRandom::new();
        let signature = self.pair.sign(&random, &signed).map_err(|_| SignError::Key)?;
        let request = CertReq {
            info,
            algorithm: AlgorithmIdentifierOwned {
                oid: ECDSA_WITH_SHA256,
                parameters: None,
            },
            signature: BitString::from_bytes(signature.as_ref()).map_err(encode)?,
        };
        request.to_der().map_err(encode)
    }
}
