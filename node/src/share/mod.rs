//! Serves the store to peers as a read-only registry: [`ShareServer`] joins the listener and [`Share`]. What may be served is
//! decided there; here requests are bounded and bytes are moved.

mod body;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use dunlin_models::{
    share::{Answer, Ask, Content, Share, Shared},
    store::StoreError,
};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tracing::{debug, error, info, warn};

use crate::{
    Node,
    serve::{
        ListenerConfig, ServeError,
        listener::{self, Handler, ResponseBody},
        signals::Signals,
    },
};
use body::FileBody;

/// Connections open at once: each may have a file open and a piece of it in memory.
const MAX_CONNECTIONS: usize = 256;
/// Time in which a client must take some of what was sent to it.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Artifacts that are not served and are logged one by one.
const MAX_LOGGED: usize = 8;

/// How the store is served.
#[derive(Debug, Clone)]
pub struct ShareOptions {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// Requests answered at once; further ones get 429.
    pub max_concurrent: u32,
    /// Time that requests in flight get after a stop was asked for.
    pub grace_period: Duration,
}

/// Why the store cannot be served.
#[derive(Debug, Error)]
pub enum ShareError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no listener.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

impl ShareError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Store(error) => error.hint(),
            Self::Serve(error) => error.hint(),
        }
    }
}

/// A store that is being served.
#[derive(Debug)]
pub struct ShareServer {
    listener: TcpListener,
    address: SocketAddr,
    handler: Arc<Distribution>,
    signals: Signals,
    config: ListenerConfig,
}

impl ShareServer {
    /// Asks the policy about everything in the store, and binds.
    ///
    /// # Errors
    /// See [`ShareError`].
    pub async fn prepare(node: &Node, options: ShareOptions) -> Result<Self, ShareError> {
        let share = Arc::new(Share::new(node.store()?, node.verifier().clone()));
        let looked = Arc::clone(&share);
        let shared = tokio::task::spawn_blocking(move || looked.shared()).await;
        let shared = shared.unwrap_or_else(|error| {
            Err(StoreError::Io {
                operation: "look through the store",
                source: std::io::Error::other(error),
            })
        })?;
        log(&shared);
        let signals = Signals::listen().map_err(ServeError::Signals)?;
        let listener = listener::bind(options.address).await?;
        let address = listener.local_addr().map_err(|source| ServeError::Bind {
            address: options.address,
            source,
        })?;
        let slots = usize::try_from(options.max_concurrent).unwrap_or(usize::MAX);
        Ok(Self {
            listener,
            address,
            handler: Arc::new(Distribution {
                share,
                slots: Arc::new(Semaphore::new(slots.clamp(1, Semaphore::MAX_PERMITS))),
            }),
            signals,
            config: ListenerConfig {
                max_connections: MAX_CONNECTIONS,
                grace_period: options.grace_period,
                // A stream of HTTP/2 that nobody reads would keep its file open for as long as the connection lives.
                http2: false,
                stall_timeout: Some(STALL_TIMEOUT),
                ..ListenerConfig::default()
            },
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal skips the wait.
    pub async fn run(self) {
        let (stop, abort) = self.signals.into_futures();
        listener::serve(self.listener, self.handler, &self.config, stop, abort).await;
    }
}

/// Says what is served at the start; it follows the store from then on.
fn log(shared: &Shared) {
    info!(tags = shared.tags.len(), "serving");
    for (name, reason) in shared.withheld.iter().take(MAX_LOGGED) {
        warn!(name, reason, "not served");
    }
    if let Some(more) = shared.withheld.len().checked_sub(MAX_LOGGED + 1) {
        warn!(more = more + 1, "not served either");
    }
}

/// Answers requests from the store.
#[derive(Debug)]
struct Distribution {
    share: Arc<Share>,
    slots: Arc<Semaphore>,
}

impl Handler for Distribution {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<ResponseBody> {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return response(Answer::too_many(), None);
        };
        let (parts, _) = request.into_parts();
        let share = Arc::clone(&self.share);
        let answered = tokio::task::spawn_blocking(move || {
            let range = parts.headers.get(header::RANGE);
            let ask = Ask {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                query: parts.uri.query().unwrap_or_default(),
                range: range.and_then(|range| range.to_str().ok()),
            };
            let answer = share.answer(&ask);
            debug!(%peer, method = ask.method, path = ask.path, status = answer.status, "answered");
            answer
        });
        match answered.await {
            Ok(answer) => response(answer, Some(slot)),
            Err(error) => {
                error!(%error, "answering a peer failed");
                let mut failed = Response::new(empty());
                *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                failed
            }
        }
    }

    async fn drain(&self) {}
}

fn empty() -> ResponseBody {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}

/// The answer as HTTP. `slot` is held until the body has been sent.
fn response(answer: Answer, slot: Option<OwnedSemaphorePermit>) -> Response<ResponseBody> {
    let body = match answer.content {
        Content::Empty => empty(),
        Content::Bytes(bytes) => Full::new(Bytes::from(bytes))
            .map_err(|never| match never {})
            .boxed_unsync(),
        Content::File { file, range } => FileBody::new(file, range, slot).boxed_unsync(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(HeaderName::from_static(name), value);
        }
    }
    response
}
