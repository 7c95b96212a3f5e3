//! What can go wrong between here and a registry, before any meaning is given to it.

use std::time::Duration;

use super::credentials::CredentialError;

/// A failed exchange with a registry. URLs are shown without query, where upload locations keep secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No answer: name resolution, connection, TLS, or a broken stream.
    #[error("no answer from {url}")]
    Request {
        /// What was asked.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// Nothing came for too long.
    #[error("nothing came from {url} for {waited:?}")]
    Stalled {
        /// What was asked.
        url: String,
        /// How long.
        waited: Duration,
    },
    /// An answer that is a refusal.
    #[error("{url} answered {status}{}", detail(message))]
    Status {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the registry says, cut to 256 characters; may be empty.
        message: String,
        /// How long the registry asks to wait.
        retry_after: Option<Duration>,
    },
    /// Credentials are needed, or those given are not accepted.
    #[error("{url} requires authentication")]
    Unauthorized {
        /// What was asked.
        url: String,
        /// The registry.
        registry: String,
    },
    /// The registry's way of authentication cannot be followed.
    #[error("cannot authenticate to {registry}: {reason}")]
    Authentication {
        /// The registry.
        registry: String,
        /// Why not.
        reason: String,
    },
    /// Configured credentials cannot be had.
    #[error("no credentials for {registry}")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why not.
        #[source]
        source: CredentialError,
    },
    /// More bytes than were asked for, or than are read of such an answer.
    #[error("{url} sent more than {limit} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// Most bytes taken.
        limit: u64,
    },
    /// The stream ended early.
    #[error("{url} sent {received} bytes instead of {expected}")]
    TooShort {
        /// What was asked.
        url: String,
        /// Bytes expected.
        expected: u64,
        /// Bytes that came.
        received: u64,
    },
    /// An answer that makes no sense in the protocol.
    #[error("{url} gave an answer that cannot be used: {reason}")]
    Protocol {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client itself cannot be set up.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
}

impl TransportError {
    /// Whether the same request may well succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Request { source, .. } => !source.is_redirect() && !source.is_builder(),
            Self::Stalled { .. } | Self::TooShort { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }

    /// How long the registry asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// The HTTP status, if the registry gave one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Unauthorized { .. } => Some(401),
            _ => None,
        }
    }

    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Request { source, .. } if source.is_connect() => {
                "check the host name; a registry without TLS needs --plain-http or a config entry".to_owned()
            }
            Self::Unauthorized { registry, .. } => format!("log in with `docker login {registry}`"),
            Self::Status { status: 403, .. } => "the account has no access to this repository".to_owned(),
            Self::Status { status: 404, .. } => "check the name and the tag; private ones need a login".to_owned(),
            Self::Status { status: 429, .. } => "the registry limits requests; log in or wait".to_owned(),
            Self::Credentials { .. } => "log in again, or correct the docker config".to_owned(),
            _ => return None,
        })
    }
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
