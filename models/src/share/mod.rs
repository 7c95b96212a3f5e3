//! The store as a read-only registry for peers: [`Share`] answers requests of the OCI distribution protocol (v1.1).
//!
//! It serves what is tagged, complete, and admitted by the trust policy, with what refers to it, and nothing else of the
//! disk: paths are looked up, never followed. There is no HTTP server in here; the node listens.

mod answer;
mod range;
mod target;
mod view;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use answer::{Answer, Content};
pub use view::Shared;

use crate::store::{Store, StoreError};
use crate::verify::Verifier;
use view::View;

/// How long a verdict on what is served stands: signatures age even where nothing changes.
const MAX_AGE: Duration = Duration::from_secs(60);

/// A request, as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// `GET` or `HEAD`; others are refused.
    pub method: &'a str,
    /// The path as it was sent, percent-encoding included, without the query.
    pub path: &'a str,
    /// The query, without `?`; empty for none.
    pub query: &'a str,
    /// The header `Range`.
    pub range: Option<&'a str>,
}

/// Answers for one store. It keeps what may be served until the store's index changes.
#[derive(Debug)]
pub struct Share {
    store: Store,
    verifier: Verifier,
    /// Locked while it is made, so that it is made once.
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    stamp: Option<Stamp>,
    made: Instant,
    view: Arc<View>,
}

/// Tells one version of `index.json` from the next: it is replaced, never changed.
type Stamp = (u64, std::time::SystemTime, u64);

impl Share {
    /// Serves `store` as far as `verifier` admits what is in it. Nothing is read yet.
    #[must_use]
    pub fn new(store: Store, verifier: Verifier) -> Self {
        Self {
            store,
            verifier,
            current: Mutex::new(None),
        }
    }

    /// What would be served now, for people. Blocks.
    ///
    /// # Errors
    /// When the store's index cannot be read.
    pub fn shared(&self) -> Result<Shared, StoreError> {
        Ok(self.view()?.shared())
    }

    /// Answers one request. Blocks, for as long as the verdicts take when the store has changed. Failures are answers, too.
    #[must_use]
    pub fn answer(&self, ask: &Ask<'_>) -> Answer {
        match self.view() {
            Ok(view) => answer::answer(&self.store, &view, ask),
            Err(error) => {
                tracing::error!(%error, "cannot read what is to be served");
                Answer::unavailable()
            }
        }
    }

    fn view(&self) -> Result<Arc<View>, StoreError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = self.store.index_stamp();
        if let Some(known) = &*current
            && known.stamp.is_some()
            && known.stamp == stamp
            && known.made.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(&known.view));
        }
        let made = Instant::now();
        let view = Arc::new(View::of(&self.store, &self.verifier)?);
        *current = Some(Current {
            stamp,
            made,
            view: Arc::clone(&view),
        });
        Ok(view)
    }
}
