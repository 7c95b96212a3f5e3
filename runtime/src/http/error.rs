//! [`RequestError`], and the one place where it becomes a response. Clients get a status, a code and a neutral sentence;
//! the sources are for the log.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use crate::{BoxError, meter::DeadlineKind};

/// Seconds after which a client may try again: about the time of a few requests.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request got no response from the guest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// As many requests as allowed are being served.
    #[error("{limit} requests are being served already")]
    Busy {
        /// Requests served at once.
        limit: usize,
    },
    /// Every instance of the engine is taken, by other apps too.
    #[error("every instance of this engine is taken")]
    PoolExhausted {
        /// Wasmtime's account of the pool.
        source: BoxError,
    },
    /// The request's body is too large.
    #[error("the request body is over the limit of {limit} bytes")]
    BodyTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The request cannot be given to a guest: it names no host.
    #[error("the request has no usable Host header or authority")]
    NoAuthority,
    /// The guest reached a time limit before it responded.
    #[error("the guest was stopped after its limit of {limit:?} of {kind}")]
    Deadline {
        /// Which limit.
        kind: DeadlineKind,
        /// The limit.
        limit: Duration,
    },
    /// The guest trapped before it responded, or could not be instantiated.
    #[error("the guest trapped")]
    Trap {
        /// Wasmtime's account: the trap and where it happened.
        source: BoxError,
    },
    /// The guest ended without a response.
    #[error("the guest ended without a response")]
    NoResponse,
    /// The guest gave an error code of wasi:http instead of a response.
    #[error("the guest responded with error {code}")]
    GuestError {
        /// The code, as wasi:http names it.
        code: String,
    },
    /// The host failed.
    #[error("the host could not serve the request")]
    Host {
        /// What failed.
        source: BoxError,
    },
    /// The app is going away.
    #[error("the app is shutting down")]
    ShuttingDown,
}

impl RequestError {
    /// The status that the client gets.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Busy { .. } | Self::PoolExhausted { .. } | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NoAuthority => StatusCode::BAD_REQUEST,
            Self::Deadline { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::GuestError { .. } => StatusCode::BAD_GATEWAY,
            Self::Trap { .. } | Self::NoResponse | Self::Host { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A word for the cause, for clients and metrics: stable, lower case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } | Self::PoolExhausted { .. } => "busy",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::NoAuthority => "bad_request",
            Self::Deadline { .. } => "deadline_exceeded",
            Self::Trap { .. } => "guest_trapped",
            Self::NoResponse => "guest_gave_no_response",
            Self::GuestError { .. } => "guest_error",
            Self::Host { .. } => "internal",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// The response that the client gets: JSON `{"error":{"code":...,"message":...}}`, with `Retry-After` on 503.
    #[must_use]
    pub fn to_response(&self) -> Response<Full<Bytes>> {
        // Neither text holds a character that JSON escapes.
        let body = format!(
            r#"{{"error":{{"code":"{}","message":"{}"}}}}"#,
            self.code(),
            self.message()
        );
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }

    /// One line telling the operator what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Busy { .. } => Some("raise max_concurrent_instances, or add nodes".to_owned()),
            Self::PoolExhausted { .. } => Some("raise the number of instances of the pool".to_owned()),
            Self::BodyTooLarge { .. } => Some("raise request_body_bytes".to_owned()),
            Self::Deadline { .. } => Some("raise the request deadline or the processor limit".to_owned()),
            _ => None,
        }
    }

    fn message(&self) -> &'static str {
        match self {
            Self::Busy { .. } | Self::PoolExhausted { .. } => "the service is busy, try again later",
            Self::BodyTooLarge { .. } => "the request body is too large",
            Self::NoAuthority => "the request names no host",
            Self::Deadline { .. } => "the service did not respond in time",
            Self::Trap { .. } | Self::NoResponse | Self::GuestError { .. } => "the service failed on this request",
            Self::Host { .. } => "the service could not be run",
            Self::ShuttingDown => "the service is going away, try again later",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(error: &RequestError) -> String {
        let body = error.to_response().into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn clients_learn_nothing_of_the_host() {
        let error = RequestError::Trap {
            source: "wasm trap at /var/lib/dunlin/secret".into(),
        };
        assert_eq!(
            text(&error).await,
            r#"{"error":{"code":"guest_trapped","message":"the service failed on this request"}}"#
        );
    }

    #[test]
    fn busy_tells_when_to_come_back() {
        let response = RequestError::Busy { limit: 1 }.to_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers().get(header::RETRY_AFTER).unwrap(), "1");
        assert!(
            RequestError::NoResponse
                .to_response()
                .headers()
                .get(header::RETRY_AFTER)
                .is_none()
        );
    }
}
