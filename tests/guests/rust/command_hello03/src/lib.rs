//! A command of WASI 0.3: writes its arguments to standard output through a stream, one per line. With the argument `fail`
//! it ends without success, with `wait` it waits for a millisecond first, and with `spin` it never ends.

// Its exports have names that only a linker for WebAssembly takes.
#[cfg(target_family = "wasm")]
mod command;
