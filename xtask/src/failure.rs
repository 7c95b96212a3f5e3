//! The one error that reaches `main`: the failure of a subcommand, with its hint.

use crate::{
    assets::AssetError, cache::CacheError, fixtures::FixtureError, guests::GuestError, tools::ToolError,
    venv::VenvError,
};

/// Failure of a subcommand. Transparent: the text is that of the error inside.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The cache folder could not be found.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// An asset could not be fetched.
    #[error(transparent)]
    Asset(#[from] AssetError),
    /// The Python environment could not be made.
    #[error(transparent)]
    Venv(#[from] VenvError),
    /// A fixture could not be generated.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// The demo did not do what it promises.
    #[error("{0:#}")]
    Demo(anyhow::Error),
    /// A guest could not be built.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// A tool of the tests could not be built.
    #[error(transparent)]
    Tool(#[from] ToolError),
}

impl Failure {
    /// One line that tells the user what to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Cache(error) => error.hint(),
            Self::Asset(error) => error.hint(),
            Self::Venv(error) => error.hint(),
            Self::Fixture(error) => error.hint(),
            Self::Guest(error) => error.hint(),
            Self::Tool(error) => error.hint(),
            Self::Demo(_) => None,
        }
    }
}
