//! [`Refusal`]: what a client is told instead of a result. What went wrong inside goes to standard error, not to the client.

use std::fmt;

use serde::Serialize;

use super::Response;
use crate::ModelError;

/// A status and one sentence, sent as `{"error": {"message": "..."}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    message: String,
    /// The methods that would have been right, where that is what was wrong.
    allow: Option<&'static str>,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureText<'a>,
}

#[derive(Serialize)]
struct FailureText<'a> {
    message: &'a str,
}

impl Refusal {
    /// A refusal with that status and message.
    #[must_use]
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            allow: None,
        }
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "no such path")
    }

    /// 405: the path takes `methods` only.
    #[must_use]
    pub fn method_not_allowed(methods: &'static str) -> Self {
        Self {
            allow: Some(methods),
            ..Self::new(405, format!("this path takes {methods} only"))
        }
    }

    /// 500; `error` goes to the log.
    #[must_use]
    pub fn internal(error: &dyn fmt::Display) -> Self {
        eprintln!("{error}");
        Self::new(500, "the service failed")
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    pub(super) fn into_response(self) -> Response {
        let message = &self.message;
        let failure = Failure {
            error: FailureText { message },
        };
        let body = serde_json::to_vec(&failure).unwrap_or_default();
        let response = Response::new("application/json", body).status(self.status);
        match self.allow {
            Some(methods) => response.header("allow", methods),
            None => response,
        }
    }
}

/// The status that says whose fault it is, and whether trying again makes sense. The details go to the log.
impl From<ModelError> for Refusal {
    fn from(error: ModelError) -> Self {
        eprintln!("{error}");
        let (status, message) = match error {
            ModelError::NotFound { .. } => (503, "the model is not available"),
            ModelError::TooLarge { .. } => (413, "the request needs more memory than this service may use"),
            ModelError::Timeout { .. } => (504, "the model did not answer in time"),
            ModelError::Failed { .. } | ModelError::Shape { .. } | ModelError::Output { .. } => {
                (500, "the model failed")
            }
        };
        Self::new(status, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_s_faults_have_statuses_and_keep_their_details() {
        let text = || "the secret of the host".to_owned();
        let model = || "default".to_owned();
        for (error, status) in [
            (
                ModelError::NotFound {
                    model: model(),
                    text: text(),
                },
                503,
            ),
            (
                ModelError::TooLarge {
                    model: model(),
                    text: text(),
                },
                413,
            ),
            (
                ModelError::Timeout {
                    model: model(),
                    text: text(),
                },
                504,
            ),
            (
                ModelError::Output {
                    model: model(),
                    text: text(),
                },
                500,
            ),
            (
                ModelError::Shape {
                    shape: vec![2],
                    length: 1,
                },
                500,
            ),
        ] {
            let refusal = Refusal::from(error);
            assert_eq!(refusal.status(), status);
            assert!(!refusal.message.contains("secret"), "{refusal:?}");
        }
    }
}
