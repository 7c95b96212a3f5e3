//! Annotation keys that this crate reads and writes, each with the specification it comes from.

/// Name of a manifest in an image layout, and of a tag in the store (image-spec).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// File name of a layer (image-spec; set by `oras push`).
pub const TITLE: &str = "org.opencontainers.image.title";
/// When an artifact was created, RFC 3339 (image-spec).
pub const CREATED: &str = "org.opencontainers.image.created";
/// Path of a model file inside its model (ModelPack).
pub const MODEL_FILEPATH: &str = "org.cncf.model.filepath";
/// The same before ModelPack was renamed; read, never written.
pub const MODEL_FILEPATH_OLD: &str = "org.cnai.model.filepath";
/// JSON list of the models that a module may open, pinned by digest.
pub const MODELS: &str = "dev.dunlin.models.v1";
/// Name by which a module opens the model that lies in the same manifest; `default` where it is absent.
pub const MODEL_NAME: &str = "dev.dunlin.model-name.v1";
/// JSON object of what a module asks its host for.
pub const CAPABILITIES: &str = "dev.dunlin.capabilities.v1";
/// When a signature was made, RFC 3339: on the subject of a signed statement.
pub const SIGNED_AT: &str = "dev.dunlin.signed-at";
/// Digest of the blob that a delta needs: on a delta's manifest.
pub const DELTA_BASE: &str = "dev.dunlin.delta.base";
/// Digest of the blob that a delta makes: on a delta's manifest.
pub const DELTA_TARGET: &str = "dev.dunlin.delta.target";
/// Digest of the blob that a list of chunks describes: on its manifest.
pub const CHUNKS_TARGET: &str = "dev.dunlin.chunks.target";
/// The legacy tag of cosign that a manifest was found under: in the store's lists of referrers.
pub const LEGACY_TAG: &str = "dev.dunlin.cosign-tag";
/// What a Sigstore bundle in a referrer contains (cosign 3).
pub const BUNDLE_CONTENT: &str = "dev.sigstore.bundle.content";
/// Predicate type of the statement in a Sigstore bundle (cosign 3).
pub const BUNDLE_PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
