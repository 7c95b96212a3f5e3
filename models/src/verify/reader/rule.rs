//! `spec.rules`: which artifacts a rule is about, and how it is enforced.

use std::collections::BTreeSet;

use super::super::glob::Glob;
use super::super::policy::{Mode, Rule};
use super::super::yaml::Node;
use super::{Reader, field, join};
use crate::digest::Digest;

const KNOWN: [&str; 7] = [
    "name",
    "match",
    "artifactTypes",
    "digests",
    "mode",
    "downgrade",
    "require",
];

impl Reader<'_> {
    pub(super) fn rules(&mut self, node: &Node) -> Option<Vec<Rule>> {
        let mut names = BTreeSet::new();
        let mut rules = Vec::new();
        for (position, node) in self.list(node, "spec.rules")?.iter().enumerate() {
            let path = format!("spec.rules[{position}]");
            let Some(rule) = self.rule(node, &path) else { continue };
            if !names.insert(rule.name.clone()) {
                self.fault::<()>(
                    node,
                    &join(&path, "name"),
                    format!("another rule is called {:?}", rule.name),
                );
            }
            rules.push(rule);
        }
        Some(rules)
    }

    fn rule(&mut self, node: &Node, path: &str) -> Option<Rule> {
        let fields = self.fields(node, path, &KNOWN)?;
        let name = self.required(node, fields, path, "name");
        let patterns = self.required(node, fields, path, "match");
        let require = self.required(node, fields, path, "require");
        let name = name.and_then(|node| self.text(node, &join(path, "name")));
        let patterns = patterns.and_then(|node| {
            self.each(
                Some(node),
                &join(path, "match"),
                |reader, node, path| match Glob::parse(reader.text(node, path)?) {
                    Ok(pattern) => Some(pattern),
                    Err(message) => reader.fault(node, path, message),
                },
            )
        });
        let artifact_types = self.each(
            field(fields, "artifactTypes"),
            &join(path, "artifactTypes"),
            |reader, node, path| reader.text(node, path).map(str::to_owned),
        );
        let digests = self.each(
            field(fields, "digests"),
            &join(path, "digests"),
            |reader, node, path| match reader.text(node, path)?.parse::<Digest>() {
                Ok(digest) => Some(digest),
                Err(error) => reader.fault(node, path, error.to_string()),
            },
        );
        let modes = [("enforce", Some(Mode::Enforce)), ("audit", Some(Mode::Audit))];
        let mode = match field(fields, "mode") {
            Some(node) => self.word(Some(node), &join(path, "mode"), &modes),
            None => Some(None),
        };
        let downgrades = [("deny", false), ("allow", true)];
        let allow_downgrade = self.word(field(fields, "downgrade"), &join(path, "downgrade"), &downgrades);
        let mut leaves = Vec::new();
        let require = require.and_then(|node| self.requirement(node, &join(path, "require"), &mut leaves, 1));
        Some(Rule {
            name: name?.to_owned(),
            patterns: patterns?,
            artifact_types: artifact_types?,
            digests: digests?,
            mode: mode?,
            allow_downgrade: allow_downgrade?,
            require: require?,
            leaves,
        })
    }
}
