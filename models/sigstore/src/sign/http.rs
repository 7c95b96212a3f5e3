//! What signing needs of HTTP: one kind of request, given by whoever has a client ([`Http`]).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::SignError;
use crate::limits::ANSWER_BYTES;

/// Longest that a service may take. Rekor v2 answers after its next checkpoint, which public instances make every few
/// seconds; cosign waits as long.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A request: POST, and nothing else that would differ between services.
#[derive(Debug, Clone)]
pub struct Post<'a> {
    /// Where to.
    pub url: String,
    /// `Content-Type` of the body.
    pub content_type: &'static str,
    /// `Accept`.
    pub accept: &'static str,
    /// The body.
    pub body: &'a [u8],
    /// Longest time from start to the answer's last byte.
    pub timeout: Duration,
    /// Largest body that may be read of the answer; more is [`HttpError::TooLarge`].
    pub answer_cap: usize,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Body, no larger than the cap.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection, broken TLS, a broken answer.
    #[error("the request failed")]
    Failed {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It took longer than [`Post::timeout`].
    #[error("no answer within {} s", .after.as_secs())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// The answer's body is larger than [`Post::answer_cap`].
    #[error("the answer is larger than {cap} bytes")]
    TooLarge {
        /// The most allowed.
        cap: usize,
    },
}

/// What [`Http::post`] returns.
pub type HttpFuture<'a> = Pin<Box<dyn Future<Output = Result<Answer, HttpError>> + Send + 'a>>;

/// An HTTP client. It must not follow redirects, and must hold to the request's time-out and cap: the services that a
/// configuration names are not trusted to be quick or brief.
pub trait Http: Send + Sync {
    /// Sends `post` and reads the answer.
    fn post<'a>(&'a self, post: Post<'a>) -> HttpFuture<'a>;
}

/// An [`Http`] whose answers are of one status, and checked once more against the cap.
pub(super) struct Client<'a> {
    http: &'a dyn Http,
}

impl<'a> Client<'a> {
    pub(super) fn new(http: &'a dyn Http) -> Self {
        Self { http }
    }

    /// The body of a successful answer of the service `name`.
    pub(super) async fn post(
        &self,
        name: &'static str,
        url: &str,
        content_type: &'static str,
        accept: &'static str,
        body: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        let post = Post {
            url: url.to_owned(),
            content_type,
            accept,
            body,
            timeout: TIMEOUT,
            answer_cap: ANSWER_BYTES,
        };
        let failed = |source| SignError::Request {
            service: name,
            url: url.to_owned(),
            source,
        };
        let answer = self.http.post(post).await.map_err(failed)?;
        if answer.body.len() > ANSWER_BYTES {
            return Err(failed(HttpError::TooLarge { cap: ANSWER_BYTES }));
        }
        if !(200..300).contains(&answer.status) {
            return Err(SignError::Status {
                service: name,
                url: url.to_owned(),
                status: answer.status,
                message: printable(&answer.body),
            });
        }
        Ok(answer.body)
    }
}

/// The beginning of an error's body, without anything that a terminal would obey.
fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.chars()
        .take(300)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect::<String>()
        .trim()
        .to_owned()
}
