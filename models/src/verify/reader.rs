//! From a YAML tree to a [`TrustPolicy`]: every fault is collected, with its line and path, before anything is refused.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use super::glob::Glob;
use super::policy::{Fault, Mode, Requirement, Rule, TrustPolicy};
use super::yaml::{Node, Value};
use crate::key::PublicKey;

/// Deepest nesting of `any`, `all` and `threshold` in one another.
const MAX_NESTING: usize = 4;
/// Most keys of a rule: bounds the signature checks per artifact.
const MAX_KEYS: usize = 64;
/// Largest key file that is read, in bytes.
const MAX_KEY_FILE_BYTES: u64 = 16 << 10;

const API_VERSION: &str = "dunlin.dev/v1alpha1";
const KIND: &str = "TrustPolicy";

/// Reads the tree of a policy; key files are relative to `folder`.
pub(super) fn read(root: &Node, folder: &Path) -> Result<TrustPolicy, Vec<Fault>> {
    let mut reader = Reader {
        folder,
        faults: Vec::new(),
    };
    let policy = reader.policy(root);
    match policy {
        Some(policy) if reader.faults.is_empty() => Ok(policy),
        _ => Err(reader.faults),
    }
}

struct Reader<'a> {
    folder: &'a Path,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault<T>(&mut self, node: &Node, path: &str, message: impl Into<String>) -> Option<T> {
        self.faults.push(Fault {
            line: node.line,
            path: path.to_owned(),
            message: message.into(),
        });
        None
    }

    /// The fields of a map, after refusing those that are not in `known`.
    fn fields<'n>(&mut self, node: &'n Node, path: &str, known: &[&str]) -> Option<&'n [(String, Node)]> {
        let Value::Map(fields) = &node.value else {
            return self.fault(node, path, format!("expected a map, found {}", node.value.kind()));
        };
        for (name, value) in fields {
            if !known.contains(&name.as_str()) {
                self.fault::<()>(
                    value,
                    &join(path, name),
                    format!("unknown field; known here: {}", known.join(", ")),
                );
            }
        }
        Some(fields)
    }

    fn text<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text(text) => Some(text),
            other => self.fault(node, path, format!("expected a text, found {}", other.kind())),
        }
    }

    fn list<'n>(&mut self, node: &'n Node, path: &str) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(list) if list.is_empty() => self.fault(node, path, "must not be empty"),
            Value::List(list) => Some(list),
            other => self.fault(node, path, format!("expected a list, found {}", other.kind())),
        }
    }

    fn constant(&mut self, root: &Node, fields: &[(String, Node)], name: &str, expected: &str) {
        match field(fields, name) {
            None => drop(self.fault::<()>(root, name, format!("missing; write {name}: {expected}"))),
            Some(node) => {
                if self.text(node, name).is_some_and(|text| text != expected) {
                    self.fault::<()>(node, name, format!("must be {expected}"));
                }
            }
        }
    }

    fn policy(&mut self, root: &Node) -> Option<TrustPolicy> {
        let fields = self.fields(root, "", &["apiVersion", "kind", "metadata", "spec"])?;
        self.constant(root, fields, "apiVersion", API_VERSION);
        self.constant(root, fields, "kind", KIND);
        let name = field(fields, "metadata").and_then(|metadata| {
            let fields = self.fields(metadata, "metadata", &["name"])?;
            self.text(field(fields, "name")?, "metadata.name").map(str::to_owned)
        });
        let Some(spec) = field(fields, "spec") else {
            return self.fault(root, "spec", "missing");
        };
        let fields = self.fields(spec, "spec", &["mode", "allowUnsigned", "rules"])?;
        let mode = match field(fields, "mode") {
            None => Some(Mode::Enforce),
            Some(node) => match self.text(node, "spec.mode")? {
                "enforce" => Some(Mode::Enforce),
                "audit" => Some(Mode::Audit),
                _ => self.fault(node, "spec.mode", "must be enforce or audit"),
            },
        };
        let allow_unsigned = match field(fields, "allowUnsigned").map(|node| (node, &node.value)) {
            None => Some(true),
            Some((_, Value::Bool(value))) => Some(*value),
            Some((node, _)) => self.fault(node, "spec.allowUnsigned", "must be true or false"),
        };
        let Some(rules) = field(fields, "rules") else {
            return self.fault(spec, "spec.rules", "missing");
        };
        let rules = self.rules(rules)?;
        Some(TrustPolicy {
            name,
            mode: mode?,
            allow_unsigned: allow_unsigned?,
            rules,
        })
    }

    fn rules(&mut self, node: &Node) -> Option<Vec<Rule>> {
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
        let fields = self.fields(node, path, &["name", "match", "require"])?;
        let mut required = |name: &str| match field(fields, name) {
            Some(found) => Some(found),
            None => self.fault(node, &join(path, name), "missing"),
        };
        let (name, patterns, require) = (required("name"), required("match"), required("require"));
        let name = name.and_then(|node| self.text(node, &join(path, "name")));
        let patterns = patterns.and_then(|node| self.patterns(node, &join(path, "match")));
        let mut keys = Vec::new();
        let require = require.and_then(|node| self.requirement(node, &join(path, "require"), &mut keys, 1));
        Some(Rule {
            name: name?.to_owned(),
            patterns: patterns?,
            require: require?,
            keys,
        })
    }

    fn patterns(&mut self, node: &Node, path: &str) -> Option<Vec<Glob>> {
        let mut patterns = Vec::new();
        for (position, node) in self.list(node, path)?.iter().enumerate() {
            let path = format!("{path}[{position}]");
            match self.text(node, &path).map(Glob::parse) {
                Some(Ok(pattern)) => patterns.push(pattern),
                Some(Err(message)) => drop(self.fault::<()>(node, &path, message)),
                None => {}
            }
        }
        Some(patterns)
    }

    fn requirement(&mut self, node: &Node, path: &str, keys: &mut Vec<PublicKey>, depth: usize) -> Option<Requirement> {
        const FORMS: [&str; 4] = ["key", "any", "all", "threshold"];
        if depth > MAX_NESTING + 1 {
            return self.fault(node, path, format!("requirements nest at most {MAX_NESTING} deep"));
        }
        let fields = self.fields(node, path, &FORMS)?;
        let [(form, value)] = fields else {
            return self.fault(node, path, format!("expected exactly one of {}", FORMS.join(", ")));
        };
        let path = join(path, form);
        match form.as_str() {
            "key" => self.key(value, &path, keys),
            "any" => Some(Requirement::at_least(1, self.entries(value, &path, keys, depth)?)),
            "all" => {
                let of = self.entries(value, &path, keys, depth)?;
                Some(Requirement::at_least(of.len(), of))
            }
            "threshold" => self.threshold(value, &path, keys, depth),
            // Already reported as unknown.
            _ => None,
        }
    }

    fn entries(
        &mut self,
        node: &Node,
        path: &str,
        keys: &mut Vec<PublicKey>,
        depth: usize,
    ) -> Option<Vec<Requirement>> {
        let list = self.list(node, path)?;
        let read = |(position, node)| self.requirement(node, &format!("{path}[{position}]"), keys, depth + 1);
        let entries: Vec<_> = list.iter().enumerate().map(read).collect();
        entries.into_iter().collect()
    }

    fn threshold(&mut self, node: &Node, path: &str, keys: &mut Vec<PublicKey>, depth: usize) -> Option<Requirement> {
        let fields = self.fields(node, path, &["count", "of"])?;
        let Some(of) = field(fields, "of") else {
            return self.fault(node, &join(path, "of"), "missing");
        };
        let of = self.entries(of, &join(path, "of"), keys, depth);
        let Some(count) = field(fields, "count") else {
            return self.fault(node, &join(path, "count"), "missing");
        };
        let path = join(path, "count");
        let Value::Count(number) = count.value else {
            return self.fault(count, &path, "must be a whole number");
        };
        let of = of?;
        match usize::try_from(number) {
            Ok(number) if (1..=of.len()).contains(&number) => Some(Requirement::at_least(number, of)),
            _ => self.fault(
                count,
                &path,
                format!("must be between 1 and {}, the number of entries", of.len()),
            ),
        }
    }

    fn key(&mut self, node: &Node, path: &str, keys: &mut Vec<PublicKey>) -> Option<Requirement> {
        let fields = self.fields(node, path, &["file", "inline"])?;
        let [(form, value)] = fields else {
            return self.fault(node, path, "expected exactly one of file, inline");
        };
        let path = join(path, form);
        let pem = if form == "inline" {
            let fields = self.fields(value, &path, &["pem"])?;
            let Some(pem) = field(fields, "pem") else {
                return self.fault(value, &join(&path, "pem"), "missing");
            };
            self.text(pem, &join(&path, "pem"))?.to_owned()
        } else {
            let file = self.text(value, &path)?;
            match read_key_file(&self.folder.join(file)) {
                Ok(pem) => pem,
                Err(error) => return self.fault(value, &path, error.to_string()),
            }
        };
        let key = match PublicKey::from_pem(&pem) {
            Ok(key) => key,
            Err(error) => return self.fault(value, &path, error.to_string()),
        };
        // The same key twice would count twice towards a threshold.
        if keys.contains(&key) {
            return self.fault(value, &path, "the rule names this key twice");
        }
        if keys.len() >= MAX_KEYS {
            return self.fault(value, &path, format!("a rule has at most {MAX_KEYS} keys"));
        }
        keys.push(key);
        Some(Requirement::Key(keys.len() - 1))
    }
}

fn read_key_file(path: &Path) -> std::io::Result<String> {
    let mut pem = String::new();
    fs_err::File::open(path)?
        .take(MAX_KEY_FILE_BYTES + 1)
        .read_to_string(&mut pem)?;
    Ok(pem)
}

fn field<'n>(fields: &'n [(String, Node)], name: &str) -> Option<&'n Node> {
    fields.iter().find(|(known, _)| known == name).map(|(_, node)| node)
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
