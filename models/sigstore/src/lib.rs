//! Keyless trust: Sigstore bundles verified against an offline trusted root, legacy cosign signatures, cosign's encrypted
//! private keys, and keyless signing. The crate is the fence around `sigstore-verify`, whose API breaks at every release:
//! nothing of it appears in a public signature. It reads no file and no environment variable, opens no connection
//! (signing is handed a [`sign::Http`]), and never decides whom to trust: it says what was proven.

pub mod key_file;
pub mod legacy;
pub mod sign;
pub mod verify;

mod digest;
mod fence;
mod json;
mod limits;
mod refusal;
mod requirements;
mod root;
mod signer;

pub use digest::Sha256;
pub use limits::{BUNDLE_BYTES, CONFIGURATION_BYTES};
pub use refusal::{Cause, Refusal};
pub use requirements::{LogRequirement, Requirements, SctRequirement, TimeRequirement};
pub use root::{RootError, TrustRoot};
pub use signer::{
    Claims, Content, Generation, Identity, Inclusion, LogEntry, Proof, Signer, SigningTime, Statement, TimeSource,
};
