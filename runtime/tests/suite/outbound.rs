//! Requests that guests send: only where the list says, only to addresses that it means, only so much.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

use bytes::Bytes;
use dunlin_runtime::{Grants, HttpApp, HttpConfig, InstanceStats, Limits, OutboundHost};
use http::Request;
use http_body_util::{BodyExt as _, Empty};

use crate::support::{compile, engine, guest, scheduler};

/// Has the guest send a request to `authority`, and tells what it says of it.
async fn fetch(hosts: &[&str], limits: Limits, authority: &str) -> Option<(String, InstanceStats)> {
    let hosts: Vec<OutboundHost> = hosts.iter().map(|host| host.parse().unwrap()).collect();
    let grants = Grants {
        outbound_hosts: hosts.into(),
        ..Grants::default()
    };
    let engine = engine();
    let code = compile(&engine, &guest("http_hello")?);
    let app = HttpApp::new(&engine, code, grants, limits, HttpConfig::default(), scheduler()).unwrap();
    let request = Request::get(format!("/fetch?{authority}")).header("host", "localhost");
    let answer = app.handle(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    Some((String::from_utf8(text.to_vec()).unwrap(), app.stats()))
}

/// A server for one connection on loopback that reads the head of a request and answers with `answer`, whatever it is asked.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else {
            return;
        };
        // An answer before the request is a fault of its own: clients close the connection on it.
        let mut head = Vec::new();
        let mut part = [0; 1024];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut part) {
                Ok(read) if read > 0 => head.extend_from_slice(&part[..read]),
                _ => return,
            }
        }
        // The guest may be gone by now.
        let _ = stream.write_all(answer);
        while stream.read(&mut part).is_ok_and(|read| read > 0) {}
    });
    format!("127.0.0.1:{port}")
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn a_host_on_the_list_answers_and_others_are_denied() {
    let address = server(OK);
    let Some((text, stats)) = fetch(&[&address], Limits::default(), &address).await else {
        return;
    };
    assert_eq!(text, "granted\n");
    assert_eq!((stats.outbound_requests, stats.outbound_refusals), (1, 0));
    for hosts in [&[][..], &["example.com"], &["127.0.0.1:1"], &["127.0.0.2"]] {
        let (text, stats) = fetch(hosts, Limits::default(), &address).await.unwrap();
        assert!(text.contains("RequestDenied"), "{hosts:?}: {text}");
        assert_eq!(
            (stats.outbound_requests, stats.outbound_refusals, stats.traps),
            (1, 1, 0)
        );
    }
}

#[tokio::test]
async fn a_name_is_not_followed_to_this_machine() {
    let address = server(OK);
    let port = address.split_once(':').unwrap().1;
    // Any name at any rate, but `localhost` leads to where no name may lead.
    let by_name = format!("localhost:{port}");
    let Some((text, _)) = fetch(&[&format!("*:{port}")], Limits::default(), &by_name).await else {
        return;
    };
    assert!(text.contains("IpProhibited"), "{text}");
    let (text, _) = fetch(&[&format!("*:{port}")], Limits::default(), &address)
        .await
        .unwrap();
    assert!(text.contains("IpProhibited"), "{text}");
    let (text, _) = fetch(&[&format!("private:*:{port}")], Limits::default(), &by_name)
        .await
        .unwrap();
    assert_eq!(text, "granted\n");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let address = server(b"");
    let limits = Limits {
        outbound_wait: Duration::from_millis(100),
        ..Limits::default()
    };
    let Some((text, _)) = fetch(&[&address], limits, &address).await else {
        return;
    };
    assert!(text.starts_with("refused") && text.contains("Timeout"), "{text}");
}

#[tokio::test]
async fn answers_that_are_no_http_and_headers_without_end_are_errors() {
    let long: &'static [u8] = Vec::leak([b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'a'; 200_000]].concat());
    for answer in [&b"SSH-2.0-OpenSSH\r\n"[..], long] {
        let address = server(answer);
        let Some((text, stats)) = fetch(&[&address], Limits::default(), &address).await else {
            return;
        };
        assert!(text.starts_with("refused"), "{text}");
        assert_eq!(stats.traps, 0);
    }
}

#[tokio::test]
async fn no_more_requests_at_once_than_allowed() {
    let address = server(OK);
    let limits = Limits {
        outbound_requests: 0,
        ..Limits::default()
    };
    let Some((text, stats)) = fetch(&[&address], limits, &address).await else {
        return;
    };
    assert!(text.contains("ConnectionLimitReached"), "{text}");
    assert_eq!(stats.outbound_refusals, 1);
}
