//! Failures of what goes to and from registries.

use dunlin_models::{
    registry::{CopyError, PullError, PushError, TransportError},
    update::UpdateError,
};
use dunlin_node::{
    client::ClientError,
    pull::{CopyFault, PullFault, PushFault},
    share::ShareError,
};

use super::{Exit, Failure, serve_exit, store_exit};

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::of(client_exit(&error), &error, error.hint())
    }
}

fn client_exit(error: &ClientError) -> Exit {
    match error {
        ClientError::Store(source) => store_exit(source),
        ClientError::CaFile(_) | ClientError::CaFileTooLarge { .. } => Exit::Usage,
        ClientError::Registry(_) => Exit::Network,
    }
}

pub(super) fn pull_exit(error: &PullFault) -> Exit {
    match error {
        PullFault::Client(source) => client_exit(source),
        PullFault::Pull(source) => match source {
            PullError::Refused { .. } => Exit::Refused,
            PullError::Store { source, .. } | PullError::Keep { source, .. } => store_exit(source),
            PullError::Manifest {
                source: TransportError::Status { status: 404, .. },
                ..
            } => Exit::NotFound,
            PullError::Manifest { .. } | PullError::Signatures { .. } | PullError::Blob { .. } => Exit::Network,
            PullError::NoRegistry { .. } => Exit::Usage,
            _ => Exit::Corrupt,
        },
    }
}

impl From<PullFault> for Failure {
    fn from(error: PullFault) -> Self {
        let mut failure = Self::of(pull_exit(&error), &error, error.hint());
        if let PullFault::Pull(PullError::Refused { source, .. }) = &error {
            failure.details = source.explain().to_vec();
        }
        failure
    }
}

impl From<CopyFault> for Failure {
    fn from(error: CopyFault) -> Self {
        let exit = match &error {
            CopyFault::Client(source) => client_exit(source),
            CopyFault::Copy(CopyError::NoRegistry { .. }) => Exit::Usage,
            CopyFault::Copy(CopyError::WrongManifest { .. } | CopyError::TooLarge { .. }) => Exit::Corrupt,
            CopyFault::Copy(CopyError::Source {
                source: TransportError::Status { status: 404, .. },
                ..
            }) => Exit::NotFound,
            CopyFault::Copy(_) => Exit::Network,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<PushFault> for Failure {
    fn from(error: PushFault) -> Self {
        let exit = match &error {
            PushFault::Client(source) => client_exit(source),
            PushFault::Push(PushError::Store { source, .. })
            | PushFault::Base { source, .. }
            | PushFault::Update(UpdateError::Store { source, .. }) => store_exit(source),
            PushFault::Update(UpdateError::NotAManifest { .. }) => Exit::Corrupt,
            PushFault::Update(_) => Exit::Local,
            PushFault::Push(_) => Exit::Network,
        };
        Self::of(exit, &error, error.hint())
    }
}

impl From<ShareError> for Failure {
    fn from(error: ShareError) -> Self {
        let exit = match &error {
            ShareError::Store(source) => store_exit(source),
            ShareError::Serve(source) => serve_exit(source),
        };
        Self::of(exit, &error, error.hint())
    }
}
