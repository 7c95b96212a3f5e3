//! Progress of long work: bars on a terminal, nothing elsewhere. Results never depend on it.

use std::{
    collections::HashMap,
    io::IsTerminal as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dunlin_models::{
    Descriptor, Digest,
    registry::{NoProgress, Progress},
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::args::GlobalArgs;

/// The progress of transfers: bars where somebody is looking.
pub(crate) fn of(global: &GlobalArgs) -> Arc<dyn Progress> {
    if global.quiet || !std::io::stderr().is_terminal() {
        Arc::new(NoProgress)
    } else {
        Arc::new(Bars::default())
    }
}

/// A bar for one local step of `total` bytes.
pub(crate) fn bar(global: &GlobalArgs, what: &str, total: u64) -> ProgressBar {
    if global.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    styled(ProgressBar::new(total), what)
}

fn styled(bar: ProgressBar, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:24} {bar:30} {bytes:>10} of {total_bytes:10} {bytes_per_sec}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what.to_owned());
    bar
}

#[derive(Default)]
struct Bars {
    screen: MultiProgress,
    bars: Mutex<HashMap<Digest, ProgressBar>>,
}

impl std::fmt::Debug for Bars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bars")
    }
}

impl Bars {
    fn bars(&self) -> MutexGuard<'_, HashMap<Digest, ProgressBar>> {
        self.bars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for Bars {
    fn begin(&self, blob: &Descriptor) {
        let short: String = blob.digest.hex().chars().take(12).collect();
        let bar = self.screen.add(styled(ProgressBar::new(blob.size), &short));
        self.bars().insert(blob.digest, bar);
    }

    fn advance(&self, blob: &Descriptor, bytes: u64) {
        if let Some(bar) = self.bars().get(&blob.digest) {
            bar.inc(bytes);
        }
    }

    fn end(&self, blob: &Descriptor, _reused: bool) {
        if let Some(bar) = self.bars().remove(&blob.digest) {
            bar.finish_and_clear();
        }
    }
}
