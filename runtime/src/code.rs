//! [`Code`]: a compiled module or component, and what can be said of it without running it: [`WasmKind`], imports,
//! exports and [`World`].

mod world;

use std::{fmt, sync::Arc};

use wasmtime::{ExternType, Module, component::Component};
pub use world::World;

/// Size of a WebAssembly page; memories with other page sizes are not enabled.
const PAGE_BYTES: u64 = 65_536;

/// Compiled code, ready to be linked. Clones share it.
#[derive(Clone)]
pub struct Code {
    pub(crate) inner: Arc<CodeInner>,
}

pub(crate) struct CodeInner {
    digest: String,
    compiled: Compiled,
}

pub(crate) enum Compiled {
    Component(Component),
    Module(Module),
}

/// The two kinds of WebAssembly binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WasmKind {
    /// A core module, as `wasm32-wasip1` makes.
    CoreModule,
    /// A component, as `wasm32-wasip2` makes.
    Component,
}

impl Code {
    pub(crate) fn new(digest: &str, compiled: Compiled) -> Self {
        Self {
            inner: Arc::new(CodeInner {
                digest: digest.to_owned(),
                compiled,
            }),
        }
    }

    pub(crate) fn compiled(&self) -> &Compiled {
        &self.inner.compiled
    }

    /// SHA-256 of the WebAssembly binary, in lower-case hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// Module or component.
    #[must_use]
    pub fn kind(&self) -> WasmKind {
        match self.compiled() {
            Compiled::Component(_) => WasmKind::Component,
            Compiled::Module(_) => WasmKind::CoreModule,
        }
    }

    /// What it imports: interface names of a component (`wasi:nn/graph@0.2.0-rc-2024-10-28`), `module::name` of a
    /// module. In the binary's order.
    #[must_use]
    pub fn imports(&self) -> Vec<String> {
        match self.compiled() {
            Compiled::Component(component) => {
                let engine = component.engine();
                component
                    .component_type()
                    .imports(engine)
                    .map(|(name, _)| name.to_owned())
                    .collect()
            }
            Compiled::Module(module) => module
                .imports()
                .map(|import| format!("{}::{}", import.module(), import.name()))
                .collect(),
        }
    }

    /// What it exports, in the binary's order.
    #[must_use]
    pub fn exports(&self) -> Vec<String> {
        match self.compiled() {
            Compiled::Component(component) => {
                let engine = component.engine();
                component
                    .component_type()
                    .exports(engine)
                    .map(|(name, _)| name.to_owned())
                    .collect()
            }
            Compiled::Module(module) => module.exports().map(|export| export.name().to_owned()).collect(),
        }
    }

    /// What it can be run as, by its exports.
    #[must_use]
    pub fn world(&self) -> World {
        match self.compiled() {
            Compiled::Component(_) => World::of_component(&self.exports()),
            Compiled::Module(module) => World::of_module(
                module
                    .exports()
                    .map(|export| (export.name(), matches!(export.ty(), ExternType::Func(_)))),
            ),
        }
    }

    /// Whether it imports or exports anything of WASI 0.3.
    pub(crate) fn uses_wasi_03(&self) -> bool {
        let is_03 = |name: &String| name.starts_with("wasi:") && name.contains("@0.3.");
        self.imports().iter().any(is_03) || self.exports().iter().any(is_03)
    }

    /// Bytes of the largest memory that an instance starts with; `None` when that is not known before linking.
    #[must_use]
    pub fn initial_memory_bytes(&self) -> Option<u64> {
        let needed = match self.compiled() {
            Compiled::Component(component) => component.resources_required()?,
            Compiled::Module(module) => module.resources_required(),
        };
        Some(needed.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Code")
            .field("kind", &self.kind())
            .field("digest", &self.inner.digest)
            .finish()
    }
}
