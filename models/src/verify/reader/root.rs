//! `spec.trustRoots`: trusted roots by name, from files or in place.

use std::sync::Arc;

use dunlin_sigstore::{CONFIGURATION_BYTES, TrustRoot};

use super::super::yaml::Node;
use super::{Reader, field, join};

/// Most roots: each adds a way in which every keyless signature is checked.
const MAX_ROOTS: usize = 8;

impl Reader<'_> {
    pub(super) fn roots(&mut self, node: &Node) {
        let path = "spec.trustRoots";
        let Some(list) = self.list(node, path) else { return };
        if list.len() > MAX_ROOTS {
            self.fault::<()>(node, path, format!("a policy has at most {MAX_ROOTS} roots"));
            return;
        }
        for (position, node) in list.iter().enumerate() {
            let path = format!("{path}[{position}]");
            let Some(fields) = self.fields(node, &path, &["name", "file", "inline"]) else {
                continue;
            };
            let name = self.required(node, fields, &path, "name");
            let Some(name) = name.and_then(|name| self.text(name, &join(&path, "name"))) else {
                continue;
            };
            if self.roots.iter().any(|(known, _)| known == name) {
                self.fault::<()>(node, &join(&path, "name"), format!("another root is called {name:?}"));
                continue;
            }
            let content = match (field(fields, "file"), field(fields, "inline")) {
                (Some(file), None) => {
                    let path = join(&path, "file");
                    let limit = u64::try_from(CONFIGURATION_BYTES).unwrap_or(u64::MAX);
                    self.content(file, &path, limit).map(|content| (file, path, content))
                }
                (None, Some(inline)) => {
                    let path = join(&path, "inline");
                    self.text(inline, &path)
                        .map(|text| (inline, path.clone(), text.to_owned()))
                }
                _ => self.fault(node, &path, "expected exactly one of file, inline"),
            };
            let root = content.and_then(|(node, path, content)| match TrustRoot::from_json(content.as_bytes()) {
                Ok(root) => Some(Arc::new(root)),
                Err(error) => self.fault(node, &path, chain(&error)),
            });
            // Known even if it is broken: rules that name it are not at fault.
            self.roots.push((name.to_owned(), root));
        }
    }

    /// The root that `node` names; with only one, none needs to be named.
    pub(super) fn root(&mut self, parent: &Node, node: Option<&Node>, path: &str) -> Option<(usize, Arc<TrustRoot>)> {
        let position = match node {
            Some(node) => {
                let name = self.text(node, path)?;
                match self.roots.iter().position(|(known, _)| known == name) {
                    Some(position) => position,
                    None => return self.fault(node, path, format!("spec.trustRoots has no {name:?}")),
                }
            }
            None if self.roots.len() == 1 => 0,
            None if self.roots.is_empty() => return self.fault(parent, path, "spec.trustRoots has no root"),
            None => return self.fault(parent, path, "missing: there are several roots"),
        };
        let (_, root) = self.roots.get(position)?;
        Some((position, Arc::clone(root.as_ref()?)))
    }
}

/// An error with its causes, for a fault's text.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
