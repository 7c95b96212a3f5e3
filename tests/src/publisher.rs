//! [`Publisher`]: a machine that has made and signed one artifact of each form, and its customers.

use std::path::PathBuf;

use crate::{Machine, RegistryServer, cached};

/// A machine with the key `ours`, and `demo/add:1` (a model), `demo/hello:1` (a module), `demo/app:1` (a bundle of a module
/// and the model), `demo/fat:1` (both in one manifest), each signed.
#[derive(Debug)]
pub struct Publisher {
    machine: Machine,
    hello: PathBuf,
    model: PathBuf,
}

impl Publisher {
    /// The short names of its artifacts.
    pub const ARTIFACTS: [&str; 4] = ["add", "hello", "app", "fat"];

    /// The machine, or `None` where guests and fixtures are not built.
    ///
    /// # Panics
    /// They are not, and `CI=true`; or packing and signing fail.
    #[must_use]
    pub fn new() -> Option<Self> {
        let hello = cached("guests/command_hello.wasm")?;
        let app = cached("guests/nn_add.wasm")?;
        let model = cached("fixtures/add/model.onnx")?;
        let machine = Machine::new();
        machine.key("ours");
        let run = |arguments: &[&str]| drop(machine.dunlin(arguments).ok());
        run(&["pack", "--tag", "demo/add:1", &model.to_string_lossy()]);
        run(&["pack", "--tag", "demo/hello:1", &hello.to_string_lossy()]);
        let app = app.to_string_lossy();
        run(&[
            "pack",
            "--tag",
            "demo/app:1",
            "--bundle",
            "--model",
            "add=demo/add:1",
            &app,
        ]);
        run(&[
            "pack",
            "--tag",
            "demo/fat:1",
            "--fat",
            "--model",
            "add=demo/add:1",
            &app,
        ]);
        for name in Self::ARTIFACTS {
            run(&["sign", "--key", "ours.key", &format!("demo/{name}:1")]);
        }
        Some(Self { machine, hello, model })
    }

    /// The machine itself.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The file of the module that says hello.
    #[must_use]
    pub fn hello(&self) -> &PathBuf {
        &self.hello
    }

    /// The file of the model that adds.
    #[must_use]
    pub fn model(&self) -> &PathBuf {
        &self.model
    }

    /// The digest of an artifact.
    ///
    /// # Panics
    /// There is no artifact of that name.
    #[must_use]
    pub fn digest(&self, name: &str) -> String {
        let name = format!("demo/{name}:1");
        let listed = self.machine.dunlin(&["ls", "--output", "json"]).ok().json();
        let entries = listed.as_array().expect("a list");
        let entry = entries.iter().find(|entry| entry["name"] == name.as_str());
        entry.expect("the artifact")["digest"]
            .as_str()
            .expect("a digest")
            .to_owned()
    }

    /// Pushes an artifact with its signature to `team/<name>:1`, and returns its reference there.
    ///
    /// # Panics
    /// It fails.
    #[must_use]
    pub fn push(&self, name: &str, registry: &RegistryServer) -> String {
        let remote = registry.reference(&format!("team/{name}:1"));
        let local = format!("demo/{name}:1");
        drop(self.machine.dunlin(&["push", "--plain-http", &local, &remote]).ok());
        remote
    }

    /// Another machine that has the public key, as `ours.pub`, and one that signed nothing, as `rogue.pub`.
    ///
    /// # Panics
    /// There is no room for it.
    #[must_use]
    pub fn customer(&self) -> Machine {
        let machine = Machine::new();
        fs_err::copy(self.machine.path("ours.pub"), machine.path("ours.pub")).expect("the public key");
        machine.key("rogue");
        machine
    }
}
