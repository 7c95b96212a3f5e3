//! The one place that turns an error into a message, a hint and an exit code.

mod transfer;

use std::{error::Error, io, process::ExitCode};

use dunlin_models::{
    artifact::ArtifactError,
    key::KeyError,
    pack::PackError,
    reference::ReferenceError,
    sign::{RootError, SignError, SigningConfigError},
    store::{StoreError, archive::ArchiveError},
    verify::VerifyError,
};
use dunlin_node::{
    CodeError, EngineOptionsError, build::BuildError, config::ConfigError, environment::EnvironmentError, error_chain,
    infer::InferError, local::LocalFileError, model::ModelError, open::OpenError, pack::PackFault, recipe::RecipeError,
    resident::ResidentError, run::RunFault, sandbox::SandboxError, serve::ServeError, target::TargetError,
    trust::TrustError,
};

use transfer::pull_exit;

/// What kind of failure it is: the documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Anything without a code of its own.
    Failed = 1,
    /// The command line.
    Usage = 2,
    /// Something named is not there.
    NotFound = 3,
    /// The trust policy says no.
    Refused = 4,
    /// An artifact, or bytes of it, are not what they should be.
    Corrupt = 5,
    /// A registry or the network.
    Network = 6,
    /// Disk, port, permission.
    Local = 7,
    /// The guest trapped, or broke a limit.
    Guest = 8,
    /// The model cannot be loaded, or its inputs do not fit.
    Model = 9,
}

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    fn of(exit: Exit, error: &dyn Error, hint: Option<String>) -> Self {
        Self {
            exit,
            message: error_chain(error),
            details: Vec::new(),
            hint,
        }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: String) -> Self {
        Self {
            exit: Exit::Usage,
            message,
            details: Vec::new(),
            hint: None,
        }
    }

    /// Something that was named is not there.
    pub(crate) fn not_found(message: String) -> Self {
        Self {
            exit: Exit::NotFound,
            message,
            details: Vec::new(),
            hint: None,
        }
    }

    /// The engine died.
    pub(crate) fn engine(message: String) -> Self {
        Self {
            exit: Exit::Model,
            message,
            details: Vec::new(),
            hint: None,
        }
    }

    /// The trust policy says no, as was explained.
    pub(crate) fn refused(reference: &str, reason: Option<&str>) -> Self {
        Self {
            exit: Exit::Refused,
            message: reason.map_or_else(|| format!("{reference} is refused"), str::to_owned),
            details: Vec::new(),
            hint: None,
        }
    }

    /// The store has damages that are not mended.
    pub(crate) fn damaged(count: usize, tried: bool) -> Self {
        Self {
            exit: Exit::Corrupt,
            message: format!("the store has {count} damages"),
            details: Vec::new(),
            hint: Some(if tried {
                "pull the artifacts that name what is missing again".to_owned()
            } else {
                "`dunlin fsck --mend` moves aside what is wrong".to_owned()
            }),
        }
    }

    /// A model was named where a module belongs.
    pub(crate) fn not_a_module(name: &str, command: &str) -> Self {
        Self {
            exit: Exit::Usage,
            message: format!("`{name}` is a model; `dunlin {command}` takes a module"),
            details: Vec::new(),
            hint: Some(format!("run a model alone with `dunlin infer {name}`")),
        }
    }
}

/// Prints `failure` and gives its exit code.
#[allow(clippy::print_stderr, reason = "this is where failures are reported")]
pub(crate) fn failure(failure: &Failure) -> ExitCode {
    eprintln!("error: {}", failure.message);
    for detail in &failure.details {
        eprintln!("  - {detail}");
    }
    if let Some(hint) = &failure.hint {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(failure.exit as u8)
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let (exit, hint) = match error.kind() {
            io::ErrorKind::NotFound => (Exit::NotFound, None),
            io::ErrorKind::AlreadyExists => (
                Exit::Local,
                Some("choose another name: existing files are not overwritten"),
            ),
            io::ErrorKind::StorageFull => (Exit::Local, Some("free some space")),
            _ => (Exit::Local, None),
        };
        Self::of(exit, &error, hint.map(str::to_owned))
    }
}

impl From<EnvironmentError> for Failure {
    fn from(error: EnvironmentError) -> Self {
        Self::of(Exit::Local, &error, Some(error.hint()))
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        let exit = match &error {
            TrustError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            TrustError::Read { .. } => Exit::Local,
            TrustError::TooLarge { .. } | TrustError::Policy { .. } => Exit::Refused,
            TrustError::NoSigner => Exit::Usage,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let exit = match &error {
            TargetError::NoSuchPath { .. } => Exit::NotFound,
            TargetError::NoLayout { .. } | TargetError::Reference { .. } => Exit::Usage,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<ReferenceError> for Failure {
    fn from(error: ReferenceError) -> Self {
        Self::of(Exit::Usage, &error, error.hint())
    }
}

fn store_exit(error: &StoreError) -> Exit {
    match error {
        StoreError::UnknownReference { .. } | StoreError::BlobMissing { .. } => Exit::NotFound,
        StoreError::Io { .. }
        | StoreError::NoSpace { .. }
        | StoreError::ReadOnly { .. }
        | StoreError::NotAStore { .. } => Exit::Local,
        StoreError::NotATag { .. } | StoreError::NoSingleEntry { .. } => Exit::Usage,
        _ => Exit::Corrupt,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(store_exit(&error), &error, error.hint())
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let mut failure = Self::of(Exit::Refused, &error, error.hint());
        failure.details = error.explain().to_vec();
        failure
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::of(Exit::Usage, &error, error.hint())
    }
}

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        let exit = match &error {
            SignError::Store(source) => store_exit(source),
            _ => Exit::Failed,
        };
        Self::of(exit, &error, error.hint())
    }
}

fn pack_exit(error: &PackError) -> Exit {
    match error {
        PackError::Store(source) => store_exit(source),
        PackError::Read(source) if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
        PackError::Read(_) => Exit::Local,
        PackError::ExternalMissing { .. } => Exit::NotFound,
        _ => Exit::Usage,
    }
}

impl From<SigningConfigError> for Failure {
    fn from(error: SigningConfigError) -> Self {
        Self::of(Exit::Usage, &error, error.hint())
    }
}

impl From<RootError> for Failure {
    fn from(error: RootError) -> Self {
        Self::of(Exit::Usage, &error, error.hint())
    }
}

impl From<PackFault> for Failure {
    fn from(error: PackFault) -> Self {
        let exit = match &error {
            PackFault::Store(source) | PackFault::Link { source, .. } => store_exit(source),
            PackFault::ImageModel { .. } | PackFault::FatModels => Exit::Usage,
            PackFault::Pack(source) => pack_exit(source),
        };
        Self::of(exit, &error, error.hint())
    }
}

fn file_exit(source: &io::Error) -> Exit {
    match source.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Local,
    }
}

impl From<RecipeError> for Failure {
    fn from(error: RecipeError) -> Self {
        let exit = match &error {
            RecipeError::Read(source) => file_exit(source),
            _ => Exit::Usage,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let exit = match &error {
            BuildError::NoCommand { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let exit = match &error {
            ConfigError::Read(source) => file_exit(source),
            _ => Exit::Usage,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        let exit = match &error {
            ArchiveError::Store(source) => store_exit(source),
            ArchiveError::Write(_) | ArchiveError::Layout(_) | ArchiveError::NotEmpty { .. } => Exit::Local,
            _ => Exit::Corrupt,
        };
        Self::of(exit, &error, error.hint())
    }
}

fn artifact_exit(error: &ArtifactError) -> Exit {
    match error {
        ArtifactError::Store { source, .. } => store_exit(source),
        ArtifactError::UnknownLink { .. } => Exit::NotFound,
        _ => Exit::Corrupt,
    }
}

fn model_exit(error: &ModelError) -> Exit {
    match error {
        ModelError::Open { source, .. } => store_exit(source),
        ModelError::NoWeights { .. } | ModelError::Ambiguous { .. } => Exit::Corrupt,
        ModelError::NoEngine { .. } => Exit::Model,
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::Store { source, .. } => store_exit(source),
            OpenError::Refused(_) | OpenError::UnsignedFile { .. } => Exit::Refused,
            OpenError::Pull { source, .. } => pull_exit(source),
            OpenError::Artifact { source, .. } => artifact_exit(source),
            OpenError::Model { source, .. } => model_exit(source),
            OpenError::LinkedModelMissing { .. } => Exit::NotFound,
            OpenError::File(source) => match source {
                LocalFileError::Refused { .. } => Exit::Refused,
                LocalFileError::Read { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
                LocalFileError::Read { .. } => Exit::Local,
                LocalFileError::TooLarge { .. } => Exit::Model,
            },
            OpenError::Name { .. } => Exit::Usage,
        };
        let mut failure = Self::of(exit, &error, error.hint());
        if let OpenError::Refused(source) = &error {
            failure.details = source.explain().to_vec();
        }
        failure
    }
}

impl From<EngineOptionsError> for Failure {
    fn from(error: EngineOptionsError) -> Self {
        Self::of(Exit::Model, &error, error.hint())
    }
}

fn resident_exit(error: &ResidentError) -> Exit {
    match error {
        ResidentError::Model(source) => model_exit(source),
        ResidentError::Load(_) | ResidentError::Lost { .. } => Exit::Model,
    }
}

impl From<ResidentError> for Failure {
    fn from(error: ResidentError) -> Self {
        Self::of(resident_exit(&error), &error, error.hint())
    }
}

impl From<InferError> for Failure {
    fn from(error: InferError) -> Self {
        let exit = match &error {
            InferError::ReadInput { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            InferError::ReadInput { .. } | InferError::WriteOutput { .. } => Exit::Local,
            _ => Exit::Model,
        };
        Self::of(exit, &error, error.hint())
    }
}

fn sandbox_exit(error: &SandboxError) -> Exit {
    match error {
        SandboxError::Model(source) => model_exit(source),
        SandboxError::UnsafePath { .. } | SandboxError::Rights(_) => Exit::Corrupt,
        SandboxError::Layout { .. } => Exit::Local,
    }
}

fn code_exit(error: &CodeError) -> Exit {
    match error {
        CodeError::Engine(_) => Exit::Local,
        CodeError::Text { .. } | CodeError::Compile { .. } => Exit::Corrupt,
    }
}

impl From<RunFault> for Failure {
    fn from(error: RunFault) -> Self {
        let exit = match &error {
            RunFault::Code(source) => code_exit(source),
            RunFault::Link { .. } => Exit::Corrupt,
            RunFault::Sandbox { source, .. } => sandbox_exit(source),
            RunFault::Scheduler(_) => Exit::Local,
            RunFault::Run { .. } => Exit::Guest,
        };
        Self::of(exit, &error, error.hint())
    }
}

fn serve_exit(error: &ServeError) -> Exit {
    match error {
        ServeError::Code(source) => code_exit(source),
        ServeError::Link { .. } => Exit::Corrupt,
        ServeError::Sandbox { source, .. } => sandbox_exit(source),
        ServeError::Model { source, .. } => resident_exit(source),
        ServeError::Scheduler(_) | ServeError::Bind { .. } | ServeError::Signals(_) => Exit::Local,
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self::of(serve_exit(&error), &error, error.hint())
    }
}
