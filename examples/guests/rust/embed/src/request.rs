//! The body of `POST /embed`: `{"input": "text"}` or `{"input": ["text", ...]}`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

/// A request, as a client writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedRequest {
    input: Texts,
}

impl EmbedRequest {
    /// Its texts, in order.
    #[must_use]
    pub fn texts(self) -> Vec<String> {
        self.input.0
    }
}

#[derive(Debug)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Texts(texts))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn parse(body: &[u8]) -> serde_json::Result<Vec<String>> {
        serde_json::from_slice(body).map(EmbedRequest::texts)
    }

    #[test]
    fn one_text_and_many() {
        assert_eq!(parse(br#"{"input": "a"}"#).unwrap(), ["a"]);
        assert_eq!(
            parse(r#"{"input": ["a", "é\ud83d\ude80"]}"#.as_bytes()).unwrap(),
            ["a", "é🚀"]
        );
        assert!(parse(br#"{"input": []}"#).unwrap().is_empty());
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        for (body, reason) in [
            ("", "EOF"),
            ("{", "EOF"),
            ("{}", "missing field `input`"),
            (r#"{"input": 1}"#, "a string or a list of strings"),
            (r#"{"input": null}"#, "a string or a list of strings"),
            (r#"{"input": ["a", 2]}"#, "expected a string"),
            (r#"{"input": [["a"]]}"#, "expected a string"),
            (r#"{"input": "a", "inputs": "b"}"#, "unknown field `inputs`"),
            (r#"{"input": "a", "input": "b"}"#, "duplicate field"),
            (r#"{"input": "\ud800"}"#, "hex escape"),
            (r#"{"input": "a"} x"#, "trailing characters"),
        ] {
            let error = parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(reason), "{body}: {error}");
        }
        assert!(parse(b"{\"input\": \"\xff\"}").is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        let deep = format!("{{\"input\": {}", "[".repeat(100_000));
        assert!(parse(deep.as_bytes()).is_err());
    }
}
