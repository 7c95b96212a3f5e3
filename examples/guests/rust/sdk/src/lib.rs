//! Guests of Dunlin in Rust: a [`Model`] opened by name, [`Tensor`]s in, [`Outputs`] out, and [`http`] around it.
//!
//! All of it is synchronous: while a guest waits, the host runs others. Only the standard interfaces wasi:nn and wasi:http
//! are used, so what is built with this crate runs on other hosts too.
//!
//! ```no_run
//! use dunlin_guest::{Model, Tensor, http::{Answer, Request, Response}};
//!
//! fn handle(mut request: Request) -> Answer {
//!     let pixels: Vec<f32> = request.json(1 << 20)?;
//!     let outputs = Model::open("default")?.run([("input", Tensor::new(&[1, 3, 224, 224], &pixels)?)])?;
//!     Response::json(&outputs.array::<f32>("logits")?.data)
//! }
//!
//! dunlin_guest::serve!(handle);
//! ```

mod element;
mod error;
pub mod http;
mod model;
mod tensor;

#[doc(hidden)]
pub use wasip2;

pub use element::Element;
pub use error::ModelError;
pub use model::{Model, Output, Outputs};
pub use tensor::{Array, Tensor};

mod bindings {
    #![allow(
        unsafe_code,
        missing_docs,
        reason = "generated: the calling convention of components"
    )]
    wit_bindgen::generate!({ world: "ml", path: "../../wit/deps/wasi-nn.wit" });
}
