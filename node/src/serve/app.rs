//! [`Application`]: the guest as a handler of the listener, with its access log and its output in the log.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use dunlin_runtime::{Grants, GuestLine, GuestStream, HttpApp, LineSink, Stdout};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tracing::info;

use super::{
    linger::Lingering,
    listener::{Handler, ResponseBody},
};

/// A linked module behind the listener.
#[derive(Debug)]
pub(super) struct Application {
    app: HttpApp,
    lingering: Lingering,
}

impl Application {
    pub(super) fn new(app: HttpApp) -> Self {
        Self {
            app,
            lingering: Lingering::default(),
        }
    }
}

impl Handler for Application {
    /// Guests may work on after their responses.
    async fn drain(&self) {
        self.app.drain().await;
    }

    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<ResponseBody> {
        let started = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (response, fault) = match self.app.handle(request.map(|body| self.lingering.watch(body))).await {
            Ok(response) => (response.map(|body| body.map_err(Into::into).boxed_unsync()), None),
            Err(error) => {
                let response = error.to_response();
                (
                    response.map(|body| body.map_err(|never| match never {}).boxed_unsync()),
                    Some(error),
                )
            }
        };
        let (status, millis) = (response.status().as_u16(), started.elapsed().as_millis());
        let fault = fault.map(|error| crate::error_chain(&error));
        info!(target: "dunlin::access", %peer, %method, path, status, millis, fault, "request");
        response
    }
}

/// `grants` with the guest's output going to the log, line by line.
pub(super) fn with_logged_output(mut grants: Grants) -> Grants {
    grants.stdout = Stdout::Lines(Arc::new(GuestLog));
    grants.stderr = Stdout::Lines(Arc::new(GuestLog));
    grants
}

#[derive(Debug)]
struct GuestLog;

impl LineSink for GuestLog {
    fn line(&self, line: &GuestLine<'_>) {
        let stream = match line.stream {
            GuestStream::Stdout => "stdout",
            GuestStream::Stderr => "stderr",
        };
        info!(target: "dunlin::guest", instance = %line.instance, stream, "{}", line.text);
    }
}
