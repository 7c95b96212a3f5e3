//! [`Web`]: a tiny HTTP server on loopback for what has no real one: issuers of tokens. One answer per connection.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// Longest request that is read, in bytes.
const MAX_REQUEST: u64 = 1 << 20;
/// A client that says nothing for this long is given up.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, `POST`...
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The body.
    pub body: String,
}

/// Status and JSON body.
pub type Answer = (u16, serde_json::Value);

/// A running server; ended when dropped.
#[derive(Debug)]
pub struct Web {
    address: SocketAddr,
    scheme: &'static str,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    /// Starts it. `answer` is told the server's own URL, without a slash at its end.
    ///
    /// # Panics
    /// There is no free port.
    #[must_use]
    pub fn serve(answer: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(None, answer)
    }

    /// The same behind TLS, with the certificate and the key of these PEM files.
    ///
    /// # Panics
    /// There is no free port, or the files cannot be used.
    #[must_use]
    pub fn serve_tls(
        certificate: &Path,
        key: &Path,
        answer: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate)
            .expect("a certificate")
            .collect();
        let key = PrivateKeyDer::from_pem_file(key).expect("a private key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(chain.expect("a certificate"), key)
            .expect("a key that fits its certificate");
        Self::start(Some(Arc::new(config)), answer)
    }

    fn start(tls: Option<Arc<ServerConfig>>, answer: impl Fn(&str, &Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let answer = move |asked: &Asked| answer(&format!("{scheme}://{address}"), asked);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let answer = Arc::new(answer);
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                let (answer, tls) = (Arc::clone(&answer), tls.clone());
                std::thread::spawn(move || accept(connection, tls, answer.as_ref()));
            }
        });
        Self {
            address,
            scheme,
            stop,
            thread: Some(thread),
        }
    }

    /// `http://127.0.0.1:<port>`, or `https`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread, which waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn accept(mut connection: TcpStream, tls: Option<Arc<ServerConfig>>, answer: &impl Fn(&Asked) -> Answer) {
    drop(connection.set_read_timeout(Some(READ_TIMEOUT)));
    match tls {
        None => converse(&mut connection, answer),
        Some(config) => {
            let session = ServerConnection::new(config).expect("a TLS session");
            let mut stream = StreamOwned::new(session, connection);
            converse(&mut stream, answer);
            stream.conn.send_close_notify();
            drop(stream.flush());
        }
    }
}

/// Reads one request and answers it; a client that goes away is nobody's fault.
fn converse(connection: &mut (impl Read + Write), answer: &impl Fn(&Asked) -> Answer) {
    let Some(asked) = read(connection) else { return };
    let (status, body) = answer(&asked);
    let body = body.to_string();
    drop(write!(
        connection,
        "HTTP/1.1 {status} .\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ));
    drop(connection.flush());
}

fn read(connection: &mut impl Read) -> Option<Asked> {
    let mut reader = BufReader::new(connection.take(MAX_REQUEST));
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut length) = (None, 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).ok()?;
    Some(Asked {
        method,
        target,
        authorization,
        body,
    })
}
