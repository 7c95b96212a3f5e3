//! Transparency logs: Rekor v1 (signed entry timestamps, checkpoints) and Rekor v2 (tile log checkpoints). Each entry is
//! proven in a tree of nine leaves of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::key::{Key, sha256};
use crate::merkle;

/// Which protocol a log speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Rekor v1: has integrated times, under signed entry timestamps.
    V1,
    /// Rekor v2: has no time of its own.
    V2,
}

/// A log: a key and a name.
#[derive(Debug)]
pub struct Log {
    pub(crate) key: Key,
    pub(crate) generation: Generation,
    pub(crate) origin: String,
}

/// Where the entry lies among the leaves.
const INDEX: usize = 5;
const LEAVES: usize = 9;
/// Rekor v1 counts over all its shards; proofs count within one.
const SHARD_START: usize = 1_000;

impl Log {
    pub(crate) fn v1(origin: &str) -> Self {
        Self {
            key: Key::p256(),
            generation: Generation::V1,
            origin: origin.to_owned(),
        }
    }

    pub(crate) fn v2(origin: &str) -> Self {
        Self {
            key: Key::ed25519(),
            generation: Generation::V2,
            origin: origin.to_owned(),
        }
    }

    /// Identifier of the log: SHA-256 of the key; for Ed25519 notes, over name, algorithm and key.
    pub(crate) fn id(&self) -> [u8; 32] {
        match &self.key {
            Key::P256(_) => sha256(&self.key.spki()),
            Key::Ed25519(_) => sha256(&[self.origin.as_bytes(), b"\n\x01", self.key.raw_public().as_slice()].concat()),
        }
    }

    /// Host by which the trusted root names the log.
    pub(crate) fn base_url(&self) -> String {
        format!("https://{}", self.origin.split(' ').next().unwrap_or_default())
    }

    /// The entry of `body` as bundles carry it. `integrated` is in seconds since 1970, for v1 only.
    pub(crate) fn entry(&self, kind: (&str, &str), body: &[u8], integrated: Option<i64>, promise: bool) -> Value {
        let leaves: Vec<_> = (0..LEAVES)
            .map(|index| {
                if index == INDEX {
                    merkle::leaf(body)
                } else {
                    merkle::leaf(format!("leaf {index}").as_bytes())
                }
            })
            .collect();
        let root = merkle::root(&leaves);
        let path: Vec<_> = merkle::path(&leaves, INDEX)
            .iter()
            .map(|hash| STANDARD.encode(hash))
            .collect();
        let global = match self.generation {
            Generation::V1 => INDEX + SHARD_START,
            Generation::V2 => INDEX,
        };
        let mut entry = json!({
            "logIndex": global.to_string(),
            "logId": { "keyId": STANDARD.encode(self.id()) },
            "kindVersion": { "kind": kind.0, "version": kind.1 },
            "inclusionProof": {
                "logIndex": INDEX.to_string(),
                "rootHash": STANDARD.encode(root),
                "treeSize": LEAVES.to_string(),
                "hashes": path,
                "checkpoint": { "envelope": self.checkpoint(LEAVES, &root) },
            },
            "canonicalizedBody": STANDARD.encode(body),
        });
        if let Some(seconds) = integrated {
            entry["integratedTime"] = json!(seconds.to_string());
            if promise {
                let set = self.signed_entry_timestamp(body, seconds, global);
                entry["inclusionPromise"] = json!({ "signedEntryTimestamp": STANDARD.encode(set) });
            }
        }
        entry
    }

    /// A signed note (C2SP signed-note, tlog-checkpoint).
    pub(crate) fn checkpoint(&self, size: usize, root: &[u8; 32]) -> String {
        let body = format!("{}\n{size}\n{}\n", self.origin, STANDARD.encode(root));
        let signature = [&self.id()[..4], &self.key.sign(body.as_bytes())].concat();
        let name = self.origin.split(' ').next().unwrap_or_default();
        format!("{body}\n\u{2014} {name} {}\n", STANDARD.encode(signature))
    }

    /// The promise of Rekor v1: a signature over the canonical JSON of body, time, log and index.
    pub(crate) fn signed_entry_timestamp(&self, body: &[u8], seconds: i64, index: usize) -> Vec<u8> {
        let payload = format!(
            r#"{{"body":"{}","integratedTime":{seconds},"logID":"{}","logIndex":{index}}}"#,
            STANDARD.encode(body),
            hex::encode(self.id())
        );
        self.key.sign(payload.as_bytes())
    }
}
