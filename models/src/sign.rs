//! Signing stored manifests with a key, in the form that cosign 3 writes: a Sigstore bundle without a log entry, carried
//! by a manifest whose subject is what it signs.

use crate::annotation;
use crate::descriptor::{Annotations, Descriptor};
use crate::key::{KeyError, KeyPair};
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::{Store, StoreError};
use crate::verify::{COSIGN_SIGN, Envelope, IN_TOTO, KeyBundle, Statement, pae};

/// Signs the stored manifest `descriptor` and keeps the signature in the store, where pushes and verification find it.
/// `annotations` become part of what is signed. Returns the descriptor of the signature's manifest.
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
    let encode = |what| move |source| SignError::Encode { what, source };
    let statement = Statement::signature(&descriptor.digest, annotations);
    let payload = serde_json::to_vec(&statement).map_err(encode("statement"))?;
    let envelope = Envelope::new(&payload, &key.sign(&pae(IN_TOTO, &payload))?);
    let bundle = serde_json::to_vec(&KeyBundle::new(key.public(), envelope)).map_err(encode("bundle"))?;

    let layer = store.put_bytes(media_type::SIGSTORE_BUNDLE, &bundle)?;
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
        (annotation::BUNDLE_PREDICATE_TYPE.to_owned(), COSIGN_SIGN.to_owned()),
        (annotation::CREATED.to_owned(), now()),
    ]);
    let bytes = serde_json::to_vec(&manifest).map_err(encode("signature manifest"))?;
    let mut referrer = store.put_bytes(media_type::MANIFEST, &bytes)?;
    // Lists of referrers repeat type and annotations of what they list (image-spec, "Listing Referrers").
    referrer.artifact_type = manifest.artifact_type;
    referrer.annotations = manifest.annotations;
    store.add_referrer(&descriptor.digest, &referrer)?;
    Ok(referrer)
}

/// The time in whole seconds, as RFC 3339.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

/// A manifest that could not be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The store failed.
    #[error("cannot read what is to be signed, or keep its signature")]
    Store(#[from] StoreError),
    /// The key failed.
    #[error("cannot sign with this key")]
    Key(#[from] KeyError),
    /// The signature could not be written as JSON.
    #[error("cannot encode the {what}")]
    Encode {
        /// Which part.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

impl SignError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Key(error) => error.hint(),
            Self::Encode { .. } => None,
        }
    }
}
