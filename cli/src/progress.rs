//! Progress of long work, on standard error: bars on a terminal, one JSON object a line elsewhere. Results never depend on it.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dunlin_models::{
    Descriptor, Digest,
    registry::{Event, NoProgress, Progress},
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::args::{GlobalArgs, ProgressForm};

/// Time between two reports of the bytes of one blob, for programs: they want news, not a flood.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// The progress of transfers, in the form that was asked for.
pub(crate) fn of(global: &GlobalArgs) -> Arc<dyn Progress> {
    let form = match global.progress {
        _ if global.quiet => ProgressForm::None,
        ProgressForm::Auto if std::io::stderr().is_terminal() => ProgressForm::Bars,
        ProgressForm::Auto => ProgressForm::Json,
        form => form,
    };
    match form {
        ProgressForm::None => Arc::new(NoProgress),
        ProgressForm::Bars => Arc::new(Bars::default()),
        ProgressForm::Json | ProgressForm::Auto => Arc::new(Lines::default()),
    }
}

/// Events as JSON lines; bytes are added up and told at most once a second for each blob.
#[derive(Debug, Default)]
struct Lines(Mutex<HashMap<Digest, Tally>>);

#[derive(Debug)]
struct Tally {
    bytes: u64,
    told: Instant,
}

#[derive(Serialize)]
struct Transferred<'a> {
    event: &'static str,
    blob: &'a Descriptor,
    bytes: u64,
}

impl Progress for Lines {
    fn event(&self, event: &Event<'_>) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *event {
            Event::Started { blob } | Event::Resumed { blob, .. } | Event::Discarded { blob } => {
                let bytes = if let Event::Resumed { at, .. } = *event { at } else { 0 };
                let told = Instant::now();
                tallies.insert(blob.digest, Tally { bytes, told });
                line(event);
            }
            Event::Progress { blob, bytes } => {
                let Some(tally) = tallies.get_mut(&blob.digest) else {
                    return;
                };
                tally.bytes = tally.bytes.saturating_add(bytes);
                if tally.told.elapsed() >= REPORT_INTERVAL {
                    tally.told = Instant::now();
                    line(&Transferred {
                        event: "progress",
                        blob,
                        bytes: tally.bytes,
                    });
                }
            }
            Event::Done { blob, .. } => {
                tallies.remove(&blob.digest);
                line(event);
            }
            _ => line(event),
        }
    }
}

/// One JSON object on standard error; a closed one is nobody's failure.
fn line(value: &impl Serialize) {
    if let Ok(mut text) = serde_json::to_vec(value) {
        text.push(b'\n');
        drop(std::io::stderr().lock().write_all(&text));
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
