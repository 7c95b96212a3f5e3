//! Conditions on the predicate of an attestation: a place in it, by JSON pointer (RFC 6901), and what must be there.

use serde_json::Value;

use super::glob::Glob;

/// What a policy asks of an attestation.
#[derive(Debug, Clone)]
pub(super) struct AttestationRequirement {
    pub(super) predicate_type: String,
    pub(super) conditions: Vec<Condition>,
}

/// One condition.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) path: String,
    pub(super) test: Test,
}

/// What must be at a place.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// This value.
    Equals(Value),
    /// A text that the pattern matches.
    Glob(Glob, String),
    /// One of these values.
    OneOf(Vec<Value>),
    /// A number that is not smaller.
    AtLeast(f64),
    /// Anything at all, or nothing.
    Exists(bool),
}

impl Condition {
    /// Whether the predicate meets the condition; `Err` says what is there instead.
    pub(super) fn check(&self, predicate: &Value) -> Result<(), String> {
        let found = predicate.pointer(&self.path);
        let is_met = match (&self.test, found) {
            (Test::Exists(wanted), found) => found.is_some() == *wanted,
            (_, None) => false,
            (Test::Equals(wanted), Some(found)) => same(wanted, found),
            (Test::OneOf(wanted), Some(found)) => wanted.iter().any(|wanted| same(wanted, found)),
            (Test::Glob(glob, _), Some(found)) => found.as_str().is_some_and(|text| glob.matches(text)),
            (Test::AtLeast(wanted), Some(found)) => found.as_f64().is_some_and(|number| number >= *wanted),
        };
        if is_met {
            return Ok(());
        }
        let found = found.map_or_else(|| "nothing".to_owned(), shown);
        Err(format!("{} is {found}, not {}", self.path, self.wanted()))
    }

    fn wanted(&self) -> String {
        match &self.test {
            Test::Equals(value) => shown(value),
            Test::Glob(_, pattern) => format!("like {pattern:?}"),
            Test::OneOf(values) => format!("one of {}", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Test::AtLeast(number) => format!("at least {number}"),
            Test::Exists(true) => "there".to_owned(),
            Test::Exists(false) => "absent".to_owned(),
        }
    }
}

/// Equal values; numbers by value, however they are written.
fn same(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => wanted.as_f64() == found.as_f64(),
        (wanted, found) => wanted == found,
    }
}

/// A value for messages, cut to a line.
fn shown(value: &Value) -> String {
    value
        .to_string()
        .chars()
        .filter(|c| !c.is_control())
        .take(120)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_by_kind() {
        let predicate = json!({"a": {"b": ["x", 3, 0.5]}, "s": "v1.2"});
        let holds = |path: &str, test| {
            let path = path.to_owned();
            Condition { path, test }.check(&predicate).is_ok()
        };
        assert!(holds("/a/b/0", Test::Equals(json!("x"))));
        assert!(!holds("/a/b/0", Test::Equals(json!("y"))));
        assert!(holds("/a/b/1", Test::Equals(json!(3.0))));
        assert!(!holds("/a/b/1", Test::Equals(json!("3"))));
        assert!(holds("/a/b/2", Test::AtLeast(0.5)) && !holds("/a/b/2", Test::AtLeast(0.6)));
        assert!(!holds("/s", Test::AtLeast(0.0)) && !holds("/none", Test::AtLeast(0.0)));
        assert!(holds("/s", Test::OneOf(vec![json!("v1"), json!("v1.2")])));
        assert!(holds("/s", Test::Exists(true)) && holds("/t", Test::Exists(false)));
        assert!(!holds("/s", Test::Exists(false)) && !holds("/none", Test::Equals(json!(null))));
    }
}
