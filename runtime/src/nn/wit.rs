//! The WIT dialect, `wasi:nn@0.2.0-rc-2024-10-28`: component types on one side, the session on the other. Bound by hand
//! rather than generated, so that tensor bytes are read in place from the guest's memory, copied once, and handed back
//! with one copy. The guest's own constructor cannot fail by its interface: a tensor that is refused becomes a handle that
//! remembers why, and says so when it is used.

mod graph;
mod refusal;
mod tensor;
mod types;

use wasmtime::component::{Linker, Resource, ResourceType};

use super::{ErrorCode, NnError, NnView, handles::Handles};
use refusal::code_of_rep;
use types::{ErrorCode as WitErrorCode, ErrorResource};

/// Everything before this in an import's name is the package.
pub(crate) const PACKAGE: &str = "wasi:nn/";
pub(crate) const VERSION: &str = "0.2.0-rc-2024-10-28";

/// Errors that a guest may hold with their texts; more carry the code only.
const MAX_ERROR_TEXTS: usize = 64;

/// The errors that a guest holds, with their texts.
pub(super) struct ErrorTexts(Handles<(ErrorCode, String)>);

impl ErrorTexts {
    pub(super) fn new() -> Self {
        Self(Handles::new(MAX_ERROR_TEXTS, "error", "errors"))
    }

    /// The error as the guest gets it.
    fn raise(&mut self, error: &NnError) -> Resource<ErrorResource> {
        let code = error.code();
        let rep = self
            .0
            .insert((code, error.to_string()))
            .unwrap_or_else(|_full| refusal::rep(code));
        Resource::new_own(rep)
    }

    fn code(&self, rep: u32) -> Result<ErrorCode, NnError> {
        match code_of_rep(rep) {
            Some(code) => Ok(code),
            None => self.0.get(rep).map(|(code, _)| *code),
        }
    }

    fn text(&self, rep: u32) -> Result<String, NnError> {
        match code_of_rep(rep) {
            Some(_) => Ok(String::new()),
            None => self.0.get(rep).map(|(_, text)| text.clone()),
        }
    }

    fn remove(&mut self, rep: u32) -> Result<(), NnError> {
        match code_of_rep(rep) {
            Some(_) => Ok(()),
            None => self.0.remove(rep).map(drop),
        }
    }
}

/// Defines the four interfaces of the package.
pub(crate) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add_errors(linker)?;
    tensor::add_to_linker(linker)?;
    graph::add_to_linker(linker)
}

fn add_errors<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut errors = linker.instance(&interface("errors"))?;
    errors.resource("error", ResourceType::host::<ErrorResource>(), |mut store, rep| {
        let removed = store.data_mut().nn_mut().errors.remove(rep);
        removed.map_err(wasmtime::Error::new)
    })?;
    errors.func_wrap("[method]error.code", |store, (error,): (Resource<ErrorResource>,)| {
        let code = store.data().nn().errors.code(error.rep());
        Ok((WitErrorCode::from(code.map_err(wasmtime::Error::new)?),))
    })?;
    errors.func_wrap("[method]error.data", |store, (error,): (Resource<ErrorResource>,)| {
        let text = store.data().nn().errors.text(error.rep());
        Ok((text.map_err(wasmtime::Error::new)?,))
    })
}

fn interface(name: &str) -> String {
    format!("{PACKAGE}{name}@{VERSION}")
}
