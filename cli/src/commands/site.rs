//! [`Site`]: this machine's node, opened with the options that were typed.

use dunlin_node::{
    ConfigLocation, EngineOptions, Engines, Environment, Node, NodeConfig, OpenOptions, Opened, RegistryOptions,
    Target, TrustOptions, trust,
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
    /// Reads the environment, the settings and the trust policy.
    pub(crate) fn open(global: &GlobalArgs, trust: &TrustArgs, registry: &RegistryArgs) -> Result<Self, Failure> {
        Self::attested(global, trust, registry, None)
    }

    /// The same; with `attestation`, that type of attestation is wanted of the signer instead of a signature.
    pub(crate) fn attested(
        global: &GlobalArgs,
        trust: &TrustArgs,
        registry: &RegistryArgs,
        attestation: Option<String>,
    ) -> Result<Self, Failure> {
        let environment = Environment::from_process()?;
        let options = TrustOptions {
            policy: trust.policy.clone(),
            signer: trust.signer(),
            attestation,
        };
        let verifier = trust::verifier(&options, &environment.policy)?
            .with_cache(&environment.verdict_dir())
            .allow_downgrade(trust.allow_downgrade);
        Self::with(global, environment, verifier, registry)
    }

    /// For commands that need the store only and trust nobody.
    pub(crate) fn untrusting(global: &GlobalArgs, registry: &RegistryArgs) -> Result<Self, Failure> {
        let verifier = dunlin_models::Verifier::deny_all();
        Self::with(global, Environment::from_process()?, verifier, registry)
    }

    fn with(
        global: &GlobalArgs,
        environment: Environment,
        verifier: dunlin_models::Verifier,
        registry: &RegistryArgs,
    ) -> Result<Self, Failure> {
        let location = match &global.config {
            Some(path) => ConfigLocation::Named(path.clone()),
            None => environment.config.clone(),
        };
        let config = NodeConfig::read(&location)?;
        let options = RegistryOptions {
            plain_http: registry.plain_http,
            ca_files: registry.ca_file.clone(),
            ..RegistryOptions::default()
        };
        let node = Node::new(environment, config, verifier, options, progress::of(global));
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
