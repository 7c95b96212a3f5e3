//! From a YAML tree to a [`TrustPolicy`]: every fault is collected, with its line and path, before anything is refused.

mod attestation;
mod requirement;
mod root;
mod rule;
mod signer;

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use dunlin_sigstore::TrustRoot;
use jiff::SignedDuration;

use super::check::Check;
use super::policy::{Fault, Mode, TrustPolicy};
use super::yaml::{Node, Value};
use crate::digest::{Digest, Hasher};

const API_VERSION: &str = "dunlin.dev/v1alpha1";
const KIND: &str = "TrustPolicy";

/// Reads the tree of the policy `text`; files are relative to `folder`.
pub(super) fn read(text: &str, root: &Node, folder: &Path) -> Result<TrustPolicy, Vec<Fault>> {
    let mut reader = Reader {
        folder,
        faults: Vec::new(),
        hasher: Hasher::default(),
        roots: Vec::new(),
        checks: Vec::new(),
    };
    reader.consumed(text.as_bytes());
    let policy = reader.policy(root);
    match policy {
        Some(policy) if reader.faults.is_empty() => Ok(TrustPolicy {
            hash: reader.hasher.finish(),
            checks: reader.checks,
            roots: reader.roots.into_iter().map(|(name, _)| name).collect(),
            ..policy
        }),
        _ => Err(reader.faults),
    }
}

struct Reader<'a> {
    folder: &'a Path,
    faults: Vec<Fault>,
    /// Over the text and every file that it names.
    hasher: Hasher,
    roots: Vec<(String, Option<Arc<TrustRoot>>)>,
    checks: Vec<Check>,
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

    /// Lengths go before contents, so that two files never hash as one.
    fn consumed(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.hasher.update(&length.to_le_bytes());
        self.hasher.update(bytes);
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

    /// A field that must be there.
    fn required<'n>(&mut self, node: &Node, fields: &'n [(String, Node)], path: &str, name: &str) -> Option<&'n Node> {
        match field(fields, name) {
            Some(found) => Some(found),
            None => self.fault(node, &join(path, name), "missing"),
        }
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

    /// Every entry of a list, read by `read`; `None` if one of them is wrong. An absent list is empty.
    fn each<T>(
        &mut self,
        node: Option<&Node>,
        path: &str,
        read: impl Fn(&mut Self, &Node, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(node) = node else { return Some(Vec::new()) };
        let list = self.list(node, path)?;
        let read = |(position, node)| read(self, node, &format!("{path}[{position}]"));
        let entries: Vec<_> = list.iter().enumerate().map(read).collect();
        entries.into_iter().collect()
    }

    /// One of a few words; the first stands for an absent field.
    fn word<T: Copy>(&mut self, node: Option<&Node>, path: &str, words: &[(&str, T)]) -> Option<T> {
        let Some(node) = node else {
            return words.first().map(|(_, value)| *value);
        };
        let text = self.text(node, path)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(*value),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                self.fault(node, path, format!("must be {}", words.join(" or ")))
            }
        }
    }

    fn flag(&mut self, node: Option<&Node>, path: &str, default: bool) -> Option<bool> {
        match node.map(|node| (node, &node.value)) {
            None => Some(default),
            Some((_, Value::Bool(value))) => Some(*value),
            Some((node, _)) => self.fault(node, path, "must be true or false"),
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
        let spec = self.required(root, fields, "", "spec")?;
        const KNOWN: [&str; 5] = ["mode", "allowUnsigned", "freshness", "trustRoots", "rules"];
        let fields = self.fields(spec, "spec", &KNOWN)?;
        let modes = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];
        let mode = self.word(field(fields, "mode"), "spec.mode", &modes);
        let allow_unsigned = self.flag(field(fields, "allowUnsigned"), "spec.allowUnsigned", true);
        let max_age = match field(fields, "freshness") {
            Some(node) => self.freshness(node).map(Some),
            None => Some(None),
        };
        if let Some(node) = field(fields, "trustRoots") {
            self.roots(node);
        }
        let rules = self.required(spec, fields, "spec", "rules")?;
        let rules = self.rules(rules)?;
        Some(TrustPolicy {
            name,
            mode: mode?,
            allow_unsigned: allow_unsigned?,
            max_age: max_age?,
            rules,
            // What the reader collects is put in at the end.
            checks: Vec::new(),
            roots: Vec::new(),
            hash: Digest::of(b""),
        })
    }

    fn freshness(&mut self, node: &Node) -> Option<SignedDuration> {
        let fields = self.fields(node, "spec.freshness", &["maxAge"])?;
        let age = self.required(node, fields, "spec.freshness", "maxAge")?;
        let path = "spec.freshness.maxAge";
        let text = self.text(age, path)?;
        match duration(text) {
            Some(duration) => Some(duration),
            None => self.fault(age, path, "must be a number with a unit, as 90m, 12h, 30d or 8w"),
        }
    }

    /// The content of a field `file` or `inline`, of at most `limit` bytes. What it says becomes part of the policy's hash.
    fn content(&mut self, node: &Node, path: &str, limit: u64) -> Option<String> {
        let file = self.text(node, path)?;
        match read_file(&self.folder.join(file), limit) {
            Ok(content) => {
                self.consumed(content.as_bytes());
                Some(content)
            }
            Err(error) => self.fault(node, path, error.to_string()),
        }
    }
}

fn read_file(path: &Path, limit: u64) -> std::io::Result<String> {
    let mut content = String::new();
    let mut file = fs_err::File::open(path)?.take(limit.saturating_add(1));
    file.read_to_string(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|len| len > limit) {
        let message = format!("{} has more than {limit} bytes", path.display());
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

/// A whole number and one of `s`, `m`, `h`, `d`, `w`; not zero.
fn duration(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number > 0)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    number.checked_mul(seconds).map(SignedDuration::from_secs)
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
