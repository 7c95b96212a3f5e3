//! Media types that this crate reads and writes, each with the specification it comes from.

/// OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker schema 2 manifest, which some registries convert to.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker schema 2 manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Config of an artifact that has none: the two bytes `{}` (image-spec 1.1).
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Config of a module artifact (CNCF Wasm OCI artifact, version 0).
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// Layer of a module artifact: a core module or a component.
pub const WASM: &str = "application/wasm";

/// `artifactType` of a model artifact (CNCF ModelPack).
pub const MODEL_MANIFEST: &str = "application/vnd.cncf.model.manifest.v1+json";
/// Config of a model artifact (CNCF ModelPack).
pub const MODEL_CONFIG: &str = "application/vnd.cncf.model.config.v1+json";
/// What every ModelPack layer type starts with.
pub const MODEL_PREFIX: &str = "application/vnd.cncf.model.";
/// The same before ModelPack was renamed; read, never written.
pub const MODEL_PREFIX_OLD: &str = "application/vnd.cnai.model.";

/// Config of a container image (image-spec), also of one that holds WebAssembly.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The same as docker writes it; ollama uses it for its models.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Layer of a container image: a tar archive.
pub const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// The same, compressed with gzip.
pub const IMAGE_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The same as docker writes it.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// What every layer type of ollama starts with.
pub const OLLAMA_PREFIX: &str = "application/vnd.ollama.image.";

/// `artifactType` of a bundle: an index that links one module with its models.
pub const BUNDLE: &str = "application/vnd.dunlin.bundle.v1+json";

/// `artifactType` of a delta: a referrer from which one blob of its subject is made, with another blob as base.
pub const DELTA_MANIFEST: &str = "application/vnd.dunlin.delta.v1+json";
/// The delta itself: the one layer of such a referrer.
pub const DELTA: &str = dunlin_delta::DELTA_MEDIA_TYPE;
/// `artifactType` of a list of chunks: a referrer that tells what one blob of its subject is made of.
pub const CHUNKS_MANIFEST: &str = "application/vnd.dunlin.chunks.v1+json";
/// The list itself: the one layer of such a referrer.
pub const CHUNKS: &str = dunlin_delta::CHUNKS_MEDIA_TYPE;

/// Layer and `artifactType` of a signature as cosign 3 writes it.
pub const SIGSTORE_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The older spelling of [`SIGSTORE_BUNDLE`]; read, never written.
pub const SIGSTORE_BUNDLE_OLD: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

/// Layer of a legacy attestation: a DSSE envelope (cosign before version 3).
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";

/// What manifest requests accept, in order of preference.
pub(crate) const MANIFESTS: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// Whether `media_type` is a Sigstore bundle of a version that this crate reads.
#[must_use]
pub fn is_sigstore_bundle(media_type: &str) -> bool {
    media_type == SIGSTORE_BUNDLE || media_type == SIGSTORE_BUNDLE_OLD
}
