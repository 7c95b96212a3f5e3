//! Signing stored manifests, and attesting something about them, with a key or without one, in the form that cosign 3 writes:
//! a Sigstore bundle carried by a manifest whose subject is what it signs.

mod error;
mod predicate;

use dunlin_sigstore::{LogRequirement, Requirements, SctRequirement, Sha256, TimeRequirement, sign, verify};
use serde_json::Value;

pub use dunlin_sigstore::sign::{Http, SigningConfig, SigningConfigError};
pub use dunlin_sigstore::{RootError, TrustRoot};
pub use error::SignError;

use crate::annotation;
use crate::clock;
use crate::descriptor::{Annotations, Descriptor};
use crate::key::KeyPair;
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::Store;
use crate::verify::{COSIGN_SIGN, Envelope, IN_TOTO, KeyBundle, MAX_BUNDLE_BYTES, Statement, pae};

/// Who signs.
#[derive(Clone, Copy)]
pub enum Signer<'a> {
    /// The holder of a key, without log or network.
    Key(&'a KeyPair),
    /// The owner of an identity token, through the services of a Sigstore instance.
    Keyless {
        /// An OpenID token for the audience that the instance wants, usually `sigstore`.
        identity_token: &'a str,
        /// Which services.
        config: &'a SigningConfig,
        /// How they are reached; [`crate::Registry::signing_http`](crate::registry::Registry::signing_http) makes one.
        http: &'a dyn Http,
        /// What the new signature is verified against before it is kept. Without one it is kept as the services answered.
        trust_root: Option<&'a TrustRoot>,
    },
}

impl std::fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "Signer::Key",
            Self::Keyless { .. } => "Signer::Keyless",
        })
    }
}

/// Signs the stored manifest `descriptor` with a key and keeps the signature in the store, where pushes and verification
/// find it. `annotations` become part of what is signed, and so does the time of signing. Returns the descriptor of the
/// signature's manifest.
///
/// # Errors
/// When the store lacks the manifest or cannot be written, or the key fails.
pub fn sign(
    store: &Store,
    descriptor: &Descriptor,
    key: &KeyPair,
    annotations: &Annotations,
) -> Result<Descriptor, SignError> {
    // Read rather than looked up: a damaged manifest must not get a signature.
    store.read_document(descriptor)?;
    let statement = Statement::signature(&descriptor.digest, &dated(annotations));
    let bundle = with_key(&statement, key)?;
    keep(store, descriptor, &bundle, COSIGN_SIGN)
}

/// The same by any [`Signer`].
///
/// # Cancel safety
/// Dropped before the end, nothing is kept; a log entry may have been made.
///
/// # Errors
/// As [`sign`], and when a service fails or the new signature does not verify.
pub async fn sign_as(
    store: &Store,
    descriptor: &Descriptor,
    signer: &Signer<'_>,
    annotations: &Annotations,
) -> Result<Descriptor, SignError> {
    store.read_document(descriptor)?;
    let statement = Statement::signature(&descriptor.digest, &dated(annotations));
    let bundle = bundle(&statement, descriptor, signer).await?;
    keep(store, descriptor, &bundle, COSIGN_SIGN)
}

/// Attests `predicate`, of type `predicate_type`, about the stored manifest `descriptor`: provenance, an SBOM, anything.
/// SLSA provenance and CycloneDX documents are looked at for their shape; others are taken as they are.
///
/// # Cancel safety
/// As [`sign_as`].
///
/// # Errors
/// As [`sign_as`], and when the predicate is not of its type's shape or too large.
pub async fn attest(
    store: &Store,
    descriptor: &Descriptor,
    predicate_type: &str,
    predicate: Value,
    signer: &Signer<'_>,
) -> Result<Descriptor, SignError> {
    store.read_document(descriptor)?;
    predicate::check(predicate_type, &predicate).map_err(|reason| SignError::Predicate {
        predicate_type: predicate_type.to_owned(),
        reason,
    })?;
    let annotations = dated(&Annotations::new());
    let statement = Statement::new(&descriptor.digest, &annotations, predicate_type, predicate);
    let bundle = bundle(&statement, descriptor, signer).await?;
    keep(store, descriptor, &bundle, predicate_type)
}

/// The annotations with the time of signing. Policies tell by it which of two signed artifacts is the older one.
fn dated(annotations: &Annotations) -> Annotations {
    let mut annotations = annotations.clone();
    let signed_at = annotations.entry(annotation::SIGNED_AT.to_owned());
    signed_at.or_insert_with(now);
    annotations
}

async fn bundle(statement: &Statement, descriptor: &Descriptor, signer: &Signer<'_>) -> Result<Vec<u8>, SignError> {
    let (identity_token, config, http, trust_root) = match signer {
        Signer::Key(key) => return with_key(statement, key),
        Signer::Keyless {
            identity_token,
            config,
            http,
            trust_root,
        } => (identity_token, config, http, trust_root),
    };
    let payload = encode("statement", statement)?;
    let bundle = sign::keyless(sign::Signable::Statement(&payload), identity_token, config, *http).await?;
    if let Some(root) = trust_root {
        // Whether certificates are logged is the instance's affair; whether that is asked for, the policy's.
        let requirements = Requirements {
            sct: SctRequirement::Skipped,
            log: LogRequirement::Required,
            time: TimeRequirement::Any,
        };
        let subject = Sha256::from(*descriptor.digest.as_bytes());
        verify::keyless(&bundle, &subject, root, &requirements).map_err(SignError::Unverified)?;
    }
    Ok(bundle)
}

fn with_key(statement: &Statement, key: &KeyPair) -> Result<Vec<u8>, SignError> {
    let payload = encode("statement", statement)?;
    let envelope = Envelope::new(&payload, &key.sign(&pae(IN_TOTO, &payload))?);
    encode("bundle", &KeyBundle::new(key.public(), envelope))
}

fn encode(what: &'static str, value: &impl serde::Serialize) -> Result<Vec<u8>, SignError> {
    serde_json::to_vec(value).map_err(|source| SignError::Encode { what, source })
}

/// Puts the bundle into the store, as a referrer of what it signs.
fn keep(store: &Store, descriptor: &Descriptor, bundle: &[u8], predicate_type: &str) -> Result<Descriptor, SignError> {
    if u64::try_from(bundle.len()).map_or(true, |len| len > MAX_BUNDLE_BYTES) {
        return Err(SignError::TooLarge {
            bytes: bundle.len(),
            limit: MAX_BUNDLE_BYTES,
        });
    }
    let layer = store.put_bytes(media_type::SIGSTORE_BUNDLE, bundle)?;
    let config = store.put_bytes(media_type::EMPTY, b"{}")?;
    let mut manifest = Manifest::new(config, vec![layer]);
    manifest.artifact_type = Some(media_type::SIGSTORE_BUNDLE.to_owned());
    manifest.subject = Some(Descriptor::new(
        &descriptor.media_type,
        descriptor.digest,
        descriptor.size,
    ));
    manifest.annotations = Annotations::from([
        (annotation::BUNDLE_CONTENT.to_owned(), "dsse-envelope".to_owned()),
        (annotation::BUNDLE_PREDICATE_TYPE.to_owned(), predicate_type.to_owned()),
        (annotation::CREATED.to_owned(), now()),
    ]);
    let bytes = encode("signature manifest", &manifest)?;
    let mut referrer = store.put_bytes(media_type::MANIFEST, &bytes)?;
    // Lists of referrers repeat type and annotations of what they list (image-spec, "Listing Referrers").
    referrer.artifact_type = manifest.artifact_type;
    referrer.annotations = manifest.annotations;
    store.add_referrer(&descriptor.digest, &referrer)?;
    Ok(referrer)
}

/// The time in whole seconds, as RFC 3339.
fn now() -> String {
    let now = clock::system();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}
