//! HTTP: streaming, reuse, overload, and what a client gets when a guest fails.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use dunlin_runtime::{Grants, HttpApp, HttpConfig, Limits, RequestError, ResponseBody, Stdout};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};

use crate::support::{Collected, compile, engine, guest, scheduler};

fn app(grants: Grants, limits: Limits, config: HttpConfig) -> Option<HttpApp> {
    let engine = engine();
    let code = compile(&engine, &guest("http_hello")?);
    Some(HttpApp::new(&engine, code, grants, limits, config, scheduler()).unwrap())
}

fn plain() -> Option<HttpApp> {
    app(Grants::default(), Limits::default(), HttpConfig::default())
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .header("host", "localhost")
        .body(Empty::new())
        .unwrap()
}

fn post(path: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", "localhost")
        .body(Full::new(Bytes::from_static(body)))
        .unwrap()
}

async fn text(response: Response<ResponseBody>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn reuse(times: u32) -> HttpConfig {
    HttpConfig {
        max_instance_reuse: NonZeroU32::new(times).unwrap(),
        ..HttpConfig::default()
    }
}

async fn until_idle(app: &HttpApp) {
    while app.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_request_is_answered_by_a_fresh_instance() {
    let Some(app) = plain() else { return };
    for _ in 0..3 {
        let response = app.handle(get("/count")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "1\n");
    }
    until_idle(&app).await;
    let stats = app.stats();
    assert_eq!(
        (stats.calls, stats.instances_started, stats.live_instances, stats.traps),
        (3, 3, 0, 0)
    );
    assert_eq!(
        app.handle(get("/status?404")).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn an_instance_serves_as_often_as_allowed() {
    let Some(app) = app(Grants::default(), Limits::default(), reuse(3)) else {
        return;
    };
    let mut counts = Vec::new();
    for _ in 0..7 {
        counts.push(text(app.handle(get("/count")).await.unwrap()).await);
        until_idle(&app).await;
    }
    assert_eq!(counts, ["1\n", "2\n", "3\n", "1\n", "2\n", "3\n", "1\n"]);
    assert_eq!((app.stats().instances_started, app.idle_instances()), (3, 1));
}

#[tokio::test]
async fn an_instance_that_failed_serves_no_more() {
    let Some(app) = app(Grants::default(), Limits::default(), reuse(100)) else {
        return;
    };
    assert_eq!(text(app.handle(get("/count")).await.unwrap()).await, "1\n");
    until_idle(&app).await;
    assert!(matches!(
        app.handle(get("/panic")).await,
        Err(RequestError::Trap { .. })
    ));
    until_idle(&app).await;
    assert_eq!((app.idle_instances(), app.stats().live_instances), (0, 0));
    assert_eq!(text(app.handle(get("/count")).await.unwrap()).await, "1\n");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let Some(app) = plain() else { return };
    assert_eq!(
        text(app.handle(post("/echo", b"there and back")).await.unwrap()).await,
        "there and back"
    );
    let streamed = app
        .handle(get("/stream?4"))
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(streamed.len(), 4 << 20);
}

/// A body of these parts, without a length.
struct Parts(Vec<&'static [u8]>);

impl http_body::Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let part = self.0.pop().map(Bytes::from_static);
        std::task::Poll::Ready(part.map(|part| Ok(http_body::Frame::data(part))))
    }
}

#[tokio::test]
async fn a_body_over_the_cap_is_413_declared_or_not() {
    let limits = Limits {
        request_body_bytes: 10,
        ..Limits::default()
    };
    let Some(app) = app(Grants::default(), limits, HttpConfig::default()) else {
        return;
    };
    let error = app.handle(post("/echo", b"more than ten bytes")).await.unwrap_err();
    assert!(matches!(error, RequestError::BodyTooLarge { limit: 10 }));
    assert_eq!((error.status(), app.stats().calls), (StatusCode::PAYLOAD_TOO_LARGE, 0));
    // Without a length, the guest has started to read: it is answered or broken off, but gets no byte over the cap.
    let body = Parts(vec![b"six by", b"six by"]);
    let request = Request::post("/echo").header("host", "localhost").body(body).unwrap();
    match app.handle(request).await {
        Err(error) => assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE),
        Ok(response) => assert!(response.into_body().collect().await.is_err()),
    }
    assert_eq!(
        text(app.handle(post("/echo", b"ten bytes!")).await.unwrap()).await,
        "ten bytes!"
    );
}

#[tokio::test]
async fn one_request_too_many_is_503_and_comes_back_later() {
    let config = HttpConfig {
        max_concurrent_instances: NonZeroUsize::MIN,
        ..HttpConfig::default()
    };
    let Some(app) = app(Grants::default(), Limits::default(), config) else {
        return;
    };
    let mut slow = std::pin::pin!(app.handle(get("/sleep?300")));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), &mut slow)
            .await
            .is_err()
    );
    let error = app.handle(get("/")).await.unwrap_err();
    assert!(matches!(error, RequestError::Busy { limit: 1 }));
    let response = error.to_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(text(slow.await.unwrap()).await, "slept\n");
    until_idle(&app).await;
    assert_eq!(app.handle(get("/")).await.unwrap().status(), StatusCode::OK);
    assert_eq!(app.stats().busy_refusals, 1);
}

#[tokio::test]
async fn guests_that_take_too_long_are_504() {
    let config = HttpConfig {
        request_deadline: Duration::from_millis(100),
        ..HttpConfig::default()
    };
    let Some(app) = app(Grants::default(), Limits::default(), config) else {
        return;
    };
    for path in ["/spin", "/sleep?60000"] {
        let error = app.handle(get(path)).await.unwrap_err();
        assert!(matches!(error, RequestError::Deadline { .. }), "{path}: {error}");
        assert_eq!(error.status(), StatusCode::GATEWAY_TIMEOUT);
    }
    until_idle(&app).await;
    assert_eq!((app.stats().deadlines_hit, app.stats().live_instances), (2, 0));
}

#[tokio::test]
async fn a_trap_before_the_head_is_500_and_after_it_breaks_the_body() {
    let Some(app) = plain() else { return };
    let error = app.handle(get("/panic")).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = error.to_response().into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("wasm"));
    let late = app.handle(get("/panic-late")).await.unwrap();
    assert_eq!(late.status(), StatusCode::OK);
    assert!(late.into_body().collect().await.is_err());
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_guest() {
    let Some(app) = plain() else { return };
    let gone = tokio::time::timeout(Duration::from_millis(50), app.handle(get("/spin"))).await;
    assert!(gone.is_err());
    until_idle(&app).await;
    let mut body = app.handle(get("/stream?1000")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    drop(body);
    until_idle(&app).await;
    assert_eq!(app.stats().live_instances, 0);
}

#[tokio::test]
async fn memory_is_bounded_per_instance() {
    let limits = Limits {
        memory_bytes: 16 << 20,
        ..Limits::default()
    };
    let Some(app) = app(Grants::default(), limits, HttpConfig::default()) else {
        return;
    };
    let answer = text(app.handle(get("/grow")).await.unwrap()).await;
    let taken: u32 = answer
        .trim_start_matches("refused after ")
        .trim_end_matches(" MiB\n")
        .parse()
        .unwrap();
    assert!((4..16).contains(&taken), "{answer}");
    until_idle(&app).await;
    assert_eq!(app.stats().live_instances, 0);
}

#[tokio::test]
async fn nothing_is_reachable_without_a_grant() {
    let Some(app) = plain() else { return };
    for path in ["/fs", "/connect", "/fetch"] {
        let answer = text(app.handle(get(path)).await.unwrap()).await;
        assert!(answer.starts_with("refused"), "{path}: {answer}");
    }
    assert_eq!(text(app.handle(get("/env")).await.unwrap()).await, "\n");
}

#[tokio::test]
async fn lines_tell_which_instance_wrote_them() {
    let lines = Arc::new(Collected::default());
    let output = Stdout::Lines(Arc::clone(&lines) as _);
    let grants = Grants {
        stdout: output.clone(),
        stderr: output,
        ..Grants::default()
    };
    let Some(app) = app(grants, Limits::default(), HttpConfig::default()) else {
        return;
    };
    for _ in 0..2 {
        assert_eq!(text(app.handle(get("/log")).await.unwrap()).await, "logged\n");
    }
    until_idle(&app).await;
    let lines = lines.lines();
    assert_eq!(lines.iter().filter(|(_, line)| line == "a line on stdout").count(), 2);
    let (first, last) = (lines.first().unwrap().0, lines.last().unwrap().0);
    assert!(first != last && lines.len() == 4, "{lines:?}");
}

#[tokio::test]
async fn a_request_without_a_host_is_400() {
    let Some(app) = plain() else { return };
    let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    let error = app.handle(request).await.unwrap_err();
    assert_eq!(error.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn draining_ends_what_runs_and_refuses_what_comes() {
    let Some(app) = plain() else { return };
    let mut slow = std::pin::pin!(app.handle(get("/sleep?100")));
    assert!(
        tokio::time::timeout(Duration::from_millis(20), &mut slow)
            .await
            .is_err()
    );
    let (slow, ()) = tokio::join!(slow, app.drain());
    assert_eq!(slow.unwrap().status(), StatusCode::OK);
    assert!(matches!(app.handle(get("/")).await, Err(RequestError::ShuttingDown)));
}
