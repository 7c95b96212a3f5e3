//! A whole Sigstore in memory for tests: certificate authority with Fulcio's extensions, CT log, Rekor v1 and v2,
//! timestamp authority; bundles, legacy signatures and trusted roots made by them; and a named [`Flaw`] for every way to
//! get one wrong. It is for tests alone: nothing here checks its arguments.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "support code of tests")]

mod authority;
mod body;
mod case;
mod certificate;
mod ct;
mod damage;
mod evidence;
mod flaw;
mod identity;
mod key;
mod legacy;
mod log;
mod merkle;
mod pki;
mod root;
mod services;
mod signed;
mod stamp;

pub use authority::Authority;
pub use case::{Case, STATEMENT_TYPE};
pub use ct::CtLog;
pub use flaw::Flaw;
pub use identity::{Identity, San};
pub use key::{Key, sha256};
pub use legacy::{LegacySignature, simple_signing};
pub use log::{Generation, Log};
pub use pki::{Authorities, Pki};
pub use signed::Signed;
pub use stamp::{Style, TimestampAuthority};
