//! Runs the build command of a [`ModuleRecipe`]: the author's own shell command, in the recipe's folder.

use std::{
    io,
    path::PathBuf,
    process::{Command, ExitStatus, Stdio},
};

use thiserror::Error;

use crate::recipe::ModuleRecipe;

/// Why a module was not built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The recipe has no build command.
    #[error("the recipe has no `build` command for {}", file.display())]
    NoCommand {
        /// The module's file.
        file: PathBuf,
    },
    /// There is no shell.
    #[error("cannot start the build command `{command}`")]
    Start {
        /// The command.
        command: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The command failed.
    #[error("the build command `{command}` failed: {status}")]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The command ended well, and the module is not there.
    #[error("the build command `{command}` made no {}", file.display())]
    NoOutput {
        /// The command.
        command: String,
        /// The module's file.
        file: PathBuf,
    },
}

impl BuildError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommand { .. } => Some("add `build = \"...\"` to [module], or use `dunlin pack`".to_owned()),
            Self::NoOutput { .. } => Some("`file` of [module] names what the command writes".to_owned()),
            Self::Start { .. } | Self::Failed { .. } => None,
        }
    }
}

/// Builds the module; what the command prints goes to standard error, so that results can be piped.
///
/// # Errors
/// See [`BuildError`].
pub fn build(module: &ModuleRecipe) -> Result<(), BuildError> {
    let Some(command) = &module.build else {
        return Err(BuildError::NoCommand {
            file: module.file.clone(),
        });
    };
    let start = |source| BuildError::Start {
        command: command.clone(),
        source,
    };
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(io::stderr());
    if !module.folder.as_os_str().is_empty() {
        shell.current_dir(&module.folder);
    }
    let status = shell.status().map_err(start)?;
    if !status.success() {
        return Err(BuildError::Failed {
            command: command.clone(),
            status,
        });
    }
    if !module.file.is_file() {
        return Err(BuildError::NoOutput {
            command: command.clone(),
            file: module.file.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{Content, Recipe};

    fn module(text: &str) -> (tempfile::TempDir, ModuleRecipe) {
        let folder = tempfile::tempdir().unwrap();
        let recipe = Recipe::parse(text, &folder.path().join("dunlin.toml")).unwrap();
        let Content::Module(module) = recipe.content else {
            panic!("no module")
        };
        (folder, *module)
    }

    #[test]
    fn the_command_runs_in_the_folder_and_must_make_the_module() {
        let (folder, module) = module("[module]\nfile = \"a.wasm\"\nbuild = \"echo made > a.wasm\"");
        build(&module).unwrap();
        assert!(folder.path().join("a.wasm").is_file());
    }

    #[test]
    fn failures_name_the_command() {
        let (_folder, failing) = module("[module]\nfile = \"a.wasm\"\nbuild = \"exit 3\"");
        let error = build(&failing).unwrap_err();
        assert!(error.to_string().contains("`exit 3` failed"), "{error}");
        let (_folder, idle) = module("[module]\nfile = \"a.wasm\"\nbuild = \"true\"");
        assert!(matches!(build(&idle), Err(BuildError::NoOutput { .. })));
        let (_folder, none) = module("[module]\nfile = \"a.wasm\"");
        assert!(matches!(build(&none), Err(BuildError::NoCommand { .. })));
    }
}
