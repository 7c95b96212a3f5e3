//! Who must sign: `key` with its file, or `keyless` with issuer, identity and claims.

use dunlin_sigstore::{LogRequirement, Requirements, SctRequirement, TimeRequirement};

use super::super::check::{Check, KeyCheck, KeylessCheck};
use super::super::glob::Glob;
use super::super::keyless::{KeylessPattern, Pattern, claim_name, claim_names};
use super::super::yaml::{Node, Value};
use super::{Reader, field, join};
use crate::key::PublicKey;

/// Largest key file that is read, in bytes.
const MAX_KEY_FILE_BYTES: u64 = 16 << 10;

/// Position of a check, and who of those that it lets pass.
pub(super) type Who = (usize, Option<KeylessPattern>);

impl Reader<'_> {
    /// A map of exactly one of `key` and `keyless`.
    pub(super) fn by(&mut self, node: &Node, path: &str) -> Option<Who> {
        let fields = self.fields(node, path, &["key", "keyless"])?;
        let [(form, value)] = fields else {
            return self.fault(node, path, "expected exactly one of key, keyless");
        };
        self.signer(form, value, &join(path, form))
    }

    pub(super) fn signer(&mut self, form: &str, node: &Node, path: &str) -> Option<Who> {
        match form {
            "key" => Some((self.key(node, path)?, None)),
            "keyless" => self.keyless(node, path),
            _ => None,
        }
    }

    fn check(&mut self, check: Check) -> usize {
        if let Some(known) = self.checks.iter().position(|known| *known == check) {
            return known;
        }
        self.checks.push(check);
        self.checks.len() - 1
    }

    fn key(&mut self, node: &Node, path: &str) -> Option<usize> {
        let fields = self.fields(node, path, &["file", "inline", "transparencyLog", "trustRoot"])?;
        let pem = match (field(fields, "file"), field(fields, "inline")) {
            (Some(file), None) => {
                let path = join(path, "file");
                let pem = self.content(file, &path, MAX_KEY_FILE_BYTES);
                pem.map(|pem| (file, path, pem))
            }
            (None, Some(inline)) => {
                let path = join(path, "inline");
                let fields = self.fields(inline, &path, &["pem"])?;
                let pem = self.required(inline, fields, &path, "pem")?;
                let path = join(&path, "pem");
                self.text(pem, &path).map(|text| (pem, path.clone(), text.to_owned()))
            }
            _ => self.fault(node, path, "expected exactly one of file, inline"),
        };
        let key = pem.and_then(|(node, path, pem)| match PublicKey::from_pem(&pem) {
            Ok(key) => Some(key),
            Err(error) => self.fault(node, &path, error.to_string()),
        });
        let words = [("optional", false), ("required", true)];
        let logged = self.word(field(fields, "transparencyLog"), &join(path, "transparencyLog"), &words)?;
        let named = field(fields, "trustRoot");
        let root = match logged || named.is_some() {
            true => Some(self.root(node, named, &join(path, "trustRoot"))?),
            false => None,
        };
        Some(self.check(Check::Key(KeyCheck {
            key: key?,
            root,
            logged,
        })))
    }

    fn keyless(&mut self, node: &Node, path: &str) -> Option<Who> {
        const KNOWN: [&str; 7] = [
            "issuer",
            "identity",
            "claims",
            "trustRoot",
            "sct",
            "transparencyLog",
            "timestamp",
        ];
        let fields = self.fields(node, path, &KNOWN)?;
        let mut pattern = |name| {
            let found = self.required(node, fields, path, name);
            found.and_then(|node| self.pattern(node, &join(path, name)))
        };
        let (issuer, identity) = (pattern("issuer"), pattern("identity"));
        let claims = match field(fields, "claims") {
            Some(node) => self.claims(node, &join(path, "claims")),
            None => Some(Vec::new()),
        };
        let root = self.root(node, field(fields, "trustRoot"), &join(path, "trustRoot"));
        let scts = [
            ("required", SctRequirement::Required),
            ("skipped", SctRequirement::Skipped),
        ];
        let sct = self.word(field(fields, "sct"), &join(path, "sct"), &scts);
        let logs = [
            ("required", LogRequirement::Required),
            ("optional", LogRequirement::Optional),
        ];
        let log = self.word(field(fields, "transparencyLog"), &join(path, "transparencyLog"), &logs);
        let times = [("any", TimeRequirement::Any), ("authority", TimeRequirement::Authority)];
        let time = self.word(field(fields, "timestamp"), &join(path, "timestamp"), &times);
        let requirements = Requirements {
            sct: sct?,
            log: log?,
            time: time?,
        };
        let signer = KeylessPattern {
            issuer: issuer?,
            identity: identity?,
            claims: claims?,
        };
        let check = Check::Keyless(KeylessCheck {
            root: root?,
            requirements,
        });
        Some((self.check(check), Some(signer)))
    }

    fn pattern(&mut self, node: &Node, path: &str) -> Option<Pattern> {
        let text = self.text(node, path)?;
        match Glob::text(text) {
            Ok(glob) => Some(Pattern {
                text: text.to_owned(),
                glob,
            }),
            Err(message) => self.fault(node, path, message),
        }
    }

    fn claims(&mut self, node: &Node, path: &str) -> Option<Vec<(&'static str, Pattern)>> {
        let Value::Map(fields) = &node.value else {
            return self.fault(node, path, format!("expected a map, found {}", node.value.kind()));
        };
        let mut claims = Vec::new();
        for (name, value) in fields {
            let path = join(path, name);
            match claim_name(name) {
                Some(name) => claims.push((name, self.pattern(value, &path)?)),
                None => {
                    let known = claim_names().join(", ");
                    return self.fault(value, &path, format!("unknown claim; known are: {known}"));
                }
            }
        }
        Some(claims)
    }
}
