//! The tokenizer against the ids that the `tokenizers` library gives for the same vocabulary.
//!
//! Needs the model's vocabulary and `tokens.json`, which `cargo xtask fixtures` puts into the cache.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{env, path::PathBuf};

use embed::{
    MAX_TOKENS,
    tokenizer::{Tokenizer, Vocabulary},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
}

fn cache() -> PathBuf {
    let set = |name| env::var_os(name).map(PathBuf::from);
    set("DUNLIN_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("dunlin")))
        .unwrap_or_else(|| set("HOME").unwrap().join(".cache/dunlin"))
}

#[test]
fn every_text_gives_the_reference_ids() {
    let vocabulary = cache().join("assets/minilm/vocab.txt");
    let cases = cache().join("fixtures/minilm/tokens.json");
    if !vocabulary.exists() || !cases.exists() {
        let in_ci = env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "{} or {} is missing", vocabulary.display(), cases.display());
        eprintln!("ignored: make the fixtures with `cargo xtask fixtures`");
        return;
    }
    let tokenizer = Tokenizer::new(Vocabulary::load(&vocabulary).unwrap()).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(cases).unwrap()).unwrap();
    assert!(cases.len() > 1000, "only {} cases", cases.len());
    for case in cases {
        let ids = tokenizer.encode(&case.text, MAX_TOKENS);
        assert_eq!(ids, case.ids, "{:?}", case.text);
    }
}
