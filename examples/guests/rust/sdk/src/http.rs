//! Requests in, responses out, over `wasi:http/incoming-handler@0.2`: [`Request`], [`Response`], [`Refusal`], and
//! [`serve!`](crate::serve) that makes a guest of a function.

mod body;
mod refusal;
mod request;
mod response;

use std::io::Write;

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

pub use self::{
    body::Body,
    refusal::Refusal,
    request::Request,
    response::{Content, Response},
};

/// What a handler gives: a response, or why there is none.
pub type Answer = Result<Response, Refusal>;

/// Makes a guest that answers each request with what a function makes of it: `fn(Request) -> Answer`.
#[macro_export]
macro_rules! serve {
    ($handler:path) => {
        struct DunlinGuest;

        impl $crate::wasip2::exports::http::incoming_handler::Guest for DunlinGuest {
            fn handle(
                request: $crate::wasip2::http::types::IncomingRequest,
                out: $crate::wasip2::http::types::ResponseOutparam,
            ) {
                $crate::http::answer(request, out, $handler);
            }
        }

        $crate::wasip2::http::proxy::export!(DunlinGuest);
    };
}

/// Answers one request; the function behind [`serve!`](crate::serve).
#[doc(hidden)]
pub fn answer(request: IncomingRequest, out: ResponseOutparam, handler: fn(Request) -> Answer) {
    let response = handler(Request::new(request)).unwrap_or_else(Refusal::into_response);
    let headers = Fields::new();
    let length = match &response.content {
        Content::Bytes(bytes) => Some(("content-length".to_owned(), bytes.len().to_string())),
        Content::Stream(_) => None,
    };
    for (name, value) in response.headers.iter().chain(&length) {
        if headers.append(name, value.as_bytes()).is_err() {
            eprintln!("the response header {name:?} is not one that can be sent");
        }
    }
    let outgoing = OutgoingResponse::new(headers);
    if outgoing.set_status_code(response.status).is_err() {
        eprintln!("{} is no status", response.status);
    }
    let body = outgoing.body();
    ResponseOutparam::set(out, Ok(outgoing));
    let Ok(body) = body else { return };
    if let Err(error) = send(&body, response.content) {
        // A body that is dropped without its end tells the client that it is not whole.
        eprintln!("the response was not sent whole: {error}");
        return;
    }
    drop(OutgoingBody::finish(body, None));
}

fn send(body: &OutgoingBody, content: Content) -> std::io::Result<()> {
    let closed = || std::io::Error::other("the body is closed");
    let mut stream = body.write().map_err(|()| closed())?;
    match content {
        Content::Bytes(bytes) => stream.write_all(&bytes)?,
        Content::Stream(write) => write(&mut stream)?,
    }
    // The stream has a method of that name of its own.
    Write::flush(&mut stream)
}
