//! Why nothing was signed: [`SignError`].

use super::{HttpError, SigningConfigError};

/// A signature that could not be made. Nothing is written, and the key is gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The configuration names no usable services.
    #[error("cannot sign with this signing configuration")]
    Config(#[from] SigningConfigError),
    /// What is to be signed is too large for a bundle.
    #[error("the statement has {bytes} bytes, more than the {cap} that a bundle takes")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most allowed.
        cap: usize,
    },
    /// The identity token is not one.
    #[error("the identity token is not a JSON web token")]
    Token,
    /// A service gave no answer.
    #[error("cannot ask {service} at {url}")]
    Request {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// Why.
        #[source]
        source: HttpError,
    },
    /// A service refused.
    #[error("{service} at {url} answered {status}: {message}")]
    Status {
        /// Which.
        service: &'static str,
        /// Where.
        url: String,
        /// Status code.
        status: u16,
        /// The beginning of what it said.
        message: String,
    },
    /// A service's answer cannot be read.
    #[error("cannot read the answer of {service}")]
    Answer {
        /// Which.
        service: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A service's answer is about something else.
    #[error("{service} answered with {what}")]
    OtherAnswer {
        /// Which.
        service: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The cryptographic library failed.
    #[error("cannot make a key or signature")]
    Key,
    /// The bundle cannot be written as JSON.
    #[error("cannot encode the {what}")]
    Encode {
        /// Which document.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SignError {
    /// One line that tells the user what to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(error) => error.hint(),
            Self::Token => Some("give the identity token itself, as the provider issued it".to_owned()),
            Self::Status {
                service: "Fulcio",
                status: 400..=403,
                ..
            } => {
                Some("the token may have expired, or be of an issuer or audience that this instance refuses".to_owned())
            }
            Self::Request { .. } => Some("check the URLs in the signing configuration, and the network".to_owned()),
            _ => None,
        }
    }

    pub(super) fn answer(service: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Answer {
            service,
            source: error.to_string().into(),
        }
    }

    pub(super) fn encode(what: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Encode {
            what,
            source: error.to_string().into(),
        }
    }
}
