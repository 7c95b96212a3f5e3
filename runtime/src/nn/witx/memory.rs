//! [`Memory`]: the guest's memory as plain bytes. Every pointer and length comes from the guest and is checked here; what
//! does not fit is an error code.

use wasmtime::{AsContext, AsContextMut, Caller, Extern};

use crate::nn::NnError;

/// Bytes of a pointer, a length or a handle in the guest.
const WORD_BYTES: u32 = 4;

/// The memory that the guest exports as `memory`.
#[derive(Clone, Copy)]
pub(super) struct Memory(wasmtime::Memory);

impl Memory {
    pub(super) fn of<T: 'static>(caller: &mut Caller<'_, T>) -> Result<Self, NnError> {
        match caller.get_export("memory") {
            Some(Extern::Memory(memory)) => Ok(Self(memory)),
            // A shared memory changes while it is read.
            _ => Err(NnError::NoMemory),
        }
    }

    /// The bytes at `at`; `what` names them in the error.
    pub(super) fn bytes<'a, T: 'static>(
        self,
        store: impl Into<wasmtime::StoreContext<'a, T>>,
        what: &'static str,
        at: u32,
        len: u32,
    ) -> Result<&'a [u8], NnError> {
        let memory = self.0.data(store);
        range(at, len)
            .and_then(|range| memory.get(range))
            .ok_or(NnError::OutOfBounds { what })
    }

    /// The text at `at`, at most `limit` bytes of it.
    pub(super) fn text<'a, T: 'static>(
        self,
        store: impl Into<wasmtime::StoreContext<'a, T>>,
        what: &'static str,
        (at, len): (u32, u32),
        limit: usize,
    ) -> Result<&'a str, NnError> {
        let bytes = self.bytes(store, what, at, len)?;
        if bytes.len() > limit {
            return Err(NnError::NameTooLong {
                what,
                len: bytes.len(),
                limit,
            });
        }
        std::str::from_utf8(bytes).map_err(|_not_text| NnError::NotText { what })
    }

    /// The little-endian word at `at`.
    pub(super) fn word(self, store: impl AsContext, what: &'static str, at: u32) -> Result<u32, NnError> {
        let bytes = self.bytes(store.as_context(), what, at, WORD_BYTES)?;
        let word = bytes.first_chunk().copied().unwrap_or_default();
        Ok(u32::from_le_bytes(word))
    }

    /// Whether a word can be written at `at`: asked before there is a result that could be lost.
    pub(super) fn check_word(self, store: impl AsContext, what: &'static str, at: u32) -> Result<(), NnError> {
        self.bytes(store.as_context(), what, at, WORD_BYTES).map(drop)
    }

    /// Writes `word` at `at`.
    pub(super) fn write_word(
        self,
        mut store: impl AsContextMut,
        what: &'static str,
        at: u32,
        word: u32,
    ) -> Result<(), NnError> {
        write(self.0.data_mut(store.as_context_mut()), what, at, &word.to_le_bytes())
    }

    /// The memory's bytes and the store's data at once, so that a tensor is copied without a stop on the way.
    pub(super) fn with_data<'a, T: 'static>(
        self,
        store: impl Into<wasmtime::StoreContextMut<'a, T>>,
    ) -> (&'a mut [u8], &'a mut T) {
        self.0.data_and_store_mut(store)
    }
}

/// Copies `bytes` to `at`, all of them or none.
pub(super) fn write(memory: &mut [u8], what: &'static str, at: u32, bytes: &[u8]) -> Result<(), NnError> {
    let target = u32::try_from(bytes.len())
        .ok()
        .and_then(|len| memory.get_mut(range(at, len)?))
        .ok_or(NnError::OutOfBounds { what })?;
    target.copy_from_slice(bytes);
    Ok(())
}

fn range(at: u32, len: u32) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(at).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    Some(start..end)
}
