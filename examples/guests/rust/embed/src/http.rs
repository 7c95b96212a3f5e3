//! The HTTP side: routes, statuses and JSON bodies. What went wrong inside goes to stderr, not to the client.

use serde::Serialize;
use wstd::http::{
    Body, Error, Method, Request, Response, StatusCode,
    body::util::{BodyExt as _, LengthLimitError, Limited},
};

use crate::{
    MAX_BODY, MAX_TEXTS, MAX_TOKENS, MODEL,
    batch::Batch,
    model::{self, ModelError},
    pooling, request,
    tokenizer::Tokenizer,
};

/// What a client is told instead of a result.
struct Refusal {
    status: StatusCode,
    message: String,
    /// The method that would have been right, where that is what was wrong.
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            allow: None,
        }
    }
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureText<'a>,
}

#[derive(Serialize)]
struct FailureText<'a> {
    message: &'a str,
}

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

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let (head, body) = request.into_parts();
    let result = match (head.uri.path(), &head.method) {
        ("/embed", &Method::POST) => embed(body).await.map(|found| json(&found)),
        ("/embed", _) => Err(not_allowed("POST")),
        ("/healthz", &Method::GET) => Ok(json(&Health { status: "ok" })),
        ("/healthz", _) => Err(not_allowed("GET")),
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "no such path")),
    };
    let (status, allow, body) = match result {
        Ok(body) => (StatusCode::OK, None, body?),
        Err(refusal) => {
            let message = &refusal.message;
            let body = json(&Failure {
                error: FailureText { message },
            })?;
            (refusal.status, refusal.allow, body)
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .header("content-length", body.len());
    if let Some(method) = allow {
        response = response.header("allow", method);
    }
    Ok(response.body(Body::from(body))?)
}

fn json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(value)
}

fn not_allowed(method: &'static str) -> Refusal {
    Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        message: format!("this path takes {method} only"),
        allow: Some(method),
    }
}

async fn embed(body: Body) -> Result<Embeddings, Refusal> {
    let body = read(body).await?;
    let texts = request::parse(&body).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    if texts.is_empty() {
        let message = "input must hold at least one text";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    if texts.len() > MAX_TEXTS {
        let message = format!("input holds more than {MAX_TEXTS} texts");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message));
    }
    let tokenizer = Tokenizer::shared().map_err(|error| {
        eprintln!("cannot load the tokenizer: {error}");
        let message = "the model's vocabulary is not available";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    })?;
    let encoded: Vec<_> = texts.iter().map(|text| tokenizer.encode(text, MAX_TOKENS)).collect();
    let batch = Batch::pad(&encoded, tokenizer.padding());
    let hidden = model::run(&batch).map_err(refuse)?;
    let embeddings = pooling::embed(&hidden, batch.mask()).ok_or_else(|| {
        eprintln!("the model returned a tensor of another shape than its input");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the model failed")
    })?;
    Ok(Embeddings {
        model: MODEL,
        embeddings,
        usage: Usage {
            tokens: encoded.iter().map(Vec::len).sum(),
        },
    })
}

async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let too_large = || {
        let message = format!("the body is larger than {MAX_BODY} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    if body.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    match Limited::new(body.into_boxed_body(), MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body did not arrive whole")),
    }
}

/// The status that says whose fault it is, and whether trying again makes sense.
fn refuse(error: ModelError) -> Refusal {
    eprintln!("model {MODEL}: {error}");
    let (status, message) = match error {
        ModelError::NotFound(_) => (StatusCode::SERVICE_UNAVAILABLE, "the model is not available"),
        ModelError::TooLarge(_) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "the texts need more memory than this service may use",
        ),
        ModelError::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "the model did not answer in time"),
        ModelError::Failed(_) | ModelError::Output(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the model failed"),
    };
    Refusal::new(status, message)
}
