//! Keyless signing: a certificate from Fulcio for a key made on the spot, an entry in Rekor (v1 or v2), a timestamp, and
//! the bundle of them. The services come from a [`SigningConfig`], HTTP from the caller ([`Http`]), and so does the identity
//! token. The key is dropped unseen.

mod bundle;
mod config;
mod error;
mod fulcio;
mod http;
mod key;
mod rekor;
mod tsa;

use sigstore_verify::types::pae;

use crate::digest::Sha256;
use crate::limits::{BUNDLE_BYTES, TOKEN_BYTES};

pub use config::{SigningConfig, SigningConfigError};
pub use error::SignError;
pub use http::{Answer, Http, HttpError, HttpFuture, Post};

use config::Service;
use http::Client;
use key::EphemeralKey;

/// Payload type of in-toto statements.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub enum Signable<'a> {
    /// An in-toto statement (JSON), in an envelope: what cosign writes and reads.
    Statement(&'a [u8]),
    /// The artifact itself, by its digest.
    Digest(&'a Sha256),
}

/// What is signed, made ready: the digest that the signature is over, and what the bundle says of it.
struct Message<'a> {
    what: Signable<'a>,
    digest: Sha256,
}

impl<'a> Message<'a> {
    fn new(what: Signable<'a>) -> Self {
        let digest = match what {
            Signable::Statement(payload) => Sha256::of(&pae(IN_TOTO, payload)),
            Signable::Digest(digest) => *digest,
        };
        Self { what, digest }
    }
}

/// Signs `what` as the owner of `identity_token` (an OpenID token for the audience that Fulcio wants, usually `sigstore`),
/// and returns the bundle: JSON of version 0.3, as cosign 3 writes and verifies it.
///
/// The bundle is as the services answered; verify it against the trusted root before it is published.
///
/// # Cancel safety
/// Dropped before the end, nothing is signed; a log entry may have been made, which is harmless and cannot be undone.
///
/// # Errors
/// When the configuration names no usable service, one of them fails, or an answer is not about this signature.
pub async fn keyless(
    what: Signable<'_>,
    identity_token: &str,
    config: &SigningConfig,
    http: &dyn Http,
) -> Result<Vec<u8>, SignError> {
    let plan = config.plan()?;
    check_token(identity_token)?;
    if let Signable::Statement(payload) = what
        && payload.len() > BUNDLE_BYTES / 2
    {
        return Err(SignError::TooLarge {
            bytes: payload.len(),
            cap: BUNDLE_BYTES / 2,
        });
    }
    let client = Client::new(http);
    let key = EphemeralKey::new()?;
    let certificate = fulcio::certificate(&client, &plan.fulcio, &key, identity_token).await?;
    let message = Message::new(what);
    let signature = key.sign(message.digest.as_bytes())?;
    // The time first: the certificate lives for minutes, and a log without a clock of its own must not come to hold an
    // entry that nothing dates.
    let mut stamps = Vec::new();
    for service in &plan.timestamps {
        stamps.push(tsa::stamp(&client, service, &signature).await?);
    }
    let mut entries = Vec::new();
    for service in &plan.logs {
        entries.push(rekor::log(&client, service, &message, &signature, &certificate).await?);
    }
    bundle::write(&message, &signature, &certificate, entries, stamps)
}

/// The token goes into a JSON body and nowhere else; what cannot be a token is refused before anything is sent.
fn check_token(token: &str) -> Result<(), SignError> {
    let of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.=".contains(&byte);
    if token.is_empty() || token.len() > TOKEN_BYTES || !token.bytes().all(of_token) {
        return Err(SignError::Token);
    }
    Ok(())
}
