//! The HTTP/1.1 and h2c listener: accepts, bounds, drains. It knows nothing of guests; a [`Handler`] answers.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tracing::{debug, info, warn};

use super::ServeError;

/// A streamed response body whose failure aborts the connection.
pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Answers one request; failures are responses too.
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<ResponseBody>> + Send;

    /// Refuses what still comes, and waits for work that outlives its responses. Called when the connections are closed.
    fn drain(&self) -> impl Future<Output = ()> + Send;
}

/// Bounds of a listener.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Connections open at once; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// Time a client may take to send a request's headers, and an idle connection may stay open.
    pub header_timeout: Duration,
    /// Time that requests in flight get after a stop was asked for.
    pub grace_period: Duration,
    /// Whether HTTP/2 is spoken besides HTTP/1.1.
    pub http2: bool,
    /// Time that what was sent may stay unacknowledged, or unsent because nobody takes it, before the connection is closed.
    pub stall_timeout: Option<Duration>,
}

/// Enough for a node; a file descriptor each, below the usual limit of 1,024.
const MAX_CONNECTIONS: usize = 900;
/// A client that needs longer for its headers is broken or hostile (slow loris).
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Kubernetes' own default grace period is 30 s; stay well inside it.
const GRACE_PERIOD: Duration = Duration::from_secs(20);
/// Pause after `accept` failed for want of descriptors or memory, instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// HTTP/2 streams of one connection at once.
const MAX_STREAMS: u32 = 128;

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            max_connections: MAX_CONNECTIONS,
            header_timeout: HEADER_TIMEOUT,
            grace_period: GRACE_PERIOD,
            http2: true,
            stall_timeout: None,
        }
    }
}

/// Binds `address`.
///
/// # Errors
/// [`ServeError::Bind`] naming the address: in use, not of this machine, or not permitted.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind { address, source })
}

/// Serves until `stop` resolves, then stops accepting and waits for requests in flight, bounded by the grace period
/// and cut short by `abort`.
///
/// # Cancel safety
/// Dropping the future closes the listener and aborts all connections.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    handler: Arc<H>,
    config: &ListenerConfig,
    stop: impl Future<Output = ()>,
    abort: impl Future<Output = ()>,
) {
    let slots = Arc::new(Semaphore::new(config.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if !config.http2 {
        builder = builder.http1_only();
    }
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Some(config.header_timeout))
        .keep_alive_timeout(config.header_timeout);
    tokio::pin!(stop);
    loop {
        // Reaping first keeps the set small on a busy listener.
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &slots, config.stall_timeout) => accepted,
        };
        let (stream, peer, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let handler = Arc::clone(&handler);
        let service = service_fn(move |request| {
            let handler = Arc::clone(&handler);
            async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = watched.await {
                debug!(%peer, %error, "connection ended");
            }
            drop(slot);
        });
    }
    drop(listener);
    info!(connections = connections.len(), "draining");
    let drained = async {
        graceful.shutdown().await;
        handler.drain().await;
    };
    tokio::select! {
        () = drained => {}
        () = tokio::time::sleep(config.grace_period) => warn!("the grace period is over: closing what is still open"),
        () = abort => warn!("stopped at once"),
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    stall_timeout: Option<Duration>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    if let Some(timeout) = stall_timeout {
        let millis = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(&stream, millis)?;
    }
    Ok((stream, peer, slot))
}
