//! [`Setup`]: all that a worker has to know, sent over its socket as one line of JSON.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{WorkerError, applet::Applet};
use crate::{
    config::Config,
    error::TaskError,
    spec::{self, Mount, Rlimit, Spec, User},
    wasm::Module,
};

/// A worker's orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The container, for messages.
    pub(crate) id: String,
    pub(crate) place: Place,
    /// Folder of compiled code.
    pub(crate) code_cache: PathBuf,
    pub(crate) guest: Guest,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) user: User,
    pub(crate) rlimits: Vec<Rlimit>,
    /// The container's limit; the guest's memory is bounded by it as well.
    pub(crate) memory_bytes: Option<u64>,
    /// Where an HTTP guest is served.
    pub(crate) http_port: u16,
    pub(crate) drain_seconds: u64,
}

/// The file system that the worker moves to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// Its own, to be built.
    New {
        rootfs: PathBuf,
        readonly: bool,
        mounts: Vec<Mount>,
        /// The name of the machine, where the container has one of its own.
        hostname: Option<String>,
    },
    /// That of a running worker.
    Of(i32),
}

/// What is run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Guest {
    Code(Code),
    Applet(Applet),
}

/// Compiled code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Code {
    /// SHA-256 of the WebAssembly binary.
    pub(crate) digest: String,
    /// The file, relative to the folder of compiled code.
    pub(crate) file: PathBuf,
}

impl Code {
    /// The code of a module, wherever it will be.
    pub(crate) fn of_module(digest: &str) -> Self {
        Self {
            digest: digest.to_owned(),
            file: PathBuf::new(),
        }
    }
}

impl Setup {
    /// Orders for the first process of a container.
    pub(crate) fn new(
        config: &Config,
        id: &str,
        bundle: &Path,
        spec: &Spec,
        module: &Module,
    ) -> Result<Self, TaskError> {
        let process = &spec.process;
        let own_name = spec
            .namespace("uts")
            .is_some_and(|namespace| namespace.path.as_os_str().is_empty());
        Ok(Self {
            id: id.to_owned(),
            place: Place::New {
                rootfs: spec.rootfs(bundle),
                readonly: spec.root.readonly,
                mounts: spec.mounts.clone(),
                hostname: Some(spec.hostname.clone()).filter(|name| own_name && !name.is_empty()),
            },
            code_cache: config.code_cache.clone(),
            guest: Guest::Code(Code::of_module(&module.digest)),
            args: process.args.clone(),
            env: variables(process),
            cwd: process.cwd.clone(),
            user: process.user.clone(),
            rlimits: process.rlimits.clone(),
            memory_bytes: memory_limit(spec),
            http_port: http_port(config, process)?,
            drain_seconds: config.drain_seconds,
        })
    }

    /// Orders for a further process in the container of these.
    pub(crate) fn for_exec(&self, process: &spec::Process, guest: Guest, init: i32) -> Self {
        Self {
            place: Place::Of(init),
            guest,
            args: process.args.clone(),
            env: variables(process),
            cwd: process.cwd.clone(),
            user: process.user.clone(),
            rlimits: process.rlimits.clone(),
            ..self.clone()
        }
    }
}

fn variables(process: &spec::Process) -> Vec<(String, String)> {
    process
        .env
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn memory_limit(spec: &Spec) -> Option<u64> {
    let limit = spec.linux.resources.memory.as_ref()?.limit?;
    u64::try_from(limit).ok().filter(|&limit| limit > 0)
}

fn http_port(config: &Config, process: &spec::Process) -> Result<u16, WorkerError> {
    let Some(port) = process.variable("PORT") else {
        return Ok(config.http_port);
    };
    port.parse().map_err(|_| WorkerError::Failed {
        message: format!("PORT is `{port}`, which is no port number"),
    })
}
