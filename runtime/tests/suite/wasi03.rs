//! Guests of WASI 0.3: commands and HTTP services, made by a real toolchain.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use dunlin_runtime::{
    CommandApp, ExitStatus, Grants, HttpApp, HttpConfig, Limits, LinkOptions, RequestError, RunError, Stdout, World,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};

use crate::support::{Collected, compile, engine, guest, scheduler};

async fn command(arguments: &[&str], limits: Limits) -> Option<(Result<ExitStatus, RunError>, String)> {
    let engine = engine();
    let code = compile(&engine, &guest("command_hello03")?);
    assert_eq!(code.world(), World::Command);
    let app = CommandApp::new(&engine, code, &LinkOptions::default()).unwrap();
    let output = Arc::new(Collected::default());
    let grants = Grants {
        args: arguments.iter().map(|&argument| argument.to_owned()).collect(),
        stdout: Stdout::Sink(Arc::clone(&output) as _),
        ..Grants::default()
    };
    let outcome = app.run(grants, limits, &scheduler()).await;
    assert_eq!(app.stats().live_instances, 0);
    Some((outcome, output.text()))
}

#[tokio::test]
async fn a_command_writes_waits_and_fails() {
    let Some((outcome, output)) = command(&["guest", "one", "wait"], Limits::default()).await else {
        return;
    };
    assert!(outcome.unwrap().success());
    assert_eq!(output, "one\nwait\n");
    let (outcome, _) = command(&["guest", "fail"], Limits::default()).await.unwrap();
    assert_eq!(outcome.unwrap().code(), 1);
}

#[tokio::test]
async fn a_command_that_spins_is_stopped() {
    let limits = Limits {
        cpu: Some(Duration::from_millis(100)),
        ..Limits::default()
    };
    let Some((outcome, _)) = command(&["guest", "spin"], limits).await else {
        return;
    };
    assert!(matches!(outcome, Err(RunError::Deadline { .. })), "{outcome:?}");
}

fn service(reuse: u32) -> Option<HttpApp> {
    let engine = engine();
    let code = compile(&engine, &guest("http_hello03")?);
    assert_eq!(code.world(), World::HttpService03);
    let config = HttpConfig {
        max_instance_reuse: NonZeroU32::new(reuse).unwrap(),
        ..HttpConfig::default()
    };
    Some(HttpApp::new(&engine, code, Grants::default(), Limits::default(), config, scheduler()).unwrap())
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path)
        .header("host", "localhost:8080")
        .body(Empty::new())
        .unwrap()
}

async fn text(app: &HttpApp, path: &str) -> String {
    let body = app.handle(get(path)).await.unwrap().into_body();
    String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_service_answers_at_once_and_in_parts() {
    let Some(app) = service(1) else { return };
    assert_eq!(text(&app, "/").await, "hello from http_hello03\n");
    assert_eq!(text(&app, "/late").await, "one two\n");
    assert_eq!(text(&app, "/count").await, "1\n");
    assert_eq!(text(&app, "/count").await, "1\n");
    let missing = app.handle(get("/missing")).await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_service_that_may_be_used_again_is() {
    let Some(app) = service(2) else { return };
    let mut served = Vec::new();
    for _ in 0..3 {
        served.push(text(&app, "/count").await);
        while app.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert_eq!(served, ["1\n", "2\n", "1\n"]);
}

#[tokio::test]
async fn a_service_that_traps_costs_its_own_answer() {
    let Some(app) = service(1) else { return };
    let error = app.handle(get("/trap")).await.unwrap_err();
    assert!(matches!(error, RequestError::Trap { .. }), "{error}");
    let body = app.handle(get("/trap-late")).await.unwrap().into_body();
    assert!(body.collect().await.is_err());
    assert_eq!(text(&app, "/").await, "hello from http_hello03\n");
}
