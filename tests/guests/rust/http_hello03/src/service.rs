//! The service.

use std::sync::atomic::{AtomicU32, Ordering};

use wasip3::{
    clocks,
    http::types::{ErrorCode, Fields, Request, Response},
    wit_bindgen, wit_future, wit_stream,
};

wasip3::http::service::export!(Service);

struct Service;

static SERVED: AtomicU32 = AtomicU32::new(0);

impl wasip3::exports::http::handler::Guest for Service {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
        let path = request.get_path_with_query().unwrap_or_default();
        let (parts, status) = match path.as_str() {
            "/" => (vec!["hello from http_hello03\n".to_owned()], 200),
            "/count" => (vec![format!("{served}\n")], 200),
            "/late" => (vec!["one ".to_owned(), "two\n".to_owned()], 200),
            "/trap" => panic!("as asked"),
            "/trap-late" => (vec!["one ".to_owned(), String::new()], 200),
            _ => (Vec::new(), 404),
        };
        respond(parts, status)
    }
}

/// A part without text stands for a trap.
fn respond(parts: Vec<String>, status: u16) -> Result<Response, ErrorCode> {
    let (mut writer, reader) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    let (response, _sent) = Response::new(Fields::new(), Some(reader), no_trailers);
    drop(trailers);
    response
        .set_status_code(status)
        .map_err(|()| ErrorCode::ConfigurationError)?;
    wit_bindgen::spawn_local(async move {
        for part in parts {
            assert!(!part.is_empty(), "as asked");
            clocks::monotonic_clock::wait_for(1_000_000).await;
            writer.write_all(part.into_bytes()).await;
        }
    });
    Ok(response)
}
