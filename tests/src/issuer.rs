//! Who says who one is: [`TokenSigner`] makes RS256 tokens, [`OidcIssuer`] is an OpenID provider that believes everybody.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::Web;

/// How long a token is good for, in seconds.
const LIFETIME: u64 = 600;

/// Signs JSON web tokens with an RSA key of its own. cosign takes no other kind of key from an issuer.
pub struct TokenSigner {
    key: RsaKeyPair,
}

impl fmt::Debug for TokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSigner").finish_non_exhaustive()
    }
}

impl Default for TokenSigner {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenSigner {
    /// The name of its key.
    pub const KEY_ID: &str = "1";

    /// A signer with a new key.
    ///
    /// # Panics
    /// There is no randomness.
    #[must_use]
    pub fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
        Self { key }
    }

    /// Its public key as a JSON web key set.
    #[must_use]
    pub fn key_set(&self) -> Value {
        // PKCS#1: a sequence of the modulus, 2048 bits with a zero in front, and the exponent, 65537.
        let public = self.key.public_key().as_ref();
        let modulus = public
            .strip_prefix(b"\x30\x82\x01\x0a\x02\x82\x01\x01\x00")
            .and_then(|rest| rest.strip_suffix(b"\x02\x03\x01\x00\x01"))
            .expect("an RSA key of 2048 bits");
        json!({ "keys": [{
            "kty": "RSA",
            "kid": Self::KEY_ID,
            "alg": "RS256",
            "use": "sig",
            "n": BASE64_URL_SAFE_NO_PAD.encode(modulus),
            "e": BASE64_URL_SAFE_NO_PAD.encode([1, 0, 1]),
        }] })
    }

    /// A token with these claims, and `iat`, `nbf` and `exp` for the next ten minutes.
    ///
    /// # Panics
    /// `claims` is no object.
    #[must_use]
    pub fn token(&self, mut claims: Value) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_secs();
        claims["iat"] = json!(now);
        claims["nbf"] = json!(now);
        claims["exp"] = json!(now + LIFETIME);
        let header = json!({ "alg": "RS256", "kid": Self::KEY_ID, "typ": "JWT" });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .expect("a signature");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An OpenID provider on loopback.
#[derive(Debug)]
pub struct OidcIssuer {
    signer: Arc<TokenSigner>,
    web: Web,
}

impl Default for OidcIssuer {
    fn default() -> Self {
        Self::start()
    }
}

impl OidcIssuer {
    /// Starts it.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn start() -> Self {
        let signer = Arc::new(TokenSigner::new());
        let keys = signer.key_set();
        let web = Web::serve(move |url, asked| match asked.target.as_str() {
            "/keys" => (200, keys.clone()),
            "/.well-known/openid-configuration" => (200, discovery(url)),
            _ => (404, json!({})),
        });
        Self { signer, web }
    }

    /// Its URL, which its tokens name as `iss`.
    #[must_use]
    pub fn url(&self) -> String {
        self.web.url()
    }

    /// A token for Sigstore that says that its bearer has this address.
    #[must_use]
    pub fn token(&self, email: &str) -> String {
        self.signer.token(json!({
            "iss": self.url(),
            "aud": "sigstore",
            "sub": email,
            "email": email,
            "email_verified": true,
        }))
    }
}

fn discovery(url: &str) -> Value {
    json!({
        "issuer": url,
        "jwks_uri": format!("{url}/keys"),
        "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}
