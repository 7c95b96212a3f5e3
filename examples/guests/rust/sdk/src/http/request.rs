//! [`Request`]: its method, path, query and headers at once, its body when asked for.

use std::io::Read as _;

use serde::de::DeserializeOwned;
use wasip2::http::types::{IncomingRequest, Method};

use super::{Body, Refusal};

/// A request. What it does not read of the body never reaches the guest.
#[derive(Debug)]
pub struct Request {
    method: String,
    path: String,
    query: Option<String>,
    /// Dropped before the request that it belongs to.
    body: Option<Body>,
    inner: IncomingRequest,
}

impl Request {
    pub(super) fn new(inner: IncomingRequest) -> Self {
        let target = inner.path_with_query().unwrap_or_default();
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            method: name(inner.method()),
            path,
            query,
            body: None,
            inner,
        }
    }

    /// `GET`, `POST`, ...
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, as the client wrote it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The value of a parameter of the query, as the client wrote it: percent signs are not decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.as_deref()?.split('&');
        pairs
            .find_map(|pair| pair.split_once('=').filter(|&(key, _)| key == name))
            .map(|(_, value)| value)
    }

    /// The first header of that name, if it is text. Names are the same in capitals.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.inner.headers().get(name).into_iter().next()?;
        String::from_utf8(value).ok()
    }

    /// The body, to read as it arrives.
    pub fn body(&mut self) -> &mut Body {
        self.body.get_or_insert_with(|| Body::of(&self.inner))
    }

    /// Reads the whole body, of at most `limit` bytes.
    ///
    /// # Errors
    /// 413 when it is longer, 400 when it does not arrive whole.
    pub fn bytes(&mut self, limit: usize) -> Result<Vec<u8>, Refusal> {
        let too_large = || Refusal::new(413, format!("the body is larger than {limit} bytes"));
        let announced = self.header("content-length").and_then(|length| length.parse().ok());
        let announced: usize = announced.unwrap_or(0);
        if announced > limit {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(announced);
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let read = self.body().take(most).read_to_end(&mut bytes);
        if bytes.len() > limit {
            return Err(too_large());
        }
        read.map_err(|_| Refusal::new(400, "the body did not arrive whole"))?;
        Ok(bytes)
    }

    /// Reads the whole body, of at most `limit` bytes, as JSON.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and 400 when it is not what `T` takes.
    pub fn json<T: DeserializeOwned>(&mut self, limit: usize) -> Result<T, Refusal> {
        let bytes = self.bytes(limit)?;
        serde_json::from_slice(&bytes).map_err(|error| Refusal::new(400, error.to_string()))
    }
}

fn name(method: Method) -> String {
    let name = match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => return name,
    };
    name.to_owned()
}
