//! [`Server`]: serves an HTTP guest on the pod's network, and drains it when the container is asked to stop.

use std::{convert::Infallible, error::Error, io, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use dunlin_host_gpu::Scheduler;
use dunlin_runtime::{Code, Engine, Grants, HttpApp, HttpConfig, Limits, Stdin};
use http::{Request, Response};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
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

use super::{command::Signals, inside::MAX_INSTANCES, setup::Setup};

/// Connections open at once; a file descriptor each, and containers have 1,024 as a rule.
const MAX_CONNECTIONS: usize = 900;
/// A client that needs longer for its headers is broken or hostile.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Time of one request.
const REQUEST_DEADLINE: Duration = Duration::from_secs(60);
/// HTTP/2 streams of one connection at once.
const MAX_STREAMS: u32 = 128;
/// Pause after `accept` failed for want of descriptors, instead of spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Body = UnsyncBoxBody<bytes::Bytes, Box<dyn Error + Send + Sync>>;

/// A guest that listens.
pub(super) struct Server {
    app: Arc<HttpApp>,
    listener: TcpListener,
    grace: Duration,
}

impl Server {
    pub(super) async fn bind(
        setup: &Setup,
        engine: &Engine,
        code: Code,
        grants: Grants,
        limits: Limits,
        scheduler: Arc<Scheduler>,
    ) -> Result<Self, Box<dyn Error>> {
        // Requests have no standard input to share.
        let grants = Grants {
            stdin: Stdin::Empty,
            ..grants
        };
        let config = HttpConfig {
            max_concurrent_instances: NonZeroUsize::try_from(usize::try_from(MAX_INSTANCES)?)?,
            request_deadline: REQUEST_DEADLINE,
            ..HttpConfig::default()
        };
        let app = HttpApp::new(engine, code, grants, limits, config, scheduler)?;
        let address = SocketAddr::from(([0, 0, 0, 0], setup.http_port));
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        Ok(Self {
            app: Arc::new(app),
            listener,
            grace: Duration::from_secs(setup.drain_seconds),
        })
    }

    /// Serves until the first signal, then lets requests in flight end, for the grace period at most; a second signal cuts it
    /// short. The exit code.
    pub(super) async fn run(self) -> i32 {
        let mut signals = match Signals::catch() {
            Ok(signals) => signals,
            Err(error) => {
                super::command::complain(&error);
                return 1;
            }
        };
        let graceful = GracefulShutdown::new();
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let builder = builder();
        let stopped = loop {
            // Reaping first keeps the set small.
            while connections.try_join_next().is_some() {}
            let accepted = tokio::select! {
                code = signals.next() => break code,
                accepted = accept(&self.listener, &slots) => accepted,
            };
            let Ok((stream, slot)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let app = Arc::clone(&self.app);
            let service = service_fn(move |request| {
                let app = Arc::clone(&app);
                async move { Ok::<_, Infallible>(answer(&app, request).await) }
            });
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            let watched = graceful.watch(connection);
            connections.spawn(async move {
                // A client that goes away is no event.
                let _ = watched.await;
                drop(slot);
            });
        };
        drop(self.listener);
        let drained = async {
            graceful.shutdown().await;
            self.app.drain().await;
        };
        tokio::select! {
            () = drained => 0,
            () = tokio::time::sleep(self.grace) => stopped,
            code = signals.next() => code,
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(Some(HEADER_TIMEOUT))
        .keep_alive_timeout(HEADER_TIMEOUT);
    builder
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, slot))
}

async fn answer(app: &HttpApp, request: Request<Incoming>) -> Response<Body> {
    match app.handle(request).await {
        Ok(response) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
        Err(error) => error
            .to_response()
            .map(|body| body.map_err(|never| match never {}).boxed_unsync()),
    }
}
