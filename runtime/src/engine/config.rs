//! [`EngineConfig`] and [`PoolConfig`], and how they become a wasmtime configuration. Every setting that guests could
//! tell apart is set here, so that the environment of the process never decides one.

use std::{path::PathBuf, time::Duration};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::error::EngineError;

/// Largest WebAssembly binary that is compiled, in bytes: the largest guests known (language runtimes with their
/// libraries) are a quarter of it, and compiling takes a multiple of it in memory.
pub const MAX_WASM_BYTES: usize = 256 << 20;

/// A component is several core modules: the guest, its adapter, the shims between them.
const CORE_INSTANCES_PER_INSTANCE: u32 = 8;
/// Most components have one memory; the adapter of an older guest brings a second.
const MEMORIES_PER_INSTANCE: u32 = 2;
/// The guest's function table, its adapter's, and those of the shims.
const TABLES_PER_INSTANCE: u32 = 6;
/// Tables and memories of one core module; toolchains make one of each.
const TABLES_PER_MODULE: u32 = 4;
/// See [`TABLES_PER_MODULE`].
const MEMORIES_PER_MODULE: u32 = 2;
/// Book-keeping of a whole component; JavaScript and Python guests need several times wasmtime's default of 1 MiB.
const COMPONENT_INSTANCE_BYTES: usize = 8 << 20;
/// Book-keeping of one core module.
const CORE_INSTANCE_BYTES: usize = 4 << 20;
/// Pages kept mapped when an instance goes, so that the next one of the slot takes no page faults for them.
const KEEP_RESIDENT_BYTES: usize = 128 << 10;

/// What an [`Engine`](super::Engine) is built from.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Folder of compiled code, made with mode 0700 when missing; `None` keeps compiled code in the process only.
    pub cache_dir: Option<PathBuf>,
    /// How many instances there may be, and how large.
    pub pool: PoolConfig,
    /// How often a running guest is interrupted so that others get their turn and limits are checked. At least 1 ms.
    pub epoch_tick: Duration,
    /// Bytes of tensor buffers that are kept for their next use, for all guests together. Buffers in use are bounded by
    /// the guests' own limits.
    pub idle_tensor_bytes: usize,
    /// Certificates (DER) of authorities that guests' HTTPS requests trust besides the system's.
    pub extra_roots: Vec<Vec<u8>>,
}

/// Bounds of the instance pool, for all guests of the process together.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Instances alive at once; one more is refused as busy.
    pub max_instances: u32,
    /// Largest linear memory, in bytes; a guest that declares more is not compiled. At most 4 GiB is used.
    pub max_memory_bytes_per_instance: usize,
    /// Largest table, in elements.
    pub max_table_elements: usize,
}

impl Default for EngineConfig {
    /// No cache on disk, the default pool, a tick of 10 ms (short next to a request, long next to a switch), and room for
    /// the buffers of a few images.
    fn default() -> Self {
        Self {
            cache_dir: None,
            pool: PoolConfig::default(),
            epoch_tick: Duration::from_millis(10),
            idle_tensor_bytes: 128 << 20,
            extra_roots: Vec::new(),
        }
    }
}

impl Default for PoolConfig {
    /// 128 instances of up to 4 GiB: a terabyte or two of address space, none of it memory until it is touched.
    fn default() -> Self {
        Self {
            max_instances: 128,
            max_memory_bytes_per_instance: slot_bytes(),
            max_table_elements: 65_536,
        }
    }
}

/// Builds the wasmtime engine: pooled where the system allows it. The second value says whether it is.
pub(super) fn build(config: &EngineConfig) -> Result<(wasmtime::Engine, bool), EngineError> {
    let mut settings = base();
    settings.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(&config.pool)));
    match wasmtime::Engine::new(&settings) {
        Ok(engine) => Ok((engine, true)),
        Err(refusal) => {
            let engine =
                wasmtime::Engine::new(&base()).map_err(|error| EngineError::Wasmtime { source: error.into() })?;
            tracing::warn!(
                max_instances = config.pool.max_instances,
                error = format!("{refusal:#}"),
                "the instance pool was refused, instances are allocated on demand: raise `ulimit -v` or lower max_instances"
            );
            Ok((engine, false))
        }
    }
}

fn base() -> Config {
    let mut settings = Config::new();
    settings
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        // The default looks at an environment variable.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    settings
}

/// Address space of one memory in the pool: all that 32-bit memories can reach, so that no access needs a bounds check.
fn slot_bytes() -> usize {
    usize::try_from(1_u64 << 32).unwrap_or(usize::MAX)
}

fn pool(config: &PoolConfig) -> PoolingAllocationConfig {
    let instances = config.max_instances.max(1);
    let times = |factor: u32| instances.saturating_mul(factor);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(times(CORE_INSTANCES_PER_INSTANCE))
        .total_memories(times(MEMORIES_PER_INSTANCE))
        .total_tables(times(TABLES_PER_INSTANCE))
        .total_gc_heaps(instances)
        .max_component_instance_size(COMPONENT_INSTANCE_BYTES)
        .max_core_instance_size(CORE_INSTANCE_BYTES)
        .max_tables_per_module(TABLES_PER_MODULE)
        .max_memories_per_module(MEMORIES_PER_MODULE)
        .max_memory_size(config.max_memory_bytes_per_instance.min(slot_bytes()))
        .table_elements(config.max_table_elements)
        .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
        .table_keep_resident(KEEP_RESIDENT_BYTES)
        .pagemap_scan(Enabled::Auto);
    pool
}
