//! The HTTP side: routes, limits and the answer's form.

use dunlin_guest::http::{Answer, Refusal, Request, Response};
use serde::Serialize;

use crate::{
    MAX_BODY, MAX_TEXTS, MAX_TOKENS, MODEL, batch::Batch, model, pooling, request::EmbedRequest, tokenizer::Tokenizer,
};

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Embeddings {
    model: &'static str,
    embeddings: Vec<Vec<f32>>,
    usage: Usage,
}

#[derive(Serialize)]
struct Usage {
    tokens: usize,
}

dunlin_guest::serve!(handle);

fn handle(request: Request) -> Answer {
    match (request.path(), request.method()) {
        ("/embed", "POST") => embed(request),
        ("/embed", _) => Err(Refusal::method_not_allowed("POST")),
        ("/healthz", "GET") => Response::json(&Health { status: "ok" }),
        ("/healthz", _) => Err(Refusal::method_not_allowed("GET")),
        _ => Err(Refusal::not_found()),
    }
}

fn embed(mut request: Request) -> Answer {
    let texts = request.json::<EmbedRequest>(MAX_BODY)?.texts();
    if texts.is_empty() {
        return Err(Refusal::new(400, "input must hold at least one text"));
    }
    if texts.len() > MAX_TEXTS {
        return Err(Refusal::new(413, format!("input holds more than {MAX_TEXTS} texts")));
    }
    let tokenizer = Tokenizer::shared().map_err(|error| Refusal::internal(&error))?;
    let encoded: Vec<_> = texts.iter().map(|text| tokenizer.encode(text, MAX_TOKENS)).collect();
    let batch = Batch::pad(&encoded, tokenizer.padding());
    let hidden = model::run(&batch)?;
    let embeddings = pooling::embed(&hidden, batch.mask())
        .ok_or_else(|| Refusal::internal(&format!("an output of shape {:?} for this input", hidden.shape)))?;
    Response::json(&Embeddings {
        model: MODEL,
        embeddings,
        usage: Usage {
            tokens: encoded.iter().map(Vec::len).sum(),
        },
    })
}
