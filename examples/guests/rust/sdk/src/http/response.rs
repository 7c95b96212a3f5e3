//! [`Response`]: a status, headers, and bytes or a function that writes them.

use std::{fmt, io};

use serde::Serialize;

use super::Refusal;

/// What a handler answers.
#[derive(Debug)]
pub struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) content: Content,
}

/// Writes a body piece by piece; each piece is on its way when the call returns.
type Write = Box<dyn FnOnce(&mut dyn io::Write) -> io::Result<()>>;

/// The body of a response.
pub enum Content {
    /// All of it; its length is told to the client.
    Bytes(Vec<u8>),
    /// What a function writes while the client reads.
    Stream(Write),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Stream(_) => f.write_str("a stream"),
        }
    }
}

impl Response {
    /// Status 200 with a body.
    #[must_use]
    pub fn new(content_type: &str, content: impl Into<Vec<u8>>) -> Self {
        Self::with(content_type, Content::Bytes(content.into()))
    }

    /// Status 200 with a body that is written while it is sent. A write fails when the client has gone.
    #[must_use]
    pub fn stream(content_type: &str, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()> + 'static) -> Self {
        Self::with(content_type, Content::Stream(Box::new(write)))
    }

    /// Status 200 with JSON.
    ///
    /// # Errors
    /// 500 when `value` has no form in JSON, such as a map with keys that are not text.
    pub fn json(value: &impl Serialize) -> Result<Self, Refusal> {
        let bytes = serde_json::to_vec(value).map_err(|error| Refusal::internal(&error))?;
        Ok(Self::new("application/json", bytes))
    }

    /// The same with another status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn with(content_type: &str, content: Content) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            content,
        }
    }
}
