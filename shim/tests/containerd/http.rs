//! HTTP guests serve on the container's network, and finish what they are doing when they are asked to stop.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::node::{HTTP, Node, node, until};

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn serve(node: &Node, id: &str) -> SocketAddr {
    let port = free_port();
    node.start_detached(&["--net-host", "--env", &format!("PORT={port}")], HTTP, id, &[]);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    until("the guest listens", || TcpStream::connect(address).is_ok());
    address
}

fn request(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n").unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn requests_are_answered_on_the_port_of_the_variable() {
    let Some(node) = node() else { return };
    let address = serve(&node, "c");
    let text = answer(request(address, "/"));
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    node.remove("c");
}

#[test]
fn sigterm_lets_requests_in_flight_finish() {
    let Some(node) = node() else { return };
    let address = serve(&node, "c");
    let slow = request(address, "/sleep?1500");
    // The request has to be in before the signal.
    std::thread::sleep(Duration::from_millis(500));
    node.ctr(&["task", "kill", "-s", "SIGTERM", "c"]).ok();
    let text = answer(slow);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    until("the guest has ended", || node.status("c") == "STOPPED");
    assert_eq!(node.ctr(&["task", "delete", "c"]).code, 0, "a drained server ends well");
    assert!(TcpStream::connect(address).is_err());
    node.ctr(&["container", "delete", "c"]).ok();
}
