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
    /// The station that a blob comes from at present.
    current: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Station {
    remote: Remote,
    pull_only: bool,
    resolve: bool,
    /// Answers for names when the registry itself cannot be reached.
    stands_in: bool,
    /// Did not answer; not asked again, unless it is the last resort.
    down: AtomicBool,
}

/// A station that is asked, and with how much patience.
struct Turn<'a> {
    station: &'a Station,
    remote: Remote,
    is_origin: bool,
}

impl<'a> Turn<'a> {
    fn of(station: &'a Station, is_origin: bool) -> Self {
        Self {
            station,
            remote: station.remote.clone(),
            is_origin,
        }
    }
}

/// Who may answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// Everybody: the digest decides.
    All,
    /// Those who may say what a name means, and when the registry itself cannot be reached, its peers.
    Names,
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
                stands_in: mirror.peer,
                down: AtomicBool::new(false),
            });
        }
        stations.push(Station {
            remote: Remote::new(http, http.origin(registry)?, repository, http.config().retry)?,
            pull_only: false,
            resolve: true,
            stands_in: false,
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
        let origin = self.origin().map(|origin| &origin.endpoint.base);
        let who = if digest.is_none() { Who::Names } else { Who::All };
        self.ask(who, |remote| async move {
            let fetched = remote.manifest(name, limit).await?;
            // Another endpoint may have the right bytes. Those of the registry itself are checked by the caller.
            let is_origin = origin.is_some_and(|origin| *origin == remote.endpoint.base);
            let is_wrong = !is_origin && digest.is_some_and(|expected| Digest::of(&fetched.bytes) != expected);
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
        self.ask(Who::All, |remote| async move { remote.small_blob(blob, limit).await })
            .await
    }

    /// What claims to sign `subject`, at the first station that knows of anything.
    pub(super) async fn signatures(&self, subject: &Digest) -> Result<Signatures, TransportError> {
        let mut last = None;
        for turn in self.turns(Who::Names) {
            match turn.remote.signatures(subject).await {
                // Peers stand in for the registry, and do not add to what it says.
                Ok(signatures) if signatures.len() > 0 || turn.is_origin => return Ok(signatures),
                Err(error) if turn.is_origin && !error.is_transient() => return Err(error),
                Err(error) => last = Some(Err(turn.station.failed(error))),
                none => last = Some(none),
            }
        }
        last.unwrap_or_else(|| Ok(Signatures::default()))
    }

    /// Everything that refers to `subject`, at the first station that answers.
    pub(super) async fn referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, TransportError> {
        self.ask(Who::Names, |remote| async move { remote.referrers(subject).await })
            .await
    }

    /// Asks the stations in turn. What the registry itself says last is the error.
    async fn ask<T, F>(&self, who: Who, request: impl Fn(Remote) -> F) -> Result<T, TransportError>
    where
        F: Future<Output = Result<T, TransportError>>,
    {
        let mut outcome = None;
        for turn in self.turns(who) {
            let error = match request(turn.remote).await {
                Ok(value) => return Ok(value),
                Err(error) => turn.station.failed(error),
            };
            // It was reached: peers need not stand in for it.
            if turn.is_origin && !error.is_transient() {
                return Err(error);
            }
            if turn.is_origin || outcome.is_none() {
                outcome = Some(error);
            }
        }
        Err(outcome.unwrap_or_else(|| TransportError::Protocol {
            url: String::new(),
            reason: "no endpoint".to_owned(),
        }))
    }

    /// Who is asked, in order. For names, the registry itself is asked once, then the peers that may stand in for it, and then
    /// it is asked again with all patience.
    fn turns(&self, who: Who) -> Vec<Turn<'_>> {
        let Some((origin, others)) = self.stations.split_last() else {
            return Vec::new();
        };
        let up = || others.iter().filter(|station| !station.is_down());
        let asked = up().filter(|station| who == Who::All || station.resolve);
        let mut turns: Vec<Turn<'_>> = asked.map(|station| Turn::of(station, false)).collect();
        let stand_ins: Vec<Turn<'_>> = up()
            .filter(|station| who == Who::Names && station.stands_in)
            .map(|station| Turn::of(station, false))
            .collect();
        if !stand_ins.is_empty() {
            if !origin.is_down() {
                let mut once = Turn::of(origin, true);
                once.remote.retry.retries = 0;
                turns.push(once);
            }
            turns.extend(stand_ins);
        }
        turns.push(Turn::of(origin, true));
        turns
    }

    /// All endpoints, the registry itself last.
    pub(super) fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.stations.iter().map(|station| &station.remote)
    }

    /// The same way for one blob, from its first station that answers: that one station lacks a blob does not say that it lacks
    /// the next.
    pub(super) fn for_blob(&self) -> Self {
        let first = self.stations.iter().position(|station| !station.is_down());
        let last = self.stations.len().saturating_sub(1);
        Self {
            stations: Arc::clone(&self.stations),
            current: Arc::new(AtomicUsize::new(first.unwrap_or(last))),
        }
    }

    /// The station that the blob comes from, and its number.
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

    /// How many stations are worth asking; the registry itself always is.
    pub(super) fn len(&self) -> usize {
        let last = self.stations.len().saturating_sub(1);
        let up = self.stations.iter().take(last).filter(|station| !station.is_down());
        up.count() + 1
    }

    /// Whether the registry itself is the station of that number.
    pub(super) fn is_origin(&self, number: usize) -> bool {
        number + 1 == self.stations.len()
    }

    /// Leaves the station `failed` for the next one that is not down, unless others have done so. Round and round.
    pub(super) fn pass(&self, failed: usize, error: &TransportError) {
        if let Some(station) = self.stations.get(failed).filter(|_| !self.is_origin(failed)) {
            station.down.fetch_or(error.is_transient(), Ordering::Relaxed);
        }
        let count = self.stations.len().max(1);
        let others = (1..=count).map(|step| (failed + step) % count);
        let is_worth = |number: &usize| {
            let station = self.stations.get(*number);
            self.is_origin(*number) || station.is_some_and(|station| !station.is_down())
        };
        let Some(next) = others.into_iter().find(is_worth) else {
            return;
        };
        // Whoever was first has moved on for all.
        let _ = self
            .current
            .compare_exchange(failed, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Asks those again that were down: when all have failed, it is not theirs to be left out.
    pub(super) fn forgive(&self) {
        for station in self.stations.iter() {
            station.down.store(false, Ordering::Relaxed);
        }
    }

    /// The same repository by its registry alone.
    pub(super) fn without_mirrors(&self) -> Self {
        let stations = self.stations.last().map(|station| Station {
            remote: station.remote.clone(),
            pull_only: false,
            resolve: true,
            stands_in: false,
            down: AtomicBool::new(false),
        });
        Self {
            stations: Arc::new(stations.into_iter().collect()),
            current: Arc::default(),
        }
    }
}

impl Station {
    fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// Notes that the station failed in this way.
    fn failed(&self, error: TransportError) -> TransportError {
        tracing::debug!(endpoint = self.remote.endpoint.name, %error, "no answer from this endpoint");
        self.down.fetch_or(error.is_transient(), Ordering::Relaxed);
        error
    }
}
