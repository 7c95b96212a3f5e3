//! [`Scene`]: a registry in the attacker's hands, and a customer who pulls from it.

use dunlin_tests::{Ask, HostileRegistry, Machine, Output, Reply, Shelf};

use crate::{CORRUPT, origin::Origin};

/// One case.
pub(crate) struct Scene {
    pub(crate) registry: HostileRegistry,
    pub(crate) customer: Machine,
    layers: Vec<String>,
}

impl Scene {
    /// The registry serves the shelf.
    pub(crate) fn of(origin: &Origin, shelf: Shelf) -> Self {
        Self::answering(origin, shelf, |_| None)
    }

    /// The registry answers with `answer` first.
    pub(crate) fn answering(
        origin: &Origin,
        shelf: Shelf,
        answer: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let customer = Machine::new();
        customer.write("ours.pub", &origin.public_key);
        let sources = [&origin.signed, &origin.older];
        let layers = sources.iter().flat_map(|shelf| shelf.layers(shelf.tagged())).collect();
        Self {
            registry: HostileRegistry::answering(shelf, answer),
            customer,
            layers,
        }
    }

    /// What the customer asks for.
    pub(crate) fn reference(&self) -> String {
        format!("{}/team/app:1", self.registry.host())
    }

    /// The customer pulls, trusting the publisher's key.
    pub(crate) fn pull(&self) -> Output {
        self.pull_by(&["--key", "ours.pub"])
    }

    /// The customer pulls by other means.
    pub(crate) fn pull_by(&self, trust: &[&str]) -> Output {
        let reference = self.reference();
        let mut arguments = vec!["pull", "--plain-http"];
        arguments.extend(trust);
        arguments.push(&reference);
        self.customer.dunlin(&arguments)
    }

    /// The pull ends with `code`, says `text`, has asked for no layer, and leaves nothing.
    pub(crate) fn refuses(&self, code: i32, text: &str) {
        self.leaves_nothing(&self.pull().exits(code), text);
    }

    /// After a refusal: the message is there, no layer was asked for, and nothing is in the store.
    pub(crate) fn leaves_nothing(&self, output: &Output, text: &str) {
        output.did_not_crash().says(text);
        for ask in self.registry.seen() {
            let layer = self.layers.iter().find(|layer| ask.wants(layer));
            assert!(layer.is_none(), "a layer was fetched: {ask:?}");
        }
        self.holds_no_artifact();
    }

    /// The pull ends because of the bytes of `digest`, which nobody gets to see.
    pub(crate) fn finds_damage(&self, digest: &str, text: &str) {
        let output = self.pull().exits(CORRUPT);
        output.did_not_crash().says(text);
        assert!(!self.customer.blob(digest).exists(), "{digest} became visible");
        self.holds_no_artifact();
    }

    pub(crate) fn holds_no_artifact(&self) {
        let listed = self.customer.dunlin(&["ls", "--output", "json"]).ok().json();
        assert_eq!(listed.as_array().map(Vec::len), Some(0), "{listed}");
    }
}
