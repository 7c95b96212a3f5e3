//! [`HttpApp`]: a linked HTTP guest and the requests in flight.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

use bytes::Bytes;
use dunlin_host_gpu::Scheduler;
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, oneshot},
    task::JoinSet,
};

use super::{
    body::{RequestBody, ResponseBody, StopOnDrop},
    config::HttpConfig,
    error::RequestError,
    guest::{GuestPre, Head},
    worker::{self, Instance, Job},
};
use crate::{
    BoxError,
    code::{Code, Compiled, World},
    engine::{Engine, Running},
    grants::Grants,
    limits::Limits,
    link::{self, LinkError, LinkOptions},
    meter::TimeLimits,
    stats::{Counters, InstanceStats},
    store::{StoreParts, check_grants, new_store},
};

/// A linked HTTP guest, ready to serve. Dropping it stops every guest in flight; [`drain`](Self::drain) lets them end.
pub struct HttpApp {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the app and the guests' tasks share.
pub(super) struct Shared {
    engine: Engine,
    code: Code,
    pre: GuestPre,
    grants: Grants,
    limits: Limits,
    config: HttpConfig,
    scheduler: Arc<Scheduler>,
    counters: Arc<Counters>,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Instance>>,
}

impl HttpApp {
    /// Links `code` and resolves its imports; wasi-nn is linked when `grants` has models. Every instance gets the same
    /// grants and limits.
    ///
    /// # Errors
    /// When `code` does not serve HTTP in the way of WASI 0.2 or 0.3, imports what the host does not provide or `grants` do not
    /// grant, or starts with more memory than `limits` allow; and when a grant cannot be given.
    pub fn new(
        engine: &Engine,
        code: Code,
        grants: Grants,
        limits: Limits,
        config: HttpConfig,
        scheduler: Arc<Scheduler>,
    ) -> Result<Self, LinkError> {
        let digest = || code.digest().to_owned();
        let wrong_world = || LinkError::WrongWorld {
            digest: digest(),
            wanted: World::HttpProxy,
            world: code.world(),
            kind: code.kind(),
        };
        let Compiled::Component(component) = code.compiled() else {
            return Err(wrong_world());
        };
        if !code.world().serves_http() {
            return Err(wrong_world());
        }
        check_grants(&grants).map_err(|source| LinkError::Grant {
            digest: digest(),
            source,
        })?;
        if let Some(needed) = code
            .initial_memory_bytes()
            .filter(|&needed| needed > limits.memory_bytes)
        {
            return Err(LinkError::InitialMemory {
                digest: digest(),
                needed,
                limit: limits.memory_bytes,
            });
        }
        let pre = link::component(
            engine,
            &code,
            component,
            LinkOptions {
                models: grants.models.is_some(),
            },
        )?;
        let pre = GuestPre::new(pre, code.world());
        let pre = pre.map_err(|error| LinkError::Mismatch {
            digest: digest(),
            source: error.into(),
        })?;
        let permits = Arc::new(Semaphore::new(
            config.max_concurrent_instances.get().min(Semaphore::MAX_PERMITS),
        ));
        let shared = Shared {
            engine: engine.clone(),
            pre,
            grants,
            limits,
            config,
            scheduler,
            counters: Arc::default(),
            permits,
            idle: Mutex::default(),
            code: code.clone(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            tasks: Mutex::default(),
        })
    }

    /// Serves one request. Returns when the guest has given status and headers; the body streams on.
    ///
    /// # Cancel safety
    /// Dropping the future, or the response's body before its end, stops the guest at its next yield.
    ///
    /// # Errors
    /// See [`RequestError`]; [`RequestError::to_response`] is what the client gets.
    ///
    /// # Panics
    /// Outside a tokio runtime with a timer.
    pub async fn handle<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>, RequestError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let permit = self.shared.permit()?;
        check_authority(&request)?;
        let limit = self.shared.limits.request_body_bytes;
        if request.body().size_hint().lower() > limit {
            return Err(self.shared.body_too_large());
        }
        let method = request.method().clone();
        let (tell_overflow, mut overflow) = oneshot::channel();
        let request = request.map(|body| RequestBody::new(body, limit, tell_overflow).boxed_unsync());
        let (tell_head, mut head) = oneshot::channel();
        let (tell_ended, mut ended) = oneshot::channel();
        let (tell_through, through) = oneshot::channel();
        let broken = Arc::new(AtomicBool::new(false));
        let job = Job {
            request,
            head: tell_head,
            broken: Arc::clone(&broken),
            ended: tell_ended,
            through,
            permit,
        };
        self.shared.counters.calls.up();
        let guest = self.spawn(job);

        let head = tokio::select! {
            biased;
            Ok(()) = &mut overflow => return Err(self.shared.body_too_large()),
            Ok(head) = &mut head => head,
            outcome = &mut ended => {
                // The guest may have responded between the two polls; otherwise its end says why it did not.
                match (head.try_recv(), outcome) {
                    (Ok(head), _) => head,
                    (Err(_), Ok(Err(error))) => return Err(error),
                    (Err(_), Ok(Ok(()))) => return Err(RequestError::NoResponse),
                    (Err(_), Err(_)) => return Err(RequestError::Host { source: "the guest's task ended".into() }),
                }
            }
        };
        let (parts, body) = guest_response(head)?.into_parts();
        let body = ResponseBody::new(body, &method, &parts, broken, guest, tell_through);
        Ok(Response::from_parts(parts, body))
    }

    /// Refuses new requests and waits until the guests in flight are done.
    ///
    /// # Cancel safety
    /// Dropping the future stops the guests that still run: put a timeout around it for a grace period.
    pub async fn drain(&self) {
        self.shared.permits.close();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counters since the app was linked.
    #[must_use]
    pub fn stats(&self) -> InstanceStats {
        self.shared.counters.snapshot()
    }

    /// Instances that wait for their next request; always 0 when instances are not reused.
    #[must_use]
    pub fn idle_instances(&self) -> usize {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Requests being served now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared
            .config
            .max_concurrent_instances
            .get()
            .saturating_sub(self.shared.permits.available_permits())
    }

    /// The code that it runs.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.shared.code
    }

    /// The task belongs to the app; the guard stops it when the request is given up.
    fn spawn(&self, job: Job) -> StopOnDrop {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended
                && error.is_panic()
            {
                tracing::error!(%error, "the host panicked while it served a request");
            }
        }
        StopOnDrop(Some(tasks.spawn(worker::run(Arc::clone(&self.shared), job))))
    }
}

impl Shared {
    fn permit(&self) -> Result<OwnedSemaphorePermit, RequestError> {
        Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(|refused| match refused {
                TryAcquireError::NoPermits => {
                    self.counters.busy_refusals.up();
                    RequestError::Busy {
                        limit: self.config.max_concurrent_instances.get(),
                    }
                }
                TryAcquireError::Closed => RequestError::ShuttingDown,
            })
    }

    fn body_too_large(&self) -> RequestError {
        self.counters.body_refusals.up();
        RequestError::BodyTooLarge {
            limit: self.limits.request_body_bytes,
        }
    }

    /// An idle instance, the one used last, or a new one.
    pub(super) fn instance(&self) -> Result<Instance, RequestError> {
        if let Some(idle) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(idle);
        }
        let parts = StoreParts {
            engine: &self.engine,
            grants: &self.grants,
            limits: &self.limits,
            scheduler: &self.scheduler,
            counters: &self.counters,
        };
        let store = new_store(parts).map_err(|error| RequestError::Host { source: error.into() })?;
        Ok(Instance::new(store))
    }

    pub(super) fn keep(&self, instance: Instance) {
        if !self.permits.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
        }
    }

    pub(super) fn pre(&self) -> &GuestPre {
        &self.pre
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn max_reuse(&self) -> u32 {
        self.config.max_instance_reuse.get()
    }

    pub(super) fn ticking(&self) -> Running {
        self.engine.ticker().running()
    }

    pub(super) fn time_limits(&self) -> TimeLimits {
        let deadline = self.config.request_deadline;
        TimeLimits {
            wall: Some(self.limits.wall.map_or(deadline, |wall| wall.min(deadline))),
            cpu: self.limits.cpu,
        }
    }
}

impl fmt::Debug for HttpApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpApp")
            .field("code", &self.shared.code)
            .field("config", &self.shared.config)
            .field("stats", &self.stats())
            .finish()
    }
}

/// wasi:http gives every request an authority, from its target or its Host header.
fn check_authority<B>(request: &Request<B>) -> Result<(), RequestError> {
    let named = request.uri().authority().is_some()
        || request
            .headers()
            .get(header::HOST)
            .is_some_and(|host| host.to_str().is_ok());
    if named { Ok(()) } else { Err(RequestError::NoAuthority) }
}

fn guest_response(head: Head) -> Result<Response<wasmtime_wasi_http::WasiBody>, RequestError> {
    head.map_err(|code| RequestError::GuestError { code: code.to_string() })
}
