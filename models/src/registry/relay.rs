//! Bytes from one registry on their way to another: capped, hashed as they pass, and cut off before the last piece when
//! the digest is wrong, so that the receiver never gets a whole blob of wrong bytes.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use reqwest::header::ACCEPT;

use super::auth::Access;
use super::body::Body;
use super::route::Route;
use super::transport::TransportError;
use crate::descriptor::Descriptor;
use crate::digest::Hasher;

/// The bytes of `range` of `blob`, from the first endpoint that has it. The digest is checked at the end of the blob.
pub(super) fn stream(route: Route, blob: Descriptor, range: Range<u64>) -> BoxStream<'static, std::io::Result<Bytes>> {
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(2);
    let pump = async move {
        if let Err(error) = pump(&route, &blob, range, &sender).await {
            // A receiver that is gone does not care.
            let _ = sender.send(Err(std::io::Error::other(error))).await;
        }
    };
    // The pump runs while the stream is polled, and ends with it.
    let pieces = futures::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let silent = futures::stream::once(pump).filter_map(|()| async { None });
    futures::stream::select(pieces, silent).boxed()
}

async fn pump(
    route: &Route,
    blob: &Descriptor,
    range: Range<u64>,
    sender: &tokio::sync::mpsc::Sender<std::io::Result<Bytes>>,
) -> Result<(), TransportError> {
    let mut last = None;
    for station in route.remotes() {
        let url = station.url(&format!("blobs/{}", blob.digest))?;
        let build = |client: &reqwest::Client| client.get(url.clone()).header(ACCEPT, "*/*");
        let (endpoint, repository) = (&station.endpoint, &station.repository);
        let answer = station.http.send(endpoint, repository, Access::Pull, &url, build).await;
        let response = match answer {
            Ok(response) => station.http.expect(&url, response, &[200]).await,
            Err(error) => Err(error),
        };
        match response {
            Ok(response) => return forward(Body::new(endpoint.patience, &url, response), blob, range, sender).await,
            Err(error) => last = Some(error),
        }
    }
    last.map_or(Ok(()), Err)
}

/// Hashes everything, and hands on what lies in `range`, one piece late: the last one only when the digest is right.
async fn forward(
    mut body: Body<'_>,
    blob: &Descriptor,
    range: Range<u64>,
    sender: &tokio::sync::mpsc::Sender<std::io::Result<Bytes>>,
) -> Result<(), TransportError> {
    let (mut hasher, mut at, mut held) = (Hasher::default(), 0_u64, None);
    let is_tail = range.end == blob.size;
    while let Some(piece) = body.next().await? {
        let start = at;
        at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if at > blob.size {
            return Err(body.too_long(blob.size));
        }
        hasher.update(&piece);
        let from = usize::try_from(range.start.clamp(start, at) - start).unwrap_or_default();
        let to = usize::try_from(range.end.clamp(start, at) - start).unwrap_or_default();
        if from < to
            && let Some(earlier) = held.replace(piece.slice(from..to))
            && sender.send(Ok(earlier)).await.is_err()
        {
            return Ok(());
        }
        if at >= range.end && !is_tail {
            break;
        }
    }
    let is_right = at == blob.size && hasher.finish() == blob.digest;
    if is_tail && !is_right {
        return Err(TransportError::Protocol {
            url: super::http::shown(body.url()),
            reason: "the bytes have another digest, or are too few".to_owned(),
        });
    }
    if let Some(piece) = held {
        // A receiver that is gone does not care.
        let _ = sender.send(Ok(piece)).await;
    }
    Ok(())
}
