//! Caps on what comes from outside. All are checked before anything is parsed or allocated for it.

/// A bundle. Provenance statements run to some hundred kilobytes; base64 adds a third.
pub const BUNDLE_BYTES: usize = 8 << 20;
/// A trusted root or a signing configuration. The public ones have 7 to 20 KiB.
pub const CONFIGURATION_BYTES: usize = 1 << 20;
/// Nesting of any JSON document; bundles and roots need 8 levels.
pub(crate) const JSON_DEPTH: usize = 32;
/// Nesting inside a signed statement, whose predicate is free.
pub(crate) const STATEMENT_DEPTH: usize = 100;
/// Log entries of a bundle: each costs signatures to check.
pub(crate) const LOG_ENTRIES: usize = 8;
/// RFC 3161 tokens of a bundle.
pub(crate) const TIMESTAMPS: usize = 8;
/// Certificates of a chain.
pub(crate) const CERTIFICATES: usize = 8;
/// Signatures on a checkpoint: the log's and its witnesses'.
pub(crate) const CHECKPOINT_LINES: usize = 64;
/// Hashes of an inclusion proof: a tree of 2^63 leaves has paths of 63.
pub(crate) const PROOF_HASHES: usize = 64;
/// Logs and authorities of one kind in a trusted root.
pub(crate) const AUTHORITIES: usize = 64;
/// An annotation or payload of a legacy signature.
pub(crate) const LEGACY_BYTES: usize = 256 << 10;
/// A private key file, of which the public tools write 600 bytes.
pub(crate) const KEY_FILE_BYTES: usize = 64 << 10;
/// A public key in PEM.
pub(crate) const PUBLIC_KEY_BYTES: usize = 16 << 10;
/// An identity token.
pub(crate) const TOKEN_BYTES: usize = 16 << 10;
/// An answer of a signing service.
pub(crate) const ANSWER_BYTES: usize = 1 << 20;
