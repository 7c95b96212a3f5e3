//! Answers to a registry's 401: HTTP Basic, or a bearer token from the realm that the challenge names (distribution's
//! token authentication). Realms are only contacted over TLS, unless the registry itself is configured without it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_auth::ChallengeParser;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::body::Body;
use super::credentials::Credential;
use super::endpoint::Endpoint;
use super::http::{Http, shown};
use super::transport::TransportError;

/// Largest token answer that is read, in bytes.
const MAX_TOKEN_BYTES: u64 = 64 << 10;
const CLIENT_ID: &str = "dunlin";

/// What is asked for when logging in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Access {
    Pull,
    Push,
}

/// What a registry wants to see.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The best challenge of a 401: a token rather than a password.
    pub(super) fn parse(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        for value in headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
        {
            for challenge in ChallengeParser::new(value).filter_map(Result::ok) {
                let parameter = |name: &str| {
                    let found = challenge
                        .params
                        .iter()
                        .find(|(known, _)| known.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer")
                    && let Some(realm) = parameter("realm")
                {
                    return Some(Self::Bearer {
                        realm,
                        service: parameter("service"),
                        scope: parameter("scope"),
                    });
                }
                if challenge.scheme.eq_ignore_ascii_case("basic") {
                    basic = Some(Self::Basic);
                }
            }
        }
        basic
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Http {
    /// The `Authorization` header that answers `challenge`.
    pub(super) async fn authorize(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        access: Access,
        challenge: Challenge,
    ) -> Result<HeaderValue, TransportError> {
        let registry = endpoint.name.as_str();
        let credential = self.credential(registry).await?;
        match (challenge, credential) {
            (Challenge::Basic, Some(Credential::Password { username, password })) => {
                header(registry, &basic(&username, &password))
            }
            (Challenge::Basic, _) => Err(TransportError::Unauthorized {
                url: endpoint.base.to_string(),
                registry: registry.to_owned(),
            }),
            (Challenge::Bearer { realm, service, scope }, credential) => {
                let actions = match access {
                    Access::Pull => "pull",
                    Access::Push => "pull,push",
                };
                // A registry may ask for less than a push needs when it challenges a HEAD.
                let default = format!("repository:{repository}:{actions}");
                let scope = if access == Access::Push {
                    default
                } else {
                    scope.unwrap_or(default)
                };
                self.token(endpoint, &realm, service.as_deref(), &scope, credential)
                    .await
            }
        }
    }

    async fn token(
        &self,
        endpoint: &Endpoint,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credential: Option<Credential>,
    ) -> Result<HeaderValue, TransportError> {
        let registry = endpoint.name.as_str();
        let refused = |reason: &str| TransportError::Authentication {
            registry: registry.to_owned(),
            reason: reason.to_owned(),
        };
        let mut url = Url::parse(realm).map_err(|_| refused("the token realm is not a URL"))?;
        let plain_allowed = endpoint.base.scheme() == "http";
        if url.scheme() != "https" && !(url.scheme() == "http" && plain_allowed) {
            return Err(refused("the token realm does not use TLS"));
        }
        let mut parameters = vec![("scope", scope)];
        parameters.extend(service.map(|service| ("service", service)));
        let request = match &credential {
            Some(Credential::IdentityToken(token)) => {
                let fixed = [
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT_ID),
                    ("refresh_token", token.as_str()),
                ];
                let mut form = url.clone();
                form.query_pairs_mut()
                    .clear()
                    .extend_pairs(fixed)
                    .extend_pairs(parameters);
                let body = form.query().unwrap_or_default().to_owned();
                endpoint
                    .client
                    .post(url.clone())
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body)
            }
            other => {
                url.query_pairs_mut().extend_pairs(parameters);
                let request = endpoint.client.get(url.clone());
                match other {
                    Some(Credential::Password { username, password }) => request.basic_auth(username, Some(password)),
                    _ => request,
                }
            }
        };
        let response = self.execute(&url, request).await?;
        if matches!(response.status().as_u16(), 401 | 403) {
            return Err(TransportError::Unauthorized {
                url: shown(&url),
                registry: registry.to_owned(),
            });
        }
        let response = self.expect(&url, response, &[200]).await?;
        let answer = Body::new(endpoint.patience, &url, response)
            .read(MAX_TOKEN_BYTES)
            .await?;
        let answer: TokenAnswer =
            serde_json::from_slice(&answer).map_err(|_| refused("the token answer is not JSON"))?;
        let token = answer
            .token
            .or(answer.access_token)
            .ok_or_else(|| refused("the token answer has no token"))?;
        header(registry, &format!("Bearer {token}"))
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

fn header(registry: &str, value: &str) -> Result<HeaderValue, TransportError> {
    let mut header = HeaderValue::from_str(value).map_err(|_| TransportError::Authentication {
        registry: registry.to_owned(),
        reason: "the token cannot be sent in a header".to_owned(),
    })?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::parse(&headers)
    }

    #[test]
    fn parses_challenges() {
        let bearer = Challenge::Bearer {
            realm: "https://auth.example/token".to_owned(),
            service: Some("registry.example".to_owned()),
            scope: Some("repository:a/b:pull,push".to_owned()),
        };
        let text =
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        assert_eq!(challenge(&[text]), Some(bearer));
        assert_eq!(challenge(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        assert!(matches!(
            challenge(&["Basic realm=x", "Bearer realm=\"https://a\""]),
            Some(Challenge::Bearer { .. })
        ));
        assert_eq!(challenge(&[]), None);
        assert_eq!(challenge(&["Bearer service=\"no realm\""]), None);
        assert_eq!(challenge(&["Negotiate", "\"\"\"===,,,"]), None);
    }
}
