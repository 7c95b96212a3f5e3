//! [`State`]: what one store holds, and [`new_store`], the one place where grants and limits become a store. Every guest
//! gets a store of its own; nothing is shared between two but compiled code, models and budgets.

mod limiter;

use std::sync::Arc;

use dunlin_host_gpu::Scheduler;
use limiter::Limiter;
use wasmtime::Store;
use wasmtime_wasi::{
    FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p1::WasiP1Ctx, p2::pipe::MemoryInputPipe,
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    engine::Engine,
    grants::{GrantError, Grants},
    http::Outbound,
    limits::Limits,
    nn::{NnState, NnView, Session, SessionConfig},
    stats::Counters,
    stdio::{CappedOutput, GuestStream, InstanceId, LineRate, Stdin, Stdout},
};

/// Everything that host functions work on.
pub(crate) struct State {
    wasi: WasiP1Ctx,
    http: WasiHttpCtx,
    outbound: Outbound,
    limiter: Limiter,
    nn: NnState,
    counters: Arc<Counters>,
}

/// What every store of one application is made from.
#[derive(Clone, Copy)]
pub(crate) struct StoreParts<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) grants: &'a Grants,
    pub(crate) limits: &'a Limits,
    pub(crate) scheduler: &'a Arc<Scheduler>,
    pub(crate) counters: &'a Arc<Counters>,
}

/// A store with its limits set, for one instance.
pub(crate) fn new_store(parts: StoreParts<'_>) -> Result<Store<State>, GrantError> {
    let StoreParts {
        engine,
        grants,
        limits,
        scheduler,
        counters,
    } = parts;
    let mut wasi = wasi(grants, limits, counters)?.build_p1();
    wasi.ctx().table.set_max_capacity(limits.handles);
    let session = Session::new(SessionConfig {
        models: grants.models.clone(),
        scheduler: Arc::clone(scheduler),
        tensor_budget: grants.tensor_budget.as_ref(),
        slabs: engine.slabs().clone(),
        limits,
        counters: Arc::clone(counters),
    });
    counters.live_instances.up();
    let state = State {
        wasi,
        http: WasiHttpCtx::new(),
        outbound: Outbound::new(
            Arc::clone(&grants.outbound_hosts),
            engine.tls().clone(),
            limits,
            Arc::clone(counters),
        ),
        limiter: Limiter::new(limits, Arc::clone(counters)),
        nn: NnState::new(session),
        counters: Arc::clone(counters),
    };
    let mut store = Store::new(engine.wasmtime(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.hostcall_bytes);
    store.set_max_component_handles(limits.handles);
    // Time limits are checked where the guest yields, which it does at every tick.
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    Ok(store)
}

impl State {
    /// Counts the instance that was just made.
    pub(crate) fn instance_started(&self) {
        self.counters.instances_started.up();
    }

    /// Bytes that the first memory which did not fit would have taken, when a memory was refused at its creation.
    pub(crate) fn refused_initial_memory(&self) -> Option<u64> {
        self.limiter.refused_initial()
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.nn.session
    }

    pub(crate) fn wasi_p1(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.counters.live_instances.down();
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: self.wasi.ctx().table,
            ctx: &mut self.http,
        }
    }
}

impl NnView for State {
    fn nn(&self) -> &NnState {
        &self.nn
    }

    fn nn_mut(&mut self) -> &mut NnState {
        &mut self.nn
    }
}

/// Checks grants that would fail at every start, without starting anything.
pub(crate) fn check_grants(grants: &Grants) -> Result<(), GrantError> {
    wasi(grants, &Limits::default(), &Arc::default()).map(drop)
}

fn wasi(grants: &Grants, limits: &Limits, counters: &Arc<Counters>) -> Result<WasiCtxBuilder, GrantError> {
    let mut builder = WasiCtx::builder();
    builder.args(&grants.args).envs(&grants.env);
    for preopen in &grants.preopens {
        let perms = if preopen.read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        };
        builder
            .preopened_dir(&preopen.host, &preopen.guest, perms)
            .map_err(|error| GrantError::Preopen {
                host: preopen.host.clone(),
                source: error.into(),
            })?;
    }
    match &grants.stdin {
        Stdin::Empty => {}
        Stdin::Inherit => {
            builder.inherit_stdin();
        }
        Stdin::Bytes(bytes) => {
            builder.stdin(MemoryInputPipe::new(bytes.clone()));
        }
    }
    let instance = InstanceId::next();
    let capped = |target: &Stdout, stream| match target {
        Stdout::Discard | Stdout::Inherit => None,
        Stdout::Sink(sink) => Some(CappedOutput::sink(
            Arc::clone(sink),
            limits.output_bytes,
            Arc::clone(counters),
        )),
        Stdout::Lines(sink) => Some(CappedOutput::lines(
            Arc::clone(sink),
            (instance, stream),
            LineRate::new(limits.log_lines_per_second, Arc::clone(counters)),
            limits.output_bytes,
            Arc::clone(counters),
        )),
    };
    match (&grants.stdout, capped(&grants.stdout, GuestStream::Stdout)) {
        (_, Some(output)) => builder.stdout(output),
        (Stdout::Inherit, None) => builder.inherit_stdout(),
        _ => &mut builder,
    };
    match (&grants.stderr, capped(&grants.stderr, GuestStream::Stderr)) {
        (_, Some(output)) => builder.stderr(output),
        (Stdout::Inherit, None) => builder.inherit_stderr(),
        _ => &mut builder,
    };
    Ok(builder)
}
