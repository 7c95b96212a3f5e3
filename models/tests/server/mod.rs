//! A registry that does what a test tells it to: serves a store's content, and lies, stalls or floods where asked.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod depot;
pub(crate) mod published;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dunlin_models::store::Store;
use dunlin_models::{Descriptor, media_type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) range: Option<(usize, usize)>,
    pub(crate) content_range: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The path without query.
    pub(crate) fn plain_path(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// What to answer.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// 200, then bytes for ever.
    Endless,
    /// 200 announcing so many bytes, but only these come before the connection ends.
    Short(usize, Vec<u8>),
    /// The same with another status and headers.
    Cut(u16, Vec<(&'static str, String)>, usize, Vec<u8>),
    /// 200, and then a byte now and then.
    Drip(Vec<u8>),
    /// Nothing at all, while the connection stays.
    Hang,
    /// 200 announcing one byte, and then nothing.
    Silent,
}

impl Reply {
    pub(crate) fn ok(body: &[u8]) -> Self {
        Self::Whole(200, Vec::new(), body.to_vec())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Whole(
            status,
            Vec::new(),
            b"{\"errors\":[{\"code\":\"TEST\",\"message\":\"told to fail\"}]}".to_vec(),
        )
    }

    pub(crate) fn with(status: u16, name: &'static str, value: &str) -> Self {
        Self::Whole(status, vec![(name, value.to_owned())], Vec::new())
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server; its tasks end with it.
pub(crate) struct Server {
    pub(crate) host: String,
    log: Arc<Mutex<Vec<Request>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_cutting(Vec::new(), handler).await
    }

    /// Like `start`, but the connection of the first request of each of these methods that sends more than so many bytes
    /// ends after them. The handler sees what came, and its answer is not sent.
    pub(crate) async fn start_cutting(
        cuts: Vec<(&'static str, usize)>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let cuts: Cuts = Arc::new(Mutex::new(cuts));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (handler, requests): (Arc<Handler>, _) = (Arc::new(handler), Arc::clone(&log));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(
                    stream,
                    Arc::clone(&handler),
                    Arc::clone(&requests),
                    Arc::clone(&cuts),
                ));
            }
        });
        Self {
            host,
            log,
            _tasks: tasks,
        }
    }

    pub(crate) fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How many requests had `part` in their path.
    pub(crate) fn count(&self, part: &str) -> usize {
        self.log().iter().filter(|request| request.path.contains(part)).count()
    }
}

type Cuts = Arc<Mutex<Vec<(&'static str, usize)>>>;

async fn serve(stream: TcpStream, handler: Arc<Handler>, log: Arc<Mutex<Vec<Request>>>, cuts: Cuts) {
    let mut stream = BufReader::new(stream);
    while let Some((request, is_cut)) = read_request(&mut stream, &cuts).await {
        log.lock().unwrap().push(Request {
            body: Vec::new(),
            ..request.clone()
        });
        let reply = handler(&request);
        if is_cut {
            return;
        }
        // A client that has seen enough hangs up, which is no fault of the server.
        if !write_reply(&mut stream, &request, reply).await.unwrap_or(false) {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>, cuts: &Cuts) -> Option<(Request, bool)> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|&n| n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut length, mut range, mut content_range) = (None, 0, None, None);
    let mut chunked = false;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.to_owned()),
            "content-length" => length = value.parse().ok()?,
            "content-range" => content_range = Some(value.to_owned()),
            "transfer-encoding" => chunked = true,
            "range" => {
                let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
                range = Some((first.parse().ok()?, last.parse().ok()?));
            }
            _ => {}
        }
    }
    assert!(!chunked, "the client must announce what it sends");
    let cut = {
        let mut cuts = cuts.lock().unwrap();
        let found = cuts.iter().position(|(cut, limit)| *cut == method && *limit < length);
        found.map(|position| cuts.remove(position).1)
    };
    let mut body = vec![0; cut.unwrap_or(length)];
    stream.read_exact(&mut body).await.ok()?;
    let request = Request {
        method,
        path,
        authorization,
        range,
        content_range,
        body,
    };
    Some((request, cut.is_some()))
}

/// Returns whether the connection can be used again.
async fn write_reply(stream: &mut BufReader<TcpStream>, request: &Request, reply: Reply) -> std::io::Result<bool> {
    match reply {
        Reply::Whole(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} Test\r\ncontent-length: {}\r\n", body.len());
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await?;
            if request.method != "HEAD" {
                stream.write_all(&body).await?;
            }
            stream.flush().await?;
            Ok(true)
        }
        Reply::Endless => {
            stream
                .write_all(b"HTTP/1.1 200 Test\r\ntransfer-encoding: chunked\r\n\r\n")
                .await?;
            let chunk = [b"10000\r\n".to_vec(), vec![b' '; 0x10000], b"\r\n".to_vec()].concat();
            loop {
                stream.write_all(&chunk).await?;
            }
        }
        Reply::Short(announced, body) => {
            let reply = Reply::Cut(200, Vec::new(), announced, body);
            Box::pin(write_reply(stream, request, reply)).await
        }
        Reply::Drip(body) => {
            let head = format!("HTTP/1.1 200 Test\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await?;
            for byte in body {
                stream.write_all(&[byte]).await?;
                stream.flush().await?;
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
            Ok(false)
        }
        Reply::Hang => std::future::pending().await,
        Reply::Cut(status, headers, announced, body) => {
            let mut head = format!("HTTP/1.1 {status} Test\r\ncontent-length: {announced}\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await?;
            stream.flush().await?;
            Ok(false)
        }
        Reply::Silent => {
            stream
                .write_all(b"HTTP/1.1 200 Test\r\ncontent-length: 1\r\n\r\n")
                .await?;
            stream.flush().await?;
            std::future::pending().await
        }
    }
}

/// Answers by path: the honest half of a registry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content(pub(crate) BTreeMap<String, Reply>);

impl Content {
    /// Everything in `store`, as repository `demo/echo`, with `root` tagged `v1` and its referrers listed by the API.
    pub(crate) fn of(store: &Store, root: &Descriptor) -> Self {
        let mut content = Self::default();
        for entry in fs_err::read_dir(store.root().join("blobs/sha256")).unwrap() {
            let entry = entry.unwrap();
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            let bytes = fs_err::read(entry.path()).unwrap();
            content.set(&format!("blobs/{digest}"), Reply::ok(&bytes));
            if let Ok(descriptor) = store.describe(&digest.parse().unwrap()) {
                let reply = Reply::Whole(200, vec![("content-type", descriptor.media_type)], bytes);
                content.set(&format!("manifests/{digest}"), reply.clone());
                if descriptor.digest == root.digest {
                    content.set("manifests/v1", reply);
                }
            }
        }
        let referrers = dunlin_models::manifest::Index::new(store.referrers(&root.digest).unwrap());
        let reply = Reply::Whole(
            200,
            vec![("content-type", media_type::INDEX.to_owned())],
            serde_json::to_vec(&referrers).unwrap(),
        );
        content.set(&format!("referrers/{}", root.digest), reply);
        content
    }

    pub(crate) fn set(&mut self, path: &str, reply: Reply) {
        self.0.insert(format!("/v2/demo/echo/{path}"), reply);
    }

    /// What an honest registry answers; parts where parts are asked for.
    pub(crate) fn answer(&self, request: &Request) -> Reply {
        let Some(reply) = self.0.get(request.plain_path()) else {
            return Reply::status(404);
        };
        match (reply, request.range) {
            (Reply::Whole(200, _, body), Some((first, last))) if request.method == "GET" => part(body, first, last),
            _ => reply.clone(),
        }
    }

    /// The body kept under `path`.
    pub(crate) fn body(&self, path: &str) -> &[u8] {
        match self.0.get(path) {
            Some(Reply::Whole(_, _, body)) => body,
            other => panic!("{path}: {other:?}"),
        }
    }
}

/// 206 with the bytes from `first` to `last`, or 416.
pub(crate) fn part(body: &[u8], first: usize, last: usize) -> Reply {
    let end = last.saturating_add(1).min(body.len());
    if first >= end {
        return Reply::with(416, "content-range", &format!("bytes */{}", body.len()));
    }
    let range = format!("bytes {first}-{}/{}", end - 1, body.len());
    Reply::Whole(206, vec![("content-range", range)], body[first..end].to_vec())
}
