//! [`HostileRegistry`]: a registry on loopback that serves a [`Shelf`], except where the test answers in its place.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde_json::{Value, json};

use super::shelf::{Shelf, digest_of};

/// Longest request head that is read, in bytes.
const MAX_HEAD: u64 = 1 << 20;
/// A client that says nothing for this long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// `GET`, `HEAD`...
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

impl Ask {
    /// Whether it wants `digest`, as a blob or as a manifest.
    #[must_use]
    pub fn wants(&self, digest: &str) -> bool {
        self.target.ends_with(&format!("/{digest}"))
    }

    /// Whether it is for the list of what refers to something.
    #[must_use]
    pub fn is_referrers(&self) -> bool {
        self.target.contains("/referrers/")
    }
}

/// How to answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, headers and the body, whose length is told truly.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Status 200 with these headers (a length among them, or none) and the body, and then the end of the connection.
    Cut(Vec<(&'static str, String)>, Vec<u8>),
    /// Status 200 and this again and again until the client goes.
    Endless(Vec<(&'static str, String)>, Vec<u8>),
}

impl Reply {
    /// A document with its media type.
    #[must_use]
    pub fn document(value: &Value) -> Self {
        let kind = value["mediaType"].as_str().unwrap_or("application/json").to_owned();
        Self::Whole(200, vec![("content-type", kind)], value.to_string().into_bytes())
    }

    /// A redirect.
    #[must_use]
    pub fn elsewhere(url: &str) -> Self {
        Self::Whole(307, vec![("location", url.to_owned())], Vec::new())
    }
}

/// A running registry; ended when dropped.
#[derive(Debug)]
pub struct HostileRegistry {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Ask>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HostileRegistry {
    /// One that serves the shelf as it is.
    #[must_use]
    pub fn of(shelf: Shelf) -> Self {
        Self::answering(shelf, |_| None)
    }

    /// One where `answer` goes first; `None` leaves the answer to the shelf.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn answering(shelf: Shelf, answer: impl Fn(&Ask) -> Option<Reply> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let answer = Arc::new(move |ask: &Ask| answer(ask).unwrap_or_else(|| honest(&shelf, &ask.target)));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || converse(connection, &log, answer.as_ref()));
            }
        });
        Self {
            address,
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:<port>`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Ask> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for HostileRegistry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What a good registry with the referrers API answers.
fn honest(shelf: &Shelf, target: &str) -> Reply {
    let path = target.split('?').next().unwrap_or(target);
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    let missing = || Reply::Whole(404, Vec::new(), br#"{"errors":[{"code":"NOT_FOUND"}]}"#.to_vec());
    if path == "/v2/" {
        return Reply::Whole(200, Vec::new(), b"{}".to_vec());
    }
    if before.ends_with("/referrers") {
        let entries: Vec<Value> = shelf
            .referrers(last)
            .iter()
            .map(|digest| shelf.descriptor(digest))
            .collect();
        return Reply::document(&json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }));
    }
    let digest = if last.contains(':') || last.starts_with("sha256-") {
        last
    } else {
        shelf.tagged()
    };
    let Some(bytes) = shelf.find(digest) else {
        return missing();
    };
    let kind = serde_json::from_slice::<Value>(bytes).ok();
    let kind = kind.and_then(|document| document["mediaType"].as_str().map(str::to_owned));
    let kind = kind
        .filter(|_| before.ends_with("/manifests"))
        .unwrap_or_else(|| "application/octet-stream".into());
    let headers = vec![("content-type", kind), ("docker-content-digest", digest_of(bytes))];
    Reply::Whole(200, headers, bytes.to_vec())
}

/// Reads one request and answers it; a client that goes away is nobody's fault.
fn converse(mut connection: TcpStream, log: &Mutex<Vec<Ask>>, answer: &impl Fn(&Ask) -> Reply) {
    drop(connection.set_read_timeout(Some(READ_TIMEOUT)));
    let Some(ask) = read(&mut connection) else { return };
    log.lock().unwrap_or_else(PoisonError::into_inner).push(ask.clone());
    let (status, headers, body, endless) = match answer(&ask) {
        Reply::Whole(status, mut headers, body) => {
            headers.push(("content-length", body.len().to_string()));
            (status, headers, body, false)
        }
        Reply::Cut(headers, body) => (200, headers, body, false),
        Reply::Endless(headers, body) => (200, headers, body, true),
    };
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!("HTTP/1.1 {status} .\r\nconnection: close\r\n{headers}\r\n");
    if connection.write_all(head.as_bytes()).is_err() || ask.method == "HEAD" {
        return;
    }
    while connection.write_all(&body).is_ok() && endless {}
}

fn read(connection: &mut TcpStream) -> Option<Ask> {
    let mut reader = BufReader::new(connection.take(MAX_HEAD));
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut authorization = None;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("authorization") {
            authorization = Some(value.trim().to_owned());
        }
    }
    Some(Ask {
        method,
        target,
        authorization,
    })
}
