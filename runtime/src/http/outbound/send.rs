//! [`Outbound`]: one guest's requests: allowed or denied, counted, bounded in size, number and time.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{Request, Response, uri::Scheme};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::{
    OutboundHost,
    body::{Bounded, Direction},
    connect::{Destination, Stream, connect},
    tls::Tls,
};
use crate::{limits::Limits, stats::Counters};

/// Bytes of a response's status line and headers.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Header lines of a response.
const MAX_HEADERS: usize = 128;

type Rest = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(Response<WasiBody>, Rest), Error>;
type Connection = http1::Connection<TokioIo<Box<dyn Stream>>, Bounded<WasiBody>>;

/// One guest's way out. The default list is empty: every request is denied.
pub(crate) struct Outbound {
    hosts: Arc<[OutboundHost]>,
    tls: Tls,
    bounds: Bounds,
    at_once: Arc<Semaphore>,
    counters: Arc<Counters>,
}

#[derive(Clone, Copy)]
struct Bounds {
    request_bytes: u64,
    response_bytes: u64,
    wait: Duration,
}

impl Bounds {
    /// A guest may wait for less than the limit, not for more.
    fn wait(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.wait, |asked| asked.min(self.wait))
    }
}

impl Outbound {
    pub(crate) fn new(hosts: Arc<[OutboundHost]>, tls: Tls, limits: &Limits, counters: Arc<Counters>) -> Self {
        let at_once = limits.outbound_requests.min(Semaphore::MAX_PERMITS);
        Self {
            hosts,
            tls,
            bounds: Bounds {
                request_bytes: limits.outbound_request_bytes,
                response_bytes: limits.outbound_response_bytes,
                wait: limits.outbound_wait,
            },
            at_once: Arc::new(Semaphore::new(at_once)),
            counters,
        }
    }

    /// Where the request goes, if it may.
    fn destination(&self, request: &Request<WasiBody>) -> Result<Destination, Error> {
        let uri = request.uri();
        let host = uri.host().ok_or(Error::HttpRequestUriInvalid)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let encrypted = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(Error::HttpProtocolError),
        };
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let entries = self.hosts.iter().filter(|entry| entry.matches(host, port));
        let private = entries
            .map(OutboundHost::allows_private)
            .reduce(|one, other| one || other);
        Ok(Destination {
            host: host.to_owned(),
            port,
            encrypted,
            private: private.ok_or(Error::HttpRequestDenied)?,
        })
    }

    fn admit(&self, request: &Request<WasiBody>) -> Result<(Destination, OwnedSemaphorePermit), Error> {
        let to = self.destination(request)?;
        let permit = Arc::clone(&self.at_once).try_acquire_owned();
        Ok((to, permit.map_err(|_full| Error::ConnectionLimitReached)?))
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        self.counters.outbound_requests.up();
        let admitted = self.admit(&request).inspect_err(|error| {
            self.counters.outbound_refusals.up();
            let host = request.uri().host().unwrap_or_default();
            tracing::debug!(host, %error, "a guest's request was refused");
        });
        let (tls, bounds) = (self.tls.clone(), self.bounds);
        Box::new(async move {
            let (to, permit) = admitted?;
            send(request, &to, &tls, bounds, options.unwrap_or_default(), permit).await
        })
    }
}

async fn send(
    request: Request<WasiBody>,
    to: &Destination,
    tls: &Tls,
    bounds: Bounds,
    options: RequestOptions,
    permit: OwnedSemaphorePermit,
) -> Sent {
    let stream = connect(to, tls, bounds.wait(options.connect_timeout)).await?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    let request = in_origin_form(request)?.map(|body| {
        // How fast a guest writes is its own affair, within its deadline.
        Bounded::new(body, Direction::Request, bounds.request_bytes, None)
    });
    let mut connection: Option<Pin<Box<Connection>>> = Some(Box::pin(connection));
    let answer = async {
        let mut answer = pin!(sender.send_request(request));
        // The connection does not move by itself.
        std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            let Some(driven) = &mut connection else {
                return Poll::Pending;
            };
            match driven.as_mut().poll(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    connection = None;
                    answer.as_mut().poll(cx)
                }
            }
        })
        .await
    };
    let answer = timeout(bounds.wait(options.first_byte_timeout), answer)
        .await
        .map_err(|_elapsed| Error::ConnectionReadTimeout)??;
    let pause = bounds.wait(options.between_bytes_timeout);
    let answer =
        answer.map(|body| Bounded::new(body, Direction::Response, bounds.response_bytes, Some(pause)).boxed_unsync());
    let rest = async move {
        // The request counts among those at once until its connection is done.
        let _permit = permit;
        match connection {
            Some(connection) => connection.await.map_err(Error::from),
            None => Ok(()),
        }
    };
    Ok((answer, Box::new(rest)))
}

/// The path alone, as servers expect it; the host is in its header.
fn in_origin_form(mut request: Request<WasiBody>) -> Result<Request<WasiBody>, Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = path.parse().map_err(|_not_a_path| Error::HttpRequestUriInvalid)?;
    *request.uri_mut() = uri;
    Ok(request)
}
