//! Artifacts as files, tags, signatures and transfers: everything Dunlin knows of OCI.
//!
//! A [`registry::Registry`] pulls into a [`store::Store`], a [`verify::Verifier`] turns a claimed descriptor into a
//! [`Verified`] one, and [`artifact::open`] reads what such a descriptor names. Nothing here compiles or runs code, reads
//! an environment variable, or opens weights or modules that no verdict covers.

pub mod clock;
pub mod digest;
pub mod reference;

pub mod annotation;
pub mod descriptor;
pub mod manifest;
pub mod media_type;

pub mod store;

pub mod key;
pub mod sign;
pub mod verify;

pub mod artifact;
pub mod format;
pub mod pack;
pub mod update;

pub mod registry;
pub mod share;

pub use descriptor::{Descriptor, Platform};
pub use digest::Digest;
pub use reference::Reference;
pub use store::Store;
pub use verify::{Verified, Verifier};
