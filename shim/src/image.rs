//! Trust at create: which image a container is of, by containerd's own records, and whether this node's policy admits it. The
//! verdict is on the manifest's digest, offline, with the signatures that the node's store has.

pub(crate) mod artifact;

use std::{io, path::PathBuf};

use dunlin_models::{
    Descriptor, Digest, Reference, Store, Verified, Verifier,
    artifact::ArtifactError,
    reference::ReferenceError,
    store::StoreError,
    verify::{Candidate, PolicyError, SignatureSource, SourceError, TrustPolicy, VerifyError},
};
use prost::Message;

use crate::{
    grpc::{Grpc, GrpcError},
    pod::Pod,
    spec::Spec,
};

/// What the user called the image, by the CRI plugin's own hand.
const IMAGE_NAME_ANNOTATION: &str = "io.kubernetes.cri.image-name";
/// A policy larger than this is none.
const MAX_POLICY_BYTES: u64 = 1 << 20;

/// Why an image's program does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// The policy says no.
    #[error("the trust policy of this node refuses the image")]
    Refused {
        /// Why.
        #[source]
        source: Box<VerifyError>,
    },
    /// The policy cannot be used; nothing runs on a guess.
    #[error("the trust policy {} cannot be used", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// containerd does not say which image it is.
    #[error("containerd does not say what `{what}` is")]
    Unknown {
        /// The container or image.
        what: String,
        /// Why.
        #[source]
        source: GrpcError,
    },
    /// The image's name is no reference.
    #[error("the image is called `{name}`, which no policy can name")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// The image's digest is none.
    #[error("containerd calls the image's digest `{digest}`")]
    Digest {
        /// What it says.
        digest: String,
    },
    /// The node's store does not have it.
    #[error("the artifact `{name}` is not in the node's store")]
    Store {
        /// The artifact.
        name: String,
        /// What the store says.
        #[source]
        source: Box<StoreError>,
    },
    /// It is verified and not usable.
    #[error("the artifact `{name}` is not usable")]
    Artifact {
        /// The artifact.
        name: String,
        /// Why.
        #[source]
        source: Box<ArtifactError>,
    },
    /// A blob of the image is not what the image says.
    #[error("the blob {digest} of the image cannot be used")]
    Content {
        /// The blob.
        digest: Digest,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// containerd does not say where its blobs are.
    #[error("containerd does not say where its content store is")]
    NoContent,
    /// An image of several modules, or of none.
    #[error("the image has {found} WebAssembly layers instead of one")]
    Layers {
        /// How many.
        found: usize,
    },
    /// A file is called WebAssembly and is not.
    #[error("`{name}` is not a WebAssembly binary")]
    NotWasm {
        /// The program.
        name: String,
    },
    /// Neither a module nor an applet.
    #[error("`{name}` is neither a WebAssembly module of the image nor a built-in applet")]
    NoProgram {
        /// The program.
        name: String,
    },
    /// The program is too large.
    #[error("the program has more than {limit} bytes")]
    TooLarge {
        /// Most bytes.
        limit: u64,
    },
    /// The program cannot be read.
    #[error("the program {digest} cannot be read")]
    Program {
        /// Its digest, where it is known.
        digest: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The compiler does not run.
    #[error("the compiler `{}` does not run", program.display())]
    Compiler {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program does not compile.
    #[error("the program {digest} does not compile: {message}")]
    DoesNotCompile {
        /// Its digest.
        digest: String,
        /// The compiler's account.
        message: String,
    },
}

impl ImageError {
    /// Whether it is the policy's doing.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Policy { .. })
    }

    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { source } if matches!(**source, VerifyError::NoPolicy { .. }) => Some(
                "put a trust policy in place (`policy` in the shim's configuration), or set `allow_unsigned` there"
                    .to_owned(),
            ),
            Self::Refused { source } => source.hint(),
            Self::Store { source, .. } => source.hint(),
            Self::Artifact { source, .. } => source.hint(),
            Self::NotWasm { .. } => Some("precompiled code is never run: ship the .wasm file".to_owned()),
            Self::NoProgram { .. } => Some("put the module into the image, or use one of the applets".to_owned()),
            Self::Compiler { .. } => Some("install dunlin-shim-compile beside the shim".to_owned()),
            Self::Unknown { .. } => Some("is containerd's gRPC socket reachable from the shim?".to_owned()),
            _ => None,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct GetRequest {
    #[prost(string, tag = "1")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    container: Option<ContainerRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ContainerRecord {
    #[prost(string, tag = "3")]
    image: String,
}

#[derive(Clone, PartialEq, Message)]
struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    image: Option<ImageRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ImageRecord {
    #[prost(message, optional, tag = "3")]
    target: Option<TargetRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct TargetRecord {
    #[prost(string, tag = "1")]
    media_type: String,
    #[prost(string, tag = "2")]
    digest: String,
    #[prost(int64, tag = "3")]
    size: i64,
}

/// No signatures: the node has no store.
struct Nothing;

impl SignatureSource for Nothing {
    fn candidates(&self, _: &Digest) -> Result<Vec<Candidate>, SourceError> {
        Ok(Vec::new())
    }
}

/// Admits the image of container `id`, or says why not.
///
/// # Errors
/// A refusal, and everything that keeps the question from being answered.
pub(crate) async fn admit(pod: &Pod, id: &str, spec: &Spec) -> Result<(), ImageError> {
    if pod.config.allow_unsigned && read_policy(pod)?.is_none() {
        let image = spec.annotations.get(IMAGE_NAME_ANNOTATION);
        tracing::warn!(
            id,
            image,
            "no trust policy on this node: the image runs unsigned, by configuration"
        );
        return Ok(());
    }
    let (reference, descriptor) = identify(pod, id, spec).await?;
    let store = Store::open_layout(&pod.config.store).ok();
    judge(pod, store.as_ref(), &reference, &descriptor).map(drop)
}

/// The policy's verdict on `descriptor`, with the signatures that `store` has.
fn judge(
    pod: &Pod,
    store: Option<&Store>,
    reference: &Reference,
    descriptor: &Descriptor,
) -> Result<Verified<Descriptor>, ImageError> {
    let verifier = read_policy(pod)?.map_or_else(Verifier::deny_all, Verifier::new);
    let source: &dyn SignatureSource = match store {
        Some(store) => store,
        None => &Nothing,
    };
    let verdict = match verifier.verify(source, reference, descriptor) {
        Err(_refusal) if pod.config.allow_unsigned => verifier.allow_unsigned(reference, descriptor),
        verdict => verdict,
    };
    let verified = verdict.map_err(|refusal| ImageError::Refused {
        source: Box::new(refusal),
    })?;
    tracing::info!(%reference, digest = %verified.digest, verdict = %verified.verdict(), "admitted");
    Ok(verified)
}

/// The policy of this node; `None` when there is none, which admits nothing.
fn read_policy(pod: &Pod) -> Result<Option<TrustPolicy>, ImageError> {
    let path = &pod.config.policy;
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| ImageError::Policy {
        path: path.clone(),
        source,
    };
    let size = match fs_err::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.into())),
    };
    if size > MAX_POLICY_BYTES {
        return Err(unusable(format!("it is larger than {MAX_POLICY_BYTES} bytes").into()));
    }
    let text = fs_err::read_to_string(path).map_err(|error| unusable(error.into()))?;
    let folder = path.parent().unwrap_or(std::path::Path::new("/"));
    let policy = TrustPolicy::parse(&text, folder).map_err(|error: PolicyError| unusable(error.into()))?;
    Ok(Some(policy))
}

/// The image by containerd's records: what a pod says of itself has no say in it.
async fn identify(pod: &Pod, id: &str, spec: &Spec) -> Result<(Reference, Descriptor), ImageError> {
    let unknown = |what: &str| {
        let what = what.to_owned();
        move |source| ImageError::Unknown { what, source }
    };
    let mut grpc = Grpc::connect(&pod.containerd.address, &pod.namespace)
        .await
        .map_err(unknown(id))?;
    let container: GetContainerResponse = grpc
        .call(
            "containerd.services.containers.v1.Containers",
            "Get",
            &GetRequest { id: id.to_owned() },
        )
        .await
        .map_err(unknown(id))?;
    let name = container.container.unwrap_or_default().image;
    let image: GetImageResponse = grpc
        .call(
            "containerd.services.images.v1.Images",
            "Get",
            &GetRequest { id: name.clone() },
        )
        .await
        .map_err(unknown(&name))?;
    let target = image.image.unwrap_or_default().target.unwrap_or_default();
    let digest: Digest = target.digest.parse().map_err(|_| ImageError::Digest {
        digest: target.digest.clone(),
    })?;
    // The CRI plugin may record an image by its id; then the name is what it says the user called it.
    let called = match spec.annotations.get(IMAGE_NAME_ANNOTATION) {
        Some(called) if name.starts_with("sha256:") => called,
        _ => &name,
    };
    let reference: Reference = called.parse().map_err(|source| ImageError::Name {
        name: called.clone(),
        source,
    })?;
    let size = u64::try_from(target.size).unwrap_or(0);
    Ok((reference, Descriptor::new(&target.media_type, digest, size)))
}
