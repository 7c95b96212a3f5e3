//! The guest's side of a request, for the two generations of `wasi:http`: [`GuestPre`] becomes a [`Guest`], which serves a
//! [`Call`].

use std::future::ready;

use http::{
    Request, Response, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use tokio::sync::oneshot;
use wasmtime::{
    AsContextMut as _, Store,
    component::{Accessor, InstancePre},
};
use wasmtime_wasi_http::{
    WasiBody, WasiHttpView as _,
    p2::bindings::{self as p2, http::types::ErrorCode},
    p3::{self, bindings as p3_bindings},
};

use crate::{code::World, store::State};

/// The guest's response, or the code of wasi:http that it gave instead.
pub(super) type Head = Result<Response<WasiBody>, ErrorCode>;

/// One request for a guest.
pub(super) struct Call {
    pub(super) request: Request<WasiBody>,
    pub(super) head: oneshot::Sender<Head>,
    /// Closed when the response is through.
    pub(super) through: oneshot::Receiver<()>,
}

/// A linked guest.
pub(super) enum GuestPre {
    Wasi02(p2::ProxyPre<State>),
    Wasi03(p3_bindings::ServicePre<State>),
}

/// A guest in its store.
pub(super) enum Guest {
    Wasi02(p2::Proxy),
    Wasi03(p3_bindings::Service),
}

impl GuestPre {
    pub(super) fn new(pre: InstancePre<State>, world: World) -> wasmtime::Result<Self> {
        match world {
            World::HttpService03 => p3_bindings::ServicePre::new(pre).map(Self::Wasi03),
            _ => p2::ProxyPre::new(pre).map(Self::Wasi02),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Guest> {
        Ok(match self {
            Self::Wasi02(pre) => Guest::Wasi02(pre.instantiate_async(store.as_context_mut()).await?),
            Self::Wasi03(pre) => Guest::Wasi03(pre.instantiate_async(store.as_context_mut()).await?),
        })
    }
}

impl Guest {
    /// Serves one request until the guest is done with it and, where the instance may serve again, the client with the
    /// response.
    pub(super) async fn serve(&self, store: &mut Store<State>, call: Call, reusable: bool) -> wasmtime::Result<()> {
        match self {
            Self::Wasi02(proxy) => serve_02(store, proxy, call, reusable).await,
            Self::Wasi03(service) => serve_03(store, service, call).await,
        }
    }
}

async fn serve_02(store: &mut Store<State>, proxy: &p2::Proxy, call: Call, reusable: bool) -> wasmtime::Result<()> {
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(p2::http::types::Scheme::Http, call.request)?;
    let out = http.new_response_outparam(call.head)?;
    let handler = proxy.wasi_http_incoming_handler();
    handler.call_handle(store, request, out).await?;
    if reusable {
        // The response still uses the instance: the next request must not see its end.
        let _ = call.through.await;
    }
    Ok(())
}

/// A guest of WASI 0.3 returns its response and writes the body from a task of its own, which runs until the body is
/// through.
async fn serve_03(store: &mut Store<State>, service: &p3_bindings::Service, call: Call) -> wasmtime::Result<()> {
    let request = in_absolute_form(call.request)?;
    let (request, _broken_off) = p3::Request::from_http(store.data_mut().http().hooks, request);
    let serve = async |accessor: &Accessor<State>| {
        let response = match service.handle(accessor, request).await? {
            Ok(response) => Ok(accessor.with(|store| response.into_http(store, ready(Ok(()))))?),
            Err(code) => Err(ErrorCode::InternalError(Some(code.to_string()))),
        };
        // A client that went away needs no answer.
        let _ = call.head.send(response);
        let _ = call.through.await;
        wasmtime::Result::Ok(())
    };
    store.run_concurrent(serve).await?
}

/// WASI 0.3 takes scheme and authority from the target, where HTTP/1.1 has neither.
fn in_absolute_form(mut request: Request<WasiBody>) -> wasmtime::Result<Request<WasiBody>> {
    let mut target = std::mem::take(request.uri_mut()).into_parts();
    target.scheme.get_or_insert(Scheme::HTTP);
    if target.authority.is_none() {
        let host = request.headers().get(header::HOST).map(|host| host.as_bytes());
        target.authority = Some(Authority::try_from(host.unwrap_or_default())?);
    }
    target.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(target)?;
    Ok(request)
}
