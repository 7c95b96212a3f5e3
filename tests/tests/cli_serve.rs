//! `dunlin serve`: requests, faults of guests, limits, draining.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use dunlin_tests::{Machine, Server, cached};

const LOCAL: i32 = 7;

fn hello(options: &[&str]) -> Option<(Machine, Server)> {
    let wasm = cached("guests/http_hello.wasm")?;
    let machine = Machine::new();
    let arguments: Vec<&str> = ["--allow-unsigned", wasm.to_str().unwrap()]
        .into_iter()
        .chain(options.iter().copied())
        .collect();
    let server = Server::start(&machine, &arguments);
    Some((machine, server))
}

#[test]
fn requests_are_answered_and_bodies_stream() {
    let Some((_machine, server)) = hello(&[]) else { return };
    assert_eq!(server.get("/"), (200, "hello from http_hello\n".to_owned()));
    assert_eq!(server.get("/status?418").0, 418);
    let body = vec![b'x'; 3 << 20];
    let (status, echoed) = server.post("/echo", &body);
    assert_eq!((status, echoed.len()), (200, body.len()));
    assert_eq!(server.get("/stream?8").1.len(), 8 << 20);
}

#[test]
fn a_fresh_instance_serves_each_request_unless_reuse_was_asked_for() {
    let Some((_machine, server)) = hello(&[]) else { return };
    for _ in 0..3 {
        assert_eq!(server.get("/count").1, "1\n");
    }
    let Some((_machine, server)) = hello(&["--instance-reuse", "2"]) else {
        return;
    };
    // An instance comes back a moment after its answer: a quick client may get a new one, but never a third use.
    let counts: Vec<String> = (0..12).map(|_| server.get("/count").1).collect();
    assert!(
        counts.iter().all(|count| count == "1\n" || count == "2\n"),
        "{counts:?}"
    );
    assert!(counts.iter().any(|count| count == "2\n"), "{counts:?}");
}

#[test]
fn a_guests_fault_is_its_own() {
    let Some((_machine, server)) = hello(&["--timeout", "500ms", "--memory", "64M"]) else {
        return;
    };
    let (status, text) = server.get("/panic");
    assert_eq!(status, 500);
    assert!(
        !text.contains("wasm") && !text.contains("as asked"),
        "the host's details reach the client: {text}"
    );
    assert_eq!(server.get("/spin").0, 504);
    assert_eq!(server.get("/sleep?60000").0, 504);
    assert!(server.get("/grow").1.starts_with("refused after "));
    let (_, cut) = server.get("/panic-late");
    assert!(
        cut.len() <= 1 << 16 || cut.starts_with('<'),
        "the body ends with an error: {} bytes",
        cut.len()
    );
    assert_eq!(server.get("/").0, 200, "the server lives");
}

#[test]
fn nothing_of_the_host_is_reachable() {
    let Some((_machine, server)) = hello(&[]) else { return };
    for path in ["/fs", "/connect", "/fetch"] {
        let (status, text) = server.get(path);
        assert_eq!(status, 200, "{path}");
        assert!(text.starts_with("refused: "), "{path}: {text}");
    }
    assert_eq!(server.get("/env").1.trim(), "");
}

#[test]
fn too_many_requests_at_once_are_told_to_come_back() {
    let Some((_machine, server)) = hello(&["--max-concurrent", "1"]) else {
        return;
    };
    let address = server.address().to_owned();
    let slow = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET /sleep?1500 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(server.get("/").0, 503);
    assert!(slow.join().unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(server.get("/").0, 200);
}

#[test]
fn a_request_in_flight_is_finished_before_the_end() {
    let Some((_machine, mut server)) = hello(&[]) else {
        return;
    };
    let address = server.address().to_owned();
    let slow = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET /sleep?1200 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    std::thread::sleep(Duration::from_millis(400));
    server.terminate();
    let answer = slow.join().unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("slept"),
        "{answer}"
    );
    assert_eq!(server.wait(), 0);
}

#[test]
fn a_second_signal_does_not_wait() {
    let Some((_machine, mut server)) = hello(&["--grace-period", "5m"]) else {
        return;
    };
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET /sleep?240000 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(400));
    server.terminate();
    std::thread::sleep(Duration::from_millis(200));
    server.terminate();
    assert_eq!(server.wait(), 0);
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let Some((machine, server)) = hello(&[]) else { return };
    let wasm = cached("guests/http_hello.wasm").unwrap();
    let refused = machine
        .dunlin(&[
            "serve",
            "--allow-unsigned",
            wasm.to_str().unwrap(),
            "--addr",
            server.address(),
        ])
        .exits(LOCAL);
    refused.says(server.address()).says("hint:");
}

#[test]
fn garbage_on_the_wire_does_no_harm() {
    let Some((_machine, server)) = hello(&[]) else { return };
    for garbage in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxx",
        &[0; 4096],
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        drop(stream.write_all(garbage));
        drop(stream.read(&mut [0; 1024]));
    }
    let mut stream = TcpStream::connect(server.address()).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(1 << 20)).ok();
    drop(stream);
    assert_eq!(server.get("/").0, 200);
}

#[test]
fn the_embed_guest_gives_the_reference_embeddings() {
    let (Some(wasm), Some(model), Some(tokenizer), Some(sentences)) = (
        cached("guests/embed.wasm"),
        cached("fixtures/minilm-int8/model.onnx"),
        cached("assets/minilm/tokenizer.json"),
        cached("fixtures/minilm/sentences.json"),
    ) else {
        return;
    };
    let vocabulary = cached("assets/minilm/vocab.txt").unwrap();
    let machine = Machine::new();
    let files = [&model, &tokenizer, &vocabulary].map(|path| path.to_str().unwrap());
    let pack: Vec<&str> = ["pack", "--tag", "demo/minilm:1"].into_iter().chain(files).collect();
    drop(machine.dunlin(&pack).ok());
    let server = Server::start(
        &machine,
        &[
            "--allow-unsigned",
            "--model",
            "default=demo/minilm:1",
            wasm.to_str().unwrap(),
        ],
    );
    let case: serde_json::Value = serde_json::from_slice(&fs_err::read(&sentences).unwrap()).unwrap();
    let body = serde_json::json!({ "input": case["input"] }).to_string();
    let (status, text) = server.post("/embed", body.as_bytes());
    assert_eq!(status, 200, "{text}");
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = answer["embeddings"].as_array().unwrap();
    // The reference was made with the fp32 weights: the int8 model is near it, not equal to it.
    let reference = dunlin_tests::Npy::read(&sentences.with_file_name(case["expected"].as_str().unwrap()));
    assert_eq!(rows.len(), reference.shape[0]);
    for (row, expected) in rows.iter().zip(reference.rows()) {
        let values: Vec<f64> = row
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        let norm: f64 = values.iter().map(|value| value * value).sum();
        assert!((norm - 1.0).abs() < 1e-3, "not normalised: {norm}");
        let cosine: f64 = values.iter().zip(expected).map(|(left, right)| left * right).sum();
        assert!(cosine > 0.98, "cosine {cosine}");
    }
    for (body, expected) in [
        (&b"{"[..], 400),
        (br#"{"input": 7}"#, 400),
        (br#"{}"#, 400),
        (&vec![b' '; (1 << 20) + 1], 413),
    ] {
        assert_eq!(server.post("/embed", body).0, expected);
    }
    assert_eq!(server.get("/embed").0, 405);
    assert_eq!(server.get("/nowhere").0, 404);
    assert_eq!(server.get("/healthz").0, 200);
}
