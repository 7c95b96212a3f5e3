//! The HTTP side: routes, limits and the answer's form.

use dunlin_guest::{
    Model, Tensor,
    http::{Answer, Refusal, Request, Response},
};
use serde::Serialize;

use crate::{
    LABELS, MAX_BODY, MODEL,
    picture::{self, PictureError},
    ranking,
};

/// Classes in an answer when the client asks for no number, and most that it gets.
const USUAL: usize = 5;
const MOST: usize = 100;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

#[derive(Serialize)]
struct Classes<'a> {
    model: &'static str,
    labels: Vec<ranking::Scored<'a>>,
}

dunlin_guest::serve!(handle);

fn handle(request: Request) -> Answer {
    match (request.path(), request.method()) {
        ("/classify", "POST") => classify(request),
        ("/classify", _) => Err(Refusal::method_not_allowed("POST")),
        ("/healthz", "GET") => Response::json(&Health { status: "ok" }),
        ("/healthz", _) => Err(Refusal::method_not_allowed("GET")),
        _ => Err(Refusal::not_found()),
    }
}

fn classify(mut request: Request) -> Answer {
    let top = request.parameter("top").map_or(Ok(USUAL), str::parse);
    let top = top
        .map_err(|_| Refusal::new(400, "top must be a number"))?
        .clamp(1, MOST);
    let picture = picture::decode(&request.bytes(MAX_BODY)?).map_err(refuse)?;
    let pixels = picture::tensor(&picture);
    let size = picture::SIZE as usize;
    let outputs = Model::open(MODEL)?.run([("input", Tensor::new(&[1, 3, size, size], &pixels)?)])?;
    let logits = outputs.array::<f32>("logits")?.data;
    let labels = labels();
    Response::json(&Classes {
        model: MODEL,
        labels: ranking::best(&logits, &labels, top),
    })
}

/// The names of the classes; none when the model came without.
fn labels() -> Vec<String> {
    let Ok(file) = std::fs::read(LABELS) else {
        return Vec::new();
    };
    serde_json::from_slice(&file).unwrap_or_else(|error| {
        eprintln!("{LABELS}: {error}");
        Vec::new()
    })
}

fn refuse(error: PictureError) -> Refusal {
    let status = match error {
        PictureError::Format => 415,
        PictureError::TooLarge => 413,
        PictureError::Damaged(_) => 400,
    };
    Refusal::new(status, error.to_string())
}
