//! The paths. Every answer but that of `/echo` and `/stream` is one line of text.

use std::{
    convert::Infallible,
    fmt::Display,
    net::TcpStream,
    sync::atomic::{AtomicU32, Ordering},
};

use wstd::{
    http::{
        Body, Client, Error, Request, Response, StatusCode,
        body::{Bytes, Frame, HttpBody, SizeHint},
    },
    time::Duration,
};

static SERVED: AtomicU32 = AtomicU32::new(0);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    let (head, body) = request.into_parts();
    let query = head.uri.query().unwrap_or_default();
    match head.uri.path() {
        "/" => text("hello from http_hello"),
        "/echo" => Ok(Response::new(body)),
        "/count" => text(served),
        "/env" => text(environment()),
        "/fs" => text(verdict(std::fs::read_to_string("/etc/passwd"))),
        "/connect" => text(verdict(TcpStream::connect("127.0.0.1:80"))),
        "/fetch" => text(verdict(fetch(query).await)),
        "/log" => {
            println!("a line on stdout");
            eprintln!("a line on stderr");
            text("logged")
        }
        "/stream" => Ok(Response::new(Body::from_http_body(Pieces {
            left: query.parse::<u32>()? * 16,
            end: End::Regular,
        }))),
        "/status" => status(query),
        "/panic" => panic!("as asked"),
        "/panic-late" => Ok(Response::new(Body::from_http_body(Pieces {
            left: 1,
            end: End::Panic,
        }))),
        "/spin" => spin(),
        "/sleep" => {
            wstd::task::sleep(Duration::from_millis(query.parse()?)).await;
            text("slept")
        }
        "/grow" => text(format!("refused after {} MiB", grow())),
        _ => status("404"),
    }
}

fn text(answer: impl Display) -> Result<Response<Body>, Error> {
    let response = Response::builder().header("content-type", "text/plain");
    Ok(response.body(format!("{answer}\n").into())?)
}

fn status(code: &str) -> Result<Response<Body>, Error> {
    let code: StatusCode = code.parse()?;
    Ok(Response::builder().status(code).body(Body::empty())?)
}

fn verdict<T, E: Display>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => "granted".to_owned(),
        Err(error) => format!("refused: {error:#}"),
    }
}

fn environment() -> String {
    let mut variables: Vec<_> = std::env::vars()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    variables.sort();
    variables.join(" ")
}

/// Asks the authority in the query, or a loopback address, over HTTP.
async fn fetch(authority: &str) -> Result<Response<Body>, Error> {
    let authority = match authority {
        "" => "127.0.0.1:80",
        authority => authority,
    };
    let request = Request::get(format!("http://{authority}/")).body(Body::empty())?;
    Client::new().send(request).await
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        number = std::hint::black_box(number.wrapping_add(1));
    }
}

/// MiB that were granted before the first refusal.
fn grow() -> usize {
    let mut taken = Vec::new();
    loop {
        let mut piece: Vec<u8> = Vec::new();
        if taken.try_reserve(1).is_err() || piece.try_reserve_exact(1 << 20).is_err() {
            return taken.len();
        }
        // Written to, so that the host has to back it.
        piece.resize(1 << 20, 1);
        taken.push(std::hint::black_box(piece));
    }
}

/// What comes after the last piece.
enum End {
    Regular,
    Panic,
}

/// A body of pieces of 64 KiB.
struct Pieces {
    left: u32,
    end: End,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let piece = Bytes::from_static(&[b'.'; 1 << 16]);
            return std::task::Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match self.end {
            End::Regular => std::task::Poll::Ready(None),
            End::Panic => panic!("as asked, in the middle of the body"),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
