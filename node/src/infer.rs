//! Runs a model without a guest: inputs from files, outputs to files, latencies of repeated runs.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dunlin_host_gpu::{CancelToken, ComputeError, ContextError, Graph, NamedTensor, TensorFileError, npy, onnx_proto};
use fs_err as fs;
use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

/// Inputs larger than this are refused before they are read.
const MAX_INPUT_FILE: u64 = 4 << 30;
/// The first bytes of every NumPy file.
const NPY_MAGIC: &[u8] = b"\x93NUMPY";

/// Why an inference without a guest failed.
#[derive(Debug, Error)]
pub enum InferError {
    /// An input file cannot be read.
    #[error("cannot read the file for input `{name}`")]
    ReadInput {
        /// The input.
        name: String,
        /// The file system's answer, naming the path.
        #[source]
        source: std::io::Error,
    },
    /// An input file is too large to be a tensor that fits.
    #[error("the file for input `{name}` has {size} bytes; at most {MAX_INPUT_FILE} are read")]
    InputTooLarge {
        /// The input.
        name: String,
        /// Its size.
        size: u64,
    },
    /// An input file holds no tensor.
    #[error("the file for input `{name}` ({}) holds no usable tensor", path.display())]
    ParseInput {
        /// The input.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: TensorFileError,
    },
    /// The engine gave no context.
    #[error("the engine gave no execution context")]
    Context(#[from] ContextError),
    /// The computation failed.
    #[error("the inference failed")]
    Compute(#[from] ComputeError),
    /// An output cannot be written.
    #[error("cannot write output `{name}`")]
    WriteOutput {
        /// The output.
        name: String,
        /// The file system's answer, naming the path.
        #[source]
        source: std::io::Error,
    },
    /// Two outputs have names that give the same file name.
    #[error("outputs `{first}` and `{second}` would both be written to {file}")]
    SameFile {
        /// One output.
        first: String,
        /// The other.
        second: String,
        /// The file name.
        file: String,
    },
}

impl InferError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::ParseInput { source, .. } => source.hint(),
            Self::Context(error) => error.hint(),
            Self::Compute(error) => error.hint(),
            Self::SameFile { .. } => Some("rename an output of the model".to_owned()),
            Self::ReadInput { .. } | Self::InputTooLarge { .. } | Self::WriteOutput { .. } => None,
        }
    }
}

/// What one or several runs gave.
#[derive(Debug)]
pub struct Inference {
    /// The outputs of the last run, in the signature's order.
    pub outputs: Vec<NamedTensor>,
    /// Wall time of each run.
    pub wall: Vec<Duration>,
    /// CPU time of this process during each run.
    pub cpu: Vec<Duration>,
}

/// Reads the tensor in `path` for input `name`: a NumPy `.npy` file or an ONNX `TensorProto`, told apart by content.
///
/// # Errors
/// The file cannot be read, is over 4 GiB, or holds no tensor of a supported type.
pub fn read_input(name: &str, path: &Path) -> Result<NamedTensor, InferError> {
    let read = |source| InferError::ReadInput {
        name: name.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(read)?.len();
    if size > MAX_INPUT_FILE {
        return Err(InferError::InputTooLarge {
            name: name.to_owned(),
            size,
        });
    }
    let bytes = fs::read(path).map_err(read)?;
    let tensor = if bytes.starts_with(NPY_MAGIC) {
        npy::read(&bytes)
    } else {
        onnx_proto::read(&bytes).map(|named| named.tensor)
    };
    tensor
        .map(|tensor| NamedTensor {
            name: name.to_owned(),
            tensor,
        })
        .map_err(|source| InferError::ParseInput {
            name: name.to_owned(),
            path: path.to_owned(),
            source,
        })
}

/// Runs `graph` `repeat` times (at least once) on the calling thread.
///
/// # Errors
/// The inputs do not fit the model, or the engine fails.
pub fn run(
    graph: &Arc<dyn Graph>,
    inputs: &[NamedTensor],
    repeat: u32,
    cancel: &CancelToken,
) -> Result<Inference, InferError> {
    let mut context = graph.init_execution_context()?;
    let mut inference = Inference {
        outputs: Vec::new(),
        wall: Vec::new(),
        cpu: Vec::new(),
    };
    for _ in 0..repeat.max(1) {
        let (wall, cpu) = (Instant::now(), process_cpu_time());
        inference.outputs = context.compute(inputs.to_vec(), cancel)?;
        inference.wall.push(wall.elapsed());
        inference.cpu.push(process_cpu_time().saturating_sub(cpu));
    }
    Ok(inference)
}

/// Writes each output to `<folder>/<name>.npy`; characters outside `A-Za-z0-9_.-` become `_`. Returns the paths.
///
/// # Errors
/// Two names fall together, or a file cannot be written. Nothing is written when names fall together.
pub fn write_outputs(folder: &Path, outputs: &[NamedTensor]) -> Result<Vec<PathBuf>, InferError> {
    let names: Vec<String> = outputs.iter().map(|output| file_name(&output.name)).collect();
    for (index, name) in names.iter().enumerate() {
        if let Some(earlier) = names[..index].iter().position(|other| other == name) {
            return Err(InferError::SameFile {
                first: outputs[earlier].name.clone(),
                second: outputs[index].name.clone(),
                file: name.clone(),
            });
        }
    }
    let mut paths = Vec::with_capacity(outputs.len());
    for (output, name) in outputs.iter().zip(names) {
        let path = folder.join(name);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, npy::write(&output.tensor)))
            .map_err(|source| InferError::WriteOutput {
                name: output.name.clone(),
                source,
            })?;
        paths.push(path);
    }
    Ok(paths)
}

fn file_name(output: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name: String = output.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    format!("{name}.npy")
}

fn process_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}

/// The value below which `fraction` (0 to 1) of `samples` lie, by the nearest-rank method; zero without samples.
#[must_use]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank of a sample count, clamped to it"
)]
pub fn quantile(samples: &[Duration], fraction: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (fraction.clamp(0.0, 1.0) * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_use_the_nearest_rank() {
        let samples: Vec<Duration> = (1..=10).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&samples, 0.5), Duration::from_millis(5));
        assert_eq!(quantile(&samples, 0.99), Duration::from_millis(10));
        assert_eq!(quantile(&samples, 0.0), Duration::from_millis(1));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn output_names_cannot_leave_the_folder() {
        assert_eq!(file_name("../../etc/passwd"), ".._.._etc_passwd.npy");
        assert_eq!(file_name("tf_op/Softmax:0"), "tf_op_Softmax_0.npy");
    }
}
