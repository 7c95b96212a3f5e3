//! How the engines are set up: [`EngineConfig`], [`EngineChoice`] and [`ModelLimits`]. Plain values, each default with
//! its reason.

use std::{fmt, num::NonZeroUsize, path::PathBuf, str::FromStr};

use crate::device::Device;

/// Which engine loads models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// tract; onnxruntime for what tract does not load, when there is a library.
    #[default]
    Auto,
    /// tract only.
    Tract,
    /// onnxruntime only.
    Ort,
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Tract => "tract",
            Self::Ort => "onnxruntime",
        })
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownEngine;

    /// Reads `auto`, `tract`, `ort` or `onnxruntime`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "tract" => Ok(Self::Tract),
            "ort" | "onnxruntime" => Ok(Self::Ort),
            _ => Err(UnknownEngine {
                text: text.chars().take(64).collect(),
            }),
        }
    }
}

/// A text that names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an engine")]
pub struct UnknownEngine {
    text: String,
}

impl UnknownEngine {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some("use `auto`, `tract` or `onnxruntime`".to_owned())
    }
}

/// Bounds on what one model may ask of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelLimits {
    /// Nodes of the graph, those of sub-graphs included.
    pub nodes: usize,
    /// Levels of sub-graphs within sub-graphs.
    pub subgraph_depth: usize,
    /// Bytes of any one tensor that a compute takes or makes. Inside onnxruntime it bounds inputs and outputs only.
    pub tensor_bytes: u64,
    /// Plans kept per graph, one per combination of input shapes; the least recently used one goes first.
    pub plans: NonZeroUsize,
}

impl ModelLimits {
    /// Unrolled exports of large language models have some 50,000 nodes; four times that still parses in a second.
    pub const DEFAULT_NODES: usize = 200_000;
    /// Exporters nest conditionals and loops a few levels deep.
    pub const DEFAULT_SUBGRAPH_DEPTH: usize = 16;
    /// The largest tensors that models for the edge make, attention matrices and feature maps, are some 100 MiB.
    pub const DEFAULT_TENSOR_BYTES: u64 = 2 << 30;
    /// Services see a handful of shapes: a batch of one, full batches, a few buckets of lengths.
    pub const DEFAULT_PLANS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);
}

impl Default for ModelLimits {
    fn default() -> Self {
        Self {
            nodes: Self::DEFAULT_NODES,
            subgraph_depth: Self::DEFAULT_SUBGRAPH_DEPTH,
            tensor_bytes: Self::DEFAULT_TENSOR_BYTES,
            plans: Self::DEFAULT_PLANS,
        }
    }
}

/// How to set the engines up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Which engine to use.
    pub choice: EngineChoice,
    /// Where to compute.
    pub device: Device,
    /// A libonnxruntime that the user named. It must exist.
    pub ort_library: Option<PathBuf>,
    /// Folders to look for a libonnxruntime in, in this order, when none is named. None of them need exist.
    pub ort_search: Vec<PathBuf>,
    /// Threads that one compute may use inside onnxruntime (intra-op). tract computes on the calling thread alone: its own
    /// threading gains less than computes side by side do.
    pub threads: NonZeroUsize,
    /// Bounds on models.
    pub limits: ModelLimits,
}

impl Default for EngineConfig {
    /// tract on one thread, and no onnxruntime: computes run side by side before they run in parallel.
    fn default() -> Self {
        Self {
            choice: EngineChoice::Auto,
            device: Device::Cpu,
            ort_library: None,
            ort_search: Vec::new(),
            threads: NonZeroUsize::MIN,
            limits: ModelLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn choices_parse_as_they_print() {
        for choice in [EngineChoice::Auto, EngineChoice::Tract, EngineChoice::Ort] {
            assert_eq!(choice.to_string().parse::<EngineChoice>().unwrap(), choice);
        }
        assert_eq!("ort".parse::<EngineChoice>().unwrap(), EngineChoice::Ort);
        assert!(
            "Tract"
                .parse::<EngineChoice>()
                .unwrap_err()
                .hint()
                .unwrap()
                .contains("tract")
        );
    }
}
