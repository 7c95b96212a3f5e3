//! Updates of model files over thin links: deltas against a file that the receiver has ([`encode`], [`Delta`]), and
//! lists of chunks by which it finds what it need not fetch ([`ChunkManifest`], [`plan`]).
//!
//! Nothing here knows registries, signatures or stores, opens a connection or spawns a task. Everything that is read is
//! hostile: it costs bounded memory, and what comes out counts only once its digest is the expected one.
//!
//! # Delta, `application/vnd.dunlin.delta.v1`
//!
//! All numbers are little-endian. A header of 96 bytes: the magic `89 44 4c 4e 44 45 4c 54`, the version 1 (u32),
//! four zero bytes, then SHA-256 and size (u64) of the base and of the new file. Frames follow, each of which makes
//! the next 1 to 4,194,304 bytes of the new file, until it is whole; nothing follows the last. A frame is 24 bytes of
//! header and a payload:
//!
//! | bytes | field | rule |
//! |---|---|---|
//! | 0 | method | see below |
//! | 1 | zero | |
//! | 2-3 | width of elements | 0 where the method has none |
//! | 4-7 | length made | not beyond the new file's size |
//! | 8-11 | length of the base range | within the base; 0 where the method has none |
//! | 12-15 | length of the payload | at most the length made |
//! | 16-23 | offset of the base range | |
//!
//! | method | makes | base range | width |
//! |---|---|---|---|
//! | 0 literal | the payload | none | 0 |
//! | 1 copy | the base range; no payload | of the same length | 0 |
//! | 2 zstd | the zstd frame's content | none | 0 |
//! | 3 grouped | the content, ungrouped | none | 1-512 |
//! | 4 xor | the content, ungrouped, XOR the base range | of the same length | 1-512 |
//! | 5 difference | the base range plus the content, ungrouped, as integers whose lowest bit is the sign (zigzag) | of the same length | 1, 2, 4, 8 |
//! | 6 patch | the content of a zstd frame whose prefix is the base range | 1 to 4,194,304 bytes | 0 |
//! | 7 ordered difference | as 5, with the elements in the order of the base's magnitudes | of the same length | 2, 4, 8 |
//!
//! Grouped content holds the first bytes of all elements, then the second ones, and so on; a rest shorter than an
//! element stands at the end as it is. A magnitude is the eight bits below the highest of the base's element, which
//! hold a float's exponent; elements of smaller magnitude come first, those of the same one in their order. The base
//! ranges of all patches together are at most 64 MiB longer than the new file. Frames stand in order and carry their
//! own headers, so that neither side seeks and both hold a few frames only.
//!
//! # Chunk manifest, `application/vnd.dunlin.chunks.v1`
//!
//! Binary, because a list of hashes is more than twice as long in JSON. A header of 64 bytes: the magic `89 44 4c 4e 43 48
//! 4e 4b`, the version 1 (u32), the average length of chunks as a power of two (u32, 12-22), SHA-256 and size (u64) of
//! the file, the number of chunks (u32), four zero bytes. Then per chunk in order its length (u32) and its SHA-256.
//!
//! A chunk of the average length 2^n has at least 2^(n-2) bytes, unless it is the last, and at most 2^(n+2). In between it
//! ends after the first byte at which the hash `h = 2h + g(byte)`, started at 0 with the byte after the least length, has
//! its highest n+2 bits zero, or n-2 bits from 2^n bytes on. `g` is the first 256 outputs of SplitMix64 from the state 0.

#[cfg(test)]
mod noise;

mod error;
mod identity;

mod frame;
mod header;
mod magnitude;
mod pipeline;
mod planes;

mod gear;
mod layout;
mod match_content;
mod pairing;
mod region;
mod trial;

mod decode;
mod encode;

mod chunks;

pub use chunks::{Chunk, ChunkError, ChunkManifest, Segment, SegmentSource, plan};
pub use decode::{DecodeOptions, Delta};
pub use dunlin_weights::{FileAt, ReadAt};
pub use encode::{EncodeOptions, Stats, encode};
pub use error::{DecodeError, EncodeError};
pub use frame::FrameFault;
pub use gear::ChunkSize;
pub use header::Header;
pub use identity::Identity;

/// Media type of a delta.
pub const DELTA_MEDIA_TYPE: &str = "application/vnd.dunlin.delta.v1";
/// Media type of a chunk manifest.
pub const CHUNKS_MEDIA_TYPE: &str = "application/vnd.dunlin.chunks.v1";
