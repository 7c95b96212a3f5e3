//! [`Site`]: this machine's node, opened with the options that were typed.

use dunlin_node::{
    EngineOptions, Engines, Environment, Node, OpenOptions, Opened, RegistryOptions, Target, TrustOptions, trust,
};

use crate::{
    args::{EngineArg, EngineArgs, GlobalArgs, RegistryArgs, TrustArgs},
    progress,
    report::Failure,
};

/// What most commands start from.
pub(crate) struct Site {
    pub(crate) node: Node,
}

impl Site {
    /// Reads the environment and the trust policy.
    pub(crate) fn open(global: &GlobalArgs, trust: &TrustArgs, registry: &RegistryArgs) -> Result<Self, Failure> {
        let environment = Environment::from_process()?;
        let options = TrustOptions {
            policy: trust.policy.clone(),
            key: trust.key.clone(),
        };
        let verifier = trust::verifier(&options, &environment.policy)?;
        let registry = RegistryOptions {
            plain_http: registry.plain_http,
            ca_files: registry.ca_file.clone(),
        };
        let node = Node::new(environment, verifier, registry, progress::of(global));
        Ok(Self { node })
    }

    /// For commands that need the store only and trust nobody.
    pub(crate) fn untrusting(global: &GlobalArgs, registry: &RegistryArgs) -> Result<Self, Failure> {
        let environment = Environment::from_process()?;
        let registry = RegistryOptions {
            plain_http: registry.plain_http,
            ca_files: registry.ca_file.clone(),
        };
        let node = Node::new(
            environment,
            dunlin_models::Verifier::deny_all(),
            registry,
            progress::of(global),
        );
        Ok(Self { node })
    }

    /// Opens what was typed.
    pub(crate) async fn target(&self, text: &str, allow_unsigned: bool) -> Result<Opened, Failure> {
        let target = Target::parse(text)?;
        Ok(self.node.open(&target, OpenOptions { allow_unsigned }).await?)
    }

    /// The engines that were asked for.
    pub(crate) fn engines(&self, arguments: &EngineArgs) -> Result<Engines, Failure> {
        let options = EngineOptions {
            device: arguments.device.clone(),
            engine: match arguments.engine {
                EngineArg::Auto => dunlin_node::EngineChoice::Auto,
                EngineArg::Tract => dunlin_node::EngineChoice::Tract,
                EngineArg::Ort => dunlin_node::EngineChoice::Ort,
            },
            onnxruntime: arguments.onnxruntime.clone(),
            threads: arguments.threads,
        };
        Ok(self.node.engines(&options)?)
    }
}
