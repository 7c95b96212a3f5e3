//! A registry that takes what is pushed to it, in memory, with the habits that a test gives it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use dunlin_models::{Digest, media_type};

use super::{Reply, Request, Server};

/// How it behaves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Habits {
    /// Takes blobs over from other repositories.
    pub(crate) mounts: bool,
    /// Says which part it wants at least.
    pub(crate) min_part: Option<usize>,
    /// Forgets uploads whose connection was cut.
    pub(crate) forgets: bool,
    /// Acknowledges so many bytes more than it has.
    pub(crate) overstates: usize,
    /// Where connections end.
    pub(crate) cuts: Vec<(&'static str, usize)>,
}

#[derive(Default)]
struct State {
    /// By `repository/digest`.
    blobs: BTreeMap<String, Vec<u8>>,
    /// By `repository/name`, with their media type.
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    begun: usize,
}

pub(crate) struct Depot {
    pub(crate) server: Server,
    state: Arc<Mutex<State>>,
}

impl Depot {
    pub(crate) async fn start(habits: Habits) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start_cutting(habits.cuts.clone(), move |request| {
            shared.lock().unwrap().answer(request, &habits)
        })
        .await;
        Self { server, state }
    }

    pub(crate) fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state.blobs.get(&format!("{repository}/{digest}")).cloned()
    }

    pub(crate) fn manifest(&self, repository: &str, name: &str) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state
            .manifests
            .get(&format!("{repository}/{name}"))
            .map(|(_, bytes)| bytes.clone())
    }

    pub(crate) fn put_manifest(&self, repository: &str, name: &str, bytes: &[u8]) {
        let entry = (media_type::INDEX.to_owned(), bytes.to_vec());
        self.state
            .lock()
            .unwrap()
            .manifests
            .insert(format!("{repository}/{name}"), entry);
    }

    /// Flips a bit of a blob.
    pub(crate) fn damage(&self, repository: &str, digest: &Digest) {
        let mut state = self.state.lock().unwrap();
        state.blobs.get_mut(&format!("{repository}/{digest}")).unwrap()[0] ^= 1;
    }

    /// Bytes of bodies sent with this method.
    pub(crate) fn count(&self, method: &str, part: &str) -> usize {
        let log = self.server.log();
        log.iter()
            .filter(|request| request.method == method && request.path.contains(part))
            .count()
    }
}

impl State {
    fn answer(&mut self, request: &Request, habits: &Habits) -> Reply {
        let path = request.plain_path().strip_prefix("/v2/").unwrap_or_default().to_owned();
        let method = request.method.as_str();
        if let Some((repository, upload)) = path.split_once("/blobs/uploads/") {
            return self.upload(method, repository, upload, request, habits);
        }
        if let Some((repository, digest)) = path.split_once("/blobs/") {
            return match self.blobs.get(&format!("{repository}/{digest}")) {
                Some(bytes) => Reply::ok(bytes),
                None => Reply::status(404),
            };
        }
        let Some((repository, name)) = path.split_once("/manifests/") else {
            return Reply::status(404);
        };
        if method == "PUT" {
            let digest = Digest::of(&request.body).to_string();
            let stated: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let media_type = stated["mediaType"].as_str().unwrap_or(media_type::MANIFEST).to_owned();
            for name in [name, &digest] {
                let entry = (media_type.clone(), request.body.clone());
                self.manifests.insert(format!("{repository}/{name}"), entry);
            }
            return Reply::status(201);
        }
        match self.manifests.get(&format!("{repository}/{name}")) {
            Some((media_type, bytes)) => Reply::Whole(200, vec![("content-type", media_type.clone())], bytes.clone()),
            None => Reply::status(404),
        }
    }

    fn upload(&mut self, method: &str, repository: &str, upload: &str, request: &Request, habits: &Habits) -> Reply {
        let query: BTreeMap<String, String> = request
            .path
            .split_once('?')
            .map(|(_, query)| query)
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.replace("%3A", ":").replace("%2F", "/")))
            .collect();
        let progress = |bytes: usize| {
            let mut headers = vec![("location", format!("/v2/{repository}/blobs/uploads/{upload}"))];
            if bytes + habits.overstates > 0 {
                headers.push(("range", format!("0-{}", bytes + habits.overstates - 1)));
            }
            headers
        };
        match method {
            "POST" => {
                if let (true, Some(digest), Some(from)) = (habits.mounts, query.get("mount"), query.get("from"))
                    && let Some(bytes) = self.blobs.get(&format!("{from}/{digest}")).cloned()
                {
                    self.blobs.insert(format!("{repository}/{digest}"), bytes);
                    return Reply::status(201);
                }
                self.begun += 1;
                let name = format!("u{}", self.begun);
                self.uploads.insert(name.clone(), Vec::new());
                let mut headers = vec![("location", format!("/v2/{repository}/blobs/uploads/{name}"))];
                headers.extend(habits.min_part.map(|least| ("oci-chunk-min-length", least.to_string())));
                Reply::Whole(202, headers, Vec::new())
            }
            "GET" if habits.forgets => Reply::status(404),
            "GET" => match self.uploads.get(upload) {
                Some(bytes) => Reply::Whole(204, progress(bytes.len()), Vec::new()),
                None => Reply::status(404),
            },
            "PATCH" | "PUT" => {
                let Some(bytes) = self.uploads.get_mut(upload) else {
                    return Reply::status(404);
                };
                if let Some(range) = &request.content_range {
                    let (first, _) = range.split_once('-').unwrap();
                    if first.parse() != Ok(bytes.len()) {
                        return Reply::status(416);
                    }
                }
                bytes.extend_from_slice(&request.body);
                if method == "PATCH" {
                    return Reply::Whole(202, progress(bytes.len()), Vec::new());
                }
                let digest = query.get("digest").cloned().unwrap_or_default();
                if Digest::of(bytes).to_string() != digest {
                    return Reply::status(400);
                }
                let bytes = self.uploads.remove(upload).unwrap();
                self.blobs.insert(format!("{repository}/{digest}"), bytes);
                Reply::status(201)
            }
            _ => Reply::status(405),
        }
    }
}
