//! Why there is no recipe.

use std::path::PathBuf;

use thiserror::Error;

/// A recipe that cannot be used.
#[derive(Debug, Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe")]
    Read(#[source] std::io::Error),
    /// The file is too large to be one.
    #[error("{} is too large for a recipe", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is no TOML, or has a field that nobody knows.
    #[error("the recipe {} is not valid: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// Values that make no sense.
    #[error("the recipe {} is not valid: {}", path.display(), faults.join("; "))]
    Faults {
        /// The file.
        path: PathBuf,
        /// One line for each fault: the field, and what is wrong.
        faults: Vec<String>,
    },
}

impl RecipeError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read(_) => Some("`dunlin pack` takes files, or a folder with a dunlin.toml".to_owned()),
            Self::TooLarge { .. } => None,
            Self::Syntax { .. } | Self::Faults { .. } => Some("docs/reference/recipe.md lists every field".to_owned()),
        }
    }
}
