//! A timestamp authority (RFC 3161 over HTTP): a token over a signature.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use der::asn1::{Int, Null, ObjectIdentifier, OctetString, Uint};
use der::{Any, Encode, Sequence};

use super::http::Client;
use super::{Service, SignError};
use crate::digest::Sha256;

const NAME: &str = "the timestamp authority";
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// The states that come with a token: `granted` and `grantedWithMods`.
const GRANTED: [u8; 2] = [0, 1];

#[derive(Sequence)]
struct Algorithm {
    oid: ObjectIdentifier,
    parameters: Null,
}

#[derive(Sequence)]
struct Imprint {
    algorithm: Algorithm,
    hashed: OctetString,
}

#[derive(Sequence)]
struct Request {
    version: u8,
    imprint: Imprint,
    nonce: Int,
    certificates: bool,
}

#[derive(Sequence)]
struct Response {
    status: Status,
    #[asn1(optional = "true")]
    token: Option<Any>,
}

#[derive(Sequence)]
struct Status {
    status: u8,
    #[asn1(optional = "true")]
    text: Option<Vec<Any>>,
    #[asn1(optional = "true")]
    failure: Option<der::asn1::BitString>,
}

/// The whole response (DER) of `service` over `signature`: bundles carry responses, not bare tokens.
pub(super) async fn stamp(client: &Client<'_>, service: &Service, signature: &[u8]) -> Result<Vec<u8>, SignError> {
    let digest = Sha256::of(signature);
    let nonce = nonce()?;
    let request = request(&digest, &nonce).map_err(|error| SignError::encode("timestamp request", error))?;
    let response = client
        .post(
            NAME,
            &service.url,
            "application/timestamp-query",
            "application/timestamp-reply",
            &request,
        )
        .await?;
    check(&response, &digest, &nonce)?;
    Ok(response)
}

/// A positive number that nobody else asks with.
fn nonce() -> Result<Int, SignError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SignError::Key)?;
    let nonce = Uint::new(&bytes).map_err(|error| SignError::encode("nonce", error))?;
    Ok(Int::from(nonce))
}

fn request(digest: &Sha256, nonce: &Int) -> der::Result<Vec<u8>> {
    Request {
        version: 1,
        imprint: Imprint {
            algorithm: Algorithm {
                oid: SHA256,
                parameters: Null,
            },
            hashed: OctetString::new(&digest.as_bytes()[..])?,
        },
        nonce: nonce.clone(),
        certificates: true,
    }
    .to_der()
}

/// Whether the response grants a token that holds our digest and nonce. Verification checks the token itself; this only
/// finds at once what would be found after the log entry.
fn check(response: &[u8], digest: &Sha256, nonce: &Int) -> Result<(), SignError> {
    use der::Decode;
    let parsed = Response::from_der(response).map_err(|error| SignError::answer(NAME, error))?;
    let other = |what| SignError::OtherAnswer { service: NAME, what };
    if !GRANTED.contains(&parsed.status.status) {
        return Err(other("a refusal"));
    }
    let token = parsed.token.ok_or_else(|| other("no token"))?;
    let holds = |bytes: &[u8]| token.value().windows(bytes.len()).any(|window| window == bytes);
    if !holds(digest.as_bytes()) {
        return Err(other("a token over something else"));
    }
    let nonce = nonce.to_der().map_err(|error| SignError::encode("nonce", error))?;
    if !holds(&nonce) {
        return Err(other("a token that was not made for this request"));
    }
    Ok(())
}
