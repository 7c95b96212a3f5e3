//! One request for a part of a blob, and the checks of its answer: status, announced range and length, bytes that come,
//! and how fast they come.

use std::ops::Range;

use reqwest::header::{ACCEPT, CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{StatusCode, Url};
use tokio::time::Instant;

use super::DownloadError;
use super::fill::{Fill, Ranges};
use super::sink::Sink;
use crate::registry::auth::Access;
use crate::registry::body::Body;
use crate::registry::endpoint::Endpoint;
use crate::registry::http::shown;
use crate::registry::remote::Remote;
use crate::registry::transport::TransportError;

/// Bytes that must come within the stall time-out: what drips slower than this counts as dead.
const MIN_WINDOW_BYTES: u64 = 1 << 10;

impl Fill<'_> {
    /// Fetches `span`, whose start is moved to behind what has been written, whatever happens.
    pub(super) async fn attempt(&self, remote: &Remote, span: &mut Range<u64>) -> Result<(), DownloadError> {
        let size = self.blob.size;
        let is_whole = *span == (0..size);
        let url = remote.url(&format!("blobs/{}", self.blob.digest))?;
        let range = format!("bytes={}-{}", span.start, span.end.saturating_sub(1));
        let build = |client: &reqwest::Client| {
            let request = client.get(url.clone()).header(ACCEPT, "*/*");
            if is_whole {
                request
            } else {
                request.header(RANGE, &range)
            }
        };
        let (endpoint, repository) = (&remote.endpoint, &remote.repository);
        let response = remote
            .http
            .send(endpoint, repository, Access::Pull, &url, build)
            .await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return Err(too_short(&url, size, span.start).into());
        }
        let response = remote.http.expect(&url, response, &[200, 206]).await?;
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let mut body = Body::new(endpoint.patience, &url, response);
        if is_part {
            check_range(&url, body.headers(), span, size)?;
            self.learn(Ranges::Served);
            let announced_end = span.start.saturating_add(body.announced().unwrap_or_default());
            if announced_end > span.end {
                return Err(body.too_long(size).into());
            }
            let end = span.end;
            return self.receive(endpoint, &mut body, &mut span.start, end).await;
        }
        if body.announced().is_some_and(|announced| announced > size) {
            return Err(body.too_long(size).into());
        }
        if is_whole {
            return self.receive(endpoint, &mut body, &mut span.start, size).await;
        }
        // No ranges: this answer has everything, so that nobody else needs to begin what is not begun.
        self.learn(Ranges::Ignored);
        let others = self.take_queue();
        let mut at = 0;
        let outcome = self.receive(endpoint, &mut body, &mut at, size).await;
        self.give_back(others, at);
        span.start = span.start.max(at).min(span.end);
        outcome
    }

    /// Writes the body from offset `at` on, up to `end`. `at` ends behind the last byte written.
    async fn receive(
        &self,
        endpoint: &Endpoint,
        body: &mut Body<'_>,
        at: &mut u64,
        end: u64,
    ) -> Result<(), DownloadError> {
        let mut sink = Sink::new(self.downloads, self.blob, self.writer.clone(), *at);
        let millis = u64::try_from(body.patience().as_millis()).unwrap_or(u64::MAX);
        let least = endpoint.bytes_per_second.saturating_mul(millis) / 1000;
        let outcome = self.pump(body, &mut sink, *at..end, least.max(MIN_WINDOW_BYTES)).await;
        *at = sink.settle().await?;
        outcome
    }

    /// Receives `span`, of which at least `least` bytes must come in each window of time.
    async fn pump(
        &self,
        body: &mut Body<'_>,
        sink: &mut Sink<'_>,
        span: Range<u64>,
        least: u64,
    ) -> Result<(), DownloadError> {
        let Range { start: mut at, end } = span;
        let (mut window, mut window_bytes) = (Instant::now(), 0_u64);
        let patience = body.patience();
        while let Some(piece) = body.next().await? {
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            at = at.saturating_add(len);
            if at > end {
                return Err(body.too_long(self.blob.size).into());
            }
            sink.push(piece).await?;
            window_bytes = window_bytes.saturating_add(len);
            if window.elapsed() >= patience {
                if window_bytes < least && at < end {
                    return Err(body.stalled().into());
                }
                (window, window_bytes) = (Instant::now(), 0);
            }
        }
        if at < end {
            return Err(too_short(body.url(), self.blob.size, at).into());
        }
        Ok(())
    }
}

fn too_short(url: &Url, expected: u64, received: u64) -> TransportError {
    TransportError::TooShort {
        url: shown(url),
        expected,
        received,
    }
}

/// Checks `Content-Range: bytes FIRST-LAST/TOTAL` against what was asked for. A shorter part than asked for is not wrong.
fn check_range(url: &Url, headers: &HeaderMap, asked: &Range<u64>, size: u64) -> Result<(), TransportError> {
    let value = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let wrong = |value: Option<&str>| TransportError::Protocol {
        url: shown(url),
        reason: format!(
            "asked for bytes {} to {}, it answers with the range {:?}",
            asked.start,
            asked.end.saturating_sub(1),
            value.unwrap_or("(none)").chars().take(64).collect::<String>()
        ),
    };
    let parsed = value.and_then(parse_range).ok_or_else(|| wrong(value))?;
    let (first, last, total) = parsed;
    match total {
        Some(total) if total > size => Err(TransportError::TooLong {
            url: shown(url),
            limit: size,
        }),
        Some(total) if total < size => Err(too_short(url, size, total)),
        _ if first != asked.start || last < first || last >= asked.end => Err(wrong(value)),
        _ => Ok(()),
    }
}

fn parse_range(value: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((first.parse().ok()?, last.parse().ok()?, total))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn check(value: &'static str) -> Result<(), TransportError> {
        let headers = HeaderMap::from_iter([(CONTENT_RANGE, HeaderValue::from_static(value))]);
        let url = Url::parse("http://registry.example/v2/a/blobs/x").map_err(|_| TransportError::Protocol {
            url: String::new(),
            reason: String::new(),
        })?;
        check_range(&url, &headers, &(100..200), 1000)
    }

    #[test]
    fn ranges_must_be_those_asked_for() {
        assert!(check("bytes 100-199/1000").is_ok());
        assert!(check("bytes 100-199/*").is_ok());
        assert!(check("bytes 100-150/1000").is_ok());
        assert!(matches!(
            check("bytes 100-199/1001"),
            Err(TransportError::TooLong { .. })
        ));
        assert!(matches!(
            check("bytes 100-199/999"),
            Err(TransportError::TooShort { .. })
        ));
        for wrong in [
            "bytes 0-99/1000",
            "bytes 101-199/1000",
            "bytes 100-200/1000",
            "bytes 100-99/1000",
            "bytes */1000",
            "bytes 100-199",
            "100-199/1000",
            "bytes 100-18446744073709551616/1000",
            "",
        ] {
            assert!(matches!(check(wrong), Err(TransportError::Protocol { .. })), "{wrong}");
        }
    }
}
