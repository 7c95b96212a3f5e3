//! Asks a served embedding guest to rank sentences against a query, and prints the ranking with times.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{promise, server::Server};

/// Requests measured after the first one.
const WARM_REQUESTS: usize = 20;

/// Ranks `sentences` by cosine similarity to `query` and prints them.
///
/// # Errors
/// A request fails, an answer has another shape, or the `related` sentences are not ranked first.
pub(super) fn rank(server: &Server, query: &str, sentences: &[&str], related: &[usize]) -> Result<()> {
    let input: Vec<&str> = std::iter::once(query).chain(sentences.iter().copied()).collect();
    let body = json!({ "input": input }).to_string();
    let (answer, cold) = timed(|| server.post("/embed", &body))?;
    let mut warm = Vec::with_capacity(WARM_REQUESTS);
    for _ in 0..WARM_REQUESTS {
        warm.push(timed(|| server.post("/embed", &body))?.1);
    }
    warm.sort_unstable();
    let embeddings = embeddings(&answer)?;
    let mut scores: Vec<(usize, f64)> = embeddings[1..]
        .iter()
        .map(|embedding| dot(&embeddings[0], embedding))
        .enumerate()
        .collect();
    scores.sort_by(|left, right| right.1.total_cmp(&left.1));

    println!("\n  query: {query}");
    for (place, (sentence, score)) in scores.iter().enumerate() {
        println!("  {}. {score:>6.3}  {}", place + 1, sentences[*sentence]);
    }
    println!(
        "\n  {} sentences a request: first {:.1} ms, then median {:.1} ms (best {:.1} ms of {WARM_REQUESTS})",
        input.len(),
        millis(cold),
        millis(warm[WARM_REQUESTS / 2]),
        millis(warm[0]),
    );
    let first: Vec<usize> = scores
        .iter()
        .take(related.len())
        .map(|(sentence, _)| *sentence)
        .collect();
    promise(
        related.iter().all(|sentence| first.contains(sentence)),
        "the related sentences come first",
    )
}

fn timed(call: impl FnOnce() -> Result<Value>) -> Result<(Value, Duration)> {
    let started = Instant::now();
    call().map(|answer| (answer, started.elapsed()))
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn embeddings(answer: &Value) -> Result<Vec<Vec<f64>>> {
    let rows = answer["embeddings"]
        .as_array()
        .context("the answer has no embeddings")?;
    rows.iter()
        .map(|row| {
            let row = row.as_array().context("an embedding is no list")?;
            row.iter()
                .map(|value| value.as_f64().context("an embedding holds something that is no number"))
                .collect()
        })
        .collect()
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
