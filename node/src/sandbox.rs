//! [`Sandbox`]: a module, what the operator grants it and the limits it gets, turned into what the runtime understands.
//!
//! Rights are the intersection of what the artifact asks for and what the operator grants; models and their files come with
//! the artifact's signed list.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dunlin_runtime::{Grants, Limits, OutboundHost, Preopen};
use fs_err as fs;
use tempfile::TempDir;
use thiserror::Error;

use crate::{
    model::{Model, ModelError},
    open::Module,
    resident::{GrantedModels, ResidentModels},
    rights::{AskedHostError, Granted, Rights},
};

/// Where a guest finds the files of its models: `/models/<name>/<path>`.
pub const MODELS_FOLDER: &str = "/models";
/// Deadline of a command when none is given: none, as in a shell.
const RUN_TIMEOUT: Option<Duration> = None;
/// Deadline of a request when none is given.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What the operator grants besides what the artifact's signed list brings.
#[derive(Debug, Default)]
pub struct Grant {
    /// Models by name; they replace those of the list that have the same name.
    pub models: Vec<(String, Model)>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Folders.
    pub dirs: Vec<Folder>,
    /// Hosts that the guest may send HTTP requests to.
    pub hosts: Vec<OutboundHost>,
}

/// A folder that the guest may open.
#[derive(Debug, Clone)]
pub struct Folder {
    /// The folder on this machine.
    pub host: PathBuf,
    /// Its name in the guest.
    pub guest: String,
    /// Whether files may be read only.
    pub read_only: bool,
}

/// Limits that the operator sets; what is `None` has the artifact's wish, bounded by the default.
#[derive(Debug, Clone, Copy, Default)]
pub struct SandboxLimits {
    /// Most linear memory of one instance, in bytes.
    pub memory_bytes: Option<u64>,
    /// Longest run, or longest request.
    pub timeout: Option<Duration>,
}

/// A module with its rights and limits.
#[derive(Debug)]
pub struct Sandbox {
    /// The module.
    pub module: Module,
    /// What the operator grants.
    pub grant: Grant,
    /// The limits.
    pub limits: SandboxLimits,
}

/// Why a sandbox cannot be prepared.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// A file of a model cannot be opened.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model's file has a path that would leave its folder.
    #[error("model `{model}` has a file with the path `{path}`, which leaves its folder")]
    UnsafePath {
        /// The model.
        model: String,
        /// The path.
        path: String,
    },
    /// The artifact's list of hosts is malformed.
    #[error(transparent)]
    Rights(#[from] AskedHostError),
    /// The files of the models cannot be laid out for the guest.
    #[error("cannot lay out the files of model `{model}`")]
    Layout {
        /// The model.
        model: String,
        /// The file system's answer, naming the path.
        #[source]
        source: io::Error,
    },
}

impl SandboxError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint(),
            Self::Rights(_) => None,
            Self::UnsafePath { .. } => Some("the artifact is malformed, perhaps on purpose: do not use it".to_owned()),
            Self::Layout { .. } => Some("the folder for temporary files must be writable and have room".to_owned()),
        }
    }
}

/// A sandbox as the runtime understands it. The folder of model files lives as long as this does.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) grants: Grants,
    pub(crate) limits: Limits,
    pub(crate) models: Arc<GrantedModels>,
    _files: Option<TempDir>,
}

impl Sandbox {
    /// Lays out the files of the models and gathers grants and limits.
    pub(crate) fn prepare(
        &mut self,
        resident: Arc<ResidentModels>,
        timeout: Option<Duration>,
    ) -> Result<Prepared, SandboxError> {
        let mut models: BTreeMap<String, Model> = std::mem::take(&mut self.module.models);
        models.extend(self.grant.models.drain(..));
        let files = lay_out(&models)?;
        let rights = self.rights()?;
        let mut preopens: Vec<Preopen> = rights
            .dirs
            .iter()
            .map(|folder| Preopen {
                host: folder.host.clone(),
                guest: folder.guest.clone(),
                read_only: folder.read_only,
            })
            .collect();
        preopens.extend(files.as_ref().map(|folder| Preopen {
            host: folder.path().to_owned(),
            guest: MODELS_FOLDER.to_owned(),
            read_only: true,
        }));
        let granted = Arc::new(GrantedModels::new(resident, models));
        let has_models = granted.iter().next().is_some();
        let grants = Grants {
            env: rights.env,
            preopens,
            outbound_hosts: rights.hosts.into(),
            models: has_models.then(|| Arc::clone(&granted) as Arc<dyn dunlin_runtime::ModelProvider>),
            ..Grants::default()
        };
        Ok(Prepared {
            grants,
            limits: self.runtime_limits(timeout),
            models: granted,
            _files: files,
        })
    }

    /// What both the artifact and the operator say; what only one of them says is logged.
    fn rights(&mut self) -> Result<Rights, AskedHostError> {
        let granted = Granted {
            env: std::mem::take(&mut self.grant.env),
            dirs: std::mem::take(&mut self.grant.dirs),
            hosts: std::mem::take(&mut self.grant.hosts),
        };
        let rights = Rights::meet(self.module.capabilities.as_ref(), granted)?;
        let name = &self.module.name;
        for what in &rights.unasked {
            tracing::warn!(
                artifact = name,
                "{what} is granted, but the artifact does not ask for it: not given"
            );
        }
        for what in &rights.missing {
            tracing::info!(artifact = name, "{what} is asked for, but not granted");
        }
        Ok(rights)
    }

    /// An artifact may ask for less memory than the default, and for more only up to what the operator says.
    fn runtime_limits(&self, timeout: Option<Duration>) -> Limits {
        let default = Limits::default();
        let wished = self
            .module
            .capabilities
            .as_ref()
            .and_then(|asked| asked.memory_mib)
            .map_or(default.memory_bytes, |mib| u64::from(mib) << 20);
        let ceiling = self.limits.memory_bytes.unwrap_or(default.memory_bytes);
        Limits {
            memory_bytes: wished.min(ceiling),
            wall: timeout,
            ..default
        }
    }

    /// The deadline of a command.
    pub(crate) fn run_timeout(&self) -> Option<Duration> {
        self.limits.timeout.or(RUN_TIMEOUT)
    }

    /// The deadline of a request.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.limits.timeout.unwrap_or(REQUEST_TIMEOUT)
    }
}

/// Writes the models' side files, as verified, under a private folder: `<name>/<path>`. `None` where there are none.
fn lay_out(models: &BTreeMap<String, Model>) -> Result<Option<TempDir>, SandboxError> {
    let mut folder = None;
    for (name, model) in models {
        let layout = |source| SandboxError::Layout {
            model: name.clone(),
            source,
        };
        for file in model.side_files() {
            let (path, bytes) = file?;
            let unsafe_path = || SandboxError::UnsafePath {
                model: name.clone(),
                path: path.to_owned(),
            };
            let relative = plain_path(name).zip(plain_path(path)).ok_or_else(unsafe_path)?;
            let root = match &folder {
                Some(root) => root,
                None => folder.insert(
                    tempfile::Builder::new()
                        .prefix("dunlin-models-")
                        .tempdir()
                        .map_err(layout)?,
                ),
            };
            let target = root.path().join(relative.0).join(relative.1);
            let parent = target.parent().unwrap_or(root.path());
            fs::create_dir_all(parent).map_err(layout)?;
            fs::write(&target, (*bytes).as_ref()).map_err(layout)?;
        }
    }
    Ok(folder)
}

/// `path`, if it is relative and has plain components only.
fn plain_path(path: &str) -> Option<&Path> {
    let path = Path::new(path);
    let plain = path
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    (plain && path.components().next().is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_laid_out() {
        for good in ["tokenizer.json", "a/b.txt", "..a"] {
            assert!(plain_path(good).is_some(), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../../x", "."] {
            assert!(plain_path(bad).is_none(), "{bad}");
        }
    }
}
