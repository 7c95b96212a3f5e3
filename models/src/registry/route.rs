//! The endpoints of one repository: its mirrors in their order, and the registry itself last. A request goes to the next
//! one when one fails; what is asked for by name goes only to those that may answer for names.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::config::{RetryPolicy, TransferConfig};
use super::http::{Http, shown};
use super::remote::{Fetched, Remote};
use super::signatures::Signatures;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::reference::Reference;

/// Where a repository can be had. Cloning is cheap, and clones share what they learned.
#[derive(Debug, Clone)]
pub(super) struct Route {
    stations: Arc<Vec<Station>>,
    /// The station that blobs come from at present.
    current: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Station {
    remote: Remote,
    pull_only: bool,
    resolve: bool,
    /// Did not answer; not asked again, unless it is the last resort.
    down: AtomicBool,
}

impl Route {
    /// The way to the repository of `reference`; `None` when it names no registry.
    pub(super) fn to(http: &Http, reference: &Reference) -> Option<Result<Self, TransportError>> {
        let registry = reference.registry()?;
        Some(Self::build(http, registry, reference.repository()))
    }

    fn build(http: &Http, registry: &str, repository: &str) -> Result<Self, TransportError> {
        let once = RetryPolicy {
            retries: 0,
            ..http.config().retry
        };
        let mut stations = Vec::new();
        for (mirror, endpoint) in http.mirrors(registry)? {
            let repository = match mirror.parts() {
                (_, "") => repository.to_owned(),
                (_, path) => format!("{path}/{repository}"),
            };
            stations.push(Station {
                remote: Remote::new(http, endpoint, &repository, once)?,
                pull_only: mirror.pull_only,
                resolve: mirror.resolve,
                down: AtomicBool::new(false),
            });
        }
        stations.push(Station {
            remote: Remote::new(http, http.origin(registry)?, repository, http.config().retry)?,
            pull_only: false,
            resolve: true,
            down: AtomicBool::new(false),
        });
        Ok(Self {
            stations: Arc::new(stations),
            current: Arc::default(),
        })
    }

    /// The registry itself.
    pub(super) fn origin(&self) -> Option<&Remote> {
        self.stations.last().map(|station| &station.remote)
    }

    /// Where to push to.
    pub(super) fn target(&self) -> Option<&Remote> {
        let station = self.stations.iter().find(|station| !station.pull_only);
        station.map(|station| &station.remote)
    }

    /// The manifest under a tag or digest.
    pub(super) async fn manifest(&self, name: &str, limit: u64) -> Result<Fetched, TransportError> {
        let digest: Option<Digest> = name.parse().ok();
        self.ask(digest.is_none(), |remote| async move {
            let fetched = remote.manifest(name, limit).await?;
            // Another endpoint may have the right bytes. Those of the registry itself are checked by the caller.
            let is_wrong =
                !self.is_origin_remote(remote) && digest.is_some_and(|expected| Digest::of(&fetched.bytes) != expected);
            if is_wrong {
                return Err(TransportError::Protocol {
                    url: shown(&remote.url(&format!("manifests/{name}"))?),
                    reason: "the manifest has another digest".to_owned(),
                });
            }
            Ok(fetched)
        })
        .await
    }

    /// A blob in memory, of at most `limit` bytes and with the right digest, from the first station that has it.
    pub(super) async fn small_blob(&self, blob: &Descriptor, limit: u64) -> Result<Vec<u8>, TransportError> {
        self.ask(false, |remote| remote.small_blob(blob, limit)).await
    }

    /// What claims to sign `subject`, at the first station that knows of anything.
    pub(super) async fn signatures(&self, subject: &Digest) -> Result<Signatures, TransportError> {
        let mut last = None;
        for station in self.stations.iter().filter(|station| station.resolve) {
            match station.remote.signatures(subject).await {
                Ok(signatures) if signatures.len() > 0 => return Ok(signatures),
                outcome => last = Some(outcome),
            }
        }
        last.unwrap_or_else(|| Ok(Signatures::default()))
    }

    /// Everything that refers to `subject`, at the first station that answers.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, TransportError> {
        self.ask(true, |remote| remote.referrers(subject)).await
    }

    /// Asks the stations in turn. `by_name`: only those that may answer for names. The last one's error is the error.
    async fn ask<'a, T, F>(&'a self, by_name: bool, request: impl Fn(&'a Remote) -> F) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let count = self.stations.len();
        let mut outcome = None;
        for (position, station) in self.stations.iter().enumerate() {
            let is_last = position + 1 == count;
            if !is_last && ((by_name && !station.resolve) || station.down.load(Ordering::Relaxed)) {
                continue;
            }
            match request(&station.remote).await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    tracing::debug!(endpoint = station.remote.endpoint.name, %error, "no answer from this endpoint");
                    station.down.fetch_or(error.is_transient(), Ordering::Relaxed);
                    outcome = Some(error);
                }
            }
        }
        Err(outcome.unwrap_or_else(|| TransportError::Protocol {
            url: String::new(),
            reason: "no endpoint".to_owned(),
        }))
    }

    /// All endpoints, the registry itself last.
    pub(super) fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.stations.iter().map(|station| &station.remote)
    }

    /// The station that blobs come from, and its number.
    pub(super) fn station(&self) -> Option<(usize, &Remote)> {
        let current = self.current.load(Ordering::Relaxed);
        self.stations.get(current).map(|station| (current, &station.remote))
    }

    /// How much is transferred at a time.
    pub(super) fn transfer(&self) -> TransferConfig {
        self.origin()
            .map(|origin| origin.http.config().transfer)
            .unwrap_or_default()
    }

    /// What to do after failures.
    pub(super) fn retry(&self) -> RetryPolicy {
        self.origin()
            .map(|origin| origin.http.config().retry)
            .unwrap_or_default()
    }

    /// How many stations there are.
    pub(super) fn len(&self) -> usize {
        self.stations.len()
    }

    /// Whether the registry itself is the station of that number.
    pub(super) fn is_origin(&self, number: usize) -> bool {
        number + 1 == self.stations.len()
    }

    /// Leaves the station `failed` for the next one, unless others have done so. Round and round.
    pub(super) fn pass(&self, failed: usize) {
        let next = (failed + 1) % self.stations.len().max(1);
        // Whoever was first has moved on for all.
        let _ = self
            .current
            .compare_exchange(failed, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The same repository by its registry alone.
    pub(super) fn without_mirrors(&self) -> Self {
        let stations = self.stations.last().map(|station| Station {
            remote: station.remote.clone(),
            pull_only: false,
            resolve: true,
            down: AtomicBool::new(false),
        });
        Self {
            stations: Arc::new(stations.into_iter().collect()),
            current: Arc::default(),
        }
    }

    fn is_origin_remote(&self, remote: &Remote) -> bool {
        self.origin().is_some_and(|origin| std::ptr::eq(origin, remote))
    }
}
