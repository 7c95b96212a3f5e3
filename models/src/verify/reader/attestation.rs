//! `attestation`: which predicate, by whom, and what it must say.

use super::super::attestation::{AttestationRequirement, Condition, Test};
use super::super::glob::Glob;
use super::super::keyless::KeylessPattern;
use super::super::yaml::{Node, Value};
use super::{Reader, field, join};

/// Most conditions of an attestation.
const MAX_CONDITIONS: usize = 64;

type Wanted = (usize, Option<KeylessPattern>, AttestationRequirement);

impl Reader<'_> {
    pub(super) fn attestation(&mut self, node: &Node, path: &str) -> Option<Wanted> {
        let fields = self.fields(node, path, &["predicateType", "by", "conditions"])?;
        let predicate_type = self.required(node, fields, path, "predicateType");
        let predicate_type = predicate_type.and_then(|node| self.text(node, &join(path, "predicateType")));
        let by = self.required(node, fields, path, "by");
        let by = by.and_then(|node| self.by(node, &join(path, "by")));
        let path = join(path, "conditions");
        let conditions = self.each(field(fields, "conditions"), &path, Self::condition)?;
        if conditions.len() > MAX_CONDITIONS {
            return self.fault(
                node,
                &path,
                format!("an attestation has at most {MAX_CONDITIONS} conditions"),
            );
        }
        let (check, signer) = by?;
        let wanted = AttestationRequirement {
            predicate_type: predicate_type?.to_owned(),
            conditions,
        };
        Some((check, signer, wanted))
    }

    fn condition(&mut self, node: &Node, path: &str) -> Option<Condition> {
        const TESTS: [&str; 5] = ["equals", "glob", "oneOf", "atLeast", "exists"];
        let known = [&["path"], TESTS.as_slice()].concat();
        let fields = self.fields(node, path, &known)?;
        let pointer = self.required(node, fields, path, "path")?;
        let pointer_path = join(path, "path");
        let text = self.text(pointer, &pointer_path)?;
        if !text.is_empty() && !text.starts_with('/') {
            return self.fault(pointer, &pointer_path, "must be a JSON pointer, as /builder/id");
        }
        let mut tests = fields.iter().filter(|(name, _)| TESTS.contains(&name.as_str()));
        let (Some((name, value)), None) = (tests.next(), tests.next()) else {
            return self.fault(node, path, format!("expected exactly one of {}", TESTS.join(", ")));
        };
        let path = join(path, name);
        let test = match name.as_str() {
            "equals" => Test::Equals(self.scalar(value, &path)?),
            "glob" => {
                let pattern = self.text(value, &path)?;
                match Glob::text(pattern) {
                    Ok(glob) => Test::Glob(glob, pattern.to_owned()),
                    Err(message) => return self.fault(value, &path, message),
                }
            }
            "oneOf" => Test::OneOf(self.each(Some(value), &path, Self::scalar)?),
            "atLeast" => match self.scalar(value, &path)?.as_f64() {
                Some(number) => Test::AtLeast(number),
                None => return self.fault(value, &path, "must be a number"),
            },
            _ => Test::Exists(self.flag(Some(value), &path, true)?),
        };
        Some(Condition {
            path: text.to_owned(),
            test,
        })
    }

    fn scalar(&mut self, node: &Node, path: &str) -> Option<serde_json::Value> {
        Some(match &node.value {
            Value::Bool(value) => (*value).into(),
            Value::Count(value) => (*value).into(),
            Value::Number(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            other => {
                return self.fault(
                    node,
                    path,
                    format!("expected a text, number or flag, found {}", other.kind()),
                );
            }
        })
    }
}
