//! [`Body`]: what a client sends, read as it arrives.

use std::io::{self, Read};

use wasip2::{
    http::types::{IncomingBody, IncomingRequest},
    io::streams::InputStream,
};

/// The body of a request: a stream of bytes of unknown length.
#[derive(Debug)]
pub struct Body {
    /// Dropped before the body that it belongs to.
    stream: Option<InputStream>,
    _body: Option<IncomingBody>,
}

impl Body {
    pub(super) fn of(request: &IncomingRequest) -> Self {
        let body = request.consume().ok();
        Self {
            stream: body.as_ref().and_then(|body| body.stream().ok()),
            _body: body,
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Some(stream) => stream.read(buffer),
            None => Ok(0),
        }
    }
}
