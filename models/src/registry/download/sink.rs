//! From the network into the partial blob: pieces are gathered and written by a thread of its own, so that the next ones
//! arrive meanwhile.

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{DownloadError, Downloads, died};
use crate::descriptor::Descriptor;
use crate::registry::progress::Event;
use crate::store::{StoreError, Writer};

/// Bytes gathered before they are written. A stream holds at most twice as much.
const BATCH_BYTES: usize = 512 << 10;

/// The way of one answer's body into the file.
pub(super) struct Sink<'a> {
    downloads: &'a Downloads<'a>,
    blob: &'a Descriptor,
    writer: Writer,
    /// Offset of the first gathered byte.
    at: u64,
    gathered: Vec<Bytes>,
    gathered_len: usize,
    running: Option<JoinHandle<Result<u64, StoreError>>>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(downloads: &'a Downloads<'a>, blob: &'a Descriptor, writer: Writer, at: u64) -> Self {
        Self {
            downloads,
            blob,
            writer,
            at,
            gathered: Vec::new(),
            gathered_len: 0,
            running: None,
        }
    }

    /// Takes the next piece.
    pub(super) async fn push(&mut self, piece: Bytes) -> Result<(), DownloadError> {
        self.gathered_len = self.gathered_len.saturating_add(piece.len());
        self.gathered.push(piece);
        if self.gathered_len >= BATCH_BYTES {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes everything, and returns the offset of the next byte.
    pub(super) async fn settle(&mut self) -> Result<u64, DownloadError> {
        self.write().await?;
        self.wait().await?;
        Ok(self.at)
    }

    async fn write(&mut self) -> Result<(), DownloadError> {
        self.wait().await?;
        if self.gathered.is_empty() {
            return Ok(());
        }
        let (writer, at, pieces) = (self.writer.clone(), self.at, std::mem::take(&mut self.gathered));
        self.at += u64::try_from(self.gathered_len).unwrap_or_default();
        self.gathered_len = 0;
        self.running = Some(tokio::task::spawn_blocking(move || writer.write(at, &pieces)));
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), DownloadError> {
        if let Some(running) = self.running.take() {
            let bytes = running.await.map_err(died)??;
            self.downloads
                .progress
                .event(&Event::Progress { blob: self.blob, bytes });
        }
        Ok(())
    }
}
